"""A TaskSuite in one .npz file: arrays and JSON, never pickles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.files.accepting import check_written_ending
from kernelsm.files.json_text import parse_json_object
from kernelsm.files.limits import Limits, limits
from kernelsm.files.npz import ArrayFormat, read_arrays
from kernelsm.outcomes.names import check_names
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.errors import InputError
from kernelsm.tasks.suite import CLASSIFICATION, TaskSuite, check_groups
from kernelsm.tasks.weighting import EQUALLY, WEIGHTING_FIELDS, GroupSizes, check_weighting

_FORMAT = 1
_EXPECTED = "a file that save_suite wrote"
_FIX = "Build and save the suite again."
_INPUTS = ("inputs", "test_inputs")
_GROUPS = ("labels", "task_of", "test_labels", "target_of")
_ARRAYS = (*_INPUTS, *_GROUPS)
_LABELS = ("labels", "test_labels")
_OBJECTIVE = {"objective": str, "objective_settings": dict}  # written where labels are no classes
_LAYOUT = {
    "info": ArrayFormat((1,), "u"),
    **{key: ArrayFormat(tuple(range(1, 9)), "biuf") for key in _INPUTS},
    **{key: ArrayFormat((0, 1, 2), "biuf") for key in _GROUPS},
}


def save_suite(suite: TaskSuite, path: Path) -> None:
    """Write a suite; the file is complete or not there, and `load_suite` gives a suite of the same content hash.

    Raises
    ------
    InputError
        The name does not end in .npz, or `meta` is not made of JSON types.
    """
    check_written_ending(path, ".npz")
    info = {
        "format": _FORMAT,
        "task_names": suite.task_names,
        "target_names": suite.target_names,
        "classes": int(suite.classes),
        "meta": suite.meta,
    }
    if suite.objective != CLASSIFICATION:
        info |= {key: getattr(suite, key) for key in _OBJECTIVE}
    info |= {key: getattr(suite, key) for key in WEIGHTING_FIELDS if getattr(suite, key) != EQUALLY}
    try:
        info_text = json.dumps(info)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError("meta", str(error)[:120], "JSON types", "Leave other values out.") from None
    arrays: dict[str, Any] = {name: getattr(suite, name) for name in _ARRAYS}
    with write_whole(path) as part, part.open("wb") as file:
        np.savez(file, info=np.frombuffer(info_text.encode(), dtype=np.uint8), **arrays)


def load_suite(path: Path, name: str | None = None) -> TaskSuite:
    """Read what `save_suite` wrote.

    Parameters
    ----------
    path : Path
    name : str, optional
        What messages call the file; its own name if not given.

    Raises
    ------
    InputError
        Not such a file, a larger one than the limits allow, or a suite that contradicts itself.
    FileNotFoundError
        No such file.
    """
    name = name or path.name
    bounds = limits()
    found = read_arrays(path, name, _LAYOUT, bounds)
    info = parse_json_object(found["info"].tobytes(), f"{name}, info", _EXPECTED, _FIX)
    arrays: dict[str, Any] = {key: found[key] for key in _ARRAYS}
    _check_info(info, name, bounds)
    _check_arrays(arrays, name, have_classes=_has_classes(info))
    try:
        return TaskSuite(
            **arrays,
            task_names=tuple(info["task_names"]),
            target_names=tuple(info["target_names"]),
            classes=info["classes"],
            meta=info["meta"],
            **{key: info[key] for key in (*_OBJECTIVE, *WEIGHTING_FIELDS) if key in info},
        )
    except InputError as error:
        raise InputError(f"{name}, {error.place}", error.found, error.expected, error.fix) from None


def load_group_sizes(path: Path, name: str | None = None) -> tuple[GroupSizes, GroupSizes]:
    """Count the samples of each task and target of a saved suite, without loading the samples.

    Parameters
    ----------
    path, name
        As of `load_suite`.

    Returns
    -------
    tasks, targets : GroupSizes

    Raises
    ------
    InputError
        As `load_suite`, as far as it is read.
    """
    name = name or path.name
    bounds = limits()
    found = read_arrays(path, name, _LAYOUT, bounds, only=("info", "task_of", "target_of"))
    info = parse_json_object(found["info"].tobytes(), f"{name}, info", _EXPECTED, _FIX)
    _check_info(info, name, bounds)
    sizes = []
    for key, names, weighting in zip(
        ("task_of", "target_of"), ("task_names", "target_names"), WEIGHTING_FIELDS, strict=True
    ):
        _check_int64(found[key], f"{name}, {key}")
        check_groups(f"{name}, {key}", found[key], info[names], len(found[key]))
        counts = np.bincount(found[key]).tolist()
        sizes.append(GroupSizes(tuple(info[names]), tuple(counts), info.get(weighting, EQUALLY)))
    return sizes[0], sizes[1]


def _check_info(info: dict[str, Any], name: str, bounds: Limits) -> None:
    if info.get("format") != _FORMAT:
        raise InputError(f"{name}, info", "another kind or format", f"format {_FORMAT} of save_suite", _FIX)
    for key, word, most in (("task_names", "task", bounds.tasks), ("target_names", "target", bounds.targets)):
        names = info.get(key)
        if not isinstance(names, list) or not names or not all(isinstance(one, str) and one for one in names):
            raise InputError(f"{name}, {key}", repr(names)[:80], "a list of names", _FIX)
        if len(names) > most:
            raise InputError(f"{name}, {key}", f"{len(names):,} names", f"at most {most:,}", "Merge some of them.")
        check_names(f"{name}, {key}", names, len(names), word)
    for key, kind in _OBJECTIVE.items():
        if key in info and not isinstance(info[key], kind):
            raise InputError(f"{name}, {key}", repr(info[key])[:80], f"a {kind.__name__}", _FIX)
    for key in WEIGHTING_FIELDS:
        check_weighting(f"{name}, {key}", info.get(key, EQUALLY))
    classes, fewest = info.get("classes"), int(_has_classes(info))
    if isinstance(classes, bool) or not isinstance(classes, int) or not fewest <= classes <= bounds.classes:
        expected = f"a whole number, {fewest} to {bounds.classes:,}"
        raise InputError(f"{name}, classes", repr(classes)[:80], expected, _FIX)
    if not isinstance(info.get("meta"), dict):
        raise InputError(f"{name}, meta", repr(info.get("meta"))[:80], "a dict", _FIX)


def _check_int64(array: NDArray[Any], place: str) -> None:
    if array.dtype != np.int64:
        raise InputError(place, f"{array.dtype} numbers", "int64", _FIX)


def _has_classes(info: dict[str, Any]) -> bool:
    return bool(info.get("objective", CLASSIFICATION) == CLASSIFICATION)


def _check_arrays(arrays: dict[str, NDArray[Any]], name: str, *, have_classes: bool) -> None:
    """Refuse arrays that TaskSuite, which takes types and the two inputs' shapes as given, would not."""
    for key in _GROUPS:
        if have_classes or key not in _LABELS:
            _check_int64(arrays[key], f"{name}, {key}")
    inputs, test = (arrays[key] for key in _INPUTS)
    for key, array in zip(_INPUTS, (inputs, test), strict=True):
        if array.dtype not in (np.float32, np.int64):
            raise InputError(f"{name}, {key}", f"{array.dtype} numbers", "float32, or int64 for tokens", _FIX)
        # a suite that came with gradient features holds no inputs: (samples, 0)
        if array.ndim < 2 or not len(array):
            raise InputError(f"{name}, {key}", f"shape {array.shape}", "(samples, ...) with some samples", _FIX)
        if array.dtype == np.float32 and not np.isfinite(array).all():
            raise InputError(f"{name}, {key}", "NaN or infinite numbers", "finite numbers", _FIX)
    if inputs.dtype != test.dtype or inputs.shape[1:] != test.shape[1:]:
        found = f"{test.dtype} of shape {test.shape}"
        raise InputError(f"{name}, test_inputs", found, f"{inputs.dtype} of shape (., {inputs.shape[1:]})", _FIX)
