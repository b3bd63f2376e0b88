"""Zip archives from users: checked before anything is unpacked, and measured while it is."""

from __future__ import annotations

import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from kernelsm.files.limits import Limits, check_megabytes
from kernelsm.files.signatures import NPZ, ZIP, looks_like
from kernelsm.files.source import Source, open_source, source_size
from kernelsm.runtime.errors import InputError

PLAIN_FILE_NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
"""Pattern of file names that every system and shell reads alike; they begin neither with a dot nor with a dash.
"""

_ENTRY = b"PK\x01\x02"  # begins each entry of the archive's list of files
_BLOCK = 2**20
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, NotImplementedError, RuntimeError,
    ValueError, OverflowError, OSError,
)  # fmt: skip


def unpack(archive: Path, folder: Path, name: str, limits: Limits) -> None:
    """Unpack a zip archive into a folder that is absent or empty.

    Only regular files and folders are written, only below `folder`, and never more than the limits allow, whatever
    the archive states. A refused archive leaves nothing behind.

    Parameters
    ----------
    archive : Path
        The zip file.
    folder : Path
        Where to; made if absent.
    name : str
        Name of the archive, for messages.
    limits : Limits
        Of these `files` and `unpacked_megabytes`.

    Raises
    ------
    InputError
        No zip archive, damaged, encrypted, too large, or an entry that points outside the folder, is a link or
        stands there twice.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(str(folder), "a folder with files in it", "an empty folder", "Unpack into a new folder.")
    absent = not folder.exists()
    try:
        with open_archive(archive, name, limits) as opened:
            targets = _target_paths(opened, name)
            folder.mkdir(exist_ok=True)
            _write(opened, targets, folder, name, limits)
    except BaseException:
        for left in folder.iterdir() if folder.exists() else ():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        if absent and folder.exists():
            folder.rmdir()
        raise


@contextmanager
def open_archive(
    source: Source, name: str, limits: Limits, *, expected: str = "a whole zip archive"
) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive whose list of entries is in order; damage met while reading it ends in InputError too.

    Parameters
    ----------
    source : Path or bytes
        The archive.
    name : str
        Its name, for messages.
    limits : Limits
        Of these `files` and `unpacked_megabytes`.
    expected : str
        What it should be, for messages.

    Raises
    ------
    InputError
        No zip archive, too many entries, stated sizes above the limit, encrypted or damaged.
    FileNotFoundError
        No such file.
    """
    again = "Was the transfer cut short? Write it again."
    if isinstance(source, Path) and source.is_dir():
        raise InputError(name, "a folder", expected, "Choose the file itself.")
    with open_source(source) as file:
        if not zipfile.is_zipfile(file):
            raise InputError(name, _actual_kind(source), expected, again)
        if _count_entries(file, limits.files) > limits.files:
            fix = "Leave files out, or put the samples into fewer, larger ones."
            raise InputError(name, f"more than {limits.files:,} files", f"at most {limits.files:,}", fix)
        try:
            with zipfile.ZipFile(file) as opened:
                _check_entries(opened.infolist(), name, limits)
                yield opened
        except InputError:
            raise
        except _DAMAGE as error:
            reason = f"a damaged archive ({str(error)[:120] or type(error).__name__})"
            raise InputError(name, reason, expected, again) from None


def _actual_kind(source: Source) -> str:
    """What a file that is no zip archive seems to be, in words."""
    if not source_size(source):
        return "no zip archive but an empty file (0 bytes)"
    seems = looks_like(source)
    # an archive that was cut short has its beginning, but not the list of files at its end
    return f"no zip archive but {seems}" if seems not in ("", ZIP, NPZ) else "no zip archive"


def _count_entries(file: BinaryIO, most: int) -> int:
    """How many entries the archive can have at most; stops counting beyond `most`.

    Counted before the list is read: a list of millions of entries would fill the memory, and the number that the
    archive states need not be true.
    """
    found, end = 0, b""
    file.seek(0)
    while found <= most and (block := file.read(_BLOCK)):
        found += (end + block).count(_ENTRY)
        end = block[-len(_ENTRY) + 1 :]
    return found


def _check_entries(entries: list[zipfile.ZipInfo], name: str, limits: Limits) -> None:
    for number, entry in enumerate(entries, 1):
        place = f"{name}, entry {entry.filename[:80]!r}"
        if not entry.filename:
            raise InputError(f"{name}, entry {number}", "no name", "a name for each file", "Zip it again.")
        if entry.flag_bits & 0x1:
            raise InputError(place, "an encrypted file", "one without a password", "Zip it without a password.")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            method = zipfile.compressor_names.get(entry.compress_type, f"method {entry.compress_type}")  # type: ignore[attr-defined]
            raise InputError(place, f"compressed by {method}", "deflate or no compression", "Zip it the usual way.")
    _check_size(sum(entry.file_size for entry in entries), name, limits)


def _check_size(size: int, name: str, limits: Limits) -> None:
    fix = "Send less: fewer samples, or a smaller model."
    check_megabytes(size, name, limits.unpacked_megabytes, fix, found="at least {} MiB when unpacked")


def _target_paths(opened: zipfile.ZipFile, name: str) -> dict[str, zipfile.ZipInfo]:
    """Where each file goes, relative to the folder; folders that hold no file are left out."""
    targets: dict[str, zipfile.ZipInfo] = {}
    files: set[str] = set()
    folders: set[str] = set()
    for entry in opened.infolist():
        place = f"{name}, entry {entry.filename[:80]!r}"
        path = entry.filename.rstrip("/") if entry.is_dir() else entry.filename
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            found = "a link" if kind == stat.S_IFLNK else "a special file"
            raise InputError(place, found, "regular files and folders", "Zip the file itself.")
        _check_path(path, place)
        # a file system that ignores case would write 'a' over 'A'
        key = path.casefold()
        above = {str(parent).casefold() for parent in PurePosixPath(path).parents} - {"."}
        if key in files or (not entry.is_dir() and key in folders) or above & files:
            raise InputError(
                place, "a name that is taken already", "every name once", "Zip it again from one folder."
            )
        folders |= above
        if entry.is_dir():
            folders.add(key)
        else:
            files.add(key)
            targets[path] = entry
    return targets


def _check_path(path: str, place: str) -> None:
    parts = path.split("/")
    if path.startswith("/") or (len(path) > 1 and path[1] == ":"):
        found = "an absolute path"
    elif ".." in parts:
        found = "a path that leaves the archive ('..')"
    elif "\\" in path:
        found = "a backslash in a name"
    elif "" in parts or "." in parts:
        found = "an empty part in a path"
    elif not path.isprintable() or any(len(part.encode(errors="replace")) > 200 for part in parts) or len(parts) > 20:
        found = "a name with control characters or of unusual length"
    else:
        return
    raise InputError(place, found, "plain names of files and folders", "Zip the folder itself with a usual tool.")


def _write(
    opened: zipfile.ZipFile, targets: dict[str, zipfile.ZipInfo], folder: Path, name: str, limits: Limits
) -> None:
    written = 0
    for path, entry in targets.items():
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(entry) as source, target.open("xb") as sink:
                while block := source.read(_BLOCK):
                    written += len(block)
                    _check_size(written, name, limits)  # the sizes that the archive states may be false
                    sink.write(block)
        except OSError as error:
            place, found = f"{name}, entry {path[:80]!r}", f"it cannot be unpacked ({error.strerror or error})"
            fix = "Zip it again, or free some space on the disk."
            raise InputError(place, found, "a whole archive, usual names and room on the disk", fix) from None
