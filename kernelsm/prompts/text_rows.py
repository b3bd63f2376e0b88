"""Rows of text from a file as people have it: every cell as text under a name, whatever the format and nesting."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from kernelsm.files.accepting import check_ending, check_size, format_of, plain_name
from kernelsm.files.csv_tables import read_csv_texts
from kernelsm.files.json_tables import json_value
from kernelsm.files.json_text import parse_json_object
from kernelsm.files.limits import Limits, limits
from kernelsm.files.plain_text import plain_text
from kernelsm.files.source import Source
from kernelsm.files.spreadsheets import excel_as_csv
from kernelsm.files.text import check_whole_letters, text_lines
from kernelsm.files.written_tables import PACKED, WRITTEN
from kernelsm.prompts.chat_turns import chat_cells, is_chat
from kernelsm.prompts.promptfoo_tests import (
    EXPECTED_COLUMN,
    YAML,
    cells_of_test,
    expected_cell,
    is_test,
    listed_tests,
    read_yaml,
    rule_of,
)
from kernelsm.runtime.errors import InputError

_MOST_MEGABYTES = 20
_LINES = (".jsonl", ".ndjson")
_FORMATS = ".csv, .tsv, .xlsx, .jsonl, .json or .yaml with a column of texts and one of their answers"
_DEEPEST = 6
_LISTED = 5

Cell = str | InputError
"""Text, or why it is none: an error only for who needs it."""


def most_megabytes() -> int:
    """MiB that a file of texts may have: 20, which 500 long texts need, or less where the limits say so."""
    return min(_MOST_MEGABYTES, limits().megabytes)


@dataclass(frozen=True)
class TextRow:
    """One row: where it stands, for messages, and its cells by the names of their columns."""

    place: str
    cells: dict[str, Cell]


@dataclass(frozen=True, eq=False)
class TextRows:
    """Rows of text cells.

    Parameters
    ----------
    name : str
        Of the file.
    columns : tuple of str
        In the order of the file; a name may stand there twice, and be empty.
    rows : tuple of TextRow
    word : {"column", "field"}
        What messages call a column.
    notes : tuple of str
        What was done to the file.
    header : str
        Where the names of the columns stand, for messages.
    rule : str
        Kind of the `AnswerRule` that the file's own tests come near to; empty where it says nothing of it.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[TextRow, ...]
    word: str = "column"
    notes: tuple[str, ...] = ()
    header: str = ""
    rule: str = ""

    def cells(self, column: str) -> Iterator[tuple[str, str]]:
        """Yield the place of each row and its text in a column.

        Raises
        ------
        InputError
            There is no such column, or there are two, or a row has no text there.
        """
        for row in self.rows:
            yield row.place, self.cell(row, column)

    def cell(self, row: TextRow, column: str) -> str:
        """Return the text of a row in a column; may be empty. Errors are those of `cells`."""
        self.check_column(column)
        cell = row.cells.get(column)
        if isinstance(cell, InputError):
            raise cell
        if cell is None:
            expected, fix = f"the field {column!r}, as other rows have", "Give every row this field."
            raise InputError(row.place, f"no field {column!r}", expected, fix)
        return cell

    def check_column(self, column: str) -> None:
        """Refuse the name of no column, or of two."""
        if self.columns.count(column) == 1:
            return
        if column in self.columns:
            found = f"{self.columns.count(column)} columns {column!r}"
            raise InputError(self.header, found, "one", "Rename or drop the others.")
        found = f"no column {column!r} among {self.known}"
        raise InputError(self.header, found, f"a column {column!r}", "Choose another column.")

    @property
    def known(self) -> str:
        """The names of the first columns, for messages."""
        shown = ", ".join(repr(column[:30]) for column in self.columns[:_LISTED])
        return shown + (", ..." if len(self.columns) > _LISTED else "")

    @cached_property
    def texts(self) -> dict[str, tuple[str, ...]]:
        """The texts of each column that has a name of its own, without empty cells and those that are no text."""
        names = [name for name in self.columns if name and self.columns.count(name) == 1]
        return {
            name: tuple(cell for row in self.rows if isinstance(cell := row.cells.get(name), str) and cell)
            for name in names
        }


def read_rows(data: bytes, name: str, *, most: int | None = None) -> TextRows:
    """Read a file of texts; what no text can be made of is an error only where it is needed.

    Spaces around a cell are taken off. true, false and numbers of JSON are words. Fields of nested objects are called
    by their path, such as input.text. Messages of a chat become the columns system, user and assistant (see
    `chat_cells`), tests of promptfoo those of their variables and `expected`. A JSON or YAML object is the list of
    objects in it; a program saved by DSPy, its demonstrations.

    Parameters
    ----------
    data : bytes
        Content of the file.
    name : str
        Its name; the ending chooses the format (one of `WRITTEN`, text also with .gz behind it, or YAML).
    most : int, optional
        Most rows.

    Raises
    ------
    InputError
        Names the row of the first thing that is wrong; rows count from 1, without header and empty lines, JSON lines
        as in the file.

    Examples
    --------
    >>> rows = read_rows(b'[{"input": {"text": "Hi"}, "spam": false}]', "a.json")
    >>> rows.columns, rows.rows[0].cells
    (('input.text', 'spam'), {'input.text': 'Hi', 'spam': 'false'})
    """
    unpickle = "Save the texts with DataFrame.to_csv."
    ending = format_of(name, PACKED)
    plain = plain_name(name) if ending in PACKED else name
    check_ending(plain, (*WRITTEN, *YAML), _FORMATS, "Export it in one of these.", unpickle=unpickle)
    check_size(data, name, most_megabytes(), _FORMATS, "Send fewer rows.")
    found = _read(data, name, ending, replace(limits(), megabytes=most_megabytes()), most)
    if not found.rows:
        raise InputError(name, "no row", "one row per text", "Save the table again.")
    return found


