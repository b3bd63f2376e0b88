"""Tests of promptfoo as rows: their variables are the inputs, what they assert is the answer."""

from __future__ import annotations

import re
from typing import Any

from kernelsm.files.text import check_whole_letters, decode_text
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.extras import needed_by

YAML = (".yaml", ".yml")
EXPECTED = "expected"
EXPECTED_COLUMN = "__expected"
"""Column of a promptfoo CSV file that holds what is asserted."""
RULE_OF = {
    "equals": "exact", "contains": "contains", "icontains": "contains", "regex": "regex",
}  # fmt: skip
"""Assertions whose value is an answer, and the rule of answers that is nearest."""
_MOST_BYTES = 4 * 2**20
_PREFIX = re.compile(rf"({'|'.join(map(re.escape, RULE_OF))})\s*:\s*(.*)", re.DOTALL)


def is_test(found: dict[str, Any]) -> bool:
    """Return whether an object is a test of promptfoo."""
    return isinstance(found.get("vars"), dict)


def listed_tests(found: dict[str, Any], name: str) -> list[Any] | None:
    """Return the tests of a promptfoo configuration, each with the variables of `defaultTest`; None where it is none.

    Raises
    ------
    InputError
        Tests in another file, which is not read.
    """
    tests = found.get("tests")
    if any(
        isinstance(one, str) and re.search(r"[/.]", one) for one in (tests if isinstance(tests, list) else [tests])
    ):
        fix = "Bring that file instead."
        raise InputError(f"{name}, tests", "the name of another file", "the tests themselves", fix)
    if not isinstance(tests, list) or not any(isinstance(one, dict) and is_test(one) for one in tests):
        return None
    usual = found.get("defaultTest")
    shared = usual.get("vars") if isinstance(usual, dict) else None
    if not isinstance(shared, dict):
        return tests
    return [
        {**one, "vars": {**shared, **one["vars"]}} if isinstance(one, dict) and is_test(one) else one for one in tests
    ]


def rule_of(test: dict[str, Any]) -> str:
    """Return the rule that is nearest to the first assertion of a test which has an answer; "" where it has none."""
    asserted = test.get("assert")
    kinds = [one.get("type") for one in asserted if isinstance(one, dict)] if isinstance(asserted, list) else []
    return next((RULE_OF[kind] for kind in kinds if kind in RULE_OF), "")


def cells_of_test(test: dict[str, Any], place: str, notes: dict[str, None]) -> dict[str, str | InputError]:
    """Return the variables of a test and, as `expected`, the value of its first assertion that has an answer.

    Parameters
    ----------
    test : dict
        Of which `is_test` is true.
    place : str
        Where it stands, for messages.
    notes : dict
        Its keys are sentences on what was left out; more are added.
    """
    cells: dict[str, str | InputError] = {}
    for variable, value in test["vars"].items():
        cells[str(variable)] = _text(value, f"{place}, variable {str(variable)[:60]!r}")
    asserted = test.get("assert")
    for one in asserted if isinstance(asserted, list) else ():
        kind = one.get("type") if isinstance(one, dict) else None
        if kind in RULE_OF and EXPECTED not in cells:
            cells[EXPECTED] = _text(one.get("value"), f"{place}, assertion {kind!r}")
        else:
            notes[f"Assertions of the type {str(kind)[:40]!r} beside the first answer are left out."] = None
    return cells


def expected_cell(cell: str) -> str:
    """Return the answer in a cell of `__expected`.

    Examples
    --------
    >>> expected_cell("contains: Paris"), expected_cell("Paris")
    ('Paris', 'Paris')
    """
    match = _PREFIX.fullmatch(cell)
    return match[2].strip() if match else cell


def read_yaml(data: bytes, name: str) -> Any:
    """Read YAML of lists, mappings and texts: every value stays as it is written; nothing is run.

    Raises
    ------
    InputError
        No YAML, more than 4 MiB, or anchors, by which a small file can mean a huge one.
    """
    with needed_by("A file in YAML"):
        import yaml

    class Plain(yaml.BaseLoader):  # type: ignore[misc]
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                mark = self.peek_event().start_mark
                place = f"{name}, line {mark.line + 1:,}"
                fix = "Write the value out where it is used."
                raise InputError(place, "an alias of another place", "values written out", fix)
            return super().compose_node(parent, index)

    if len(data) > _MOST_BYTES:
        found, most = f"{len(data) / 2**20:.1f} MiB", f"at most {_MOST_BYTES // 2**20} MiB of YAML"
        raise InputError(name, found, most, "Write it as JSON, which is read much faster.")
    expected = "YAML, such as promptfooconfig.yaml"
    try:
        return yaml.load(decode_text(data, name), Plain)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(name, f"no YAML ({reason})", expected, "Check the indentation and quotes.") from None
    except RecursionError:
        raise InputError(name, "lists within lists without end", expected, "Save it again.") from None


def _text(value: Any, place: str) -> str | InputError:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        return InputError(place, f"a {type(value).__name__}", "text", "Write it as text.")
    try:
        check_whole_letters(value, place)
    except InputError as error:
        return error
    return value.strip()
