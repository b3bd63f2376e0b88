"""Checks of the numbers that describe an architecture; they may come from a file or a form."""

from __future__ import annotations

from typing import Any

from kernelsm.runtime.errors import InputError


def check_counts(**counts: Any) -> None:
    """Refuse any argument that is not a whole number of 1 or more.

    Raises
    ------
    InputError
        Names the first such argument.
    """
    for place, found in counts.items():
        if isinstance(found, bool) or not isinstance(found, int) or found < 1:
            raise InputError(place, repr(found)[:80], "a whole number of 1 or more", "Change this setting.")
