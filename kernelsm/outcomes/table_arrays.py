"""Outcome tables from arrays: NPZ archives and JSON, among them the two lists published with the paper.

An NPZ archive or a JSON object holds `masks` (m rows of K zeros and ones) and `values` (m numbers, or m rows of q);
`task_names`, `target_names`, `target_weights` and `higher_is_better` may stand beside them. JSON may hold, instead of
masks, `ids`: for each subset the numbers of its tasks, counted from 0. The authors publish these ids and values as
two files, each one list: the two are read together (`read_lists`), and {"ids": ..., "values": ...} is the same in one
file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernelsm.files.json_text import JsonError, parse_json
from kernelsm.files.limits import Limits, check_table_size
from kernelsm.files.npz import ArrayFormat, read_arrays
from kernelsm.outcomes.names import check_names
from kernelsm.outcomes.table_validation import (
    TARGET_PREFIX,
    TASK_PREFIX,
)
from kernelsm.runtime.errors import InputError

_FIELDS = ("masks", "ids", "values", "task_names", "target_names", "target_weights", "higher_is_better")
_SHAPE = "an object with 'masks' (or 'ids') and 'values'"
_NUMBER_BYTES = 160  # that a number takes from its text to the table, at most
_MOST_FIELDS = 200_000

_ARRAYS = {
    "masks": ArrayFormat((2,), "biuf", np.float64),
    "values": ArrayFormat((1, 2), "biuf", np.float64),
    "task_names": ArrayFormat((1,), "U", optional=True),
    "target_names": ArrayFormat((1,), "U", optional=True),
    "target_weights": ArrayFormat((1,), "iuf", np.float64, optional=True),
    "higher_is_better": ArrayFormat((0,), "b", optional=True),
}


def read_npz(data: bytes, name: str, bounds: Limits) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read an archive of masks and values, of a size within the limits.

    Returns
    -------
    frame : DataFrame
        As a CSV file of the table would be read.
    info : dict
        `higher_is_better` and `target_weights`, where the file says them.

    Raises
    ------
    InputError
        Names the file and array, or row and column, of the first thing that is wrong.
    """
    arrays = read_arrays(data, name, _ARRAYS, bounds)
    tasks, targets = (arrays[key].tolist() if key in arrays else None for key in ("task_names", "target_names"))
    values = arrays["values"] if arrays["values"].ndim == 2 else arrays["values"][:, None]
    frame = _frame(arrays["masks"], values, tasks, targets, name, bounds)
    info: dict[str, Any] = {key: arrays[key] for key in ("target_weights",) if key in arrays}
    return frame, info | {key: bool(arrays[key]) for key in ("higher_is_better",) if key in arrays}


