"""What is kept under `cache/`: finished chunks of work, found again by the content of what made them.

A chunk is a call of a function decorated with `store.memory.cache`. joblib writes each result to a temporary
file and renames it, so a killed process leaves a whole chunk or none. Results are compressed with zlib, whose
checksum makes a damaged file fail on reading: the entry is named in the log, dropped and computed again.
Arrays that may not fit in memory stand beside it in files of their own (see `array_file`).
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from joblib import Memory

from kernelsm.runtime.array_file import ArrayFile, Layout

logger = logging.getLogger(__name__)

DEFAULT_BUDGET = 4 * 2**30


def cache_root() -> Path:
    """Folder of everything cached: `KERNELSM_CACHE`, else `cache/` of the checkout, else the user's cache."""
    if place := os.environ.get("KERNELSM_CACHE"):
        return Path(place)
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "cache" / "README.md").exists():
        return checkout / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kernelsm"


def content_hash(*parts: Any) -> str:
    """Forty hex digits that depend on the content of `parts` (arrays, numbers, strings, containers) alone."""
    return str(joblib.hash(parts, hash_name="sha1"))


@dataclass(frozen=True)
class Entry:
    """One finished chunk on disk: which function made it, its size in bytes and its folder."""

    function: str
    size: int
    path: Path


class Store:
    """Content-addressed results of expensive calls.

    Parameters
    ----------
    root : Path, optional
        Cache folder; `cache_root()` if not given.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or cache_root()) / "store"
        self.root.mkdir(parents=True, exist_ok=True)
        self.memory = Memory(self.root, verbose=0, compress=1)
        self.arrays_root = self.root.parent / "arrays"
        self.computed = 0
        self.reused = 0

    def call(self, function: Callable[..., Any], /, *args: Any, heavy: dict[str, Any] | None = None) -> Any:
        """Return `function(*args, **heavy)`, from disk where it was computed before.

        `heavy` arguments are not part of the key: name their content among `args` by a hash.
        """
        heavy = heavy or {}
        cached = self.memory.cache(function, ignore=list(heavy))
        if cached.check_call_in_cache(*args, **heavy):
            kept = cached.call_and_shelve(*args, **heavy)
            try:
                value = kept.get()
            except Exception as error:  # unpickling damaged bytes can raise anything
                logger.warning("damaged cache entry of %s dropped and computed again: %s", function.__name__, error)
                kept.clear()
            else:
                self.count(reused=True)
                return value
        self.count(reused=False)
        return cached(*args, **heavy)

    def count(self, *, reused: bool) -> None:
        """Count a chunk of an array file as those of `call` are counted."""
        if reused:
            self.reused += 1
        else:
            self.computed += 1

    def arrays(self, kind: str, key: str, layout: Layout) -> ArrayFile:
        """Open the array file of a content, named by a hash; finished chunks are found.

        Raises
        ------
        InputError
            There is no room on the disk.
        """
        return ArrayFile(self.arrays_root / kind / key, layout)

    def entries(self) -> list[Entry]:
        """Every finished chunk and array file, largest first."""
        return sorted((entry for _, entry in self._used()), key=lambda entry: -entry.size)

    def clear(self) -> None:
        """Delete every finished chunk and array file."""
        self.memory.clear(warn=False)
        shutil.rmtree(self.arrays_root, ignore_errors=True)

    def forget(self, *contents: str) -> int:
        """Delete every chunk whose key names one of these content hashes, and return the bytes freed."""
        freed = 0
        for entry in self.entries():
            keys = "".join(file.read_text(errors="ignore") for file in entry.path.glob("*.json"))
            if any(content in keys for content in contents):
                shutil.rmtree(entry.path, ignore_errors=True)
                freed += entry.size
        return freed

    def shrink(self, budget: int = DEFAULT_BUDGET) -> None:
        """Drop the least recently used until `budget` bytes are left."""
        used = sorted(self._used(), key=lambda item: item[0])
        excess = sum(entry.size for _, entry in used) - budget
        for _, entry in used[:-1]:  # what was used last is needed next, however large
            if excess <= 0:
                break
            shutil.rmtree(entry.path, ignore_errors=True)
            excess -= entry.size

    def _used(self) -> list[tuple[float, Entry]]:
        """Every entry with the time of its last use."""
        found = []
        for item in self.memory.store_backend.get_items():
            path = Path(item.path)
            function = path.parent.relative_to(self.memory.store_backend.location).as_posix()
            found.append((item.last_access.timestamp(), Entry(function, item.size, path)))
        for folder in self.arrays_root.glob("*/*"):
            try:
                size = sum(file.stat().st_size for file in folder.iterdir())
                found.append((folder.stat().st_mtime, Entry(folder.parent.name, size, folder)))
            except (FileNotFoundError, NotADirectoryError):  # another process drops it now
                continue
        return found
