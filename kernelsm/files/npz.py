"""NPZ archives of known arrays, read without pickles: every header and size is checked before memory is taken."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.files.limits import check_megabytes
from kernelsm.runtime.errors import InputError

_LONGEST_HEADER = 2**14
_MOST_TEXT = 2**24
_PIECE = 2**22
_MOST_ENTRIES = 1_000  # the mark of an entry also stands in numbers, by chance
_ENTRY = b"PK\x01\x02"  # begins each entry of an archive's list of files
_KINDS = {"b": "true/false", "i": "whole numbers", "u": "whole numbers", "f": "numbers", "U": "text"}
# what reading a damaged or foreign archive ends in
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, ValueError, KeyError, EOFError, TypeError,
    OSError, NotImplementedError, RuntimeError, OverflowError, MemoryError, SyntaxError, AttributeError, IndexError,
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What an array of an archive has to be.

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
    source: Path | bytes, name: str, wanted: Mapping[str, Wanted], megabytes: int
) -> dict[str, NDArray[Any]]:
    """Read an NPZ archive, each array straight into the type wanted; all headers and sizes are checked before.

    Raises
    ------
    InputError
        Not a whole archive; an array missing, unknown, of another type or shape or a pickle; more than `megabytes`
        MiB when unpacked.
    FileNotFoundError
        No such file.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            _check_entries(file, name)
            archive = zipfile.ZipFile(file)
            members = _members(archive, name, wanted)
            _check_total(sum(member.file_size for member in members.values()), name, megabytes)
            stored = {key: _stored(archive, member, f"{name}, {key}", wanted[key]) for key, member in members.items()}
            _check_total(sum(array.bytes_as(wanted[key].dtype) for key, array in stored.items()), name, megabytes)
            return {key: _array(archive, array, wanted[key].dtype) for key, array in stored.items()}
    except (InputError, FileNotFoundError, PermissionError):  # not the content's fault
        raise
    except _DAMAGE as error:
        fix = "Was the transfer cut short? Write it again with numpy.savez."
        raise InputError(name, f"no readable archive ({str(error)[:80]})", "a whole .npz file", fix) from None


def _check_entries(file: IO[bytes], name: str) -> None:
    """Count entries before their list is read: one of millions would fill the memory."""
    found, end = 0, b""
    while block := file.read(_PIECE):
        found += (end + block).count(_ENTRY)
        end = block[1 - len(_ENTRY) :]
    if found > _MOST_ENTRIES:
        raise InputError(name, f"{found:,} arrays", "a few", "Save only the arrays that belong to the layout.")


@dataclass(frozen=True)
class _Stored:
    """An array as its header says it is stored."""

    member: zipfile.ZipInfo
    offset: int
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    def bytes_as(self, dtype: type[np.generic] | None) -> int:
        """Bytes that it takes in memory, read into another type."""
        return math.prod(self.shape) * np.dtype(dtype or self.dtype).itemsize


def _members(archive: zipfile.ZipFile, name: str, wanted: Mapping[str, Wanted]) -> dict[str, zipfile.ZipInfo]:
    known = ", ".join(wanted)
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        key = member.filename.removesuffix(".npy")
        if key not in wanted or key == member.filename:
            place = f"{name}, {member.filename[:60]!r}"
            raise InputError(place, "an unknown array", known, "Save the file without it.")
        if key in found:
            raise InputError(f"{name}, {key}", "this array twice", "each array once", "Write the file again.")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
            what = "an encrypted or oddly compressed array"
            raise InputError(f"{name}, {key}", what, "what numpy.savez writes", "Write it again with NumPy.")
        found[key] = member
    missing = [key for key, want in wanted.items() if not want.optional and key not in found]
    if missing:
        raise InputError(name, f"no array {', '.join(missing)}", known, "Save all of them into one file.")
    return found


def _stored(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str, want: Wanted) -> _Stored:
    with archive.open(member) as stream:
        head = io.BytesIO(stream.read(_LONGEST_HEADER))
    version = np.lib.format.read_magic(head)
    if version not in ((1, 0), (2, 0)):
        raise InputError(place, f"format version {version}", "1.0 or 2.0", "Write plain numbers or text.")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(head)
    if dtype.hasobject:
        fix = "Convert it first: numpy.array(x, dtype=float), or dtype=str for names."
        raise InputError(place, "Python objects (a pickle)", "numbers or text; pickles can run code", fix)
    if dtype.kind not in want.kinds:
        expected = " or ".join(dict.fromkeys(_KINDS[kind] for kind in want.kinds))
        raise InputError(place, f"type {dtype}"[:60], expected, "Convert the array and write it again.")
    if len(shape) not in want.axes:
        axes = " or ".join(f"{count} axes" if count != 1 else "1 axis" for count in want.axes)
        raise InputError(place, f"shape {shape}"[:80], axes, "Reshape the array and write it again.")
    array = _Stored(member, head.tell(), shape, fortran, dtype)
    size = member.file_size - array.offset
    if min(shape, default=0) < 0 or not dtype.itemsize or array.bytes_as(None) != size:
        found = f"{size:,} bytes for {dtype} of shape {shape}"[:120]
        raise InputError(place, found, "as many as the shape takes", "Write the file again.")
    if dtype.kind == "U" and size > _MOST_TEXT:
        raise InputError(place, f"{size / 2**20:.0f} MiB of text", "at most 16 MiB", "Shorten it.")
    return array


def _array(archive: zipfile.ZipFile, array: _Stored, dtype: type[np.generic] | None) -> NDArray[Any]:
    """Read a piece at a time, so that nothing but the result is whole in memory."""
    count, itemsize = math.prod(array.shape), array.dtype.itemsize
    result = np.empty(count, dtype=dtype or array.dtype.newbyteorder("="))
    step = max(1, _PIECE // itemsize)
    # what a smaller type cannot hold becomes infinite, which is told where the numbers are checked
    with archive.open(array.member) as stream, np.errstate(over="ignore", invalid="ignore"):
        stream.read(array.offset)
        for start in range(0, count, step):
            here = min(step, count - start)
            piece = stream.read(here * itemsize)
            if len(piece) != here * itemsize:
                raise EOFError("it ends early")
            result[start : start + here] = np.frombuffer(piece, dtype=array.dtype)
    if array.dtype.kind == "U":
        result.tolist()  # raises for what is no letter
    return np.ascontiguousarray(result.reshape(array.shape, order="F" if array.fortran else "C")).reshape(array.shape)


def _check_total(size: int, name: str, megabytes: int) -> None:
    check_megabytes(size, name, megabytes, "Send fewer rows, or numbers per row.", found="{} MiB when unpacked")
