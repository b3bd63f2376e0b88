"""Outcome tables from the bytes of files: tables of rows here, NPZ and JSON objects in `table_arrays`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from kernelsm.files.accepting import GZIP, check_content, check_ending, check_size, ending_of, format_of, plain_name
from kernelsm.files.json_text import parse_json_object
from kernelsm.files.limits import Limits, check_table_size, limits
from kernelsm.files.parquet_tables import read_parquet_table
from kernelsm.files.plain_text import plain_text
from kernelsm.files.signatures import GZIP as PACKED_KIND
from kernelsm.files.signatures import JSON, UTF_16
from kernelsm.files.source import open_source
from kernelsm.files.table_read import TableRead
from kernelsm.files.written_tables import PACKED, WRITTEN
from kernelsm.outcomes.table_arrays import read_json, read_lists, read_npz
from kernelsm.runtime.errors import InputError

METADATA_KEY = b"kernelsm"
_ENDINGS = (*WRITTEN, ".parquet", ".npz")


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
    if len(files) != 2 or any(format_of(name, PACKED) != ".json" for name in names):
        found = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "") or "no file"
        expected = "one table, or two JSON lists: the tasks of each subset and its outcomes"
        raise InputError("files", found, expected, "Choose the files of one table.")
    bounds = limits()
    for data, name in files:
        check_size(data, name, bounds.megabytes, "a table", "Send fewer rows.")
    texts = [(*_text(data, name, bounds), name) for data, name in files]
    frame, info, name = read_lists([(data, name) for data, _, name in texts], bounds)
    return frame, info | {"notes": [f"{name}: {note}" for _, notes, name in texts for note in notes]}, name


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
    expected = ".csv, .tsv, .xlsx, .jsonl or .parquet for a table, .npz or .json for arrays"
    unpickle = "Save the table with DataFrame.to_parquet or to_csv instead."
    ending = format_of(name, PACKED)
    plain = plain_name(name) if ending in PACKED else name
    check_ending(plain, _ENDINGS, expected, "Export it in one of these.", unpickle=unpickle)
    if ending == ".parquet":
        frame, info = _read_parquet(data, name, _bounds_of_table(bounds))
    elif ending == ".npz":
        frame, info = read_npz(data, name, bounds)
    else:
        text, notes = _text(data, name, bounds) if ending == ".json" else (b"", ())
        if text and not _holds_rows(text):
            frame, info = read_json(text, name, bounds)
            info["notes"] = list(notes)
        else:
            read = WRITTEN[ending](data, name, _bounds_of_table(bounds), None)
            frame = _frame(_single_values(read, name), len(next(iter(read.columns.values()))), name, bounds)
            info["notes"] = list(read.notes)
    if not isinstance(info.get("higher_is_better", False), bool) or not isinstance(info.get("meta"), dict | None):
        raise InputError(f"{name}, metadata", repr(info)[:80], "what Outcomes.save writes", "Save the file again.")
    return frame, info


def _text(data: bytes, name: str, bounds: Limits) -> tuple[bytes, tuple[str, ...]]:
    """A file's text in UTF-8, unpacked, and what was done to it."""
    kinds = (PACKED_KIND,) if ending_of(name) == GZIP else ("", JSON, UTF_16)
    check_content(data, name, kinds, kinds[0] or JSON, "Name it for what it is, or export the table again.")
    with plain_text(data, name, bounds) as plain, open_source(plain.source) as file:
        return file.read(), plain.notes


def _holds_rows(text: bytes) -> bool:
    """Whether JSON is a list of objects, one for each row, and not the masks and values of `Outcomes`."""
    return re.match(rb"(\xef\xbb\xbf)?\s*\[\s*\{", text) is not None


def _single_values(read: TableRead, name: str) -> dict[str, pa.ChunkedArray]:
    """Columns of a table, none of which may be left out or hold lists."""
    for error in read.left_out.values():
        raise error
    columns = {column: held for column, held in read.columns.items() if not isinstance(held, np.ndarray)}
    if len(columns) < len(read.columns):
        column = next(column for column in read.columns if column not in columns)
        raise InputError(f"{name}, column {column!r}", "lists", "numbers", "Write one number per cell.")
    return columns


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
