"""Samples from CSV files: columns parted by comma, semicolon or tab, read in blocks."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from kernelsm.files.accepting import ending_of
from kernelsm.files.limits import Limits, check_table_size
from kernelsm.files.text import check_quotes, check_text, is_number
from kernelsm.runtime.errors import InputError
from kernelsm.samples.columns import check_names
from kernelsm.samples.samples import Column

BLOCK = 4 * 2**20  # bytes parsed at a time; no row may be longer


def read_csv(path: Path, name: str, limits: Limits, most: int | None = None) -> tuple[dict[str, Column], int | None]:
    """Columns of a CSV or TSV file with a header.

    The delimiter is the one of , ; and tab that parts the header into most columns; where it is ; numbers may have a
    decimal comma. A column is whole numbers, decimal numbers, true/false or text by all of its values: its type is
    that of the first block and, where a later value does not fit, that of the whole column. Leading zeros do not
    make text (007 is the number 7, as in a spreadsheet); dates and times are text. An empty cell is missing, in
    columns of numbers also NA, NaN, null and their like.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Its name, for messages.
    limits : Limits
        Of these `rows`, `columns` and `unpacked_megabytes`.
    most : int, optional
        Read the first rows only: at most so many, and no more than the first 4 MiB hold.

    Returns
    -------
    columns : dict of str to ChunkedArray
    rows : int or None
        Rows of the whole file, None where only its beginning was read.

    Raises
    ------
    InputError
        Names the byte, header column or row (from 1 below the header) of the first thing that is wrong.
    """
    with path.open("rb") as file:
        head = file.read(BLOCK)
    part = most is not None and path.stat().st_size > len(head)
    check_text(path, name, BLOCK if part else None)
    delimiter, decimal = _dialect(head.decode("utf-8-sig", errors="ignore"), name)
    if not part:
        check_quotes(path, name, delimiter)
    source = _first_rows(path, name, delimiter, most) if part and most is not None else path
    table = _Csv(source, name, limits, delimiter, decimal)
    try:
        batches = table.batches(table.first_types())
        if batches is None:
            batches = table.batches(table.all_types()) or []
    except pa.ArrowInvalid as error:
        raise table.explained(error, path) from None
    rows = sum(batch.num_rows for batch in batches)
    if not rows:
        raise _no_row(name)
    read = pa.Table.from_batches(batches).slice(0, most)
    return {column.strip(): read.column(column) for column in read.column_names}, None if part else rows


@dataclass
class _Csv:
    source: Path | bytes
    name: str
    limits: Limits
    delimiter: str
    decimal: str

    def first_types(self) -> dict[str, pa.DataType]:
        """Types of the columns by the first block, once the header is found in order."""
        with self._open() as reader:
            schema = reader.schema
        if len(schema) > self.limits.columns:
            found, fix = f"{len(schema):,} columns", "Leave columns out, or save arrays as .npz."
            raise InputError(f"{self.name}, header", found, f"at most {self.limits.columns:,}", fix)
        if not any(column.strip() for column in schema.names):
            fix = "Write the names of the columns in the first row."
            raise InputError(f"{self.name}, header", "no name at all", "a name for each column", fix)
        check_names([column.strip() for column in schema.names], self.name)
        if all(map(is_number, schema.names)) and not all(column.strip().isdigit() for column in schema.names):
            fix = "Write the names of the columns in the first row."
            raise InputError(f"{self.name}, header", f"numbers ({', '.join(schema.names[:3])})", "names", fix)
        return {column.name: _settled(column.type) for column in schema}

    def all_types(self) -> dict[str, pa.DataType]:
        """Types of the columns by all values; half of them at a time, because each value is held twice meanwhile."""
        names = list(self.first_types())
        types: dict[str, pa.DataType] = {}
        for half in (names[::2], names[1::2]):
            pa.default_memory_pool().release_unused()
            if half:
                schema = pacsv.read_csv(self._input(), *self._options(columns=half)).schema
                types |= {column.name: _settled(column.type) for column in schema}
        pa.default_memory_pool().release_unused()
        return types

    def batches(self, types: dict[str, pa.DataType]) -> list[pa.RecordBatch] | None:
        """The rows in blocks, empty text as null; None where a value does not fit its column's type."""
        found, rows, size = [], 0, 0
        try:
            with self._open(types) as reader:
                for batch in reader:
                    rows, size = rows + batch.num_rows, size + batch.nbytes
                    check_table_size(rows, size, self.name, self.limits)
                    found.append(_without_empty_text(batch))
        except pa.ArrowInvalid as error:
            if "conversion error" in str(error):
                return None
            raise
        return found

    def explained(self, error: pa.ArrowInvalid, path: Path) -> InputError:
        """What the parser's error means for the owner of the file."""
        message = str(error).splitlines()[0]
        if "Empty CSV" in message:
            return _no_row(self.name)
        if "straddl" in message:
            return _too_long(self.name)
        if ragged := re.search(r"Expected (\d+) columns, got (\d+)", message):
            place = f"{self.name}{_ragged_row(path, self.delimiter)}"
            found = f"{ragged[2]} cell{'s' if ragged[2] != '1' else ''}"
            expected = f"{ragged[1]} as in the header, parted by {self.delimiter!r}"
            return InputError(place, found, expected, "Check the delimiters and quotes in this row.")
        expected = "a table of columns with a header"
        return InputError(self.name, message[:120], expected, "Export the table again.")

    def _input(self) -> pa.NativeFile:
        # opened here: from a path ending in .gz the parser would unpack without a limit
        return pa.OSFile(str(self.source)) if isinstance(self.source, Path) else pa.BufferReader(self.source)

    def _open(self, types: dict[str, pa.DataType] | None = None) -> pacsv.CSVStreamingReader:
        return pacsv.open_csv(self._input(), *self._options(types))

    def _options(
        self, types: dict[str, pa.DataType] | None = None, columns: list[str] | None = None
    ) -> tuple[pacsv.ReadOptions, pacsv.ParseOptions, pacsv.ConvertOptions]:
        return (
            pacsv.ReadOptions(block_size=BLOCK),
            pacsv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            pacsv.ConvertOptions(
                column_types=types,
                include_columns=columns,
                decimal_point=self.decimal,
                # not 1 and 0: a column of 1, 0 and true is text
                true_values=["true", "True", "TRUE"],
                false_values=["false", "False", "FALSE"],
            ),
        )


