"""Samples from Parquet files and from the Arrow streams that Hugging Face datasets are saved as."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kernelsm.files.limits import Limits, check_table_size
from kernelsm.runtime.errors import InputError
from kernelsm.samples.columns import check_names, embedded_features, name_classes, plain_columns
from kernelsm.samples.samples import Column

# rows decoded at a time: what a few stored bytes can repeat without being counted in between
_ROWS = 1024
_WIDTHS = {"BOOLEAN": 0.125, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8}


def read_parquet(
    path: Path, name: str, limits: Limits, most: int | None = None
) -> tuple[dict[str, Column], int | None]:
    """Columns of a Parquet file and the number of its rows; lists of one length become arrays.

    Class numbers get their names where the file was written by Hugging Face datasets. Sizes are checked by the
    metadata before anything is unpacked, and counted again while it is.

    Raises
    ------
    InputError
        Damaged, too large, without rows, or with a column that is no number, true/false, text or list of numbers.
    """
    try:
        with pq.ParquetFile(path) as file:
            rows = file.metadata.num_rows
            _check_metadata(file.metadata, name, limits)
            batches = file.iter_batches(batch_size=min(_ROWS, most or _ROWS))
            table = _collect(file.schema_arrow, batches, name, limits, most)
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        raise _damaged(error, name, "a whole Parquet file") from None
    return name_classes(plain_columns(table, name), embedded_features(table.schema), name), rows


def read_arrow(
    path: Path, name: str, limits: Limits, most: int | None = None, features: object = None
) -> tuple[dict[str, Column], int | None]:
    """Columns of an Arrow stream file; its rows are known only where all are read.

    `features` name the classes (see `name_classes`); without them the file's own do.

    Raises
    ------
    InputError
        As `read_parquet`.
    """
    try:
        with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as stream:
            if len(stream.schema) > limits.columns:
                raise _too_wide(len(stream.schema), name, limits)
            table = _collect(stream.schema, iter(stream), name, limits, most)
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        raise _damaged(error, name, "a whole Arrow stream") from None
    chosen = embedded_features(table.schema) if features is None else features
    rows = table.num_rows if most is None or table.num_rows < most else None
    return name_classes(plain_columns(table, name), chosen, name), rows


def _collect(
    schema: pa.Schema, batches: Iterator[pa.RecordBatch], name: str, limits: Limits, most: int | None
) -> pa.Table:
    check_names(schema.names, name)
    kept, rows, size = [], 0, 0
    for batch in batches:
        batch.validate(full=True)  # offsets in a crafted file could point outside its memory
        rows, size = rows + batch.num_rows, size + batch.nbytes
        check_table_size(rows, size, name, limits)
        kept.append(batch)
        if most is not None and rows >= most:
            break
    if not rows:
        raise InputError(name, "no row", "at least one row", "Save the table again.")
    return pa.Table.from_batches(kept, schema).slice(0, most)


def _check_metadata(metadata: Any, name: str, limits: Limits) -> None:
    columns = metadata.schema.to_arrow_schema().names
    if len(columns) > limits.columns:
        raise _too_wide(len(columns), name, limits)
    stored = needed = 0.0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        stored += group.total_byte_size
        for column in map(group.column, range(group.num_columns)):
            # repeated values take no room in the file, but they do in memory
            needed += column.num_values * _WIDTHS.get(column.physical_type, 4)
    check_table_size(metadata.num_rows, int(max(stored, needed)), name, limits)


def _too_wide(columns: int, name: str, limits: Limits) -> InputError:
    fix = "Leave columns out, or make one list column of them."
    return InputError(name, f"{columns:,} columns", f"at most {limits.columns:,}", fix)


def _damaged(error: Exception, name: str, expected: str) -> InputError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
    return InputError(name, f"a damaged file ({reason})", expected, "Was the transfer cut short? Write it again.")
