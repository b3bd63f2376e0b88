"""A language model as a plain network whose adapters are trained: tokens in, log-probability of a text out.

The model's own weights are frozen. What is trained, and linearised by GradEx, are the factors of low-rank adapters
(LoRA, Hu et al. 2022): W + (alpha / r) B A for some of its matrices. Logits of the vocabulary are never held for more
than some hundred tokens at a time, forwards and backwards: they would be larger than all else together.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from kernelsm.models.seeding import seeded
from kernelsm.runtime.checks import check_counts
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.extras import needed_by

if TYPE_CHECKING:
    from kernelsm.models.language_model import LanguageModel

_AT_ONCE = 256  # tokens of which the logits are held: 50 MB each way for a vocabulary of 50,000
_TOLERANCE = 1e-3


class CausalText(nn.Module):
    """Maps inputs (n, 2, T), tokens and whether each is scored, to mean log-probabilities (n, 1) in nats a token.

    Parameters
    ----------
    network : transformers.PreTrainedModel
        A causal language model, its adapters among its modules; parameters that require no gradient stay as they are.

    Raises
    ------
    InputError
        A network whose logits are more than its output layer makes of its last hidden states.
    """

    # see `model_hash`: the name stays, wherever this file goes
    hashed_as = "kernelsm.models.causal_text.CausalText"

    network: Any  # a transformers.PreTrainedModel, which is not imported here

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
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

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map inputs (n, 2, T) to mean log-probabilities (n, 1) of the scored tokens.

        A scored token is predicted from all before it, so that the first of a row cannot be one. Tokens after the
        last scored one are not read.
        """
        ids, scored = inputs[:, 0], inputs[:, 1] > 0
        length = int(scored.any(dim=0).nonzero().max()) + 1
        ids, scored = ids[:, :length], scored[:, 1:length]
        hidden = self._hidden(ids)[:, :-1][scored]
        following = ids[:, 1:][scored]
        parts = [
            checkpoint(self._log_probabilities, some, tokens, use_reentrant=False)
            for some, tokens in zip(hidden.split(_AT_ONCE), following.split(_AT_ONCE), strict=True)
        ]
        rows = torch.arange(len(ids), device=ids.device)[:, None].expand_as(scored)[scored]
        sums = hidden.new_zeros(len(ids)).index_add(0, rows, torch.cat(parts))
        return (sums / scored.sum(dim=1))[:, None]

    def _hidden(self, ids: torch.Tensor) -> torch.Tensor:
        # a causal network does not see the padding that follows: it needs no mask
        found: torch.Tensor = self.network.base_model(input_ids=ids).last_hidden_state
        return found

    def _head(self, hidden: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.network.get_output_embeddings()(hidden)
        return found

    def _log_probabilities(self, hidden: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
        return -functional.cross_entropy(self._head(hidden).float(), following, reduction="none")


def causal_text(
    model: LanguageModel, *, rank: int = 8, alpha: int = 16, modules: Sequence[str] = ("q_proj", "v_proj"),
    seed: int = 0,
) -> CausalText:  # fmt: skip
    """Return a language model with low-rank adapters that are to be trained; the model itself stays as it is.

    Parameters
    ----------
    model : LanguageModel
    rank : int
        r of each adapter: a matrix (out, in) gets factors A (r, in) and B (out, r).
    alpha : int
        B A is multiplied by alpha / r.
    modules : sequence of str
        Last parts of the names of the linear layers that get one: those of queries and values by default.
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
    network = copy.deepcopy(model.network)
    linear = {name.rpartition(".")[2] for name, part in network.named_modules() if isinstance(part, nn.Linear)}
    if not linear & set(modules):
        found, fix = ", ".join(map(repr, modules)), "Name some of these."
        raise InputError("modules", found[:80], " or ".join(sorted(linear)), fix)
    settings = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=sorted(linear & set(modules)), lora_dropout=0.0, bias="none"
    )
    with seeded(seed):
        inject_adapter_in_model(settings, network)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_("lora_" in name)
    return CausalText(network).eval()