def _read(data: bytes, name: str, ending: str, bounds: Limits, most: int | None) -> TextRows:
    if ending == ".xlsx":
        with excel_as_csv(data, name, bounds) as (path, notes, _):
            return _table(path, name, most, tuple(notes))
    if ending in YAML:
        return _objects(_listed(read_yaml(data, name), name), name, most, ())
    if ending == ".json":
        found, text = json_value(data, name, bounds)
        return _objects(_listed(found, name), name, most, text.notes)
    with plain_text(data, name, bounds) as text:
        if ending in _LINES:
            return _objects(_lines(text.source, name), name, most, text.notes, header="first line")
        return _table(text.source, name, most, text.notes)


def _table(source: Source, name: str, most: int | None, notes: tuple[str, ...]) -> TextRows:
    columns, found = read_csv_texts(source, name, limits())
    rows: list[TextRow] = []
    for number, cells in found:
        _check_count(len(rows), most, name)
        named: dict[str, Cell] = {
            column: expected_cell(cell) if column == EXPECTED_COLUMN else cell
            for column, cell in zip(columns, cells, strict=True)
        }
        rows.append(TextRow(f"{name}, row {number:,}", named))
    return TextRows(name, columns, tuple(rows), notes=notes, header=f"{name}, header")


def _objects(
    found: Iterator[tuple[str, dict[str, Any]]], name: str, most: int | None, notes: tuple[str, ...],
    header: str = "first row",
) -> TextRows:  # fmt: skip
    rows: list[TextRow] = []
    columns: dict[str, None] = {}
    more = dict.fromkeys(notes)
    rules = set()
    for place, one in found:
        _check_count(len(rows), most, name)
        rules.add(rule_of(one) if is_test(one) else "")
        cells = cells_of_test(one, place, more) if is_test(one) else _flat(one, place)
        columns |= dict.fromkeys(cells)
        rows.append(TextRow(place, cells))
    place = f"{name}, {header}"
    rule = rules.pop() if len(rules) == 1 else ""
    return TextRows(name, tuple(columns), tuple(rows), "field", tuple(more), place, rule)


def _check_count(count: int, most: int | None, name: str) -> None:
    if count == most:
        raise InputError(name, f"more than {most:,} rows", f"at most {most:,}", "Send a sample of the rows.")


def _lines(source: Source, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    expected, fix = 'one JSON object, such as {"text": "...", "label": "yes"}', "Write each text on one line."
    for number, line in text_lines(source, name, _MOST_MEGABYTES * 2**20):
        place = f"{name}, line {number:,}"
        yield place, parse_json_object(line, place, expected, fix)


def _listed(found: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a list, or of the one list of objects that an object holds."""
    expected = 'a list of objects, such as [{"text": "...", "label": "yes"}], or an object that holds one'
    fix = "Write one object per line (.jsonl), as DataFrame.to_json(orient='records', lines=True) does."
    word = "row"
    if isinstance(found, dict):
        if (tests := listed_tests(found, name)) is not None:
            found, word = tests, "test"
        else:
            lists = _lists_of_objects(found, 0)
            if len(lists) != 1:
                held = f"an object with {len(lists)} lists of objects" if lists else "a JSON object"
                raise InputError(name, held, expected, fix)
            found = lists[0]
    if not isinstance(found, list):
        raise InputError(name, "a JSON value", expected, fix)
    for number, one in enumerate(found, start=1):
        if not isinstance(one, dict):
            raise InputError(f"{name}, {word} {number:,}", "no object", expected, fix)
        yield f"{name}, {word} {number:,}", one


def _lists_of_objects(found: dict[str, Any], depth: int) -> list[list[Any]]:
    """Lists of objects in an object, those of DSPy's demonstrations alone where there are some."""
    lists: list[list[Any]] = []
    demos: list[list[Any]] = []
    for key, value in found.items():
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            (demos if key == "demos" else lists).append(value)
        elif isinstance(value, dict) and depth < _DEEPEST:
            within = _lists_of_objects(value, depth + 1)
            (demos if "demos" in value else lists).extend(within)
    return demos or lists


def _flat(found: dict[str, Any], place: str) -> dict[str, Cell]:
    """Every value of an object as text, under its path."""
    cells: dict[str, Cell] = {}

    def add(path: str, value: Any, depth: int) -> None:
        if is_chat(value):
            for role, cell in chat_cells(value, place).items():
                cells[f"{path}.{role}"] = cell
        elif isinstance(value, dict) and value and depth < _DEEPEST:
            for key, inner in value.items():
                add(f"{path}.{key}" if path else str(key), inner, depth + 1)
        else:
            cells[path] = _cell(value, f"{place}, field {path!r}")

    add("", found, 0) if found else None
    return cells


def _cell(value: Any, place: str) -> Cell:
    if isinstance(value, bool | int):
        return json.dumps(value)  # true and 1, as a CSV file would hold them
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if not isinstance(value, str):
        found = "null" if value is None else json.dumps(value, default=str)[:60]
        return InputError(place, found, "text in quotes", "Write it as text.")
    try:
        check_whole_letters(value, place)
    except InputError as error:
        return error
    return value.strip()


def names_of(columns: Sequence[str]) -> str:
    """Return names of columns in quotes, for sentences."""
    return " and ".join(f"\u201c{column}\u201d" for column in columns)
