"""A store that knows how long its chunks took, so that work that is found again can still be timed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

from kernelsm.runtime.store import MISSING, ChunkKind, Store

T = TypeVar("T")
SECONDS_CHUNKS = ChunkKind("chunk_seconds", version=1)


class TimedStore(Store):
    """Keeps beside each chunk the processor time that it took, and adds up that of chunks that are found.

    Attributes
    ----------
    found_seconds : float
        Processor time that this process did not spend: that of the chunks found so far, when they were computed, and
        of those that other processes computed just now; NaN once a chunk was found whose time nobody kept.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> from kernelsm.runtime.store import ChunkKind
    >>> from kernelsm.runtime.timed_store import TimedStore
    >>> store = TimedStore(Path(mkdtemp()))
    >>> for _ in range(2):
    ...     total = store.chunk(ChunkKind("sums"), (3,), lambda: sum(range(100_000)))
    >>> store.found_seconds > 0
    True
    """

    found_seconds = 0.0

    def chunk(self, kind: ChunkKind, key: tuple[Any, ...], compute: Callable[[], T]) -> T:
        """Return the value of a chunk as `Store.chunk` does, and note its time."""
        found: Any = self.find(kind, key)
        if found is not MISSING:
            return found  # type: ignore[no-any-return]
        found_before, began = self.found_seconds, time.process_time()
        value = compute()
        # chunks within it may have been found
        spent = time.process_time() - began + self.found_seconds - found_before
        self.found_seconds = found_before  # they are part of this one
        self.put(kind, key, value, seconds=spent)
        return value

    def find(self, kind: ChunkKind, key: tuple[Any, ...]) -> Any:
        """Return a chunk as `Store.find` does, and add up its time."""
        value = super().find(kind, key)
        if value is not MISSING:
            seconds = super().find(SECONDS_CHUNKS, (kind.folder, key))
            if seconds is MISSING:
                seconds = math.nan
                super().put(SECONDS_CHUNKS, (kind.folder, key), seconds)
                self.computed -= 1
            else:
                self.reused -= 1  # a time is no chunk
            self.found_seconds += float(seconds)
        return value

    def put(
        self, kind: ChunkKind, key: tuple[Any, ...], value: object, *, seconds: float = math.nan,
        elsewhere: bool = False,
    ) -> None:  # fmt: skip
        """Keep a chunk as `Store.put` does, and its time; time of other processes is added up as if it were found."""
        super().put(kind, key, value)
        super().put(SECONDS_CHUNKS, (kind.folder, key), seconds)
        self.computed -= 1
        if elsewhere:
            self.found_seconds += seconds
