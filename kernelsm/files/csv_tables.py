"""The one reader of CSV files, for samples, outcomes and prompts, whatever separates their columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from kernelsm.files.csv_dialect import (
    Dialect,
    check_quotes,
    find_dialect,
    numbered_rows,
    open_text,
    skip_beginning,
)
from kernelsm.files.header import check_header, check_width
from kernelsm.files.limits import Limits, check_table_size
from kernelsm.files.plain_text import plain_text
from kernelsm.files.source import Source, open_source, source_size
from kernelsm.files.table_read import TableRead
from kernelsm.files.text import is_number
from kernelsm.runtime.errors import InputError

_ROWS_OF_A_PART = 10  # at least, on average, of tables that were joined with their indices
BLOCK = 4 * 2**20  # bytes parsed at a time; no row may be longer


def read_csv(
    source: Source, name: str, limits: Limits, max_rows: int | None = None, *, texts: Collection[str] = ()
) -> TableRead:
    """Columns of a CSV or TSV file with a header, in any encoding that `plain_text` reads, gzip'd or not.

    The delimiter is the one of , ; tab and | that splits header and first row into most columns, or that a first line
    such as `sep=;` names; numbers may have a decimal comma where it is ; or a tab. All values of a column decide
    whether it is whole numbers, decimal numbers, true/false or text: its type is that of the first block and, where a
    later value does not fit, that of the whole column. Leading zeros do not make text (007 is the number 7, as in a
    spreadsheet); dates and times are text, and so are whole numbers beyond 64 bits, which keep every digit. An empty
    cell is missing, in columns of numbers also NA, NaN, null and their like. Lines that hold only spaces are no rows.
    Columns without a name are left out where they are empty, or number the rows.

    Parameters
    ----------
    source : Path or bytes
        The file.
    name : str
        Its name, for messages.
    limits : Limits
        Of these `rows`, `columns`, `megabytes` and `unpacked_megabytes`.
    max_rows : int, optional
        Read at most this many of the first rows, and no more than the first 4 MiB hold.
    texts : collection of str, optional
        Columns that are text whatever they hold.

    Raises
    ------
    InputError
        Names the byte, header column or row (from 1 below the header) of the first thing that is wrong.
    """
    with plain_text(source, name, limits, None if max_rows is None else BLOCK) as text:
        file, part = _open_csv(text.source, name, limits, max_rows)
        file = replace(file, texts=frozenset(texts))
        with file.explained():
            _check_names(file.beginning.names, name, limits)
            batches = file.batches(file.first_types())
            if batches is None:
                batches = file.batches(file.all_types()) or []
            rows = sum(batch.num_rows for batch in batches)
            if not rows:
                raise _no_row(name)
            table = file.with_long_numbers(pa.Table.from_batches(batches))
        table, notes = _without_unnamed(table, name, limits)
        if (file.dialect.delimiter, file.dialect.decimal) == ("\t", ","):
            notes = (*notes, "Numbers are read with a decimal comma: 3,7 is 3.7.")
        found = pa.Table.from_batches(map(_without_empty_text, table.to_batches())).slice(0, max_rows)
    columns = {column.strip(): found.column(column) for column in table.column_names}
    return TableRead(columns, None if part else rows, (*text.notes, *notes), encoding=text.encoding)


def read_csv_texts(
    source: Source, name: str, limits: Limits
) -> tuple[tuple[str, ...], Iterator[tuple[int, tuple[str, ...]]]]:
    """Header and rows of a CSV or TSV file, every cell as it is written; see `read_csv`.

    Rows of nothing but empty cells are left out.

    Parameters
    ----------
    source, name, limits
        As of `read_csv`.

    Returns
    -------
    names : tuple of str
        Of the columns, without spaces around them; empty for one without a name. They are not checked.
    rows : iterator of (int, tuple of str)
        The number of each row, from 1 below the header, and its cells without spaces around them.

    Raises
    ------
    InputError
        Names the byte, header or row of the first thing that is wrong.
    """
    file, _ = _open_csv(source, name, limits, None)
    with file.explained():
        header = tuple(column.strip() for column in file.beginning.names)
        check_width(header, name, limits.columns)
        batches = file.batches(dict.fromkeys(file.beginning.names, pa.large_string())) or []
    return header, _texts(batches)


def _texts(batches: list[pa.RecordBatch]) -> Iterator[tuple[int, tuple[str, ...]]]:
    row = 0
    for batch in batches:
        for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            row += 1
            if any(cell.strip() for cell in cells):
                yield row, tuple(cell.strip() for cell in cells)


def _open_csv(source: Source, name: str, limits: Limits, max_rows: int | None) -> tuple[_CsvFile, bool]:
    """Check the quotes of a file of UTF-8; return it, or its beginning, and whether it is only the beginning."""
    with open_source(source) as file:
        head = file.read(BLOCK)
    start, delimiter = skip_beginning(head)
    beginning = head[start:].decode(errors="ignore")
    if not beginning.strip():
        raise _no_row(name)
    dialect = find_dialect(beginning, name, delimiter)
    if max_rows is None or source_size(source) <= len(head):
        return _CsvFile(source, start, name, limits, check_quotes(source, name, dialect, start)), False
    if b'\\"' in head:
        escaped = replace(dialect, escaped=True)
        with suppress(InputError):
            read = _first_rows(source, name, escaped, max_rows, start)
            dialect = check_quotes(read, name, dialect)
    return _CsvFile(_first_rows(source, name, dialect, max_rows, start), 0, name, limits, dialect), True


@dataclass
class _CsvFile:
    source: Source
    start: int  # bytes before the header
    name: str
    limits: Limits
    dialect: Dialect
    texts: frozenset[str] = frozenset()  # columns that are text whatever they hold

    @cached_property
    def beginning(self) -> pa.Schema:
        """The header, and the types of the columns by the first block."""
        with self._open() as reader:
            return reader.schema

    def first_types(self) -> dict[str, pa.DataType]:
        """Types in which the columns are read at first."""
        return self._types(self.beginning)

    def with_long_numbers(self, table: pa.Table) -> pa.Table:
        """The table with columns of whole numbers beyond 64 bits as text: names, which keep every digit."""
        long = [
            name for name, column in zip(table.column_names, table.columns, strict=True)
            if name.strip() and _may_be_long(column)
        ]  # fmt: skip
        if not long:
            return table
        options = self._options(dict.fromkeys(long, pa.large_string()), columns=long)
        texts = pacsv.read_csv(self._input(), *options)
        missing = pa.array(pacsv.ConvertOptions().null_values, pa.large_string())
        for name in long:
            written = texts.column(name)
            known = pc.if_else(pc.is_in(written, missing), "", written)
            if pc.all(pc.match_substring_regex(known, r"^\s*([-+]?\d+)?\s*$")).as_py():
                place = table.column_names.index(name)
                table = table.set_column(place, name, pc.utf8_trim_whitespace(known))
        return table

    def _types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        # several columns may have no name: text is what all of them can be read as
        return {
            column.name: _column_type(column.type)
            if column.name.strip() and column.name not in self.texts
            else pa.large_string()
            for column in schema
        }

    def all_types(self) -> dict[str, pa.DataType]:
        """Types of the columns by all values; half of them at a time, because each value is held twice meanwhile."""
        names = self.beginning.names
        types: dict[str, pa.DataType] = {}
        for half in (names[::2], names[1::2]):
            pa.default_memory_pool().release_unused()
            if half:
                schema = pacsv.read_csv(self._input(), *self._options(columns=half)).schema
                types |= self._types(schema)
        pa.default_memory_pool().release_unused()
        return types

    def batches(self, types: dict[str, pa.DataType]) -> list[pa.RecordBatch] | None:
        """The rows in blocks; None where a value does not fit its column's type."""
        found, rows, size = [], 0, 0
        try:
            with self._open(types) as reader:
                for batch in reader:
                    rows, size = rows + batch.num_rows, size + batch.nbytes
                    check_table_size(rows, size, self.name, self.limits)
                    found.append(batch)
        except pa.ArrowInvalid as error:
            if "conversion error" in str(error):
                return None
            raise
        return found

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn the parser's errors into ones that the owner of the file understands."""
        try:
            yield
        except pa.ArrowInvalid as error:
            raise self._explained(str(error).splitlines()[0]) from None

    def _explained(self, message: str) -> InputError:
        if "Empty CSV" in message:
            return _no_row(self.name)
        if "straddl" in message:
            return _too_long(self.name)
        if ragged := re.search(r"Expected (\d+) columns, got (\d+)", message):
            place = f"{self.name}{_ragged_row(self.source, self.dialect, self.start)}"
            found = f"{ragged[2]} cell{'s' if ragged[2] != '1' else ''}"
            expected = f"{ragged[1]} as in the header, parted by {self.dialect.delimiter!r}"
            fix = "Check the delimiters in this row; put quotes around a text that holds one."
            return InputError(place, found, expected, fix)
        expected = "a table of columns with a header"
        return InputError(self.name, message[:120], expected, "Export the table again.")

    def _input(self) -> pa.NativeFile:
        # opened here: from a path ending in .gz the parser would unpack without a limit
        file = pa.OSFile(str(self.source)) if isinstance(self.source, Path) else pa.BufferReader(self.source)
        file.seek(self.start)  # otherwise a line of spaces would be the header
        return file

    def _open(self, types: dict[str, pa.DataType] | None = None) -> pacsv.CSVStreamingReader:
        return pacsv.open_csv(self._input(), *self._options(types))

    def _options(
        self, types: dict[str, pa.DataType] | None = None, columns: list[str] | None = None
    ) -> tuple[pacsv.ReadOptions, pacsv.ParseOptions, pacsv.ConvertOptions]:
        return (
            pacsv.ReadOptions(block_size=BLOCK),
            pacsv.ParseOptions(
                delimiter=self.dialect.delimiter,
                newlines_in_values=True,
                invalid_row_handler=_skip_blank,
                double_quote=not self.dialect.escaped,
                escape_char="\\" if self.dialect.escaped else False,
            ),
            pacsv.ConvertOptions(
                column_types=types,
                include_columns=columns,
                decimal_point=self.dialect.decimal,
                # not 1 and 0: a column of 1, 0 and true is text
                true_values=["true", "True", "TRUE"],
                false_values=["false", "False", "FALSE"],
            ),
        )


