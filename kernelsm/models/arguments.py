"""Checks of the arguments that describe an architecture; they may come from a file or a form. Needs no torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from kernelsm.runtime.checks import check_counts, check_whole
from kernelsm.runtime.errors import InputError


def check_sizes(sizes: Any) -> None:
    """Refuse sizes of layers that are not a list of two or more whole numbers.

    Raises
    ------
    InputError
        Fewer than two sizes, or one below 1.
    """
    if not isinstance(sizes, list | tuple) or len(sizes) < 2:
        raise InputError(
            "sizes", repr(sizes)[:80], "two sizes or more", "Name inputs and classes, e.g. [64, 32, 10]."
        )
    check_counts(**{f"sizes, number {position}": size for position, size in enumerate(sizes, start=1)})


def check_heads(width: int, heads: int) -> None:
    """Refuse a number of attention heads that does not divide the width.

    Raises
    ------
    InputError
        It does not.
    """
    if width % heads:
        raise InputError("heads", f"{heads}", f"a divisor of the width {width}", "Change one of the two.")


def check_switch(**switches: Any) -> None:
    """Refuse any argument that is neither true nor false.

    Raises
    ------
    InputError
        Names the first such argument.
    """
    for place, found in switches.items():
        if not isinstance(found, bool):
            raise InputError(place, repr(found)[:80], "true or false", "Change this setting.")


def check_architecture(name: Any, known: Mapping[str, object]) -> None:
    """Refuse a name that is not among the architectures, with the names that are close to it.

    Raises
    ------
    InputError
        It is not.
    """
    if not isinstance(name, str) or name not in known:
        close = get_close_matches(name.lower(), known, n=1) if isinstance(name, str) else []
        fix = f"Did you mean {close[0]!r}?" if close else "Choose one of these."
        raise InputError("architecture", repr(name)[:80], " or ".join(map(repr, known)), fix)


def check_arguments(name: str, builder: Callable[..., Any], config: Mapping[str, Any]) -> None:
    """Refuse arguments that `builder` does not have or that it needs and are not there; the seed is checked as well.

    Parameters
    ----------
    name : str
        Of the architecture, for messages.
    builder : callable
        Its signature says which arguments there are.
    config : mapping
        Argument -> value.

    Raises
    ------
    InputError
        Names the first such argument.
    """
    parameters = inspect.signature(builder).parameters
    known = ", ".join(parameters)
    for argument in config:
        if argument not in parameters:
            close = get_close_matches(argument, parameters, n=1)
            fix = f"Did you mean {close[0]!r}?" if close else "Leave it out or rename it."
            raise InputError(f"{name}, {argument[:80]}", "an argument it does not have", known, fix)
    for needed, parameter in parameters.items():
        if parameter.default is parameter.empty and needed not in config:
            raise InputError(f"{name}, {needed}", "nothing", known, "Give this argument.")
    check_whole(f"{name}, seed", config.get("seed", 0), 0, 2**63 - 1)