def read_json(data: bytes, name: str, bounds: Limits) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read an object of masks (or ids) and values, of a size within the limits.

    Raises
    ------
    InputError
        Names the file, field and row of the first thing that is wrong.
    """
    content = _parsed(data, name, bounds)
    if isinstance(content, list):
        fix = "Upload the file of outcomes and the file of subsets together, or put both into one object."
        raise InputError(name, "a list alone", _SHAPE, fix)
    if not isinstance(content, dict):
        raise InputError(name, _json_type(content), _SHAPE, "Put the table into an object.")
    unknown = [key for key in content if key not in _FIELDS]
    if unknown:
        expected = ", ".join(map(repr, _FIELDS))
        raise InputError(f"{name}, field {unknown[0][:40]!r}", "an unknown field", expected, "Leave it out.")
    given = [key for key in ("masks", "ids") if key in content]
    if len(given) != 1 or "values" not in content:
        missing = (
            "no 'values'" if "values" not in content else "no 'masks'" if not given else "both 'masks' and 'ids'"
        )
        raise InputError(name, missing, _SHAPE, "Give each subset one row in both.")
    tasks, targets = (_names(content.get(key), f"{name}, {key}") for key in ("task_names", "target_names"))
    masks: NDArray[Any]
    if given == ["ids"]:
        masks, tasks = _masks_of_ids(content["ids"], f"{name}, ids", tasks, bounds)
    else:
        masks = _matrix(content["masks"], f"{name}, masks")
    values = _matrix(content["values"], f"{name}, values", flat=True)
    frame = _frame(masks, values, tasks, targets, name, bounds)
    better = content.get("higher_is_better", False)
    if not isinstance(better, bool):
        fix = "false for a loss, true for a score."
        raise InputError(f"{name}, higher_is_better", repr(better)[:40], "true or false", f"Write {fix}")
    return frame, {key: content[key] for key in ("higher_is_better", "target_weights") if key in content}


def read_lists(files: Sequence[tuple[bytes, str]], bounds: Limits) -> tuple[pd.DataFrame, dict[str, Any], str]:
    """Read two JSON lists, in any order: the ids of the tasks in each subset, and the outcomes of each subset.

    Ids are whole numbers from 0, none twice in a row. Where both lists are that, or neither is, the one whose file
    name says "ids" is meant.

    Returns
    -------
    frame, info
        As `read_json` returns them; tasks are named by their ids.
    name : str
        That of the file of outcomes.

    Raises
    ------
    InputError
        Names the file and row of the first thing that is wrong.
    """
    (first, first_name), (second, second_name) = files
    found = []
    for data, name in ((first, first_name), (second, second_name)):
        content = _parsed(data, name, bounds)
        if not isinstance(content, list):
            fix = "Upload a whole table alone."
            raise InputError(name, _json_type(content), "a list of ids or of outcomes", fix)
        found.append((content, name))
    likely = [pair for pair in found if _are_ids(pair[0])]
    named = [pair for pair in found if "ids" in pair[1].lower()]
    if len(likely) != 1 and len(named) != 1:
        what = "two lists that may both be ids" if likely else "no list of ids"
        expected = "one list of the tasks in each subset (whole numbers from 0, none twice) and one of outcomes"
        fix = 'Put them into one file: {"ids": [[...]], "values": [[...]]}.'
        raise InputError(f"{first_name} and {second_name}", what, expected, fix)
    ids, ids_name = (likely if len(likely) == 1 else named)[0]
    values, name = found[1] if ids is found[0][0] else found[0]
    masks, tasks = _masks_of_ids(ids, ids_name, None, bounds)
    outcomes = _matrix(values, name, flat=True)
    if len(outcomes) != len(masks):
        found_rows, expected = f"outcomes of {len(outcomes):,} subsets", f"{len(masks):,}, as in {ids_name}"
        raise InputError(name, found_rows, expected, "Choose two files of the same subsets.")
    frame = _frame(masks, outcomes, tasks, None, name, bounds)
    return frame, {"meta": {"source": f"{ids_name}, {name}"}}, name


def _frame(
    masks: NDArray[Any],
    values: NDArray[Any],
    tasks: list[str] | None,
    targets: list[str] | None,
    name: str,
    bounds: Limits,
) -> pd.DataFrame:
    """Return the frame that a CSV file of these arrays would hold; entries are checked by whoever reads frames."""
    if len(values) != len(masks):
        fix = "Give each subset one row in both."
        raise InputError(f"{name}, values", f"{len(values):,} rows", f"{len(masks):,}, as in the masks", fix)
    columns = []
    for array, names, prefix, most, key in (
        (masks, tasks, TASK_PREFIX, bounds.tasks, "task"),
        (values, targets, TARGET_PREFIX, bounds.targets, "target"),
    ):  # fmt: skip
        count = array.shape[1]
        if not 1 <= count <= most:
            place = f"{name}, {'masks' if key == 'task' else 'values'}"
            raise InputError(place, f"{count:,} {key}s", f"1 to {most:,}", "Merge them into groups or send fewer.")
        place = f"{name}, {key}_names"
        if names is not None and not names:
            raise InputError(place, "no names", f"{count:,}, one per {key}", "Name them all, or leave this out.")
        columns.append(pd.DataFrame(array, columns=[prefix + n for n in check_names(place, names, count, key)]))
    return pd.concat(columns, axis=1)


def _parsed(data: bytes, name: str, bounds: Limits) -> Any:
    # each mark makes an object in memory many times its size as text: numbers, lists, fields
    most_numbers = bounds.unpacked_megabytes * 2**20 // _NUMBER_BYTES
    most_marks = {b",": most_numbers, b"[": 2 * bounds.rows + 100, b":": _MOST_FIELDS, b"{": _MOST_FIELDS}
    for mark, most in most_marks.items():
        if (count := data.count(mark)) > most:
            fix = "Send fewer rows, or the table as Parquet or NPZ."
            raise InputError(name, f"{count:,} times {mark.decode()!r}", f"at most {most:,}", fix)
    try:
        return parse_json(data)
    except JsonError as error:
        place = f"{name}, line {error.line}, position {error.position}" if error.line else name
        fix = "Was the transfer cut short? Write it again."
        raise InputError(place, f"no JSON ({error.reason})", f"JSON: {_SHAPE}", fix) from None


def _matrix(rows: Any, place: str, *, flat: bool = False) -> NDArray[np.float64]:
    """Numbers of a list of lists of equal length; `flat` takes a list of numbers as one column."""
    _check_rows(rows, place)
    if flat and not isinstance(rows[0], list):
        rows = [[row] for row in rows]
    for i, row in enumerate(rows, start=1):
        if not isinstance(row, list):
            raise InputError(f"{place}, row {i}", _json_type(row), "a list of numbers", "Give one list per subset.")
        if len(row) != len(rows[0]):
            found, expected = f"{len(row):,} numbers", f"{len(rows[0]):,}, as in row 1"
            raise InputError(f"{place}, row {i}", found, expected, "Complete the row or drop it.")
        # before NumPy sees them: it would turn numbers beside text into text, padded to the longest
        if not {*map(type, row)} <= {int, float, bool}:
            j = next(j for j, cell in enumerate(row) if type(cell) not in (int, float, bool))
            where = f"{place}, row {i}, position {j + 1}"
            raise InputError(where, _json_type(row[j]), "a number", "Fill it in or drop the row.")
    try:
        return np.array(rows, dtype=np.float64)
    except OverflowError:
        i = next(i for i, row in enumerate(rows, start=1) if any(abs(cell) > 1e308 for cell in row))
        raise InputError(f"{place}, row {i}", "a number above 1e308", "one below", "Use another unit.") from None


def _masks_of_ids(
    rows: Any, place: str, names: list[str] | None, bounds: Limits
) -> tuple[NDArray[np.bool_], list[str]]:
    """Masks, and names of tasks, from lists of the tasks in each subset."""
    _check_rows(rows, place)
    most = bounds.tasks if names is None else min(len(names), bounds.tasks)
    for i, row in enumerate(rows, start=1):
        where = f"{place}, row {i}"
        if not isinstance(row, list) or any(type(task) is not int for task in row):
            raise InputError(where, "something else", "a list of whole numbers", "List the tasks of the subset.")
        wrong = [task for task in row if not 0 <= task < most]
        if wrong:
            counted = f"at most {most:,} fit" if names is None else "name them all"
            fix = f"Tasks are counted from 0; {counted}."
            raise InputError(where, f"task {str(wrong[0])[:20]}", f"0..{most - 1}", fix)
        if len({*row}) < len(row):
            raise InputError(where, "a task twice", "each once", "A task is in a subset or not.")
    if names is None:
        names = [f"id {task}" for task in range(max((max(row) for row in rows if row), default=-1) + 1)]
    check_table_size(len(rows), 8 * len(rows) * len(names), place, bounds)
    masks = np.zeros((len(rows), len(names)), dtype=np.bool_)
    for mask, row in zip(masks, rows, strict=True):
        mask[row] = True
    return masks, names


def _are_ids(rows: list[Any]) -> bool:
    return all(
        isinstance(row, list) and all(type(task) is int and task >= 0 for task in row) and len({*row}) == len(row)
        for row in rows
    )


def _check_rows(rows: Any, place: str) -> None:
    if not isinstance(rows, list) or not rows:
        found = "an empty list" if rows == [] else _json_type(rows)
        raise InputError(place, found, "a list with an entry for each subset", "Give one row per subset.")


def _names(names: Any, place: str) -> list[str] | None:
    if names is not None and not (isinstance(names, list) and all(isinstance(n, str) for n in names)):
        raise InputError(place, "something else", "a list of text", "Give one name each.")
    return names


def _json_type(value: Any) -> str:
    words = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return words.get(type(value), "a number")
