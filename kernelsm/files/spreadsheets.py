"""Excel files: the first sheet with a table is read as the CSV file that it would be saved as."""

from __future__ import annotations

import csv
import datetime
import io
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from kernelsm.files.archives import open_archive
from kernelsm.files.csv_tables import read_csv
from kernelsm.files.limits import Limits, check_megabytes
from kernelsm.files.source import Source, open_source
from kernelsm.files.table_read import TableRead
from kernelsm.runtime.errors import InputError

MOST_MEGABYTES = 256
"""MiB of XML that a spreadsheet may hold: reading it takes a minute or so."""
_MOST_HELD = 2 * 2**20  # bytes of each other part: styles and the like are held as objects, a hundred times as large
_READ_IN_PIECES = ("xl/worksheets/", "xl/sharedstrings", "xl/media/", "xl/drawings/", "xl/charts/", "xl/embeddings/")
_BLOCK = 2**20
_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")
_FORBIDDEN = re.compile(rb"<!\s*(doctype|entity)", re.IGNORECASE)
_ENCODING = re.compile(rb"encoding\s*=\s*[\"']([^\"']*)", re.IGNORECASE)
_NO_NUMBER = re.compile(r"[-+]?0\d+|[-+]?\d+(\.\d+)?[eE][-+]?\d+|true|false", re.IGNORECASE)
_UNCOMPUTED = "Formulas that no spreadsheet has computed yet are empty: open the workbook in one and save it."
_SEEN = {
    b"<mergeCell ": "Cells are merged in this workbook: the first one of each has the value, the others are empty.",
    b"</f></c>": _UNCOMPUTED,
    b"</f><v></v></c>": _UNCOMPUTED,
    b"</f><v/></c>": _UNCOMPUTED,
    b"</f><v /></c>": _UNCOMPUTED,
}
_EXPECTED = "an Excel workbook (.xlsx)"
_FIX = "In the spreadsheet choose 'Save as' and 'CSV UTF-8'."


def read_excel(source: Source, name: str, limits: Limits, max_rows: int | None = None) -> TableRead:
    """Columns of an Excel workbook: those of its first sheet that is not empty, with the header in its first row.

    Cells are taken as they are stored: numbers with all their digits whatever is shown, formulas as they were last
    computed, dates as 2030-12-31 or 2030-12-31 23:59:59. A column with a text such as 0012, 1E5 or true is text;
    other texts that are numbers are read as such. For the rest see `read_csv`.

    Parameters
    ----------
    source : Path or bytes
        The file.
    name : str
        Its name, for messages.
    limits : Limits
        As of `read_csv`; the file's XML may have 256 MiB unpacked.
    max_rows : int, optional
        Read at most this many of the first rows.

    Raises
    ------
    InputError
        No workbook, damaged, too large, XML that defines entities, or what `read_csv` refuses.
    """
    with excel_as_csv(source, name, limits, None if max_rows is None else max_rows + 1) as (path, said, texts):
        read = read_csv(path, name, limits, max_rows, texts=texts)
    cut = max_rows is not None and len(next(iter(read.columns.values()))) >= max_rows
    return replace(read, rows=None if cut else read.rows, notes=(*said, *read.notes), encoding="")


@contextmanager
def excel_as_csv(
    source: Source, name: str, limits: Limits, most: int | None = None
) -> Iterator[tuple[Path, tuple[str, ...], frozenset[str]]]:
    """Open the first sheet that is not empty as a CSV file, of `most` rows with the header; it is gone afterwards.

    Yields
    ------
    path : Path
        The CSV file, in UTF-8.
    notes : tuple of str
        What the owner of the workbook should read.
    texts : frozenset of str
        Columns of texts that would be taken for numbers or for true and false.

    Raises
    ------
    InputError
        As `read_excel`.
    """
    bounds = replace(limits, unpacked_megabytes=min(limits.unpacked_megabytes, MOST_MEGABYTES))
    said: dict[str, None] = {}
    with open_archive(source, name, bounds, expected=_EXPECTED) as archive:
        for entry in archive.infolist():
            if entry.file_size > _MOST_HELD and not entry.filename.lower().startswith(_READ_IN_PIECES):
                place = f"{name}, entry {entry.filename[:80]!r}"
                found = f"{entry.file_size / 2**20:.1f} MiB"
                expected = f"at most {_MOST_HELD // 2**20} MiB beside its sheets"
                raise InputError(place, found, expected, _FIX)
            said |= dict.fromkeys(_check_entry(archive, entry, name))
    with open_source(source) as file, tempfile.NamedTemporaryFile(prefix="kernelsm-") as copy:
        with _damage_explained(name), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and the like
            title, others, texts = _write_sheet(file, Path(copy.name), name, limits, most)
        others_are = f"{others} other{'s are' if others > 1 else ' is'} not."
        sheet = (f"The sheet \u201c{title[:60]}\u201d is read; {others_are}",) if others else ()
        yield Path(copy.name), (*sheet, *said), texts


