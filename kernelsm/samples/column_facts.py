"""What the whole of each column holds, in a few numbers: all that is needed to guess what the columns mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kernelsm.samples.samples import Kind, Samples, smallest

MOST_VALUES = 1001
"""So many of a column's different values are kept, the smallest."""
MOST_COUNTED = 20
"""The rows of so many different texts are counted."""
_LONGEST = 2_000  # letters of a kept text
_PIECE = 2**20


@dataclass(frozen=True)
class ColumnFacts:
    """What all rows of one column hold together.

    Parameters
    ----------
    kind : {"number", "whole", "boolean", "text", "array", "empty"}
    missing : int
        Rows without a value; of an array the NaN in it.
    distinct : tuple
        The smallest of the different values, at most 1001 of them; texts are cut to 2,000 letters. None of an array.
    count : int
        How many different values there are. Of an array 0, unless it holds one number for each sample.
    shape : tuple of int
        Of one sample; empty unless the column holds arrays.
    fractions : bool
        Whether a finite number is not whole.
    marks : bool
        Whether there is nothing but 0 and 1, or true and false.
    whole_type : bool
        Whether an array is stored as whole numbers.
    counts : mapping of str to int
        Rows of each value of a column of text with at most 20 of them.
    """

    kind: Kind
    missing: int
    distinct: tuple[Any, ...] = ()
    count: int = 0
    shape: tuple[int, ...] = ()
    fractions: bool = False
    marks: bool = False
    whole_type: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What the columns of a file hold.

    Parameters
    ----------
    name : str
        Of the file.
    rows : int
    columns : mapping of str to ColumnFacts
        In the order of the file.
    index : frozenset of str
        Columns that only name the rows, as the program that wrote the file says.
    notes : tuple of str
        Sentences on how the file was read.
    left_out : mapping of str to str
        Columns that cannot be used, and why.
    encoding : str
        Of a text file, in words.
    """

    name: str
    rows: int
    columns: Mapping[str, ColumnFacts]
    index: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    encoding: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.columns)


def facts_of(samples: Samples | Facts) -> Facts:
    """Look through all rows of all columns; facts are returned as they are."""
    if isinstance(samples, Facts):
        return samples
    columns = {name: _facts(samples, name) for name in samples.names}
    left_out = {name: str(error) for name, error in samples.left_out.items()}
    return Facts(samples.name, samples.rows, columns, samples.index, samples.notes, left_out, samples.encoding)


def _facts(samples: Samples, name: str) -> ColumnFacts:
    kind, missing = samples.kind(name), samples.missing(name)
    if kind == "array":
        return _of_array(samples.values(name), missing)
    different = samples.different(name)
    kept = [value[:_LONGEST] if isinstance(value, str) else value for value in smallest(different, MOST_VALUES)]
    numbers = kind in ("boolean", "whole", "number")
    return ColumnFacts(
        kind,
        missing,
        tuple(kept),
        len(different),
        fractions=kind == "number" and not _all(different, _is_whole),
        marks=numbers and set(kept[:3]) <= {0, 1},
        counts=_counts(samples, name) if kind == "text" and len(different) <= MOST_COUNTED else {},
    )


def _counts(samples: Samples, name: str) -> dict[str, int]:
    counted = Counter(samples.values(name).tolist())
    return {value: count for value, count in sorted(counted.items(), key=str) if value is not None}


def _of_array(values: NDArray[Any], missing: int) -> ColumnFacts:
    numbers = values.dtype.kind in "biuf"
    single = int(np.prod(values.shape[1:])) == 1
    return ColumnFacts(
        "array", missing, count=len(np.unique(values)) if single else 0, shape=values.shape[1:],
        fractions=numbers and not _all(values, _is_whole), marks=numbers and _all(values, _is_mark),
        whole_type=values.dtype.kind in "iu",
    )  # fmt: skip


def _all(values: NDArray[Any] | pa.Array, holds: Callable[[NDArray[Any]], NDArray[np.bool_]]) -> bool:
    """Whether something holds for all values, found piece by piece: most columns say no in the first."""
    step = max(1, _PIECE // max(1, int(np.prod(getattr(values, "shape", (1,))[1:]))))
    return all(bool(holds(_array(values[start : start + step])).all()) for start in range(0, len(values), step))


def _array(values: NDArray[Any] | pa.Array) -> NDArray[Any]:
    if isinstance(values, np.ndarray):
        return values
    return np.asarray(pc.drop_null(values).to_numpy(zero_copy_only=False))


def _is_whole(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind != "f":
        return np.ones(1, dtype=np.bool_)
    return np.asarray(~np.isfinite(values) | (values == np.rint(values)))


def _is_mark(values: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray((values == 0) | (values == 1))
