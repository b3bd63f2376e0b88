"""Checks of settings and arguments: each refuses a value out of range and says which values are allowed.

They take values of any type, because settings come from files, links and forms as well as from Python.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

from kernelsm.runtime.errors import InputError

_FIX = "Change this setting."


def check_whole(
    place: str,
    value: Any,
    least: int | None = 1,
    most: int | None = None,
    *,
    fix: str = _FIX,
    floats: bool = False,
) -> int:
    """Return a whole number that lies between two bounds, both included, as Python's own int.

    Parameters
    ----------
    place : str
        Name of the setting, for messages.
    value : object
        True and False do not count as numbers.
    least, most : int, optional
        None leaves that side unbounded.
    fix : str
        What to do about another value.
    floats : bool
        Whether 2.0 is accepted as 2.

    Raises
    ------
    InputError
        Something else than a whole number, or one outside of the bounds.

    Examples
    --------
    >>> check_whole("subsets", 400, least=3)
    400
    >>> check_whole("subsets", 2, least=3)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    kernelsm.runtime.errors.InputError: subsets: found 2; expected a whole number of 3 or more. Change this setting.
    """
    whole = isinstance(value, Integral) or (floats and _is_finite(value) and int(value) == value)
    if not (
        whole
        and not isinstance(value, bool)
        and (least is None or least <= value)
        and (most is None or value <= most)
    ):
        bounds = "" if least is None else f" of {least:,} or more" if most is None else f", {least:,} to {most:,}"
        raise InputError(place, shown(value), f"a whole number{bounds}", fix)
    return int(value)


def check_number(
    place: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
    fix: str = _FIX,
) -> None:
    """Refuse a value that is not a finite number within the given bounds.

    Parameters
    ----------
    place : str
        Name of the setting, for messages.
    value : object
        True and False do not count as numbers.
    above, least : float, optional
        Lower bound, without or with the bound itself.
    below, most : float, optional
        Upper bound, without or with the bound itself.
    fix : str
        What to do about another value.

    Raises
    ------
    InputError
        Something else.

    Examples
    --------
    >>> check_number("ridge", 0.1, above=0)
    """
    if not (
        _is_finite(value)
        and (above is None or value > above)
        and (least is None or value >= least)
        and (below is None or value < below)
        and (most is None or value <= most)
    ):
        bounds = [(above, "above {:g}"), (least, "from {:g}"), (below, "below {:g}"), (most, "up to {:g}")]
        interval = " and ".join(words.format(bound) for bound, words in bounds if bound is not None)
        raise InputError(place, shown(value), f"a finite number {interval}".strip(), fix)


def check_probability(place: str, value: Any, *, fix: str = _FIX) -> None:
    """Refuse a value that is not a number strictly between 0 and 1.

    Raises
    ------
    InputError
        Something else.
    """
    if not (_is_finite(value) and 0 < value < 1):
        raise InputError(place, shown(value), "a probability between 0 and 1", fix)


def check_choice(place: str, value: Any, choices: Collection[str], *, fix: str = "Choose one of these.") -> None:
    """Refuse a value that is not one of the texts to choose from.

    Raises
    ------
    InputError
        Something else; names the choices.
    """
    if not isinstance(value, str) or value not in choices:
        raise InputError(place, shown(value), " or ".join(map(repr, choices)), fix)


def check_counts(**counts: Any) -> None:
    """Refuse any argument that is not a whole number of 1 or more.

    Raises
    ------
    InputError
        Names the first such argument.
    """
    for place, found in counts.items():
        check_whole(place, found)


def shown(value: Any) -> str:
    """Return a value as messages show it: as Python writes it, cut to 80 characters."""
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value  # as 0.5 of NumPy
    try:
        text = repr(plain)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."


def _is_finite(value: Any) -> bool:
    """Whether a value is a finite number; True and False are not."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return isinstance(value, Integral) or math.isfinite(value)  # whole numbers may be too large for a float
