"""Checks of every outcomes table: shapes, 0/1 masks, finite values, names; errors say where and why."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from kernelsm.files.limits import Limits, check_table_size, limits
from kernelsm.outcomes.names import check_name
from kernelsm.runtime.errors import InputError

TASK_PREFIX = "task:"
TARGET_PREFIX = "target:"
_LARGEST = 1e100  # squares and their sums must stay within double precision
_FORMAT_HELP = "Name 0/1 columns 'task:NAME' and outcome columns 'target:NAME'."


def check_arrays(masks: ArrayLike, values: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return fresh (m, K) bool masks and (m, q) float64 values, or raise InputError naming the row."""
    try:
        raw = np.asarray(masks)
        binary = raw.dtype == np.bool_ or np.issubdtype(raw.dtype, np.number)
    except ValueError:
        binary = False
    if not binary:
        raise InputError("masks", "rows of unequal length or text", "a matrix of 0 and 1", "Give one row per subset.")
    if raw.ndim != 2 or 0 in raw.shape:
        raise InputError("masks", f"shape {raw.shape}", "(m, K) with m, K ≥ 1", "Give one row per subset.")
    wrong = np.argwhere((raw != 0) & (raw != 1))
    if len(wrong):
        i, k = wrong[0]
        raise InputError(f"masks, row {i}, task {k}", f"{raw[i, k]}", "0 or 1", "A task is in a subset or not.")
    try:
        outcome = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("values", "something that is not a number", "numbers", "Give one row per mask.") from None
    outcome = outcome[:, None] if outcome.ndim == 1 else outcome
    if outcome.ndim != 2 or outcome.shape[0] != raw.shape[0] or outcome.shape[1] < 1:
        raise InputError("values", f"shape {np.shape(values)}", f"({raw.shape[0]}, q)", "Give one row per mask.")
    wrong = np.argwhere(~np.isfinite(outcome))
    if len(wrong):
        i, j = wrong[0]
        fix = f"{len(wrong)} such values: drop them."
        raise InputError(f"values, row {i}, target {j}", f"{outcome[i, j]}", "a finite number", fix)
    for j in range(outcome.shape[1]):
        _check_size(outcome[:, j], ("values, row", f", target {j}"))
    # one memory order, so that equal tables have equal content hashes
    return np.array(raw, dtype=np.bool_, order="C"), np.array(outcome, order="C", copy=True)


def check_noise(noise: ArrayLike | None, targets: int) -> NDArray[np.float64] | None:
    """Return a read-only (n, q) array of what is known of the noise, None where nothing is, or raise InputError."""
    if noise is None:
        return None
    if np.ndim(noise) == 0 and noise == 0:
        noise = np.zeros((1, targets))
    try:
        found = np.array(noise, dtype=np.float64, order="C")
    except (TypeError, ValueError):
        what = "something that is not a number"
        raise InputError("noise", what, f"(n, {targets}) numbers", "Leave it out.") from None
    if found.ndim != 2 or found.shape[1] != targets or not np.isfinite(found).all():
        what = f"shape {found.shape}" if np.isfinite(found).all() else "a number that is not finite"
        fix = "Give one column per target, 0 where there is no noise, or leave it out."
        raise InputError("noise", what, f"(n, {targets}) finite numbers", fix)
    found.flags.writeable = False
    return found


def check_target_weights(
    weights: ArrayLike | None, targets: int, place: str = "target_weights"
) -> NDArray[np.float64] | None:
    """Return read-only weights (q,) of targets in their mean, None where all are the same, or raise InputError."""
    if weights is None:
        return None
    expected, fix = f"{targets} numbers above 0, one per target", "Leave them out: targets then weigh the same."
    try:
        given = np.array(weights)
    except ValueError:
        given = np.array("")
    if given.dtype.kind not in "iuf":
        raise InputError(place, "something that is not a number", expected, fix)
    found = given.astype(np.float64)
    if found.shape != (targets,):
        raise InputError(place, f"shape {found.shape}", expected, fix)
    wrong = np.flatnonzero(~(np.isfinite(found) & (found > 0) & (found < _LARGEST)))
    if len(wrong):
        raise InputError(f"{place}, target {wrong[0]}", f"{found[wrong[0]]}", expected, fix)
    if (found == found[0]).all():
        return None
    found.flags.writeable = False
    return found


def _check_size(column: NDArray[np.float64], place: tuple[str, str], *, first: int = 0) -> None:
    """Refuse outcomes whose squares would leave double precision.

    The row, counted from `first`, goes between the two halves of `place`.
    """
    row = int(np.abs(column).argmax())
    largest, spread = abs(float(column[row])), float(np.ptp(column))
    if largest > _LARGEST or 0 < spread < 1 / _LARGEST:
        found = f"{column[row]:.3g}" if largest > _LARGEST else f"a column whose values differ by {spread:.3g}"
        expected = f"sizes and differences between {1 / _LARGEST:.0e} and {_LARGEST:.0e}"
        raise InputError(f"{place[0]} {row + first}{place[1]}", found, expected, "Give the outcome in another unit.")


