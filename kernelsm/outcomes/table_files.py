"""Outcome tables from the bytes of files: CSV and Parquet here, NPZ and JSON in `table_arrays`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pyarrow as pa

from kernelsm.files.accepting import check_ending, check_size, ending_of
from kernelsm.files.csv_tables import read_csv
from kernelsm.files.json_text import parse_json_object
from kernelsm.files.limits import Limits, check_table_size, limits
from kernelsm.files.parquet_tables import read_parquet_table
from kernelsm.outcomes.table_arrays import read_json, read_lists, read_npz
from kernelsm.runtime.errors import InputError

METADATA_KEY = b"kernelsm"
_ENDINGS = (".csv", ".parquet", ".npz", ".json")


def read_files(files: Sequence[tuple[bytes, str]]) -> tuple[pd.DataFrame, dict[str, Any], str]:
    """Read one table from the contents and names of the files that hold it: one file, or two lists in JSON.

    Returns
    -------
    frame, info
        As `read_frame` returns them.
    name : str
        Of the file that rows and columns of the frame are said to be in.

    Raises
    ------
    InputError
        Names the file, row and column of the first thing that is wrong.
    """
    if len(files) == 1:
        data, name = files[0]
        return *read_frame(data, name), name
    names = [name for _, name in files]
    if len(files) != 2 or any(ending_of(name) != ".json" for name in names):
        found = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "") or "no file"
        expected = "one table, or two JSON lists: the tasks of each subset and its outcomes"
        raise InputError("files", found, expected, "Choose the files of one table.")
    bounds = limits()
    for data, name in files:
        check_size(data, name, bounds.megabytes, "a table", "Send fewer rows.")
    return read_lists(files, bounds)


def read_frame(data: bytes, name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a table and what `Outcomes.save` wrote beside it from the bytes of a file.

    Parameters
    ----------
    data : bytes
        Content of the file.
    name : str
        Its name; the ending chooses the format, messages repeat it.

    Returns
    -------
    frame : DataFrame
        With the file's own column names, also where two are equal.
    info : dict
        `higher_is_better`, `meta` and `target_weights`, as far as the file holds them; `notes` on how it was read.

    Raises
    ------
    InputError
        Names the file, row and column of the first thing that is wrong.
    """
    bounds = limits()
    check_size(data, name, bounds.megabytes, "a table", "Send fewer rows.")
    info: dict[str, Any] = {}
    expected = ".csv or .parquet for a table, .npz or .json for arrays"
    unpickle = "Save the table with DataFrame.to_parquet or to_csv instead."
    ending = check_ending(name, _ENDINGS, expected, "Export it in one of these.", unpickle=unpickle)
    if ending == ".csv":
        read = read_csv(data, name, _bounds_of_table(bounds))
        frame = _frame(read.columns, len(next(iter(read.columns.values()))), name, bounds)
        info["notes"] = list(read.notes)
    elif ending == ".parquet":
        frame, info = _read_parquet(data, name, _bounds_of_table(bounds))
    elif ending == ".npz":
        frame, info = read_npz(data, name, bounds)
    else:
        frame, info = read_json(data, name, bounds)
    if not isinstance(info.get("higher_is_better", False), bool) or not isinstance(info.get("meta"), dict | None):
        raise InputError(f"{name}, metadata", repr(info)[:80], "what Outcomes.save writes", "Save the file again.")
    return frame, info


def _bounds_of_table(bounds: Limits) -> Limits:
    """Limits of a table whose columns are tasks and targets."""
    return replace(bounds, columns=min(bounds.columns, bounds.tasks + bounds.targets))


def _frame(columns: Mapping[str, pa.ChunkedArray], rows: int, name: str, bounds: Limits) -> pd.DataFrame:
    """Columns as pandas holds them: each number, true or false will take eight bytes."""
    check_table_size(rows, 8 * rows * len(columns), name, bounds)
    return pd.DataFrame({column: held.to_pandas() for column, held in columns.items()})


def _read_parquet(data: bytes, name: str, bounds: Limits) -> tuple[pd.DataFrame, dict[str, Any]]:
    table, rows = read_parquet_table(data, name, bounds)
    for column, kind in zip(table.column_names, table.schema.types, strict=True):
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        if not (number or pa.types.is_boolean(kind) or _is_text(kind)):
            place = f"{name}, row 1, column '{column}'"
            raise InputError(place, f"values of type {kind}", "numbers", "Write one number per cell.")
    written = (table.schema.metadata or {}).get(METADATA_KEY, b"{}")
    expected, fix = "what Outcomes.save writes", "Save the file again."
    info = parse_json_object(written, f"{name}, metadata", expected, fix)
    return _frame(dict(zip(table.column_names, table.columns, strict=True)), rows, name, bounds), info


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_dictionary(kind)
        or pa.types.is_null(kind)
    )
