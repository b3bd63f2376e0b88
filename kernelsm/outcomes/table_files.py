"""Outcome tables from the bytes of files: CSV and Parquet here, NPZ and JSON in `table_arrays`."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from kernelsm.files.accepting import check_ending, check_size, ending_of
from kernelsm.files.json_text import parse_json_object
from kernelsm.files.limits import limits
from kernelsm.outcomes.table_arrays import read_json, read_lists, read_npz
from kernelsm.outcomes.table_validation import MAX_ROWS, MAX_TARGETS, MAX_TASKS
from kernelsm.runtime.errors import InputError

METADATA_KEY = b"kernelsm"
MAX_BYTES = 200 * 2**20
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
    for data, name in files:
        check_size(data, name, MAX_BYTES // 2**20, "a table", "Send fewer rows.")
    return read_lists(files)


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
        `higher_is_better` and `meta`, as far as the file holds them.

    Raises
    ------
    InputError
        Names the file, row and column of the first thing that is wrong.
    """
    check_size(data, name, MAX_BYTES // 2**20, "a table", "Send fewer rows.")
    info: dict[str, Any] = {}
    expected = ".csv or .parquet for a table, .npz or .json for arrays"
    unpickle = "Save the table with DataFrame.to_parquet or to_csv instead."
    ending = check_ending(name, _ENDINGS, expected, "Export it in one of these.", unpickle=unpickle)
    if ending == ".csv":
        frame = _read_csv(data, name)
    elif ending == ".parquet":
        frame, info = _read_parquet(data, name)
    elif ending == ".npz":
        frame, info = read_npz(data, name, limits())
    else:
        frame, info = read_json(data, name)
    if not isinstance(info.get("higher_is_better", False), bool) or not isinstance(info.get("meta"), dict | None):
        raise InputError(f"{name}, metadata", repr(info)[:80], "what Outcomes.save writes", "Save the file again.")
    return frame, info


def _read_csv(data: bytes, name: str) -> pd.DataFrame:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"a byte that is not UTF-8 text at position {error.start:,}"
        raise InputError(
            name, found, "a CSV file in UTF-8", "Is it another kind of file? Export it as CSV."
        ) from None
    if "\0" in text:
        raise InputError(name, "binary data (NUL bytes)", "a CSV file in UTF-8", "Export the table as CSV.")
    lines = io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"))
    reader = csv.reader(lines)
    header: list[str] = []
    header_ends = rows = 0
    try:
        # pandas would rename the second of two equal names and pad short rows: cells are counted here
        for cells in reader:
            if not any(cell.strip() for cell in cells) and len(cells) <= 1:
                continue
            if not header:
                header, header_ends = cells, reader.line_num
                _check_header(header, name)
                continue
            rows += 1
            if len(cells) != len(header):
                found = f"{len(cells)} cell{'s' if len(cells) != 1 else ''}"
                fix = "Check commas and quotes in this row."
                raise InputError(f"{name}, row {rows}", found, f"{len(header)}, as in the header", fix)
    except csv.Error as error:
        raise InputError(
            f"{name}, row {rows + 1}" if header else f"{name}, header",
            str(error),
            "comma-separated values",
            "Check its quotes.",
        ) from None
    if not rows:
        return pd.DataFrame(columns=header)
    lines.seek(0)
    try:
        frame = pd.read_csv(lines, header=None, skiprows=header_ends, names=range(len(header)), index_col=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OverflowError) as error:
        raise InputError(
            name, str(error).strip()[:120], "comma-separated values", "Export the table again."
        ) from None
    return frame.set_axis([cell.strip() for cell in header], axis=1)


def _check_header(header: list[str], name: str) -> None:
    if len(header) == 1 and header[0].count(";") + header[0].count("\t") > 0:
        raise InputError(
            f"{name}, header", "';' or tab between columns", "',' between columns", "Export it with commas."
        )
    if len(header) > MAX_TASKS + MAX_TARGETS:
        place, limit = f"{name}, header, column {MAX_TASKS + MAX_TARGETS + 1}", f"at most {MAX_TASKS + MAX_TARGETS:,}"
        fix = f"At most {MAX_TASKS} task and {MAX_TARGETS:,} target columns fit: merge tasks into groups."
        raise InputError(place, f"{len(header):,} columns", limit, fix)


def _read_parquet(data: bytes, name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        if file.metadata.num_columns > MAX_TASKS + MAX_TARGETS:
            found = f"{file.metadata.num_columns:,} columns"
            place = f"{name}, column {MAX_TASKS + MAX_TARGETS + 1}"
            raise InputError(place, found, f"at most {MAX_TASKS + MAX_TARGETS:,}", "Merge tasks into groups.")
        cells = file.metadata.num_rows * file.metadata.num_columns
        if file.metadata.num_rows > MAX_ROWS or 8 * cells > 4 * MAX_BYTES:  # encoded sizes say nothing about repeats
            found = f"{file.metadata.num_rows:,} rows of {file.metadata.num_columns:,} columns"
            expected = f"at most {MAX_ROWS:,} rows and {4 * MAX_BYTES // 2**20} MiB"
            raise InputError(name, found, expected, "Send a sample of the rows.")
        size = sum(file.metadata.row_group(g).total_byte_size for g in range(file.num_row_groups))
        if size > 4 * MAX_BYTES:
            found = f"{size / 2**20:.0f} MiB when unpacked"
            raise InputError(name, found, f"at most {4 * MAX_BYTES // 2**20} MiB", "Send fewer rows.")
        names = file.schema_arrow.names
        for position, kind in enumerate(file.schema_arrow.types):
            plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
            if not (plain or pa.types.is_boolean(kind) or _is_text(kind)):
                place = f"{name}, row 1, column '{names[position]}'"
                raise InputError(place, f"values of type {kind}", "numbers", "Write one number per cell.")
        # Arrow's threads may abort the process when it ends (github.com/apache/arrow/issues/34314)
        table = file.read(use_threads=False)
        frame = pd.DataFrame({i: table.column(i).to_pandas() for i in range(table.num_columns)})
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = f"a damaged file ({(str(error).splitlines() or [type(error).__name__])[0][:120]})"
        raise InputError(
            name, reason, "a whole Parquet file", "Was the transfer cut short? Write it again."
        ) from None
    metadata = table.schema.metadata or {}
    expected, fix = "what Outcomes.save writes", "Save the file again."
    info = parse_json_object(metadata.get(METADATA_KEY, b"{}"), f"{name}, metadata", expected, fix)
    return frame.set_axis(names, axis=1), info


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_dictionary(kind)
        or pa.types.is_null(kind)
    )
