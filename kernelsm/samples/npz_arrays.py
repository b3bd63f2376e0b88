"""Samples from .npz files: NumPy arrays of one length, never pickles."""

from __future__ import annotations

import math
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.files.archives import open_archive
from kernelsm.files.limits import Limits, check_table_size
from kernelsm.runtime.errors import InputError
from kernelsm.samples.columns import check_names
from kernelsm.samples.samples import Column
from kernelsm.samples.splits import join_splits, split_of

_KINDS = {
    "O": "Python objects (a pickle, which can run code)", "S": "bytes", "c": "complex numbers",
    "V": "records of several fields", "M": "dates", "m": "durations",
}  # fmt: skip


def read_npz(path: Path, name: str, limits: Limits, most: int | None = None) -> tuple[dict[str, Column], int]:
    """Columns of a .npz file, one per array, and the number of samples.

    Arrays whose names begin or end with train, test, validation or the like (x_train, test_images) become one column
    each (x, images) beside a column `split`. Every array's header is read before any array is unpacked.

    Raises
    ------
    InputError
        Names the array that holds Python objects, is too large, has another length, or no samples axis.
    """
    with open_archive(path, name, limits) as archive:
        arrays = [_header(archive, entry, name) for entry in archive.infolist()]
        if not arrays:
            raise InputError(name, "no array", "at least one", "Save it by np.savez(path, x=x, y=y).")
        if len(arrays) > limits.columns:
            found, fix = f"{len(arrays):,} arrays", "Stack them along a second axis."
            raise InputError(name, found, f"at most {limits.columns:,}", fix)
        check_names([array.column for array in arrays], name)
        parts = _parts(arrays)
        rows = sum(_length(part, name) for part in parts.values())
        check_table_size(rows, sum(array.size for array in arrays), name, limits)
        share = None if most is None else max(1, most // len(parts))
        read = {
            split: {column: array.read(archive, name, share) for column, array in part.items()}
            for split, part in parts.items()
        }
    return join_splits(read, name), rows


@dataclass(frozen=True)
class _Array:
    """What the header of a stored array says."""

    entry: zipfile.ZipInfo
    column: str
    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Bytes of the whole array."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self, archive: zipfile.ZipFile, name: str, most: int | None) -> NDArray[Any]:
        """The array, or its first rows, in this machine's byte order."""
        rows = self.shape[0] if most is None else min(most, self.shape[0])
        # only an array stored row by row begins with its first rows
        shape = self.shape if self.by_column else (rows, *self.shape[1:])
        wanted = np.empty(math.prod(shape), dtype=self.dtype)
        target = wanted.view(np.uint8).data
        with archive.open(self.entry) as file:
            _read_header(file)
            filled = 0
            while filled < len(target) and (block := file.read(min(2**20, len(target) - filled))):
                target[filled : filled + len(block)] = block
                filled += len(block)
        if filled < len(target):
            place = f"{name}, array {self.column!r}"
            raise InputError(place, f"{filled:,} bytes", f"{len(target):,}, as its header says", "Save it again.")
        if self.dtype.kind == "U":
            _check_letters(wanted, f"{name}, array {self.column!r}")
        found = wanted.reshape(shape, order="F" if self.by_column else "C")[:rows]
        if self.dtype.kind == "f" and self.dtype.itemsize > 8:
            return found.astype(np.float64)
        return np.ascontiguousarray(found, dtype=self.dtype.newbyteorder("="))


def _check_letters(words: NDArray[np.str_], place: str) -> None:
    """Refuse numbers that stand for no letter: Python cannot make text of them."""
    letters = words.view(words.dtype.newbyteorder("=")).view(np.uint32)
    if words.dtype.byteorder not in "=|" and words.dtype != words.dtype.newbyteorder("="):
        letters = letters.byteswap()
    if ((letters > 0x10FFFF) | ((letters >= 0xD800) & (letters <= 0xDFFF))).any():
        raise InputError(place, "text with letters that do not exist", "text", "Save it again.")


def _header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> _Array:
    place = f"{name}, array {entry.filename.removesuffix('.npy')[:80]!r}"
    if not entry.filename.endswith(".npy"):
        fix = "Save the arrays by np.savez(path, x=x, y=y)."
        raise InputError(f"{name}, entry {entry.filename[:80]!r}", "no array", "arrays (.npy) only", fix)
    try:
        with archive.open(entry) as file:
            shape, by_column, dtype = _read_header(file)
            start = file.tell()
    except Exception as error:  # NumPy parses the header as Python text, whose errors are of many kinds
        reason = (str(error).splitlines() or [""])[0][:80]
        raise InputError(place, f"a damaged header ({reason})", "a NumPy array", "Save it again.") from None
    if dtype.kind not in "biufU":
        fix = "Save it as numbers or text: np.array(values.tolist()), or .astype(str)."
        found = f"{_KINDS.get(dtype.kind, 'another type')} (dtype {str(dtype)[:40]})"
        raise InputError(place, found, "numbers, true/false or text", fix)
    if not shape:
        raise InputError(place, "a single value", "one entry per sample", "Leave it out of the file.")
    if dtype.kind == "U" and len(shape) > 1:
        raise InputError(place, "text with several axes", "one text per sample", "Save one array per field.")
    if any(type(length) is not int or length < 1 for length in shape):
        raise InputError(place, f"shape {shape}"[:80], "at least one entry on each axis", "Leave it out of the file.")
    array = _Array(entry, entry.filename.removesuffix(".npy"), shape, by_column and len(shape) > 1, dtype)
    if array.size != entry.file_size - start:
        found = f"{max(0, entry.file_size - start):,} bytes for shape {shape} of {dtype}"
        raise InputError(place, found, f"{array.size:,}", "Was the transfer cut short? Save it again.")
    return array


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version in ((2, 0), (3, 0)):  # 3.0 differs in the letters of field names, which only records have
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"version {version} of the format")


def _parts(arrays: list[_Array]) -> dict[str, dict[str, _Array]]:
    """Arrays by split and column; one part without a name where the names speak of no splits."""
    parts: dict[str, dict[str, _Array]] = {}
    for array in arrays:
        split, column = split_of(array.column)
        parts.setdefault(split, {})[column] = array
    columns = [part.keys() for part in parts.values()]
    speaks = "" not in parts and len(parts) > 1 and all(keys == columns[0] for keys in columns)
    if speaks and "" not in columns[0]:
        return parts
    return {"": {array.column: array for array in arrays}}


def _length(part: dict[str, _Array], name: str) -> int:
    """Number of samples: what most arrays have, the first one's in a tie."""
    length, _ = Counter(array.shape[0] for array in part.values()).most_common(1)[0]
    for array in part.values():
        if array.shape[0] != length:
            found = f"{array.shape[0]:,} entries"
            fix = "Leave out what is not one entry per sample (names go into the labels themselves)."
            raise InputError(f"{name}, array {array.column!r}", found, f"{length:,}, as in the other arrays", fix)
    return length
