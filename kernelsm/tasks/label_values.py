"""Labels that are no classes, from columns of a file: quantities, and several labels of which each applies or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.outcomes.names import natural_key
from kernelsm.runtime.checks import shown
from kernelsm.runtime.errors import InputError
from kernelsm.samples.samples import Samples
from kernelsm.tasks.grouping import Rows, place
from kernelsm.tasks.label_lists import find_separator, split_labels

_YES, _NO = frozenset({"1", "yes", "y", "true", "t"}), frozenset({"0", "no", "n", "false", "f"})
# a spread below this share of the largest label is rounding
_NO_SPREAD = 1e-10


def standardised(
    labels: NDArray[Any], test_labels: NDArray[Any], names: Sequence[str] = ()
) -> tuple[NDArray[np.float32], NDArray[np.float32], dict[str, Any]]:
    """Standardise quantities by mean and standard deviation of the training samples, never by the test samples.

    Parameters
    ----------
    labels, test_labels : ndarray, shapes (n, ...) and (n', ...)
        One number for each sample, or C of them along a second axis, in the user's units.
    names : sequence of str, length C, optional
        What the quantities are called.

    Returns
    -------
    labels, test_labels : ndarray of float32
        (label - mean) / standard deviation, of the same shapes.
    settings : dict
        For `TaskSuite(objective="regression", objective_settings=settings)`; errors are told in the user's units by
        them.

    Raises
    ------
    InputError
        Labels that are not finite numbers, or a quantity that never changes on the training samples.

    Examples
    --------
    >>> import numpy as np
    >>> from kernelsm.tasks.label_values import standardised
    >>> labels, test_labels, settings = standardised(np.array([10.0, 20.0, 30.0]), np.array([20.0]), ["price"])
    >>> labels.round(2).tolist(), test_labels.tolist()
    ([-1.22..., 0.0, 1.22...], [0.0])
    >>> settings["centre"], settings["names"]
    ([20.0], ['price'])
    """
    sides = []
    for where, given in (("labels", labels), ("test_labels", test_labels)):
        try:
            numbers = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(where, shown(given), "numbers", "Turn the labels into numbers.") from None
        wrong = np.flatnonzero(~np.isfinite(numbers).reshape(len(numbers), -1).all(axis=1))
        if len(wrong):
            fix = "Fill it in, or drop the sample."
            raise InputError(f"{where}, row {wrong[0]}", "a label that is not finite", "finite numbers", fix)
        sides.append(numbers)
    train, test = sides
    centre, scale = train.mean(axis=0), train.std(axis=0)
    flat = np.flatnonzero(np.atleast_1d(scale <= _NO_SPREAD * np.abs(train).max(axis=0, initial=0)))
    if len(flat):
        named = f"labels, {names[flat[0]]!r}" if len(names) > flat[0] else "labels"
        found = f"{np.atleast_1d(centre)[flat[0]]:g} on every training sample"
        raise InputError(named, found, "a quantity that changes", "Choose another label.")
    settings = {"centre": np.atleast_1d(centre).tolist(), "scale": np.atleast_1d(scale).tolist()}
    if names:
        settings["names"] = list(names)
    return (
        ((train - centre) / scale).astype(np.float32), ((test - centre) / scale).astype(np.float32), settings
    )  # fmt: skip


def quantities(samples: Samples, columns: Sequence[str], rows: Rows) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the numbers of the given rows in some columns, shape (n, C), and their names.

    Raises
    ------
    InputError
        Names the row and column of the first label that is no finite number.
    """
    parts, names = [], []
    for column in columns:
        if samples.kind(column) not in ("number", "whole", "boolean", "array"):
            first = samples.distinct(column, 1)
            found = repr(first[0])[:60] if first else "no value"
            fix = "Choose a column of numbers, or say that the label is a class."
            raise InputError(place(samples, column), found, "a number for each sample", fix)
        values = np.asarray(_of_column(samples, column)[rows], dtype=np.float64)
        wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(wrong):
            at = place(samples, column, int(rows[wrong[0]]))
            missing = bool(np.isnan(values[wrong[0]]).any())
            fix = "Fill it in, or drop the sample."
            raise InputError(at, "no label" if missing else "an infinite number", "a finite number", fix)
        parts.append(values)
        names += _names(column, values.shape[1])
    return np.concatenate(parts, axis=1), tuple(names)


def marks(
    samples: Samples, columns: Sequence[str], rows: Rows, most: int
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return 1 where a label applies and 0 where not, of the given rows, shape (n, C), and the labels' names.

    Numbers are 0 and 1; words are yes, y, true, t and no, n, false, f. A column of texts such as "sport, politics"
    has a label for each part that occurs, which applies where it is among the parts.

    Raises
    ------
    InputError
        Names the row and column of the first entry that is something else. Texts with more than `most` parts.
    """
    parts, names = [], []
    for column in columns:
        values = _of_column(samples, column)[rows]
        if separator := _separator(samples, column):
            applying, labels = _listed(samples, column, values[:, 0], rows, separator, most)
            parts.append(applying)
            names += labels if len(columns) == 1 else [f"{column}: {label}" for label in labels]
            continue
        if values.dtype == object:
            words = np.array([str(value).strip().casefold() if value is not None else "" for value in values[:, 0]])
            applies, not_so = np.isin(words, sorted(_YES))[:, None], np.isin(words, sorted(_NO))[:, None]
        else:
            applies, not_so = values == 1, values == 0
        wrong = np.flatnonzero(~(applies | not_so).all(axis=1))
        if len(wrong):
            at, value = place(samples, column, int(rows[wrong[0]])), values[wrong[0]]
            found = "no label" if value[0] is None or value[0] != value[0] else shown(value[0])
            fix = "Write 1 where the label applies and 0 where it does not, or choose other columns."
            raise InputError(at, found, "0 or 1, true or false, yes or no", fix)
        parts.append(applies.astype(np.float32))
        names += _names(column, values.shape[1])
    return np.concatenate(parts, axis=1), tuple(names)


def _separator(samples: Samples, column: str) -> str:
    if samples.kind(column) != "text":
        return ""
    return find_separator(samples.distinct(column, samples.rows), chosen=True)


def _listed(
    samples: Samples, column: str, texts: NDArray[Any], rows: Rows, separator: str, most: int
) -> tuple[NDArray[np.float32], list[str]]:
    """1 where a label is among those that a text lists, shape (n, C), and the labels."""
    of = {text: split_labels(text, separator) for text in set(texts.tolist()) if text is not None}
    empty = [row for row, text in enumerate(texts) if not of.get(text)]
    if empty:
        fix = "Fill it in, or drop the row."
        raise InputError(place(samples, column, int(rows[empty[0]])), "no label", "one label or more", fix)
    labels = sorted({label for found in of.values() for label in found}, key=natural_key)
    if len(labels) > most:
        fix = "Choose another column, or keep the labels that matter."
        raise InputError(place(samples, column), f"{len(labels):,} labels", f"at most {most:,}", fix)
    numbers = {label: number for number, label in enumerate(labels)}
    found = np.zeros((len(texts), len(labels)), dtype=np.float32)
    for row, text in enumerate(texts):
        found[row, [numbers[label] for label in of[text]]] = 1
    return found, labels


def _of_column(samples: Samples, column: str) -> NDArray[Any]:
    """Values of a column, shape (n, C)."""
    values = samples.values(column)
    if values.ndim > 2:
        axes = " x ".join(map(str, values.shape[1:]))
        fix = "Give each sample one number per label."
        raise InputError(place(samples, column), f"{axes} numbers per sample", "a row of labels", fix)
    return values.reshape(len(values), -1)


def _names(column: str, count: int) -> list[str]:
    return [column] if count == 1 else [f"{column} {number + 1}" for number in range(count)]
