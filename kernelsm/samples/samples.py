"""Samples: n rows of named columns as a file holds them, before anything is decided about tasks or labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kernelsm.files.table_read import Column
from kernelsm.runtime.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["number", "whole", "boolean", "text", "array", "empty"]


@dataclass(frozen=True, eq=False)
class Samples:
    """n samples in named columns.

    Parameters
    ----------
    columns : mapping of str to pyarrow.ChunkedArray or ndarray
        A ChunkedArray holds numbers, true/false, text or nothing but nulls; an ndarray holds numbers, true/false or
        (with one axis) text. The first axis has n entries.
    name : str
        Of the file; messages repeat it.
    notes : tuple of str
        Sentences on how the file was read, which its owner should know.
    left_out : mapping of str to InputError
        Columns of the file that cannot be used, and why.
    index : frozenset of str
        Columns that only name the rows, as the program that wrote the file says.
    encoding : str
        Of a text file, in words.

    Raises
    ------
    InputError
        No column, columns of different lengths, or values of another kind.
    """

    columns: Mapping[str, Column]
    name: str
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, InputError] = field(default_factory=dict)
    index: frozenset[str] = frozenset()
    encoding: str = ""

    def __post_init__(self) -> None:
        if not self.columns:
            raise InputError(self.name, "no column", "at least one", "Add the inputs and the labels.")
        for column, held in self.columns.items():
            place = f"{self.name}, column {column!r}"
            if isinstance(held, np.ndarray) and held.ndim == 0:
                raise InputError(place, "a single value", "one per sample", "Leave it out.")
            if len(held) != self.rows:
                first = next(iter(self.columns))
                fix = "Give every column one entry per sample."
                raise InputError(place, f"{len(held):,} entries", f"{self.rows:,}, as in {first!r}", fix)
            if not _is_known(held):
                kind = held.dtype if isinstance(held, np.ndarray) else held.type
                expected = "numbers, true/false or text"
                raise InputError(place, f"values of type {kind}", expected, "Convert it or leave it out.")

    @cached_property
    def rows(self) -> int:
        """Number of samples n."""
        return len(next(iter(self.columns.values())))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in the order of the file."""
        return tuple(self.columns)

    def kind(self, column: str) -> Kind:
        """What a column holds: "array" has an axis beyond the samples, "empty" no value at all."""
        held = self._held(column)
        if isinstance(held, np.ndarray) and held.ndim > 1:
            return "array"
        if self.missing(column) == self.rows:
            return "empty"
        if isinstance(held, np.ndarray):
            kinds: dict[str, Kind] = {"b": "boolean", "i": "whole", "u": "whole", "f": "number", "U": "text"}
            return kinds[held.dtype.kind]
        if pa.types.is_boolean(held.type):
            return "boolean"
        if pa.types.is_integer(held.type):
            return "whole"
        return "number" if pa.types.is_floating(held.type) else "text"

    def values(self, column: str) -> NDArray[Any]:
        """Values of a column as one array.

        Returns
        -------
        ndarray, shape (n,) or (n, ...)
            Numbers as float64 (NaN where missing), whole numbers as int64 and true/false as bool (both float64 with
            NaN where any is missing), text as objects of type str (None where missing), arrays as they are.

        Raises
        ------
        InputError
            Unknown column, or a whole number beyond 64 bits.
        """
        held = self._held(column)
        if isinstance(held, np.ndarray):
            if held.ndim > 1:
                return held
            found = held
        elif _is_text(held.type) or pa.types.is_null(held.type):
            return _texts(held)
        elif held.null_count:
            return np.asarray(held.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
        else:
            found = held.to_numpy()
        if found.dtype.kind == "U":
            return found.astype(object)
        if found.dtype.kind == "u" and len(found) and found.max() > np.iinfo(np.int64).max:
            fix = "Store it as text or as a decimal number."
            raise InputError(f"{self.name}, column {column!r}", f"{found.max()}", f"at most {2**63 - 1}", fix)
        return found.astype(
            {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64}[found.dtype.kind], copy=False
        )

    def missing(self, column: str) -> int:
        """Number of entries without a value: nulls and NaN (in an array column each NaN counts)."""
        held = self._held(column)
        if isinstance(held, np.ndarray):
            return int(np.isnan(held).sum()) if held.dtype.kind == "f" else 0
        undefined = pc.sum(pc.is_nan(held)).as_py() if pa.types.is_floating(held.type) else 0
        return held.null_count + (undefined or 0)  # type: ignore[no-any-return]

    def distinct(self, column: str, most: int = 1001) -> list[Any]:
        """The smallest `most` of the distinct values, sorted; missing entries are left out.

        Raises
        ------
        InputError
            Unknown column, or one that holds arrays.
        """
        return smallest(self.different(column), most)

    def different(self, column: str) -> pa.Array | NDArray[Any]:
        """All distinct values in no particular order; missing entries are left out.

        Raises
        ------
        InputError
            Unknown column, or one that holds arrays.
        """
        held = self._held(column)
        if isinstance(held, np.ndarray):
            if held.ndim > 1:
                place, fix = f"{self.name}, column {column!r}", "Choose a column with one value per sample."
                raise InputError(place, "an array per sample", "single values", fix)
            values = np.unique(held)
            return values[~np.isnan(values)] if held.dtype.kind == "f" else values
        if pa.types.is_dictionary(held.type):
            held = pc.unique(held.unify_dictionaries()).dictionary_decode()
        different = pc.drop_null(pc.unique(held))
        if pa.types.is_floating(different.type):
            different = different.filter(pc.invert(pc.is_nan(different)))
        return different

    def take(self, rows: NDArray[np.int64]) -> Samples:
        """The samples of the given row numbers (from 0), in their order."""
        arrow = pa.array(rows, type=pa.int64())
        columns = {
            name: held[rows] if isinstance(held, np.ndarray) else held.take(arrow)
            for name, held in self.columns.items()
        }
        return replace(self, columns=columns)

    def frame(self, rows: int = 8) -> pd.DataFrame:
        """The first rows for the screen; an array is shown by its size, as "28 x 28 numbers"."""
        import pandas as pd  # here: what only trains needs no pandas

        shown: dict[str, Any] = {}
        for name, held in self.columns.items():
            if isinstance(held, np.ndarray) and held.ndim > 1:
                shown[name] = [f"{' x '.join(map(str, held.shape[1:]))} numbers"] * min(rows, self.rows)
            else:
                shown[name] = (
                    held[:rows].tolist() if isinstance(held, np.ndarray) else held.slice(0, rows).to_pylist()
                )
        return pd.DataFrame(shown)

    def _held(self, column: str) -> Column:
        if column in self.left_out:
            raise self.left_out[column]
        if column not in self.columns:
            listed = ", ".join(map(repr, self.names[:20])) + (", ..." if len(self.names) > 20 else "")
            raise InputError(
                f"{self.name}, column {column!r}", "no such column", f"one of {listed}", "Choose another."
            )
        return self.columns[column]


def smallest(values: pa.Array | NDArray[Any], most: int) -> list[Any]:
    """Return the smallest `most` of values that differ, sorted."""
    if isinstance(values, np.ndarray):
        return np.sort(values)[:most].tolist()  # type: ignore[no-any-return]
    if pa.types.is_null(values.type):
        return []
    picked = len(values) > most and not pa.types.is_boolean(values.type)
    order = pc.bottom_k_unstable(values, most) if picked else pc.sort_indices(values)
    return values.take(order).to_pylist()  # type: ignore[no-any-return]


def _is_known(held: Column) -> bool:
    if isinstance(held, np.ndarray):
        return held.dtype.kind in "biuf" or (held.dtype.kind == "U" and held.ndim == 1)
    kind = held.type
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return bool(plain or pa.types.is_null(kind) or _is_text(kind))


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _texts(held: pa.ChunkedArray) -> NDArray[Any]:
    """Text as objects; equal entries of a dictionary share one object, so that a long repeated text costs once."""
    found = np.full(len(held), None, dtype=object)
    start = 0
    for chunk in held.chunks:
        stop = start + len(chunk)
        if pa.types.is_dictionary(held.type):
            words = np.array([*chunk.dictionary.to_pylist(), None], dtype=object)
            found[start:stop] = words[chunk.indices.cast(pa.int64()).fill_null(len(words) - 1).to_numpy()]
        else:
            found[start:stop] = chunk.to_numpy(zero_copy_only=False)
        start = stop
    return found
