"""Weights of a network from a safetensors file; no other format is read, because pickles can run code."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from kernelsm.files.accepting import check_ending
from kernelsm.files.json_text import parse_json
from kernelsm.files.signatures import ZIP, looks_like
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.errors import InputError

_EXPECTED = "weights in a .safetensors file"
_CONVERT = (
    "Pickled weights can run any code. Convert them where you trust them: safetensors.torch.save_file("
    "torch.load(FILE, weights_only=True), 'weights.safetensors')."
)
_AGAIN = "Was the transfer cut short? Save or send it again."
_HEADER = 8  # bytes that say how long the header is
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_WHOLE = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def read_weights(path: Path, name: str) -> dict[str, torch.Tensor]:
    """Read all tensors of a safetensors file into memory.

    Parameters
    ----------
    path : Path
        The file on this computer.
    name : str
        The name that its owner gave it; the ending is checked and messages repeat it.

    Returns
    -------
    dict of str to Tensor
        In the precision of the file.

    Raises
    ------
    InputError
        Pickles, files of another kind or cut short, numbers of a kind that no network has, NaN or infinite weights.
    """
    fix = "Save the state_dict with safetensors.torch.save_file."
    check_ending(name, (".safetensors",), _EXPECTED, fix, unpickle=_CONVERT)
    _check_content(path, name)
    tensors = {}
    try:
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 - not a dict
                # a copy: the tensor of the file fails once the file is deleted
                tensors[key] = _checked(file.get_tensor(key), f"{name}, {key[:120]!r}").clone()
    except SafetensorError as error:
        raise InputError(name, f"no whole safetensors file ({str(error)[:120]})", _EXPECTED, _AGAIN) from None
    if not tensors:
        raise InputError(name, "no tensor", _EXPECTED, "Save the state_dict of the network.")
    return tensors


def own_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the state_dict of a network without its frozen parameters, which come with the network as it is built.

    Of a language model with adapters these are the adapters alone.
    """
    return {
        name: value.detach()
        for name, value in model.state_dict(keep_vars=True).items()
        if value.requires_grad or not isinstance(value, nn.Parameter)
    }


def load_weights(model: nn.Module, tensors: Mapping[str, torch.Tensor], name: str) -> None:
    """Put tensors into a network, by the names of its `own_state` and in the network's precision.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place, and only where all tensors fit.
    tensors : mapping of str to Tensor
        See `read_weights`.
    name : str
        Of their file, for messages.

    Raises
    ------
    InputError
        Missing, unknown or wrongly shaped tensors: the first of each and how many there are. Whole numbers for
        weights, or numbers too large for the network's precision.
    """
    expected_tensors = own_state(model)
    _check_names(expected_tensors, tensors, name)
    converted = {}
    for key, expected in expected_tensors.items():
        found = tensors[key]
        if found.is_floating_point() != expected.is_floating_point():
            raise InputError(
                f"{name}, {key!r}", str(found.dtype), str(expected.dtype), "Save the numbers in this type."
            )
        converted[key] = _checked(found.to(expected.dtype), f"{name}, {key!r}, in {expected.dtype}")
    model.load_state_dict(converted, strict=False)


def _check_content(path: Path, name: str) -> None:
    """Check the first bytes and the length, with clearer messages than those of the library."""
    size = path.stat().st_size
    if size == 0:
        raise InputError(name, "an empty file (0 bytes)", _EXPECTED, _AGAIN)
    with path.open("rb") as file:
        start = file.read(_HEADER + 1)
        # checked before the signatures: the length of the header may begin as a pickle does
        if start[_HEADER:] != b"{":
            seems = looks_like(path)
            found = f"what seems to be {seems}" if seems else "bytes that no safetensors file begins with"
            # torch.save writes a zip archive or, in old versions, a bare pickle
            fix = _CONVERT if seems == ZIP or "pickle" in seems else "Check which file it is."
            raise InputError(name, found, _EXPECTED, fix)
        length: int = struct.unpack("<Q", start[:_HEADER])[0]
        if _HEADER + length > size:
            found = f"{size:,} bytes, of which the header alone should be {length:,}"
            raise InputError(name, found, "a whole file", _AGAIN)
        file.seek(_HEADER)
        whole = _HEADER + length + _end(file.read(length))
    if whole > size:
        raise InputError(name, f"{size:,} bytes", f"{whole:,}, as its header says", _AGAIN)


def _end(header: bytes) -> int:
    """Bytes of tensors that a header announces; 0 where it cannot be read, which the library says better."""
    try:
        entries = parse_json(header)
        return max(
            (int(entry["data_offsets"][1]) for key, entry in entries.items() if key != "__metadata__"), default=0
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return 0


def _checked(tensor: torch.Tensor, place: str) -> torch.Tensor:
    """Return the tensor if its numbers are of a known type and finite."""
    if tensor.dtype in _WHOLE:
        return tensor
    if tensor.dtype not in _FLOATS:
        known = ", ".join(str(dtype).removeprefix("torch.") for dtype in _FLOATS)
        raise InputError(
            place, str(tensor.dtype).removeprefix("torch."), known, "Convert the weights to one of these."
        )
    wrong = (~torch.isfinite(tensor)).flatten()
    if count := int(wrong.sum()):
        first = int(wrong.int().argmax())
        value = tensor.flatten()[first].item()
        found = f"{value} at position {first:,}" + (f" and {count - 1:,} more like it" if count > 1 else "")
        raise InputError(
            place, found, "finite numbers", "The training that made them went wrong: take earlier weights."
        )
    return tensor


def _check_names(
    expected_tensors: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor], name: str
) -> None:
    """Refuse tensors that do not fit the network; names the first missing, unknown and wrongly shaped one."""
    missing = [key for key in expected_tensors if key not in tensors]
    unknown = [key for key in tensors if key not in expected_tensors]
    shaped = [key for key in expected_tensors if key in tensors and tensors[key].shape != expected_tensors[key].shape]
    found, expected = [], []
    if missing:
        found.append(f"no {missing[0]!r} ({len(missing):,} missing)")
        expected.append(f"{missing[0]!r} of shape {tuple(expected_tensors[missing[0]].shape)}")
    if unknown:
        found.append(f"{unknown[0][:120]!r}, which the network does not have ({len(unknown):,} such)")
    if shaped:
        found.append(f"{shaped[0]!r} of shape {tuple(tensors[shaped[0]].shape)} ({len(shaped):,} of a wrong shape)")
        expected.append(f"{shaped[0]!r} of shape {tuple(expected_tensors[shaped[0]].shape)}")
    if found:
        expected.append(f"{len(expected_tensors):,} tensors in all")
        raise InputError(name, "; ".join(found), "; ".join(expected), _fix(expected_tensors, missing, unknown))


def _fix(expected_tensors: Mapping[str, torch.Tensor], missing: list[str], unknown: list[str]) -> str:
    """What to do: a prefix is the usual reason for names that are all wrong."""
    if missing and unknown and unknown[0].endswith(missing[0]):
        prefix = unknown[0].removesuffix(missing[0])
        if {key.removeprefix(prefix) for key in unknown} >= set(missing):
            return f"Take {prefix[:80]!r} off the names: save the state_dict of the network inside."
    return "Save the state_dict of the network that the configuration describes, or change the configuration."


def save_weights(model: nn.Module, path: Path) -> Path:
    """Write a network's `own_state` as safetensors, by name, and return the path."""
    with write_whole(path) as part:
        safetensors.torch.save_file({name: value.contiguous() for name, value in own_state(model).items()}, part)
    return path
