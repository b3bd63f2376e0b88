"""Samples from .npz files: NumPy arrays of one length, never pickles."""

from __future__ import annotations

import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.files.archives import open_archive
from kernelsm.files.header import check_header
from kernelsm.files.limits import Limits, check_table_size
from kernelsm.files.npz import WHOLE_NPZ, StoredArray, read_header
from kernelsm.files.table_read import Column, TableRead
from kernelsm.runtime.errors import InputError
from kernelsm.samples.splits import join_splits, split_of


def read_npz(path: Path, name: str, limits: Limits, most: int | None = None) -> TableRead:
    """Columns of a .npz file, one per array.

    Arrays whose names begin or end with train, test, validation or the like (x_train, test_images) become one column
    each (x, images) beside a column `split`. Every array's header is read before any array is unpacked.

    Raises
    ------
    InputError
        Names the array that holds Python objects, is too large, has another length, or no samples axis.
    """
    with open_archive(path, name, limits, expected=WHOLE_NPZ) as archive:
        arrays = [_array(archive, entry, name) for entry in archive.infolist()]
        if not arrays:
            raise InputError(name, "no array", "at least one", "Save it by np.savez(path, x=x, y=y).")
        check_header([array.column for array in arrays], name, limits.columns, word="arrays")
        parts = _parts(arrays)
        rows = sum(_length(part, name) for part in parts.values())
        check_table_size(rows, sum(array.stored.bytes_as() for array in arrays), name, limits)
        share = None if most is None else max(1, most // len(parts))
        read: dict[str, dict[str, Column]] = {
            split: {column: array.read(archive, share) for column, array in part.items()}
            for split, part in parts.items()
        }
    columns, left_out = join_splits(read, name)
    return TableRead(columns, rows, left_out=left_out)


@dataclass(frozen=True)
class _Array:
    """An array of samples and the column that it becomes."""

    column: str
    stored: StoredArray

    @property
    def length(self) -> int:
        """Entries along the first axis."""
        return self.stored.shape[0]

    def read(self, archive: zipfile.ZipFile, most: int | None) -> NDArray[Any]:
        """The array, or its first rows; numbers of more than double precision become double."""
        extended = self.stored.dtype.kind == "f" and self.stored.dtype.itemsize > 8
        return self.stored.read(archive, np.float64 if extended else None, rows=most)


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> _Array:
    column = entry.filename.removesuffix(".npy")
    if column == entry.filename:
        fix = "Save the arrays by np.savez(path, x=x, y=y)."
        raise InputError(f"{name}, entry {entry.filename[:80]!r}", "no array", "arrays (.npy) only", fix)
    place = f"{name}, array {column[:80]!r}"
    stored = read_header(archive, entry, place)
    if not stored.shape:
        raise InputError(place, "a single value", "one entry per sample", "Leave it out of the file.")
    if stored.dtype.kind == "U" and len(stored.shape) > 1:
        raise InputError(place, "text with several axes", "one text per sample", "Save one array per field.")
    if 0 in stored.shape:
        found = f"shape {stored.shape}"[:80]
        raise InputError(place, found, "at least one entry on each axis", "Leave it out of the file.")
    return _Array(column, stored)


def _parts(arrays: list[_Array]) -> dict[str, dict[str, _Array]]:
    """Arrays by split and column; one unnamed part if the names say nothing about splits."""
    parts: dict[str, dict[str, _Array]] = {}
    for array in arrays:
        split, column = split_of(array.column)
        parts.setdefault(split, {})[column] = array
    columns = [part.keys() for part in parts.values()]
    named_by_split = "" not in parts and len(parts) > 1 and all(keys == columns[0] for keys in columns)
    if named_by_split and "" not in columns[0]:
        return parts
    return {"": {array.column: array for array in arrays}}


def _length(part: dict[str, _Array], name: str) -> int:
    """Number of samples: what most arrays have, the first one's in a tie."""
    length, _ = Counter(array.length for array in part.values()).most_common(1)[0]
    for array in part.values():
        if array.length != length:
            found = f"{array.length:,} entries"
            fix = "Leave out what is not one entry per sample (names go into the labels themselves)."
            raise InputError(f"{name}, array {array.column!r}", found, f"{length:,}, as in the other arrays", fix)
    return length