def _first_rows(path: Path, name: str, delimiter: str, most: int) -> bytes:
    """The header and the first rows, at most `most` of them and as many as a block holds."""
    lines: list[str] = []
    size = 0

    def until_block_is_full() -> Iterator[str]:
        nonlocal size
        while line := file.readline(BLOCK):
            size += len(line)
            if size > BLOCK:
                return
            lines.append(line)
            yield line

    ends: list[int] = []  # lines up to the end of each row: a quoted cell may hold several
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(until_block_is_full(), delimiter=delimiter)
        with suppress(csv.Error):
            for _ in islice(reader, most + 1):
                ends.append(len(lines))
    if size > BLOCK:
        ends = ends[:-1]  # the block may end within the row
    if len(ends) < 2:
        raise _too_long(name)
    return "".join(lines[: ends[-1]]).encode()


def _no_row(name: str) -> InputError:
    return InputError(name, "no row below the header", "at least one row", "Save the table again.")


def _too_long(name: str) -> InputError:
    found = f"a row longer than {BLOCK // 2**20} MiB, or a quote that is not closed"
    return InputError(name, found, "shorter rows", "Check the quotes.")


def _ragged_row(path: Path, delimiter: str) -> str:
    """Number of the first row with too many or too few cells, which the parser does not tell."""
    rows, header = -1, 0
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as file, suppress(csv.Error):
        for cells in csv.reader(file, delimiter=delimiter):
            rows += bool(cells)
            header = header or len(cells)
            if cells and len(cells) != header:
                return f", row {rows:,}"
    return ""


def _dialect(head: str, name: str) -> tuple[str, str]:
    """Delimiter and decimal point by the beginning of the file."""
    cells = {}
    for delimiter in "\t,;" if ending_of(name) == ".tsv" else ",;\t":
        with suppress(csv.Error):
            rows = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
            cells[delimiter] = len(next((row for row in rows if row), []))
    chosen = max(cells, key=lambda delimiter: cells[delimiter], default=",")
    # a spreadsheet writes ; between columns where the comma is taken by the numbers
    comma = chosen == ";" and re.search(r"(^|;)[-+]?\d+,\d+(;|\r?$)", head, re.MULTILINE)
    return chosen, "," if comma else "."


def _settled(kind: pa.DataType) -> pa.DataType:
    """The type a column is read as where the parser proposes `kind`."""
    plain = (
        pa.types.is_null(kind) or pa.types.is_int64(kind) or pa.types.is_float64(kind) or pa.types.is_boolean(kind)
    )
    return kind if plain else pa.large_string()


def _without_empty_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [
        pc.if_else(pc.equal(column, ""), None, column) if pa.types.is_large_string(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
