"""Checks of the names of tasks and targets, for tables, suites and feature files alike."""

from __future__ import annotations

from collections.abc import Sequence

from kernelsm.runtime.errors import InputError
from kernelsm.runtime.one_line import is_one_line

MAX_NAME_LENGTH = 120


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
