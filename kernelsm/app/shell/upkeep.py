"""What the server does by itself now and then, beside all sessions: it frees memory and deletes what is too much."""

from __future__ import annotations

import ctypes
import gc
import itertools
import logging
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from streamlit.runtime import exists, get_instance

from kernelsm.runtime.errors import InputError
from kernelsm.workspace.housekeeping import tidy

logger = logging.getLogger(__name__)

_EVERY, _FORGETTING = 60.0, 1.0
_ROUNDS_BETWEEN_TIDYING = 15
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of mallopt(3)
_LARGE_BLOCK, _ARENAS, _KEPT_AT_THE_END = 4 * 2**20, 2, 64 * 2**20


def begin() -> None:
    """Start the thread that looks after the cache; it ends with the server."""
    _allocate_apart()
    threading.Thread(target=_look_after, daemon=True, name="upkeep").start()


def _allocate_apart() -> None:
    """Have large blocks go back to the system as soon as they are freed.

    Of its own the allocator of Linux puts blocks of up to 32 MiB into one heap for each thread, where small ones that
    stay keep everything around them.
    """
    with suppress(OSError, AttributeError):  # another system, or another C library
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
        # else every free at the end of a heap gives pages back, which fits would pay for
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_AT_THE_END)


def _look_after() -> None:
    for number in itertools.count():
        time.sleep(_EVERY)
        forget_who_left()
        time.sleep(_FORGETTING)  # it happens on another thread
        give_memory_back()
        if number % _ROUNDS_BETWEEN_TIDYING:
            continue
        try:
            tidy()
        except (InputError, OSError) as error:
            logger.warning("the cache was not tidied: %s", error)


def forget_who_left() -> None:
    """Let Streamlit drop sessions whose browsers left minutes ago: it does so by itself when the next one leaves.

    They hold what was uploaded. Streamlit has no public way to ask for it; where it changes, memory comes back later.
    """
    if not exists():
        return
    with suppress(AttributeError, RuntimeError):
        runtime = get_instance()
        kept: Any = runtime._session_mgr
        runtime._get_async_objs().eventloop.call_soon_threadsafe(_end_expired, kept._session_storage._cache)


def _end_expired(sessions: Any) -> None:
    """End sessions that nobody may come back to, and empty them: Streamlit's own loop holds on to the last one."""
    for _, left in sessions.expire() or ():
        with suppress(AttributeError):  # another version of Streamlit: they end when nothing holds them any more
            left.session.shutdown()
            left.session.session_state.clear()


def give_memory_back() -> None:
    """Return to the system what visitors who left have used: the allocators of Linux and Arrow keep it otherwise."""
    gc.collect()
    if arrow := sys.modules.get("pyarrow"):
        arrow.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # another system, or another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)
