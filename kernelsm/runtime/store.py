"""The cache: finished chunks of work, found again by their kind and by the content that they were made from.

A chunk is found by its kind, a name and a version (see `ChunkKind`), and by a key that the caller states: the content
of everything that the value depends on. Neither depends on where the code is or how it is written, so code may move
and be rewritten; when it is to give other values, the version of the kind is raised by hand.

Each chunk has a folder `store/NAME.vVERSION/HASH/` with its value, written by joblib, and its key as text. Values are
compressed with zlib, whose checksum makes a damaged file fail on reading: it is named in the log, dropped and
computed again. Arrays that may not fit in memory stand beside the chunks in files of their own (see `array_file`).
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import joblib
import numpy as np

from kernelsm.runtime.array_file import ArrayFile, Layout
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.settings import whole_number

logger = logging.getLogger(__name__)

T = TypeVar("T")

_VALUE, _KEY = "value.pkl", "key.json"
_ATTEMPTS = 3
MISSING = object()
"""What stands for a chunk that is not there: None may be a value."""
_NAME = re.compile("[a-z][a-z0-9_]*")


def cache_root() -> Path:
    """Folder of everything cached: `KERNELSM_CACHE`, else `cache/` of the checkout, else the user's cache."""
    if place := os.environ.get("KERNELSM_CACHE"):
        return Path(place)
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "cache" / "README.md").exists():
        return checkout / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kernelsm"


def chunk_budget() -> int:
    """Bytes of finished chunks that are kept, as `KERNELSM_CHUNK_MEGABYTES` says: 4 GiB by default.

    Raises
    ------
    InputError
        The variable holds no such number.
    """
    return 2**20 * whole_number("KERNELSM_CHUNK_MEGABYTES", 4096)


def content_hash(*parts: Any) -> str:
    """Forty hex digits that depend on the content of `parts` (arrays, numbers, strings, containers) alone."""
    return str(joblib.hash(parts, hash_name="sha1", coerce_mmap=True))


@dataclass(frozen=True)
class ChunkKind:
    """What chunks of one kind hold: a name, and a version that is raised by hand when its meaning changes.

    State it once, as a constant at the top of the module that computes such chunks. Raise the version whenever the
    same key is to give another value from now on: chunks of the version before are then no longer found, and are
    dropped in time like everything that is not used. Moving, renaming or tidying code needs no new version.

    Parameters
    ----------
    name : str
        Unlike that of any other kind: lower-case letters, digits and underscores. It names a folder of the cache, and
        stands in the dashboard's panel of what is cached.
    version : int
        1 or more.

    Raises
    ------
    InputError
        Another name or version.

    Examples
    --------
    >>> ChunkKind("squares", version=2).folder
    'squares.v2'
    """

    name: str
    version: int = 1

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            expected = "lower-case letters, digits and underscores, a letter first"
            raise InputError("kind of chunk, name", repr(self.name)[:80], expected, "Choose such a name.")
        if isinstance(self.version, bool) or not isinstance(self.version, int) or self.version < 1:
            found = repr(self.version)[:80]
            raise InputError("kind of chunk, version", found, "a whole number above 0", "Begin with 1.")

    @property
    def folder(self) -> str:
        """Name of the folder in which chunks of this kind and version stand."""
        return f"{self.name}.v{self.version}"


@dataclass(frozen=True)
class Entry:
    """One chunk or array file on disk: the name of its kind, its size in bytes and its folder."""

    kind: str
    size: int
    path: Path


