"""Settings of an installation, read from environment variables."""

from __future__ import annotations

import os

from kernelsm.runtime.errors import InputError


def whole_number(variable: str, default: int, *, smallest: int = 1) -> int:
    """Return the whole number that an environment variable holds.

    Parameters
    ----------
    variable : str
    default : int
        Where the variable is not set, or is empty.
    smallest : int
        The smallest number that means something.

    Raises
    ------
    InputError
        It holds something else.

    Examples
    --------
    >>> whole_number("KERNELSM_NOT_SET", 3)
    3
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    # int() would also take '1_000', '+5' and digits of other scripts, and balk at thousands of them
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) >= smallest):
        fix = f"Set it to a number such as {default} or unset it."
        place = f"environment variable {variable}"
        raise InputError(place, repr(text[:40]), f"a whole number of {smallest} or more", fix)
    return int(text)
