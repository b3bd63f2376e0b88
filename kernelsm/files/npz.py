"""NumPy archives (.npz) read without pickles: every header and size is checked before memory is taken."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.files.archives import open_archive
from kernelsm.files.limits import Limits, check_megabytes
from kernelsm.files.source import Source
from kernelsm.runtime.errors import InputError

WHOLE_NPZ = "a whole .npz file"

_LONGEST_HEADER = 2**14
_MOST_TEXT = 2**24
_BYTES_AT_ONCE = 2**22
_KINDS = {"b": "true/false", "i": "whole numbers", "u": "whole numbers", "f": "numbers", "U": "text"}
_REFUSED = {
    "S": "bytes", "c": "complex numbers", "V": "records of several fields", "M": "dates", "m": "durations",
}  # fmt: skip


@dataclass(frozen=True)
class ArrayFormat:
    """The shape and types that an array of an archive must have.

    Parameters
    ----------
    axes : tuple of int
        Numbers of axes allowed.
    kinds : str
        NumPy's letters of the types allowed, of "biufU".
    dtype : type, optional
        Type to read into; None keeps the file's.
    optional : bool
        Whether it may be missing.
    """

    axes: tuple[int, ...]
    kinds: str
    dtype: type[np.generic] | None = None
    optional: bool = False


def read_arrays(
    source: Source,
    name: str,
    layout: Mapping[str, ArrayFormat],
    limits: Limits,
    *,
    only: Collection[str] | None = None,
) -> dict[str, NDArray[Any]]:
    """Read the arrays of a known layout, each directly into its type; all headers are checked first.

    Parameters
    ----------
    source : Path or bytes
        The archive.
    name : str
        Its name, for messages.
    layout : dict
        Name of an array -> its format; the archive may hold no others.
    limits : Limits
        Of these `files` and `unpacked_megabytes`.
    only : collection of str, optional
        Names of the arrays to read; the headers of the others are checked alone. All if not given.

    Raises
    ------
    InputError
        Not a whole archive; an array missing, unknown, of another type or shape or a pickle; more than the limits
        allow when unpacked.
    FileNotFoundError
        No such file.
    """
    with open_archive(source, name, limits, expected=WHOLE_NPZ) as archive:
        members = _members(archive, name, layout)
        stored = {key: read_header(archive, member, f"{name}, {key}") for key, member in members.items()}
        for key, array in stored.items():
            _check_layout(array, f"{name}, {key}", layout[key])
        wanted = {key: array for key, array in stored.items() if only is None or key in only}
        total = sum(array.bytes_as(layout[key].dtype) for key, array in wanted.items())
        fix = "Send fewer rows, or numbers per row."
        check_megabytes(total, name, limits.unpacked_megabytes, fix, found="{} MiB when unpacked")
        return {key: array.read(archive, layout[key].dtype) for key, array in wanted.items()}


@dataclass(frozen=True)
class StoredArray:
    """An array of an archive as its header says it is stored.

    Parameters
    ----------
    member : ZipInfo
        Its entry in the archive.
    place : str
        What messages call it.
    offset : int
        Bytes of the header.
    shape : tuple of int
    by_column : bool
        Whether it is stored column by column (Fortran's order).
    dtype : dtype
        Of numbers, true/false or text.
    """

    member: zipfile.ZipInfo
    place: str
    offset: int
    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype[Any]

    def bytes_as(self, dtype: type[np.generic] | None = None) -> int:
        """Bytes that the whole array takes in memory, read into another type."""
        return math.prod(self.shape) * np.dtype(dtype or self.dtype).itemsize

    def read(
        self, archive: zipfile.ZipFile, dtype: type[np.generic] | None = None, *, rows: int | None = None
    ) -> NDArray[Any]:
        """Read it a piece at a time, so that nothing but the result is whole in memory.

        Parameters
        ----------
        archive : ZipFile
            As `open_archive` opened it.
        dtype : type, optional
            Type to read into; None keeps the file's, in this machine's byte order.
        rows : int, optional
            Return the first rows only.

        Raises
        ------
        InputError
            Text of letters that do not exist.
        EOFError
            The array ends early; `open_archive` turns this into InputError.
        """
        shape = self.shape
        if rows is not None and not self.by_column:  # only an array stored row by row begins with its first rows
            shape = (min(rows, shape[0]), *shape[1:])
        count, itemsize = math.prod(shape), self.dtype.itemsize
        result = np.empty(count, dtype=dtype or self.dtype.newbyteorder("="))
        piece_length = max(1, _BYTES_AT_ONCE // itemsize)
        # what a smaller type cannot hold becomes infinite, and is refused where the numbers are checked
        with archive.open(self.member) as stream, np.errstate(over="ignore", invalid="ignore"):
            stream.read(self.offset)
            for start in range(0, count, piece_length):
                length = min(piece_length, count - start)
                piece = stream.read(length * itemsize)
                if len(piece) != length * itemsize:
                    raise EOFError("it ends early")
                result[start : start + length] = np.frombuffer(piece, dtype=self.dtype)
        if self.dtype.kind == "U":
            _check_letters(result, self.place)
        ordered = result.reshape(shape, order="F" if self.by_column else "C")
        chosen = ordered if rows is None else ordered[:rows]
        # ascontiguousarray gives an array without axes one axis: reshape takes it away again
        return np.ascontiguousarray(chosen).reshape(chosen.shape)


def read_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str) -> StoredArray:
    """Read the header of one of an archive's arrays, and refuse arrays of anything but numbers or text.

    Raises
    ------
    InputError
        A pickle, another type, or a header that cannot be read or does not fit the array's size.
    """
    again = "Was the transfer cut short? Save it again."
    with archive.open(member) as stream:
        head = io.BytesIO(stream.read(_LONGEST_HEADER))
    try:
        version = np.lib.format.read_magic(head)
        if version not in ((1, 0), (2, 0)):  # 3.0 is for records, which are refused anyway
            raise ValueError(f"version {version} of the format")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_column, dtype = read(head)
    except Exception as error:  # NumPy parses the header as Python text, whose errors are of many kinds
        reason = (str(error).splitlines() or [""])[0][:80]
        raise InputError(place, f"a damaged header ({reason})", "a NumPy array", again) from None
    if dtype.hasobject:
        fix = "Convert it first: numpy.array(x.tolist(), dtype=float), or dtype=str for names."
        found = "Python objects (a pickle, which can run code)"
        raise InputError(place, found, "numbers, true/false or text", fix)
    if dtype.kind not in _KINDS or not dtype.itemsize:
        found = f"{_REFUSED.get(dtype.kind, 'another type')} (type {dtype})"[:80]
        fix = "Save it as numbers or text: np.array(values.tolist()), or .astype(str)."
        raise InputError(place, found, "numbers, true/false or text", fix)
    array = StoredArray(member, place, head.tell(), shape, by_column and len(shape) > 1, dtype)
    size = max(0, member.file_size - array.offset)
    if any(type(length) is not int or length < 0 for length in shape) or array.bytes_as() != size:
        found = f"{size:,} bytes for {dtype} of shape {shape}"[:120]
        raise InputError(place, found, "as many as the shape takes", again)
    return array


def _members(archive: zipfile.ZipFile, name: str, layout: Mapping[str, ArrayFormat]) -> dict[str, zipfile.ZipInfo]:
    known = ", ".join(layout)
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        key = member.filename.removesuffix(".npy")
        if key not in layout or key == member.filename:
            place = f"{name}, {member.filename[:60]!r}"
            raise InputError(place, "an unknown array", known, "Save the file without it.")
        if key in found:
            raise InputError(f"{name}, {key}", "this array twice", "each array once", "Write the file again.")
        found[key] = member
    missing = [key for key, expected in layout.items() if not expected.optional and key not in found]
    if missing:
        raise InputError(name, f"no array {', '.join(missing)}", known, "Save all of them into one file.")
    return found


def _check_layout(array: StoredArray, place: str, array_format: ArrayFormat) -> None:
    if array.dtype.kind not in array_format.kinds:
        expected = " or ".join(dict.fromkeys(_KINDS[kind] for kind in array_format.kinds))
        raise InputError(place, f"type {array.dtype}"[:60], expected, "Convert the array and write it again.")
    if len(array.shape) not in array_format.axes:
        axes = " or ".join(f"{count} axes" if count != 1 else "1 axis" for count in array_format.axes)
        raise InputError(place, f"shape {array.shape}"[:80], axes, "Reshape the array and write it again.")
    if array.dtype.kind == "U" and array.bytes_as() > _MOST_TEXT:
        found = f"{array.bytes_as() / 2**20:.0f} MiB of text"
        raise InputError(place, found, f"at most {_MOST_TEXT // 2**20} MiB", "Shorten it.")


def _check_letters(words: NDArray[np.str_], place: str) -> None:
    """Refuse code points that are no characters: Python cannot make text of them."""
    letters = words.view(np.uint32)
    if ((letters > 0x10FFFF) | ((letters >= 0xD800) & (letters <= 0xDFFF))).any():
        raise InputError(place, "text with letters that do not exist", "text", "Save it again.")
