"""One boundary for what goes wrong with the disk: words on the page it happened on, and all other pages go on.

A full disk, a cache that may only be read or that was deleted raises OSError wherever something is kept or read. The
frame draws each page inside `told`, fragments and callbacks that reach the disk are wrapped in it, and the user reads
what is wrong and what to do instead of a traceback.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec

import streamlit as st

from kernelsm.app.shell.words import plain
from kernelsm.runtime.disk_errors import disk_words

logger = logging.getLogger(__name__)

P = ParamSpec("P")
_UNTOLD = "kernelsm_disk_error"


@contextmanager
def told() -> Iterator[None]:
    """Draw what went wrong with the disk inside the block in place of the rest of it, and before, of a callback."""
    if before := st.session_state.pop(_UNTOLD, ""):
        _draw(before)
    try:
        yield
    except OSError as error:
        logger.warning("the disk: %s", error, exc_info=True)
        _draw(disk_words(error))


def telling(draw: Callable[P, None]) -> Callable[P, None]:
    """Return a fragment's function that tells what goes wrong with the disk; fragments also run without the frame."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        with told():
            draw(*args, **kwargs)

    return drawn


def callback(act: Callable[P, None]) -> Callable[P, None]:
    """Return a callback after which the page tells what went wrong with the disk: callbacks have no place to draw."""

    @functools.wraps(act)
    def acted(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            act(*args, **kwargs)
        except OSError as error:
            logger.warning("the disk: %s", error, exc_info=True)
            st.session_state[_UNTOLD] = disk_words(error)

    return acted


def _draw(words: str) -> None:
    st.error(plain(words), icon=":material/hard_drive:")
