"""A language model as a plain network whose adapters are trained: tokens in, log-probability of a text out.

The model's own weights are frozen. What is trained, and linearised by GradEx, are the factors of low-rank adapters
(LoRA, Hu et al. 2022): W + (alpha / r) B A for some of its matrices. Where only its upper layers have adapters, what
the lower ones make of a text is computed once and kept: it is the same in every training and for every gradient.
Logits of the vocabulary are never held for more than some hundred tokens at a time, forwards and backwards: they
would be larger than all else together.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from kernelsm.models.seeding import seeded
from kernelsm.runtime.checks import check_counts, check_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.extras import needed_by

if TYPE_CHECKING:
    from kernelsm.models.language_model import LanguageModel

_AT_ONCE = 256  # tokens of which the logits are held: 50 MB each way for a vocabulary of 50,000
_TOLERANCE = 1e-3
_KEPT_NUMBERS = 2**27  # of hidden states that are kept, 512 MiB


class CausalText(nn.Module):
    """Maps inputs (n, 2, T), tokens and whether each is scored, to mean log-probabilities (n, 1) in nats a token.

    Parameters
    ----------
    network : transformers.PreTrainedModel
        A causal language model, its adapters among its modules; parameters that require no gradient stay as they are.
    below : int
        How many layers, from the first on, have nothing that is trained: what they make of a text is kept.

    Raises
    ------
    InputError
        A network whose logits are more than its output layer makes of its last hidden states, or whose layers cannot
        be run one part after the other.
    """

    # see `model_hash`: the name stays, wherever this file goes
    hashed_as = "kernelsm.models.causal_text.CausalText"

    network: Any  # a transformers.PreTrainedModel, which is not imported here

    def __init__(self, network: nn.Module, *, below: int = 0) -> None:
        super().__init__()
        self._parts: tuple[Any, ...] = ()
        self.network = network
        self.network.config.use_cache = False
        ids = torch.arange(4)[None]
        with torch.no_grad():
            own = self.network(input_ids=ids).logits
            made = self._head(self._hidden(ids))
        if not torch.allclose(own, made, rtol=_TOLERANCE, atol=_TOLERANCE * float(own.abs().max())):
            found = f"{type(network).__name__}, whose logits are not its output layer's"
            fix = "Take a model without scaled or bounded logits, as Llama, Qwen, Mistral or GPT-2 are."
            raise InputError("language model", found, "logits that are linear in the last hidden states", fix)
        if below:
            # a tuple: they are parts of the network already
            self._parts = (*_halves(self.network.base_model, below), _HiddenStates())
            with torch.no_grad():
                made = self._head(self._hidden(ids))
            if not torch.allclose(own, made, rtol=_TOLERANCE, atol=_TOLERANCE * float(own.abs().max())):
                fix = "Put adapters into all layers."
                raise InputError("layers", f"{type(network).__name__}", "layers that run one after the other", fix)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map inputs (n, 2, T) to mean log-probabilities (n, 1) of the scored tokens.

        A scored token is predicted from all before it, so that the first of a row cannot be one. Tokens after the
        last scored one are not read.
        """
        # samples of a suite are kept in the processor's memory, wherever the network is
        there = self.network.get_input_embeddings().weight.device
        ids, scored = inputs[:, 0].to(there), inputs[:, 1].to(there) > 0
        length = int(scored.any(dim=0).nonzero().max()) + 1
        lengths = self.text_lengths(inputs).tolist() if self._parts else []
        ids, scored = ids[:, :length], scored[:, 1:length]
        hidden = self._hidden(ids, lengths)[:, :-1][scored]
        following = ids[:, 1:][scored]
        pieces = zip(hidden.split(_AT_ONCE), following.split(_AT_ONCE), strict=True)
        if torch.is_grad_enabled():
            parts = [checkpoint(self._log_probabilities, *piece, use_reentrant=False) for piece in pieces]
        else:
            parts = [self._log_probabilities(*piece) for piece in pieces]
        rows = torch.arange(len(ids), device=ids.device)[:, None].expand_as(scored)[scored]
        found = torch.cat(parts)
        sums = found.new_zeros(len(ids)).index_add(0, rows, found)
        return (sums / scored.sum(dim=1))[:, None].to(inputs.device)

    @staticmethod
    def text_lengths(inputs: torch.Tensor) -> torch.Tensor:
        """Tokens that are read of each row of inputs (n, 2, T), those up to its last scored one."""
        places = torch.arange(1, inputs.shape[2] + 1, device=inputs.device)
        return ((inputs[:, 1] > 0) * places).amax(dim=1)

    def _hidden(self, ids: torch.Tensor, lengths: Sequence[int] = ()) -> torch.Tensor:
        # a causal network does not see the padding that follows: it needs no mask
        if self._parts:
            lower, upper, kept = self._parts
            states = kept.of(ids, lengths or [ids.shape[1]] * len(ids), lower, self.network.dtype)
            found: torch.Tensor = upper(inputs_embeds=states).last_hidden_state
        else:
            found = self.network.base_model(input_ids=ids).last_hidden_state
        return found

    def _head(self, hidden: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.network.get_output_embeddings()(hidden)
        return found

    def _log_probabilities(self, hidden: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
        logits = self._head(hidden)
        logits = logits.float() if logits.dtype.itemsize < 4 else logits
        return -functional.cross_entropy(logits, following, reduction="none")


class _HiddenStates:
    """What the lower layers of a network make of texts, by their tokens; copies of the network have it in common."""

    def __init__(self) -> None:
        self.known: dict[bytes, torch.Tensor] = {}
        self.numbers = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> _HiddenStates:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _HiddenStates, ()

    def of(self, ids: torch.Tensor, lengths: Sequence[int], lower: Any, dtype: torch.dtype) -> torch.Tensor:
        """Hidden states (n, T, width) of tokens (n, T), of which so many are read; without a gradient.

        Those of tokens that are not read are 0.
        """
        # lists: within torch.func a tensor has no memory of its own that could be read
        rows = np.array(ids.tolist(), dtype=np.int64)
        keys = [row[:length].tobytes() for row, length in zip(rows, lengths, strict=True)]
        new = [place for place, key in enumerate(keys) if key not in self.known]
        found: dict[bytes, torch.Tensor] = {}
        if new:
            with torch.no_grad():
                fresh = lower(input_ids=ids[new]).last_hidden_state
            found = {keys[place]: row[: lengths[place]] for place, row in zip(new, fresh, strict=True)}
            if self.numbers + fresh.numel() <= _KEPT_NUMBERS:
                self.known.update({key: row.cpu().clone() for key, row in found.items()})
                self.numbers += fresh.numel()
        states = [found[key] if key in found else self.known[key] for key in keys]
        return pad_sequence([row.to(ids.device, dtype) for row in states], batch_first=True)


def _halves(base: Any, below: int) -> tuple[Any, Any]:
    """The first layers of a network without its last norm, and the others; both made of its own layers."""
    lower, upper = copy.copy(base), copy.copy(base)
    lower.__dict__["_modules"] = {**base._modules, "layers": base.layers[:below], "norm": nn.Identity()}
    upper.__dict__["_modules"] = {**base._modules, "layers": base.layers[below:]}
    return lower, upper


def causal_text(
    model: LanguageModel, *, rank: int = 8, alpha: int = 16, modules: Sequence[str] = ("q_proj", "v_proj"),
    layers: int | None = None, seed: int = 0,
) -> CausalText:  # fmt: skip
    """Return a language model with low-rank adapters that are to be trained; the model itself stays as it is.

    Its weights are not copied: the network has them in common with the model.

    Parameters
    ----------
    model : LanguageModel
    rank : int
        r of each adapter: a matrix (out, in) gets factors A (r, in) and B (out, r).
    alpha : int
        B A is multiplied by alpha / r.
    modules : sequence of str
        Last parts of the names of the linear layers that get one: those of queries and values by default.
    layers : int, optional
        How many layers of the model, from the last down, get any; all if not given. What the others make of a text is
        computed once, which saves most of the time.
    seed : int
        Of the random A. B begins at 0: without training, the network is the model.

    Raises
    ------
    InputError
        No layer of these names, a number out of its range, or a model that cannot be scored token by token.
    MissingExtraError
        peft is not installed.

    Examples
    --------
    >>> from kernelsm.models.causal_text import causal_text
    >>> from kernelsm.models.language_model import load_language_model
    >>> network = causal_text(load_language_model(), rank=4)
    >>> sum(p.numel() for p in network.parameters() if p.requires_grad)
    230400
    """
    check_counts(rank=rank, alpha=alpha)
    with needed_by("adapters of language models"):
        from peft import LoraConfig, inject_adapter_in_model
    network = copy.deepcopy(model.network, {id(p): p for p in model.network.parameters()})
    linear = {name.rpartition(".")[2] for name, part in network.named_modules() if isinstance(part, nn.Linear)}
    if not linear & set(modules):
        found, fix = ", ".join(map(repr, modules)), "Name some of these."
        raise InputError("modules", found[:80], " or ".join(sorted(linear)), fix)
    below, count = 0, 0
    if layers is not None:
        stacked = getattr(network.base_model, "layers", None)
        if stacked is None or not hasattr(network.base_model, "norm"):
            fix = "Put adapters into all layers."
            raise InputError("layers", f"{type(network).__name__}", "a network such as Llama, Qwen or Mistral", fix)
        count = len(stacked)
        below = count - check_whole("layers", layers, 1, count)
    settings = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=sorted(linear & set(modules)), lora_dropout=0.0, bias="none",
        layers_to_transform=list(range(below, count)) if below else None,
    )  # fmt: skip
    with seeded(seed):
        inject_adapter_in_model(settings, network)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_("lora_" in name)
    return CausalText(network, below=below).eval()


@lru_cache(maxsize=1)  # samples are read with its tokenizer, and then the network is made of it
def language_model(folder: str = "") -> LanguageModel:
    """Return the language model of a folder, or the packaged one for ""; the last one stays loaded.

    Raises
    ------
    InputError
        As `load_language_model`.
    """
    from kernelsm.models.language_model import load_language_model

    return load_language_model(folder or None)


def adapted_language_model(
    folder: str = "", *, rank: int = 8, alpha: int = 16, modules: Sequence[str] = ("q_proj", "v_proj"),
    layers: int | None = None, seed: int = 0,
) -> CausalText:  # fmt: skip
    """Return `causal_text` of a language model that is named by its folder.

    Parameters
    ----------
    folder : str
        As of `load_language_model`; "" for the packaged SmolLM2-135M-Instruct.
    rank, alpha, modules, layers, seed
        As of `causal_text`.

    Raises
    ------
    InputError
        As `load_language_model` and `causal_text`.
    """
    return causal_text(language_model(folder), rank=rank, alpha=alpha, modules=modules, layers=layers, seed=seed)
