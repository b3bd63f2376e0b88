"""The joblib store under `cache/`: finished chunks, found again by the content of what made them.

A chunk is a call of a function decorated with `store.memory.cache`. joblib writes each result to a temporary
file and renames it, so a killed process leaves a whole chunk or none. Results are compressed with zlib, whose
checksum makes a damaged file fail on reading: the entry is named in the log, dropped and computed again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from joblib import Memory

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
                self.reused += 1
                return value
        self.computed += 1
        return cached(*args, **heavy)

    def entries(self) -> list[Entry]:
        """Every finished chunk, largest first."""
        found = []
        for item in self.memory.store_backend.get_items():
            path = Path(item.path)
            found.append(
                Entry(
                    function=path.parent.relative_to(self.memory.store_backend.location).as_posix(),
                    size=item.size,
                    path=path,
                )
            )
        return sorted(found, key=lambda entry: -entry.size)

    def clear(self) -> None:
        """Delete every finished chunk."""
        self.memory.clear(warn=False)

    def shrink(self, budget: int = DEFAULT_BUDGET) -> None:
        """Drop the least recently used chunks until `budget` bytes are left."""
        self.memory.reduce_size(bytes_limit=budget)