@contextmanager
def _damage_explained(name: str) -> Iterator[None]:
    try:
        yield
    except (InputError, ImportError, MemoryError):
        raise
    except Exception as error:  # a crafted workbook makes openpyxl raise errors of any kind
        reason = (str(error).splitlines() or [""])[0][:100] or type(error).__name__
        raise InputError(name, f"a damaged workbook ({reason})", _EXPECTED, _FIX) from None


def _check_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> set[str]:
    """Refuse XML that defines entities, or hides such definitions in another encoding; no workbook needs either.

    What is XML is told by its beginning: names of entries are the maker's choice. Returns what the owner of the
    workbook should read about it.
    """
    place = f"{name}, entry {entry.filename[:80]!r}"
    said: set[str] = set()
    with archive.open(entry) as file:
        block = file.read(_BLOCK)
        beginning = block.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not beginning.startswith((b"<", *_UTF_16)):
            return said  # a picture
        declared = _ENCODING.search(beginning.partition(b"?>")[0]) if beginning.startswith(b"<?xml") else None
        other = declared is not None and declared[1].lower() not in (b"utf-8", b"utf8", b"us-ascii")
        if other or beginning.startswith(_UTF_16) or b"\0" in beginning[:200]:
            raise InputError(place, "XML that is not UTF-8", "XML in UTF-8", _FIX)
        carried = b""
        while block:
            seen = carried + block
            if _FORBIDDEN.search(seen):
                raise InputError(place, "XML that defines a document type or entities", "plain XML", _FIX)
            said |= {words for mark, words in _SEEN.items() if mark in seen}
            carried, block = block[-32:], file.read(_BLOCK)
    return said


def _write_sheet(
    file: Any, path: Path, name: str, limits: Limits, most: int | None
) -> tuple[str, int, frozenset[str]]:
    """Write the first sheet that is not empty as CSV; return its title, how many others there are, and its texts."""
    from openpyxl import load_workbook

    workbook = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    sheets = workbook.worksheets
    try:
        for sheet in sheets:
            if sheet.sheet_state != "visible":
                continue
            texts = _written(_rows(sheet, name, limits), path, name, limits, most)
            if texts is not None:
                return sheet.title, len(sheets) - 1, texts
    finally:
        workbook.close()
    raise InputError(name, "no sheet with a row", "a table with a header", "Put the table into the first sheet.")


def _rows(sheet: Any, name: str, limits: Limits) -> Iterator[tuple[Any, ...]]:
    """Rows that are not blank, all as wide as the header."""
    sheet.reset_dimensions()  # what the file says about its size need not be true
    width = 0
    for number, cells in enumerate(sheet.iter_rows(values_only=True)):
        if number > 2 * limits.rows + 1000:  # a crafted number of a row could make millions of blank ones
            raise InputError(
                name, f"more than {number:,} rows", f"at most {limits.rows:,}", "Send a sample of the rows."
            )
        last = next((place for place in reversed(range(len(cells))) if cells[place] not in (None, "")), -1) + 1
        if not last:
            continue
        if last > limits.columns:
            raise InputError(
                f"{name}, header", f"{last:,} columns", f"at most {limits.columns:,}", "Leave columns out."
            )
        if not width:
            width = last
        elif last > width:
            place = f"{name}, sheet {sheet.title[:40]!r}, row {number + 1:,} of the sheet"
            fix = "Name every column in the first row, and leave notes beside the table out."
            raise InputError(place, f"{last} cells", f"at most {width}, as in the header", fix)
        yield cells[:last] + (None,) * (width - last)


def _written(
    rows: Iterator[tuple[Any, ...]], path: Path, name: str, limits: Limits, most: int | None
) -> frozenset[str] | None:
    """Write rows as CSV; return the columns of texts that would be taken for something else, None without a row."""
    size = 0
    header: tuple[str, ...] | None = None
    texts: set[int] = set()
    with path.open("w", encoding="utf-8", newline="") as sink:
        for row in islice(rows, most):
            if header is None:
                header = tuple(str(_cell(value)) for value in row)
            else:
                texts |= {
                    place for place, value in enumerate(row)
                    if isinstance(value, str) and _NO_NUMBER.fullmatch(value.strip())
                }  # fmt: skip
            line = io.StringIO()
            csv.writer(line, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow(map(_cell, row))
            size += sink.write(line.getvalue())
            check_megabytes(size, name, limits.megabytes, "Send fewer rows.", found="at least {} MiB as text")
    return None if header is None else frozenset(header[place] for place in texts)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat(" ", "seconds")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, int | float):
        return value
    return str(value)
