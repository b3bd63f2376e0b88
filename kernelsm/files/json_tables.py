"""Tables from JSON: one object per line, or a list of objects, whose fields are the columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kernelsm.files.header import check_header
from kernelsm.files.json_text import JsonError, parse_json, parse_json_object
from kernelsm.files.limits import Limits, check_megabytes, check_table_size
from kernelsm.files.plain_text import PlainText, plain_text
from kernelsm.files.source import Source, open_source, source_size
from kernelsm.files.table_read import Column, TableRead, keep_readable
from kernelsm.files.text import check_whole_letters, text_lines
from kernelsm.runtime.errors import InputError

_LINES = 4096  # objects turned into columns at a time
_MOST_LIST = 64  # MiB: all of it is in memory at once, as a multiple of its size
_MOST_MARKS = 4_000_000  # objects, and lists, of such a file: each takes many times its two letters in memory
_LIST = 'a list of objects, such as [{"text": "...", "label": 1}]'
_AS_LINES = "Write one object per line (.jsonl), as DataFrame.to_json(orient='records', lines=True) does."
_LONGEST = 16 * 2**20
_LONG = 2**63  # whole numbers from here on are names
_KINDS = {bool: "true/false", int: "a whole number", float: "a number", str: "text", list: "a list"}
_TYPES = {
    "true/false": pa.bool_(), "a whole number": pa.int64(), "a number": pa.float64(), "text": pa.large_string(),
    "nothing": pa.null(),
}  # fmt: skip


def read_lines(source: Source, name: str, limits: Limits, most: int | None = None) -> TableRead:
    """Columns of a file with one JSON object per line; its rows are known only where all are read.

    A field that a line lacks, or that is null, is missing there. Lists of numbers of one length become arrays, and
    whole numbers beyond 64 bits text, which keeps every digit. Fields that hold objects or other lists, or change
    their kind, are left out.

    Raises
    ------
    InputError
        Names the line of the first thing that is wrong, or all fields are left out.
    """
    with plain_text(source, name, limits, None if most is None else _LONGEST) as text:
        read = read_objects(_blocks(text.source, name, most), name, limits)
    complete = most is None or (read.rows or 0) < most
    return replace(read, rows=read.rows if complete else None, notes=text.notes, encoding=text.encoding)


def read_objects(
    blocks: Iterable[tuple[list[int], list[dict[str, Any]]]], name: str, limits: Limits, *, word: str = "line"
) -> TableRead:
    """Columns of objects that come in blocks, each with the numbers of its lines, which messages call by `word`."""
    columns: dict[str, _Field] = {}
    rows = 0
    for numbers, objects in blocks:
        for line in objects:
            if not line.keys() <= columns.keys():
                columns |= {key: _Field(key, name, word, rows) for key in line if key not in columns}
        if len(columns) > limits.columns:
            found, fix = f"more than {limits.columns:,} fields", "Make one list of them."
            raise InputError(f"{name}, {word} {numbers[-1]:,}", found, f"at most {limits.columns:,}", fix)
        rows += len(objects)
        for key, column in columns.items():
            column.add([line.get(key) for line in objects], numbers)
        # a field that few lines have takes room in all of them in the end
        size = max(sum(column.size for column in columns.values()), 8 * rows * len(columns))
        check_table_size(rows, size, name, limits)
    if not rows:
        raise InputError(name, f"no {word}", f"one JSON object per {word}", "Save the table again.")
    if not columns:
        raise InputError(name, "objects without a field", "one field per column", "Save the table again.")
    check_header(list(columns), name, limits.columns)
    left_out = {key: column.fault for key, column in columns.items() if column.fault}
    kept = {key: column.joined() for key, column in columns.items() if not column.fault}
    return TableRead(keep_readable(kept, left_out), rows, left_out=left_out)


def read_list(source: Source, name: str, limits: Limits, most: int | None = None) -> TableRead:
    """Columns of a JSON file that holds one list of objects, as `DataFrame.to_json(orient="records")` writes it.

    See `read_lines`.

    Raises
    ------
    InputError
        No list of objects, a file of more than 64 MiB, or what `read_lines` refuses.
    """
    found, text = list_of_objects(source, name, limits, most)
    rows = found[:most]
    blocks = (
        (list(range(start + 1, stop + 1)), rows[start:stop])
        for start in range(0, len(rows), _LINES)
        for stop in [min(start + _LINES, len(rows))]
    )
    read = read_objects(blocks, name, limits, word="row")
    return replace(read, rows=len(found), notes=text.notes, encoding=text.encoding)


def list_of_objects(
    source: Source, name: str, limits: Limits, most: int | None = None
) -> tuple[list[dict[str, Any]], PlainText]:
    """Objects of a JSON file that holds one list of them, and what was done to its text, whose copy is gone.

    Only the first `most` are known to be objects.

    Raises
    ------
    InputError
        No list of objects, or a file of more than 64 MiB.
    """
    found, text = json_value(source, name, limits)
    if not isinstance(found, list):
        raise InputError(name, f"a JSON {'object' if isinstance(found, dict) else 'value'}", _LIST, _AS_LINES)
    for row, one in enumerate(found[:most], start=1):
        if not isinstance(one, dict):
            raise InputError(f"{name}, row {row:,}", "no object", _LIST, _AS_LINES)
    return found, text


def json_value(source: Source, name: str, limits: Limits) -> tuple[Any, PlainText]:
    """What a JSON file holds, and what was done to its text, whose copy is gone.

    Raises
    ------
    InputError
        No JSON, a file of more than 64 MiB, or millions of objects.
    """
    with plain_text(source, name, limits) as text:
        check_megabytes(source_size(text.source), name, min(limits.megabytes, _MOST_LIST), _AS_LINES)
        with open_source(text.source) as file:
            content = file.read()
    for mark in (b"{", b"["):
        if (count := content.count(mark)) > _MOST_MARKS:
            raise InputError(name, f"{count:,} times {mark.decode()!r}", f"at most {_MOST_MARKS:,}", _AS_LINES)
    try:
        return parse_json(content), text
    except JsonError as error:
        raise InputError(name, f"no JSON ({str(error)[:160]})", _LIST, _AS_LINES) from None


class _Field:
    """One column while the lines come in."""

    def __init__(self, key: str, name: str, word: str, missing: int) -> None:
        self.key, self.name, self.word = key, name, word
        self.kind = "nothing"
        self.fault: InputError | None = None  # why the field is left out
        self.gap = 1 if missing else 0  # first line without a value
        self.chunks: list[Any] = [pa.nulls(missing)] if missing else []
        self.size = 0

    def add(self, values: list[Any], numbers: list[int]) -> None:
        """Append the values of the lines of these numbers, unless the field is left out."""
        if self.fault:
            return
        try:
            self._add(values, numbers)
        except InputError as error:
            self.fault, self.chunks, self.size = error, [], 0

    def _add(self, values: list[Any], numbers: list[int]) -> None:
        kinds = dict.fromkeys(map(type, values))
        for kind in kinds:
            if kind is not type(None):
                self._settle(kind, values, numbers)
        if type(None) in kinds:
            self.gap = self.gap or numbers[values.index(None)]
        if self.kind == "a list":
            if self.gap:
                raise self._wrong(self.gap, "no list", "a list, as in other lines", "Leave the line out.")
            chunk = self._array(values, numbers)
        else:
            chunk = self._values(values, numbers)
        self.chunks.append(chunk)
        self.size += chunk.nbytes

    def joined(self) -> Column:
        """The whole column."""
        if self.kind == "a list":
            return np.concatenate(self.chunks)
        kind = _TYPES[self.kind]
        if self.kind == "a whole number" and any(pa.types.is_large_string(chunk.type) for chunk in self.chunks):
            kind = pa.large_string()
        return pa.chunked_array([chunk.cast(kind, safe=False) for chunk in self.chunks], kind)

    def _settle(self, kind: type, values: list[Any], numbers: list[int]) -> None:
        found = _KINDS.get(kind, "an object")
        if self.kind == "nothing" and kind in _KINDS:
            self.kind = found
        elif {self.kind, found} == {"a whole number", "a number"}:
            self.kind = "a number"
        elif self.kind != found:
            line = numbers[next(i for i, value in enumerate(values) if type(value) is kind)]
            if kind is dict:
                fix = "Give each nested field a name of its own at the top."
                raise self._wrong(line, "a nested object", "a number, true/false, text or a list", fix)
            raise self._wrong(
                line, found, f"{self.kind}, as in earlier lines", "Write the field alike in every line."
            )

    def _values(self, values: list[Any], numbers: list[int]) -> pa.Array:
        if self.kind == "a whole number" and any(
            not -_LONG <= value < _LONG for value in values if value is not None
        ):
            return pa.array([None if value is None else str(value) for value in values], pa.large_string())
        try:
            return pa.array(values, _TYPES[self.kind])
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            for number, value in zip(numbers, values, strict=True):
                try:
                    pa.array([value], _TYPES[self.kind])
                except UnicodeEncodeError:
                    check_whole_letters(value, self._place(number))
                except (pa.ArrowException, OverflowError):
                    fix = "Store it as text."
                    raise self._wrong(number, f"{value:.6g}", f"{self.kind} of 64 bits", fix) from None
            raise

    def _array(self, values: list[Any], numbers: list[int]) -> NDArray[Any]:
        try:
            found = np.array(values)
        except ValueError:
            found = np.empty(0, dtype=object)
        first = self.chunks[0].shape[1:] if self.chunks else found.shape[1:]
        if found.dtype.kind in "biuf" and found.shape[1:] == first and 0 not in first:
            return found
        if not self.chunks:
            first = self._row(values[0], numbers[0]).shape
        for number, value in zip(numbers, values, strict=True):
            row = self._row(value, number)
            if row.shape != first:
                sizes = [" x ".join(map(str, shape)) for shape in (row.shape, first)]
                fix = "Cut or pad the lists to one length."
                raise self._wrong(number, f"a list of {sizes[0]}", f"{sizes[1]}, as in earlier lines", fix)
        raise self._wrong(numbers[0], "lists of different things", "numbers only", "Write numbers only.")

    def _row(self, value: list[Any], number: int) -> NDArray[Any]:
        try:
            row = np.array(value)
        except ValueError:
            row = np.empty(0, dtype=object)
        if row.dtype.kind not in "biuf" or not row.size:
            fix = "Write words as one text, and lists of lists with equal lengths."
            raise self._wrong(number, "a list of something else than numbers", "numbers, in lists of one length", fix)
        return row

    def _wrong(self, line: int, found: str, expected: str, fix: str) -> InputError:
        return InputError(self._place(line), found, expected, fix)

    def _place(self, line: int) -> str:
        return f"{self.name}, {self.word} {line:,}, field {self.key!r}"


def _blocks(source: Source, name: str, most: int | None) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    numbers: list[int] = []
    objects: list[dict[str, Any]] = []
    size = 0
    for read, (number, line) in enumerate(text_lines(source, name, _LONGEST), start=1):
        numbers.append(number)
        objects.append(_object(line, f"{name}, line {number:,}"))
        size += len(line)
        if len(objects) == _LINES or size > _LONGEST or read == most:
            yield numbers, objects
            numbers, objects, size = [], [], 0
        if read == most:
            return
    if objects:
        yield numbers, objects


def _object(line: str, place: str) -> dict[str, Any]:
    expected, fix = 'one JSON object, such as {"text": "...", "label": 1}', "Write each row on one line."
    if line.lstrip().startswith("["):
        fix = "Write it as lines: `jq -c '.[]' old.json > new.jsonl`."
    return parse_json_object(line, place, expected, fix)
