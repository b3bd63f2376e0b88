"""JSON from users: no repeated fields, no deep nesting, no huge files; every error says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kernelsm.files.text import decode_text
from kernelsm.runtime.errors import InputError

MOST_DESCRIPTION_BYTES = 16 * 2**20
"""Size of a JSON file that describes others; one that holds data has the limits of its format."""


class JsonError(ValueError):
    """Text that is no JSON, or JSON that different readers would understand differently.

    Parameters
    ----------
    reason : str
        What is wrong.
    line, position : int
        Where, both from 1; 0 where that is not known.
    """

    def __init__(self, reason: str, line: int = 0, position: int = 0) -> None:
        self.reason, self.line, self.position = reason, line, position
        super().__init__(f"{reason} at line {line}, position {position}" if line else reason)


def parse_json(content: bytes | str) -> Any:
    """Parse JSON whose objects have each field once.

    Parameters
    ----------
    content : bytes or str
        Bytes are read as UTF-8, with or without a byte order mark.

    Raises
    ------
    JsonError
        No JSON, a field that stands twice in an object (readers would keep one without a word), lists within lists
        without end, or a whole number of thousands of digits.

    Examples
    --------
    >>> parse_json('{"ridge": 0.1}')
    {'ridge': 0.1}
    >>> parse_json('{"ridge": 0.1, "ridge": 1.0}')  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    kernelsm.files.json_text.JsonError: the field 'ridge' twice
    """
    try:
        text = decode_text(content, "JSON") if isinstance(content, bytes) else content
        return json.loads(text, object_pairs_hook=_without_repeated_fields)
    except JsonError:
        raise
    except InputError as error:
        raise JsonError(error.found) from None
    except json.JSONDecodeError as error:
        raise JsonError(error.msg, error.lineno, error.colno) from None
    except RecursionError:
        raise JsonError("lists within lists without end") from None
    except ValueError as error:
        raise JsonError(str(error)[:120]) from None


def parse_json_object(content: bytes | str, place: str, expected: str, fix: str) -> dict[str, Any]:
    """Parse JSON that has to be an object.

    Parameters
    ----------
    content : bytes or str
    place, expected, fix : str
        Of the error: where the JSON stands, what should stand there, and what to do.

    Raises
    ------
    InputError
        Something else, see `parse_json`.
    """
    try:
        found = parse_json(content)
    except JsonError as error:
        raise InputError(place, f"no JSON ({str(error)[:160]})", expected, fix) from None
    if not isinstance(found, dict):
        raise InputError(place, f"a JSON {'list' if isinstance(found, list) else 'value'}", expected, fix)
    return found


def read_json_object(path: Path, place: str, expected: str, fix: str) -> dict[str, Any]:
    """Read a JSON file that describes something and has to hold an object; see `parse_json_object`.

    Raises
    ------
    InputError
        No such file, one that cannot be read or has more than 16 MiB, or something else than a JSON object.
    """
    if not path.is_file():
        raise InputError(place, "no such file", expected, fix)
    size = path.stat().st_size
    if size > MOST_DESCRIPTION_BYTES:
        found = f"{size / 2**20:.1f} MiB"
        raise InputError(place, found, f"at most {MOST_DESCRIPTION_BYTES // 2**20} MiB", fix)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(place, f"a file that cannot be read ({error.strerror or error})", expected, fix) from None
    return parse_json_object(content, place, expected, fix)


def _without_repeated_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonError(f"the field {key[:80]!r} twice")
            seen.add(key)
    return found
