"""A Hugging Face sequence classification model as a plain network: tokens in, logits out."""

from __future__ import annotations

import inspect
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kernelsm.models.adapter_folders import EXPECTED as ADAPTER_EXPECTED
from kernelsm.models.adapter_folders import AdapterFiles, adapter_files
from kernelsm.models.adapters import PREFIX, adapter_tensors, head_outputs, put_into
from kernelsm.models.model_folders import EXPECTED, MERGE, check_folder, gives_types, own_folder, quiet_transformers
from kernelsm.models.own_forward import (
    ALONE,
    ELSEWHERE,
    FINISHED_MASK,
    OWN_MASK,
    READINGS,
    made_up_texts,
    most_tokens,
    network_logits,
    prove,
    text_lengths,
)
from kernelsm.models.parameter_counts import MAX_PARAMETERS
from kernelsm.models.seeding import seeded
from kernelsm.runtime.checks import check_choice, check_counts
from kernelsm.runtime.errors import InputError

_SAVE = (
    "Save it where it works: AutoModelForSequenceClassification.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)."
)


class HuggingFaceClassifier(nn.Module):
    """Maps tokens of int64, (n, T) or with their token types (n, 2, T), to logits (n, C), whatever the padding.

    Parameters
    ----------
    network : transformers.PreTrainedModel
        A sequence classification model with eager attention.
    pad_id : int, optional
        Token that fills up short sequences; the network's own if not given. Where neither names one, every token
        counts.
    reading : {"finished mask", "own mask", "without padding"}, optional
        How padding is left out: by an attention mask that is finished, which every engine follows; by the mask that
        the network's own code makes; or by passing each sample without it. The first, or for networks that read from
        left to right the second, if not given.
    adapter : str
        What scales the adapters in the network, see `adapters.put_into`.
    fresh : tuple of str
        Parameters that the checkpoint did not hold, and that are random.
    """

    # see `model_hash`: the name stays, wherever this file goes
    hashed_as = "kernelsm.models.hugging_face.HuggingFaceClassifier"

    network: Any  # a transformers.PreTrainedModel, which is not imported here

    def __init__(
        self,
        network: nn.Module,
        *,
        pad_id: int | None = None,
        fresh: tuple[str, ...] = (),
        reading: str | None = None,
        adapter: str = "",
    ) -> None:
        super().__init__()
        self.fresh, self.adapter = fresh, adapter
        config: Any = network.config
        known = getattr(config, "pad_token_id", None)
        # no token has number -1: then nothing is padding
        self.pad_id: int = next((number for number in (pad_id, known) if number is not None), -1)
        config.pad_token_id = self.pad_id  # decoders read their logits at the last token that is not this
        config.use_cache = False
        self.bidirectional = not any(getattr(module, "is_causal", False) for module in network.modules())
        self.network = network
        self.reading = reading or self.usual_reading

    @property
    def usual_reading(self) -> str:
        """The fastest way for its kind of attention."""
        return FINISHED_MASK if self.bidirectional else OWN_MASK

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens (n, T) or (n, 2, T) to logits (n, C).

        Raises
        ------
        InputError
            The network fails on these tokens.
        """
        ids, types = (tokens[:, 0], tokens[:, 1]) if tokens.dim() == 3 else (tokens, None)
        if self.reading == ALONE:
            return self._without_padding(ids, types)
        attended = ids != self.pad_id
        if self.reading == FINISHED_MASK:
            # a finished mask of shape (n, 1, 1, T): transformers makes its own in a way that vmap cannot follow
            lowest = torch.finfo(self.network.dtype).min
            mask = (~attended).to(self.network.dtype)[:, None, None, :] * lowest
        else:
            mask = attended.long()
        return network_logits(self.network, ids, types, attention_mask=mask)

    def _without_padding(self, ids: torch.Tensor, types: torch.Tensor | None) -> torch.Tensor:
        """Logits of texts without their padding, those of the same length together."""
        lengths = text_lengths(ids, self.pad_id)
        parts, order = [], []
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero().flatten()
            parts.append(
                network_logits(self.network, ids[rows, :length], None if types is None else types[rows, :length])
            )
            order.append(rows)
        return torch.cat(parts)[torch.cat(order).argsort()]

    def extra_repr(self) -> str:
        """Show what the shapes of the weights do not."""
        # the usual way is not named, so that what was computed before there were others is still found
        others = [self.reading] if self.reading != self.usual_reading else []
        others += [f"adapter {self.adapter}"] if self.adapter else []
        return ", ".join([f"pad_id={self.pad_id}", *others])


def hugging_face(
    folder: str,
    *,
    classes: int | None = None,
    pad_id: int | None = None,
    reading: str | None = None,
    seed: int = 0,
) -> HuggingFaceClassifier:
    """Load a sequence classification model, in single precision and eval mode.

    Only safetensors are read, and no code that comes with a model is run. A checkpoint without a classification head
    gets a fresh one. Where the folder holds a low-rank adapter (LoRA), its base model is read too, and only the
    adapter and the head are trained and linearised.

    Parameters
    ----------
    folder : str
        A folder as `save_pretrained` writes it, or a name on the Hugging Face hub. For an adapter alone, its base
        model is looked for under the name that its adapter_config.json says.
    classes : int, optional
        C; the checkpoint's own if not given.
    pad_id : int, optional
        See `HuggingFaceClassifier`.
    reading : str, optional
        See `HuggingFaceClassifier`. If not given, the fastest way whose logits are those of the network's own forward
        call on a few made-up texts; `prove` compares them on given ones.
    seed : int
        Of a fresh head.

    Raises
    ------
    InputError
        No such model, pickled weights, a head for another number of classes, weights of another kind of network, or
        one that no way of reading gives the right logits of.
    """
    check_counts(**({} if classes is None else {"classes": classes}))
    if reading is not None:
        check_choice("reading", reading, READINGS)
    place, here = _place(folder), own_folder(folder)
    adapter = adapter_files(here, place) if here else None
    tensors = adapter_tensors(adapter, place) if adapter else {}
    if adapter and not adapter.joined:
        folder = _base_of(adapter, place)
        here = own_folder(folder)
    _check_folder(folder)
    folder = str(here or folder)
    classes = classes or head_outputs(tensors)
    from transformers import AutoConfig, AutoModelForSequenceClassification

    quiet_transformers()
    local = here is not None  # then the hub is not asked
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=local)
        if classes is not None and classes != config.num_labels:
            config.num_labels = classes
        with torch.device("meta"):  # sizes, but no memory
            sketch = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
                config, attn_implementation="eager"
            )
    except Exception as error:  # files from strangers can fail in any way
        raise _unreadable(folder, error) from error
    parameters = sum(p.numel() for p in sketch.parameters())
    if parameters > MAX_PARAMETERS:
        found, most = f"{parameters:,} parameters", f"at most {MAX_PARAMETERS:,}"
        raise InputError(_place(folder), found, most, "Choose a smaller model.")
    try:
        with seeded(seed):
            network, loaded = AutoModelForSequenceClassification.from_pretrained(
                folder, config=config, use_safetensors=True, trust_remote_code=False, attn_implementation="eager",
                dtype=torch.float32, ignore_mismatched_sizes=True, output_loading_info=True, local_files_only=local,
            )  # fmt: skip
    except Exception as error:
        raise _unreadable(folder, error) from error
    _check_loaded(folder, network, loaded, config.num_labels)
    fresh = set(loaded["missing_keys"])
    scales = ""
    if adapter:
        scales = put_into(network, adapter, tensors, place)
        fresh -= {name.removeprefix(PREFIX) for name in tensors}
    model = HuggingFaceClassifier(
        network, pad_id=pad_id, fresh=tuple(sorted(fresh)), reading=reading, adapter=scales
    ).eval()
    if reading is None and (texts := made_up_texts(model)) is not None:
        prove(model, texts, place)
    return model


def text_limits(folder: Path) -> tuple[int | None, bool]:
    """Return how many tokens the network of a folder has positions for, None without end, and whether it reads types.

    GPT-2 and its like add types to a text as if they were words: they read them where their tokenizer gives any of
    its own accord, which few do.

    Raises
    ------
    InputError
        No network for sequence classification.
    """
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoConfig

    quiet_transformers()
    try:
        config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
        named = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)]
    except Exception as error:  # files from strangers can fail in any way
        raise _unreadable(str(folder), error) from error
    network: Any = named[0] if isinstance(named, tuple) else named
    takes = "token_type_ids" in inspect.signature(network.forward).parameters
    kinds = 2 if config.model_type == "xlnet" else getattr(config, "type_vocab_size", None)  # xlnet compares them
    return most_tokens(config), takes and (gives_types(folder) if kinds is None else kinds not in (0, 1))


def _base_of(adapter: AdapterFiles, place: str) -> str:
    """Folder or hub name of the base model of an adapter alone."""
    if not adapter.base:
        raise InputError(place, "a LoRA adapter that names no base model", ADAPTER_EXPECTED, MERGE)
    if Path(adapter.base).is_absolute() and own_folder(adapter.base) is None:
        found = f"a LoRA adapter without its base model {adapter.base[:80]!r}"
        raise InputError(place, found, ADAPTER_EXPECTED, MERGE)
    return adapter.base


def _check_folder(folder: str) -> None:
    """Refuse a folder without safetensors before transformers, which is slow to import, sees it."""
    if path := own_folder(folder):
        check_folder(path, _place(folder))
    # "name" and "owner/name" may be on the hub
    elif Path(folder).is_absolute() or _is_file(folder) or folder.startswith((".", "~")) or folder.count("/") > 1:
        raise InputError(f"model {folder!r}", "no such folder", EXPECTED, "Check the path.")


def _is_file(name: str) -> bool:
    with suppress(OSError, ValueError):
        return Path(name).is_file()
    return False


def _place(folder: str) -> str:
    """The model's name, without its path on this computer, which messages must not reveal."""
    path = own_folder(folder)
    name = path.resolve().name if path else folder
    return f"model {name!r}"


