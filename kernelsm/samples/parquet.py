"""Samples from Parquet files and from the Arrow streams that Hugging Face datasets are saved as."""

from __future__ import annotations

from pathlib import Path

from kernelsm.files.limits import Limits
from kernelsm.files.parquet_tables import read_arrow_table, read_parquet_table
from kernelsm.samples.columns import embedded_features, name_classes, plain_columns
from kernelsm.samples.samples import Column


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
    table, rows = read_parquet_table(path, name, limits, most)
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
    table = read_arrow_table(path, name, limits, most)
    chosen = embedded_features(table.schema) if features is None else features
    rows = table.num_rows if most is None or table.num_rows < most else None
    return name_classes(plain_columns(table, name), chosen, name), rows
