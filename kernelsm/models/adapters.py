"""Trained low-rank adapters (LoRA) put into the network that they belong to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from kernelsm.models.adapter_folders import EXPECTED, AdapterFiles
from kernelsm.models.model_folders import MERGE
from kernelsm.models.weights import read_weights
from kernelsm.runtime.checks import check_choice
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.extras import needed_by
from kernelsm.runtime.store import content_hash

PREFIX = "base_model.model."
_FACTOR = re.compile(r"(.+)\.(lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)(\.weight)?")
# these start from a decomposition of the base model's weights, which are others then
_PLAIN_STARTS = ("True", "False", "gaussian", "eva", "orthogonal")
# these make another network than factors added to the layers of the base model
_OTHER_KINDS = (
    "alora_invocation_tokens", "arrow_config", "kasa_config", "layer_replication", "monteclora_config",
    "target_parameters", "trainable_token_indices", "use_bdlora", "use_qalora",
)  # fmt: skip
_AGAIN = "Save the adapter with save_pretrained again."


def head_outputs(tensors: Mapping[str, torch.Tensor]) -> int | None:
    """Classes of the head that an adapter's file holds; None where it holds none."""
    heads = ("score.weight", "classifier.weight", "classifier.out_proj.weight", "classification_head.out_proj.weight")
    found = next((value for name, value in tensors.items() if name.removeprefix(PREFIX) in heads), None)
    return None if found is None or found.dim() != 2 else len(found)


def adapter_tensors(adapter: AdapterFiles, place: str) -> dict[str, torch.Tensor]:
    """Read the tensors of an adapter's file.

    Raises
    ------
    InputError
        See `read_weights`.
    """
    try:
        return read_weights(adapter.tensors, adapter.tensors.name)
    except InputError as error:
        raise InputError(f"{place}, {error.place}", error.found, error.expected, error.fix) from error


def put_into(network: Any, adapter: AdapterFiles, tensors: Mapping[str, torch.Tensor], place: str) -> str:
    """Put a trained adapter into its base model, in place, and leave nothing else but the head to train.

    Parameters
    ----------
    network : transformers.PreTrainedModel
        The base model, with a head for as many classes as the adapter's.
    adapter : AdapterFiles
    tensors : mapping of str to Tensor
        See `adapter_tensors`. Factors of adapted layers, and whole parameters such as those of the head.
    place : str
        The model's name, for messages.

    Returns
    -------
    str
        A hash of what scales the adapters, which no weight holds.

    Raises
    ------
    InputError
        An adapter that does not fit the network.
    MissingExtraError
        peft is not installed.
    """
    with needed_by("adapters of classifiers"):
        from peft import LoraConfig, inject_adapter_in_model
    start = str(adapter.config.get("init_lora_weights", True))
    check_choice(f"{place}, adapter, init_lora_weights", start, _PLAIN_STARTS, fix=MERGE)
    other = next((name for name in _OTHER_KINDS if adapter.config.get(name)), None)
    if other is not None:
        told = repr(adapter.config[other])[:80]
        raise InputError(f"{place}, adapter, {other}", told, "nothing, as in usual adapters", MERGE)
    factors = {name: found for name in tensors if (found := _FACTOR.fullmatch(name.removeprefix(PREFIX)))}
    whole = {name.removeprefix(PREFIX): tensors[name] for name in tensors if name not in factors}
    layers = sorted({found[1] for found in factors.values()})
    if not layers:
        raise InputError(place, "an adapter without factors of any layer", EXPECTED, _AGAIN)
    modules = dict(network.named_modules())
    strange = next((layer for layer in layers if layer not in modules), None)
    if strange is not None:
        told = f"an adapter of {strange[:120]!r}, which {type(network).__name__} does not have"
        raise InputError(place, told, "an adapter of this base model", "Bring it with the base model that it names.")
    ranks = _ranks(factors, tensors, layers, place)
    try:
        settings = LoraConfig(
            r=int(adapter.config.get("r", 8)), lora_alpha=adapter.config.get("lora_alpha", 8), target_modules=layers,
            rank_pattern={f"^{re.escape(layer)}": rank for layer, rank in ranks.items()},
            alpha_pattern=adapter.config.get("alpha_pattern") or {}, lora_dropout=0.0, bias="none",
            fan_in_fan_out=bool(adapter.config.get("fan_in_fan_out", False)),
            use_rslora=bool(adapter.config.get("use_rslora", False)),
            use_dora=bool(adapter.config.get("use_dora", False)),
        )  # fmt: skip
        _load(network, whole, place)
        inject_adapter_in_model(settings, network)
    except (AttributeError, ValueError, TypeError, KeyError, RuntimeError, re.error) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(place, f"an adapter that does not fit its base model ({reason})", EXPECTED, MERGE) from error
    named = {}
    for name, found in factors.items():
        embedding = found[2].startswith("lora_embedding")
        named[f"{found[1]}.{found[2]}.default" + ("" if embedding else ".weight")] = tensors[name]
    _load(network, named, place)
    body = f"{network.base_model_prefix}."
    for name, parameter in network.named_parameters():
        parameter.requires_grad_("lora_" in name or name in whole or not name.startswith(body))
    scales = {
        name: dict(layer.scaling) for name, layer in network.named_modules() if hasattr(layer, "lora_A")
    }  # fmt: skip
    return content_hash(sorted((name, sorted(scaling.items())) for name, scaling in scales.items()))


def _ranks(
    factors: Mapping[str, re.Match[str]], tensors: Mapping[str, torch.Tensor], layers: Sequence[str], place: str
) -> dict[str, int]:
    """The rank of each layer's factors: the rows of its first one."""
    firsts, seconds = ("lora_A", "lora_embedding_A"), ("lora_B", "lora_embedding_B")
    ranks = {found[1]: len(tensors[name]) for name, found in factors.items() if found[2] in firsts}
    both = set(ranks) & {found[1] for found in factors.values() if found[2] in seconds}
    half = next((layer for layer in layers if layer not in both), None)
    if half is not None:
        raise InputError(place, f"one factor alone of {half[:120]!r}", "two factors of each layer", _AGAIN)
    return ranks


def _load(network: nn.Module, named: Mapping[str, torch.Tensor], place: str) -> None:
    """Copy tensors into parameters of the same names and shapes."""
    parameters = dict(network.named_parameters())
    for name, value in named.items():
        if name not in parameters:
            found = f"{name[:120]!r} in the adapter, which {type(network).__name__} does not have"
            raise InputError(place, found, "an adapter of this base model", MERGE)
        if parameters[name].shape != value.shape:
            found, expected = f"shape {tuple(value.shape)}", str(tuple(parameters[name].shape))
            raise InputError(f"{place}, adapter, {name}", found, expected, "Bring it with its own base model.")
        with torch.no_grad():
            parameters[name].copy_(value)