def _unreadable(folder: str, error: Exception) -> InputError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    shown_reason = reason.replace(folder, Path(folder).name)[:160]
    if "custom code" in reason or "trust_remote_code" in reason:
        return InputError(_place(folder), "a model of code of its own, which is never run", EXPECTED, ELSEWHERE)
    return InputError(_place(folder), f"nothing that can be loaded ({shown_reason})", EXPECTED, _SAVE)


def _check_loaded(folder: str, network: Any, loaded: dict[str, Any], classes: int) -> None:
    """Refuse a checkpoint that does not fill the network; only its head may be fresh."""
    for name, found_shape, expected_shape in sorted(loaded["mismatched_keys"]):
        raise InputError(
            f"{_place(folder)}, {name}", f"shape {tuple(found_shape)}",
            f"{tuple(expected_shape)}, for {classes} classes",
            "Bring samples of as many classes as the model was trained for, or a model without this head.",
        )  # fmt: skip
    body = [name for name in loaded["missing_keys"] if name.startswith(f"{network.base_model_prefix}.")]
    missing = sorted(name for name in body if ".pooler." not in name)  # some checkpoints come without a pooler
    if missing:
        raise InputError(
            _place(folder), f"no weights for {missing[0]}", EXPECTED, "Use weights that belong to config.json."
        )
