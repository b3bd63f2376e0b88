"""Samples from JSON lines: one object per line, its fields the columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kernelsm.files.header import check_header
from kernelsm.files.json_text import parse_json_object
from kernelsm.files.limits import Limits, check_table_size
from kernelsm.files.text import check_text, check_whole_letters, text_lines
from kernelsm.runtime.errors import InputError
from kernelsm.samples.samples import Column

_LINES = 4096  # objects turned into columns at a time
_LONGEST = 16 * 2**20
_KINDS = {bool: "true/false", int: "a whole number", float: "a number", str: "text", list: "a list"}
_TYPES = {
    "true/false": pa.bool_(), "a whole number": pa.int64(), "a number": pa.float64(), "text": pa.large_string(),
    "nothing": pa.null(),
}  # fmt: skip


def read_lines(
    path: Path, name: str, limits: Limits, most: int | None = None
) -> tuple[dict[str, Column], int | None]:
    """Columns of a file with one JSON object per line; its rows are known only where all are read.

    A field that a line lacks, or that is null, is missing there. Lists of numbers of one length become arrays.

    Raises
    ------
    InputError
        Names the line of the first thing that is wrong, also where a field changes its kind.
    """
    check_text(path, name, None if most is None else _LONGEST)
    columns: dict[str, _Field] = {}
    rows = 0
    for numbers, objects in _blocks(path, name, most):
        for line in objects:
            if not line.keys() <= columns.keys():
                columns |= {key: _Field(key, name, rows) for key in line if key not in columns}
        if len(columns) > limits.columns:
            found, fix = f"more than {limits.columns:,} fields", "Make one list of them."
            raise InputError(f"{name}, line {numbers[-1]:,}", found, f"at most {limits.columns:,}", fix)
        rows += len(objects)
        for key, column in columns.items():
            column.add([line.get(key) for line in objects], numbers)
        # a field that few lines have takes room in all of them in the end
        size = max(sum(column.size for column in columns.values()), 8 * rows * len(columns))
        check_table_size(rows, size, name, limits)
    if not rows:
        raise InputError(name, "no line", "one JSON object per line", "Save the table again.")
    if not columns:
        raise InputError(name, "objects without a field", "one field per column", "Save the table again.")
    check_header(list(columns), name, limits.columns)
    complete = most is None or rows < most
    return {key: column.joined() for key, column in columns.items()}, rows if complete else None


class _Field:
    """One column while the lines come in."""

    def __init__(self, key: str, name: str, missing: int) -> None:
        self.key, self.name = key, name
        self.kind = "nothing"
        self.gap = 1 if missing else 0  # first line without a value
        self.chunks: list[Any] = [pa.nulls(missing)] if missing else []
        self.size = 0

    def add(self, values: list[Any], numbers: list[int]) -> None:
        """Append the values of the lines of these numbers."""
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
        return f"{self.name}, line {line:,}, field {self.key!r}"


def _blocks(path: Path, name: str, most: int | None) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    numbers: list[int] = []
    objects: list[dict[str, Any]] = []
    size = 0
    for read, (number, line) in enumerate(text_lines(path, name, _LONGEST), start=1):
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
    expected, fix = 'one JSON object, such as {"text": "...", "label": 1}', "Write each sample on one line."
    if line.lstrip().startswith("["):
        fix = "Write it as lines: `jq -c '.[]' old.json > new.jsonl`."
    return parse_json_object(line, place, expected, fix)