class Store:
    """Finished chunks of expensive work on disk, shared by all processes that use the same cache folder.

    A chunk is written whole or not at all, also where a process is killed or several write the same one. Values are
    pickles, so only kernelsm itself may write to the folder.

    Parameters
    ----------
    root : Path, optional
        Cache folder; `cache_root()` if not given.
    must_keep : bool
        Whether a chunk that cannot be kept, because the disk is full or may not be written, is an error. Else it is
        used all the same, and the log says so.

    Attributes
    ----------
    computed, reused : int
        Chunks that this object has computed, and found.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> SQUARES = ChunkKind("squares")
    >>> store = Store(Path(mkdtemp()))
    >>> numbers = (2, 3)
    >>> store.chunk(SQUARES, key=numbers, compute=lambda: [number**2 for number in numbers])
    [4, 9]
    >>> store.chunk(SQUARES, key=numbers, compute=lambda: [number * number for number in numbers])
    [4, 9]
    >>> store.computed, store.reused
    (1, 1)
    """

    def __init__(self, root: Path | None = None, *, must_keep: bool = False) -> None:
        self.must_keep = must_keep
        self.root = (root or cache_root()) / "store"
        self.root.mkdir(parents=True, exist_ok=True)
        self.arrays_root = self.root.parent / "arrays"
        self.computed = 0
        self.reused = 0

    def chunk(self, kind: ChunkKind, key: tuple[Any, ...], compute: Callable[[], T]) -> T:
        """Return the value of a chunk, from disk if it was computed before.

        Parameters
        ----------
        kind : ChunkKind
            What the chunk holds.
        key : tuple
            The content of everything that the value depends on: text, numbers, None, arrays, and tuples, lists and
            dicts of these. Large things are named by their `content_hash`; `forget` finds a chunk by such names.
        compute : callable
            Called without arguments where the chunk is not there. Let it return arrays, numbers, text and containers
            of these: an object of a class of one's own can be read only while that class stays where it is.

        Returns
        -------
        object
            What `compute` returned, now or earlier. Where the disk is full or may not be written, the value is
            returned nonetheless and the log says that it was not kept, unless the store must keep it.

        Raises
        ------
        TypeError
            The key holds something else, an object or a function, whose content the store cannot know.
        OSError
            It could not be kept by a store that must.
        """
        value: Any = self.find(kind, key)
        if value is not MISSING:
            return value  # type: ignore[no-any-return]
        value = compute()
        self.put(kind, key, value)
        return value  # type: ignore[no-any-return]

    def find(self, kind: ChunkKind, key: tuple[Any, ...]) -> Any:
        """Return the value of a chunk and count it as reused, or `MISSING` where it is not there.

        Parameters
        ----------
        kind, key
            As of `chunk`.
        """
        folder = self.place(kind, key)
        try:
            value = joblib.load(folder / _VALUE)
        except FileNotFoundError:
            return MISSING  # never computed, or dropped since
        except Exception as error:  # unpickling damaged bytes can raise anything
            logger.warning("damaged chunk %s/%s dropped and computed again: %s", kind.folder, folder.name, error)
            _delete(folder)
            return MISSING
        with suppress(OSError):  # where it may not be touched, or was dropped just now
            os.utime(folder)  # the least recently used go first when the cache grows too large
        self.count(reused=True)
        return value

    def put(
        self, kind: ChunkKind, key: tuple[Any, ...], value: object, *, seconds: float = math.nan,
        elsewhere: bool = False,
    ) -> None:  # fmt: skip
        """Keep the value of a chunk that was computed, and count it.

        Parameters
        ----------
        kind, key
            As of `chunk`.
        value : object
            As what `compute` of `chunk` returns.
        seconds : float
            Processor time that it took, for a store that keeps it.
        elsewhere : bool
            Whether another process spent it.

        Raises
        ------
        OSError
            It could not be kept by a store that must.
        """
        self.count(reused=False)
        folder = self.place(kind, key)
        failed = _write_chunk(folder, kind, _by_content(key), value)
        if failed and self.must_keep:
            raise failed
        if failed:
            logger.warning("chunk %s/%s was computed and could not be kept: %s", kind.folder, folder.name, failed)

    def place(self, kind: ChunkKind, key: tuple[Any, ...]) -> Path:
        """Return the folder of a chunk, there or not: one for each content."""
        return self.root / kind.folder / content_hash(*_by_content(key))

    def count(self, *, reused: bool) -> None:
        """Count a chunk of an array file as `chunk` counts its own."""
        if reused:
            self.reused += 1
        else:
            self.computed += 1

    def arrays(self, kind: ChunkKind, key: tuple[Any, ...], layout: Layout) -> ArrayFile:
        """Open the array file of a kind and key, as `chunk` takes them; its finished chunks are found.

        Raises
        ------
        InputError
            There is no room on the disk.
        TypeError
            As `chunk`.
        """
        return ArrayFile(self.arrays_root / kind.folder / content_hash(*_by_content(key)), layout)

    def entries(self) -> list[Entry]:
        """Every chunk and array file, largest first."""
        return sorted((entry for _, entry in self._used()), key=lambda entry: -entry.size)

    def clear(self) -> None:
        """Delete every chunk and array file."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.arrays_root, ignore_errors=True)

    def forget(self, *contents: str) -> int:
        """Delete every chunk whose key names one of these content hashes, and return the bytes freed.

        Of an array file, the arguments in its layout count as the key.
        """
        found = self.entries_of(*contents)
        for entry in found:
            _delete(entry.path)
        return sum(entry.size for entry in found)

    def entries_of(self, *contents: str) -> list[Entry]:
        """Every chunk and array file whose key names one of these content hashes, largest first."""
        found = []
        for entry in self.entries() if contents else []:
            keys = "".join(file.read_text(errors="ignore") for file in entry.path.glob("*.json"))
            if any(content in keys for content in contents):
                found.append(entry)
        return found

    def shrink(self, budget: int | None = None) -> None:
        """Drop the least recently used until `budget` bytes are left, by default `chunk_budget()`.

        Work that runs meanwhile computes again what it no longer finds, and goes on reading arrays that it has open.
        """
        used = sorted(self._used(), key=lambda item: item[0])
        excess = sum(entry.size for _, entry in used) - (chunk_budget() if budget is None else budget)
        for _, entry in used[:-1]:  # what was used last is needed next, however large
            if excess <= 0:
                break
            _delete(entry.path)
            excess -= entry.size

    def _used(self) -> list[tuple[float, Entry]]:
        """Every entry with the time of its last use."""
        found = []
        for kind, folder in self._folders():
            try:
                size = sum(file.stat().st_size for file in folder.iterdir())
                found.append((folder.stat().st_mtime, Entry(kind, size, folder)))
            except (FileNotFoundError, NotADirectoryError):  # dropped by another process just now; no chunk
                continue
        return found

    def _folders(self) -> Iterator[tuple[str, Path]]:
        """The name of the kind and the folder of every entry."""
        for folder in (*self.root.glob("*.v*/*"), *self.arrays_root.glob("*/*")):
            yield folder.parent.name.partition(".")[0], folder
        # kept under the path of a function before kinds had names: never found again, and so the first to be dropped
        for file in (self.root / "kernelsm").rglob("output.pkl"):
            yield "earlier_version", file.parent


def _by_content(part: Any) -> Any:
    """Bring a key or a part of it to a form whose hash depends on the content alone, not on its memory layout."""
    match part:
        case np.generic():
            return part.item()
        case np.ndarray() if not part.dtype.hasobject:
            return np.asarray(part, order="C")
        case tuple() | list():
            return tuple(_by_content(one) for one in part)
        case dict() if all(type(name) is str for name in part):
            return {name: _by_content(value) for name, value in part.items()}
    if part is not None and type(part) not in (bool, int, float, str):  # an enumeration brings its own class along
        kind = type(part).__name__
        raise TypeError(f"the key of a chunk holds a {kind}; state its content as text, numbers or arrays")
    return part


def _write_chunk(folder: Path, kind: ChunkKind, key: tuple[Any, ...], value: object) -> OSError | None:
    """Write a chunk; if that fails, return why."""

    def array(part: np.ndarray[Any, Any]) -> str:
        return f"{part.dtype} {part.shape}"

    stated = json.dumps({"kind": kind.name, "version": kind.version, "key": key}, default=array, indent=1)
    reason: OSError | None = None
    for _ in range(_ATTEMPTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_whole(folder / _KEY, lambda part: part.write_text(stated))
            _write_whole(folder / _VALUE, lambda part: joblib.dump(value, part, compress=("zlib", 1)))
        except FileNotFoundError as error:  # another process emptied the cache meanwhile
            reason = error
        except OSError as error:
            reason = error
            break
        else:
            return None
    return reason


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and move it there: other processes see all of it or nothing."""
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _delete(folder: Path) -> None:
    """Delete the folder of an entry; other processes see all of it or nothing."""
    out_of_the_way = folder.with_name(f"{folder.name}.{uuid4().hex}.deleted")
    with suppress(OSError):  # another process was first, or it is not ours to delete
        folder.rename(out_of_the_way)
        shutil.rmtree(out_of_the_way, ignore_errors=True)
