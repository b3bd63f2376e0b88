"""The one reader of Parquet files and Arrow streams: sizes are checked before and while anything is unpacked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kernelsm.files.header import check_header
from kernelsm.files.limits import Limits, check_table_size
from kernelsm.files.source import Source
from kernelsm.runtime.errors import InputError

# rows decoded between two checks of the size: a few stored bytes can repeat a value many times
_ROWS_AT_ONCE = 1024
_WIDTHS = {"BOOLEAN": 0.125, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8}


def read_parquet_table(
    source: Source, name: str, limits: Limits, max_rows: int | None = None
) -> tuple[pa.Table, int]:
    """Read a Parquet file, or its first rows.

    Parameters
    ----------
    source : Path or bytes
        The file.
    name : str
        Its name, for messages.
    limits : Limits
        Of these `rows`, `columns` and `unpacked_megabytes`.
    max_rows : int, optional
        Rows to read; all where not given.

    Returns
    -------
    table : Table
    rows : int
        Of the whole file.

    Raises
    ------
    InputError
        Damaged, too large, without rows, or with two columns of one name.
    """
    opened = source if isinstance(source, Path) else pa.BufferReader(source)
    with _damage_as_input_error(name, "a whole Parquet file"), pq.ParquetFile(opened) as file:
        _check_metadata(file.metadata, name, limits)
        # Arrow's threads may abort the process when it ends (github.com/apache/arrow/issues/34314)
        batches = file.iter_batches(batch_size=min(_ROWS_AT_ONCE, max_rows or _ROWS_AT_ONCE), use_threads=False)
        # metadata that programs write beside the columns is in the footer, and not always in the schema
        metadata = {**(file.schema_arrow.metadata or {}), **(file.metadata.metadata or {})}
        metadata.pop(b"ARROW:schema", None)
        schema = file.schema_arrow.with_metadata(metadata)
        return _checked_table(schema, batches, name, limits, max_rows), file.metadata.num_rows


def read_arrow_table(path: Path, name: str, limits: Limits, max_rows: int | None = None) -> pa.Table:
    """Read an Arrow stream file, or its first rows; see `read_parquet_table`.

    Raises
    ------
    InputError
        As `read_parquet_table`.
    """
    explained = _damage_as_input_error(name, "a whole Arrow stream")
    with explained, pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as stream:
        return _checked_table(stream.schema, iter(stream), name, limits, max_rows)


def _checked_table(
    schema: pa.Schema, batches: Iterator[pa.RecordBatch], name: str, limits: Limits, max_rows: int | None
) -> pa.Table:
    check_header(schema.names, name, limits.columns)
    kept, rows, size = [], 0, 0
    for batch in batches:
        batch.validate(full=True)  # offsets in a crafted file could point outside its memory
        rows, size = rows + batch.num_rows, size + batch.nbytes
        check_table_size(rows, size, name, limits)
        kept.append(batch)
        if max_rows is not None and rows >= max_rows:
            break
    if not rows:
        raise InputError(name, "no row", "at least one row", "Save the table again.")
    found = pa.Table.from_batches(kept).slice(0, max_rows)
    return found.replace_schema_metadata(schema.metadata)


def _check_metadata(metadata: Any, name: str, limits: Limits) -> None:
    check_header(metadata.schema.to_arrow_schema().names, name, limits.columns)
    stored = needed = 0.0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        stored += group.total_byte_size
        for column in map(group.column, range(group.num_columns)):
            # repeated values take no room in the file, but they do in memory
            needed += column.num_values * _WIDTHS.get(column.physical_type, 4)
    check_table_size(metadata.num_rows, int(max(stored, needed)), name, limits)


@contextmanager
def _damage_as_input_error(name: str, expected: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        fix = "Was the transfer cut short? Write it again."
        raise InputError(name, f"a damaged file ({reason})", expected, fix) from None