def check_frame(
    frame: pd.DataFrame, source: str
) -> tuple[NDArray[np.bool_], NDArray[np.float64], list[str], list[str]]:
    """Return (masks, values, task names, target names) of a frame, or raise InputError naming row and column.

    Rows are counted from 1, without the header.
    """
    columns = [str(column) for column in frame.columns]
    tasks = [c for c in columns if c.startswith(TASK_PREFIX)]
    targets = [c for c in columns if c.startswith(TARGET_PREFIX)]
    bounds = limits()
    _check_columns(columns, tasks, targets, source, bounds)
    if len(frame) < 2:
        rows = "1 row" if len(frame) == 1 else "no rows"
        raise InputError(source, rows, "at least 2 rows, one per subset", "A surrogate needs several subsets.")
    check_table_size(len(frame), 8 * len(frame) * len(columns), source, bounds)
    frame = frame.set_axis(columns, axis=1)
    numbers = {column: _numeric_column(frame[column], column, source) for column in tasks + targets}
    for column in tasks:
        wrong = np.flatnonzero(~np.isin(numbers[column], (0.0, 1.0)))
        if len(wrong):
            row = int(wrong[0])
            found = _quoted(frame[column].iloc[row])
            fix = "Write 1 where the task was in the subset and 0 where it was not."
            raise InputError(f"{source}, row {row + 1}, column '{column}'", found, "0 or 1", fix)
    for column in targets:
        wrong = np.flatnonzero(~np.isfinite(numbers[column]))
        if len(wrong):
            row = int(wrong[0])
            more = f" {len(wrong)} rows of this column have no finite value." if len(wrong) > 1 else ""
            raise InputError(
                f"{source}, row {row + 1}, column '{column}'", _quoted(frame[column].iloc[row]), "a finite number",
                f"Fill the value in or drop the row.{more}",
            )  # fmt: skip
        _check_size(numbers[column], (f"{source}, row", f", column '{column}'"), first=1)
    masks = np.column_stack([numbers[c] for c in tasks]).astype(np.bool_)
    values = np.column_stack([numbers[c] for c in targets])
    return (
        masks,
        values,
        [_without_prefix(c, TASK_PREFIX) for c in tasks],
        [_without_prefix(c, TARGET_PREFIX) for c in targets],
    )


def _check_columns(columns: list[str], tasks: list[str], targets: list[str], source: str, bounds: Limits) -> None:
    named = ", ".join(repr(c) for c in columns[:4]) + (" ..." if len(columns) > 4 else "")
    if not tasks:
        found = f"no task column among {named or 'no columns'}"
        raise InputError(f"{source}, header", found, "columns that begin with 'task:'", _FORMAT_HELP)
    if not targets:
        found = f"no target column among {named}"
        raise InputError(f"{source}, header", found, "columns that begin with 'target:'", _FORMAT_HELP)
    for kind, prefix, limit in ((tasks, TASK_PREFIX, bounds.tasks), (targets, TARGET_PREFIX, bounds.targets)):
        if len(kind) > limit:
            found = f"{len(kind):,} '{prefix}' columns, the first too many is '{kind[limit]}'"
            place = f"{source}, header, column {columns.index(kind[limit]) + 1}"
            raise InputError(place, found, f"at most {limit:,}", "Merge tasks into groups or send fewer columns.")
    other = [c for c in columns if not c.startswith((TASK_PREFIX, TARGET_PREFIX))]
    if other:
        place = f"{source}, header, column {columns.index(other[0]) + 1}"
        raise InputError(place, repr(other[0]), "a name beginning with 'task:' or 'target:'", _FORMAT_HELP)
    seen: dict[tuple[str, str], int] = {}
    for position, column in enumerate(columns, start=1):
        place = f"{source}, header, column {position}"
        prefix = TASK_PREFIX if column.startswith(TASK_PREFIX) else TARGET_PREFIX
        name = _without_prefix(column, prefix)
        if not name:
            raise InputError(place, repr(column), "a name after the prefix", "Write for example 'task:poetry'.")
        check_name(place, name, prefix.removesuffix(":"))
        if (prefix, name) in seen:
            found = f"'{column}' again (first in column {seen[prefix, name]})"
            raise InputError(place, found, "unique names", "Rename one of the two.")
        seen[prefix, name] = position


def _numeric_column(column: pd.Series, name: str, source: str) -> NDArray[np.float64]:
    """Numbers of a column; text, dates and the like are refused with their row."""
    if column.dtype == np.bool_:
        return column.to_numpy(dtype=np.float64)
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    truth = column.map({True: 1.0, False: 0.0, "True": 1.0, "False": 0.0, "true": 1.0, "false": 0.0})
    parsed = column.map(_number)
    numbers = truth.where(truth.notna(), parsed) if name.startswith(TASK_PREFIX) else parsed
    bad = np.flatnonzero((numbers.isna() & column.notna()).to_numpy())
    if len(bad):
        row = int(bad[0])
        expected = "0 or 1" if name.startswith(TASK_PREFIX) else "a number"
        place = f"{source}, row {row + 1}, column '{name}'"
        raise InputError(place, _quoted(column.iloc[row]), expected, "Use a decimal point and no units.")
    return np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def _number(value: object) -> float:
    """The number that a cell of text holds; NaN where it holds none."""
    try:
        return float(value) if isinstance(value, str | int | float | Decimal) else math.nan
    except (ValueError, OverflowError):
        return math.nan


def _without_prefix(column: str, prefix: str) -> str:
    return column.removeprefix(prefix).strip()


def _quoted(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return "an empty cell or NaN"
    text = str(value)
    return repr(text if len(text) <= 40 else text[:37] + "...") if isinstance(value, str) else text[:40]
