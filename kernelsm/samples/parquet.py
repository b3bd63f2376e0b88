"""Samples from Parquet files and from the Arrow streams that Hugging Face datasets are saved as."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from kernelsm.files.limits import Limits
from kernelsm.files.parquet_tables import read_arrow_table, read_parquet_table
from kernelsm.files.table_read import TableRead
from kernelsm.samples.columns import embedded_features, name_classes, pandas_index, plain_columns


def read_parquet(path: Path, name: str, limits: Limits, most: int | None = None) -> TableRead:
    """Columns of a Parquet file; lists of one length become arrays.

    Class numbers get their names where the file was written by Hugging Face datasets. Sizes are checked by the
    metadata before anything is unpacked, and counted again while it is. Columns that are no numbers, true/false, text
    or lists of numbers are left out.

    Raises
    ------
    InputError
        Damaged, too large, without rows, or without a column that can be read.
    """
    table, rows = read_parquet_table(path, name, limits, most)
    return _read(table, rows, name, embedded_features(table.schema))


def read_arrow(path: Path, name: str, limits: Limits, most: int | None = None, features: object = None) -> TableRead:
    """Columns of an Arrow stream file; its rows are known only where all are read.

    `features` name the classes (see `name_classes`); without them the file's own do.

    Raises
    ------
    InputError
        As `read_parquet`.
    """
    table = read_arrow_table(path, name, limits, most)
    chosen = embedded_features(table.schema) if features is None else features
    rows = table.num_rows if most is None or table.num_rows < most else None
    return _read(table, rows, name, chosen)


def _read(table: pa.Table, rows: int | None, name: str, features: object) -> TableRead:
    columns, left_out = plain_columns(table, name)
    return TableRead(name_classes(columns, features, name), rows, left_out=left_out, index=pandas_index(table.schema))
