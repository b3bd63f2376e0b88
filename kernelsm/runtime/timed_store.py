"""A store that knows how long its chunks took, so that work that is found again can still be timed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

from kernelsm.runtime.store import ChunkKind, Store

T = TypeVar("T")
SECONDS_CHUNKS = ChunkKind("chunk_seconds", version=1)


class TimedStore(Store):
    """Keeps beside each chunk the processor time that it took, and adds up that of chunks that are found.

    Attributes
    ----------
    found_seconds : float
        Processor time that the chunks found so far took when they were computed; NaN once one was found whose time
        nobody kept.

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
        found_before, spent, computed = self.found_seconds, math.nan, False

        def timed() -> T:
            nonlocal spent, computed
            computed = True
            began = time.process_time()
            value = compute()
            # chunks within it may have been found
            spent = time.process_time() - began + self.found_seconds - found_before
            return value

        value = super().chunk(kind, key, timed)
        if computed:
            self.found_seconds = found_before  # they are part of this one
            self._kept(kind, key, spent)
        else:
            self.found_seconds += self._kept(kind, key, math.nan)
        return value

    def _kept(self, kind: ChunkKind, key: tuple[Any, ...], seconds: float) -> float:
        """Keep the time of a chunk, or find it; not counted as a chunk."""
        counts = self.computed, self.reused
        found = super().chunk(SECONDS_CHUNKS, (kind.folder, key), lambda: seconds)
        self.computed, self.reused = counts
        return float(found)
