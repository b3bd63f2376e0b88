"""Names of tasks and targets, for tables, suites and feature files alike: their checks, and their natural order."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kernelsm.runtime.errors import InputError
from kernelsm.runtime.one_line import is_one_line

MAX_NAME_LENGTH = 120
_DIGITS = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple[tuple[str | tuple[int, str], ...], str]:
    """Return what names are sorted by so that numbers inside them count as numbers, whatever their case.

    Examples
    --------
    >>> sorted(["site_10", "Site_2", "site_1", "all"], key=natural_key)
    ['all', 'site_1', 'Site_2', 'site_10']
    """
    # every other part is a number, so texts meet texts and numbers meet numbers; the longer number is the larger one
    parts = _DIGITS.split(name.casefold())
    numbers = (part.lstrip("0") for part in parts[1::2])
    keys: list[str | tuple[int, str]] = list(parts)
    keys[1::2] = [(len(number), number) for number in numbers]
    return tuple(keys), name


def natural_order(names: Sequence[str]) -> list[int]:
    """Return the positions of names in their natural order: site_2 before site_10.

    Examples
    --------
    >>> natural_order(["site_10", "site_2"])
    [1, 0]
    """
    return sorted(range(len(names)), key=lambda position: natural_key(names[position]))


def check_name(place: str, name: str, word: str) -> None:
    """Refuse a name that is empty, too long or not on one line.

    Parameters
    ----------
    place : str
        Where the name stands, for messages.
    name : str
        Without spaces around it.
    word : str
        What it names: "task" or "target".

    Raises
    ------
    InputError
        Says what is wrong with the name.
    """
    if not name:
        raise InputError(place, "an empty name", "a name", f"Name every {word}.")
    if len(name) > MAX_NAME_LENGTH:
        found = f"the name {_quoted(name)} of {len(name):,} characters"
        raise InputError(place, found, f"at most {MAX_NAME_LENGTH}", f"Shorten the name of this {word}.")
    if not is_one_line(name):
        found = f"a line break or control character in {_quoted(name)}"
        raise InputError(place, found, "letters on one line", "Remove it.")


def check_names(place: str, names: Sequence[str] | None, count: int, word: str) -> tuple[str, ...]:
    """Return `count` unique, non-empty names without spaces around them; "word 1" ... where none are given.

    Raises
    ------
    InputError
        Another number of names, or names the position (from 1) of the first that is wrong.
    """
    if names is None or len(names) == 0:
        return tuple(f"{word} {k + 1}" for k in range(count))
    checked = tuple(str(name).strip() for name in names)
    if len(checked) != count:
        raise InputError(place, f"{len(checked)} names", f"{count}", f"Give one name per {word}.")
    seen: set[str] = set()
    for position, name in enumerate(checked, start=1):
        check_name(f"{place}, position {position}", name, word)
        if name in seen:
            found = f"the name {name!r} a second time"
            raise InputError(f"{place}, position {position}", found, "unique names", f"Rename one {word}.")
        seen.add(name)
    return checked


def _quoted(name: str) -> str:
    return repr(name if len(name) <= 40 else name[:37] + "...")
