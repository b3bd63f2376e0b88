"""What the server does by itself now and then, beside all sessions: it deletes what is beyond its bounds."""

from __future__ import annotations

import logging
import threading
import time

from kernelsm.runtime.errors import InputError
from kernelsm.workspace.housekeeping import tidy

logger = logging.getLogger(__name__)

_FIRST, _EVERY = 60.0, 900.0


def begin() -> None:
    """Start the thread that looks after the cache; it ends with the server."""
    threading.Thread(target=_look_after, daemon=True, name="upkeep").start()


def _look_after() -> None:
    time.sleep(_FIRST)
    while True:
        try:
            tidy()
        except (InputError, OSError) as error:
            logger.warning("the cache was not tidied: %s", error)
        time.sleep(_EVERY)