def _check_names(names: list[str], name: str, limits: Limits) -> None:
    fix = "Write the names of the columns in the first row."
    if not any(column.strip() for column in names):
        raise InputError(f"{name}, header", "no name at all", "a name for each column", fix)
    named = [column for column in names if column.strip()]
    check_header([column.strip() or _nameless(place) for place, column in enumerate(names)], name, limits.columns)
    if all(map(is_number, named)) and not all(column.strip().isdigit() for column in named):
        raise InputError(f"{name}, header", f"numbers ({', '.join(named[:3])})", "names", fix)


def _nameless(place: int) -> str:
    """What stands for a column without a name until its values are known; no header can hold it."""
    return f"\n{place}"


def _skip_blank(row: pacsv.InvalidRow) -> str:
    """Tell the parser to skip lines of spaces, and to fail on other rows with a wrong number of cells."""
    return "error" if row.text.strip() else "skip"


def _may_be_long(column: pa.ChunkedArray) -> bool:
    """Whether a column of decimal numbers has one so large that it may be a whole number of too many digits."""
    if not pa.types.is_float64(column.type):
        return False
    largest = pc.max(pc.abs(column)).as_py()
    return largest is not None and largest >= 2**53


def _without_unnamed(table: pa.Table, name: str, limits: Limits) -> tuple[pa.Table, tuple[str, ...]]:
    """The table without columns that have no name and no value, or number the rows, and a note on each."""
    notes = []
    names = table.column_names
    for place in reversed(range(table.num_columns)):
        if names[place].strip():
            continue
        cells = pc.utf8_trim_whitespace(table.column(place))
        if pc.all(pc.equal(cells, "")).as_py():
            words = "has neither a name nor a value"
        elif place == 0 and _number_rows(cells):
            words = "has no name and numbers the rows, as pandas writes its index"
        else:
            continue
        names[place] = _nameless(place)
        table = table.remove_column(place)
        notes.append(f"Column {place + 1} {words}: it is left out.")
    check_header(names, name, limits.columns)
    return table, tuple(reversed(notes))


