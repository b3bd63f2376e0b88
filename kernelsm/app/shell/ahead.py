"""Work that somebody will probably ask for next, done in a thread while nobody waits, and kept by its key."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

logger = logging.getLogger(__name__)


class Ahead:
    """Results by key, the least used of which go first.

    Parameters
    ----------
    kept : int
        How many results are kept.
    waiting : int
        How many pieces of work may wait; more are not taken on.

    Examples
    --------
    >>> from kernelsm.app.shell.ahead import Ahead
    >>> ahead = Ahead(kept=4, waiting=2)
    >>> ahead.start("sum", lambda: 1 + 1)
    >>> ahead.finish()
    >>> ahead.find("sum")
    2
    """

    def __init__(self, kept: int, waiting: int) -> None:
        self._kept, self._waiting = kept, waiting
        self._found: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="kernelsm-ahead")

    def find(self, key: Hashable) -> Any | None:
        """Return a result; None where it is not there yet, was never asked for, or could not be computed."""
        with self._lock:
            future = self._found.get(key)
            if future is None or not future.done():
                return None
            self._found.move_to_end(key)
        return None if future.exception() else future.result()

    def failed(self, key: Hashable) -> bool:
        """Whether something was tried and could not be computed."""
        with self._lock:
            future = self._found.get(key)
        return future is not None and future.done() and future.exception() is not None

    def start(self, key: Hashable, work: Callable[[], Any]) -> None:
        """Take work on, unless it was or too much is waiting. It runs in a thread: it must not call Streamlit."""
        with self._lock:
            unfinished = sum(not future.done() for future in self._found.values())
            if key in self._found or unfinished > self._waiting:
                return
            self._found[key] = future = self._worker.submit(work)
            future.add_done_callback(_tell)
            done = [old for old, each in self._found.items() if each.done()]
            for old in done[: max(len(self._found) - self._kept, 0)]:
                del self._found[old]

    def finish(self) -> None:
        """Wait for all work."""
        for future in list(self._found.values()):
            future.exception()


def _tell(future: Future[Any]) -> None:
    if error := future.exception():
        logger.warning("work ahead failed: %s", error, exc_info=error)