def _number_rows(cells: pa.ChunkedArray) -> bool:
    """Whether whole numbers are all different, or go up again and again, as the index of joined tables does."""
    if not pc.all(pc.match_substring_regex(cells, r"^\d{1,18}$")).as_py():
        return False
    numbers = pc.cast(cells, pa.int64())
    if pc.count_distinct(numbers).as_py() == len(numbers):
        return True
    starts = pc.sum(pc.less_equal(pc.pairwise_diff(numbers.combine_chunks(), 1), 0)).as_py() or 0
    return starts <= len(numbers) // _ROWS_OF_A_PART


def _first_rows(source: Source, name: str, dialect: Dialect, max_rows: int, start: int) -> bytes:
    """The header and the first rows: at most `max_rows`, and as many as a block holds."""
    lines: list[str] = []
    size = 0

    def until_block_is_full() -> Iterator[str]:
        nonlocal size
        while line := text.readline(BLOCK):
            size += len(line)
            if size > BLOCK:
                return
            lines.append(line)
            yield line

    ends: list[int] = []  # lines up to the end of each row: a quoted cell may hold several
    with open_text(source, start) as text:
        rows = numbered_rows(dialect.rows(until_block_is_full()))
        with suppress(csv.Error):
            for _ in islice(rows, max_rows + 1):
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


def _ragged_row(source: Source, dialect: Dialect, start: int) -> str:
    """Number of the first row with too many or too few cells, which the parser does not report."""
    columns = 0
    with open_text(source, start) as text, suppress(csv.Error):
        for row, cells in numbered_rows(dialect.rows(text)):
            columns = columns or len(cells)
            if len(cells) != columns:
                return f", row {row:,}"
    return ""


def _column_type(kind: pa.DataType) -> pa.DataType:
    """The type as which a column is read when the parser infers `kind`."""
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
