"""The dialect of a CSV file: its delimiter, its decimal point, and whether its quotes are closed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import numpy as np

from kernelsm.files.accepting import ending_of
from kernelsm.files.source import Source, open_source
from kernelsm.files.text import BOM
from kernelsm.runtime.errors import InputError

_BLOCK = 2**20


@dataclass(frozen=True)
class Dialect:
    """How the cells of a CSV file are written.

    Parameters
    ----------
    delimiter : str
        What stands between columns: a comma, a semicolon or a tab.
    decimal : str
        The decimal point of numbers, or comma.
    """

    delimiter: str
    decimal: str


def find_dialect(head: str, name: str) -> Dialect:
    """Infer delimiter and decimal point from the beginning of a file.

    The delimiter is the one that splits the header into most columns, preferably one that splits the next row into as
    many. Ties go to the comma, or to the tab if the name ends in .tsv. Numbers have a decimal comma only where
    semicolons separate the columns.
    """
    best, delimiter = (False, 0), ","
    for candidate in "\t,;" if ending_of(name) == ".tsv" else ",;\t":
        counts: list[int] = []
        with suppress(csv.Error):
            for _, cells in islice(numbered_rows(csv.reader(io.StringIO(head, newline=""), delimiter=candidate)), 2):
                counts.append(len(cells))
        found = (len(counts) == 2 and counts[0] == counts[1] > 1, counts[0] if counts else 0)
        if found > best:
            best, delimiter = found, candidate
    # a spreadsheet writes ; between columns where the comma is taken by the numbers
    comma = delimiter == ";" and re.search(r"(^|;)[-+]?\d+,\d+(;|\r?$)", head, re.MULTILINE)
    return Dialect(delimiter, "," if comma else ".")


def numbered_rows(rows: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Yield the header of a table with number 0 and its rows with numbers from 1; blank lines are skipped."""
    number, columns = 0, 0
    for cells in rows:
        if not cells or (len(cells) == 1 and columns != 1 and not cells[0].strip()):
            continue
        yield number, cells
        columns = columns or len(cells)
        number += 1


def check_quotes(source: Source, name: str, delimiter: str) -> None:
    """Refuse a CSV file with a quote that is never closed or text behind a closing one.

    A lenient parser reads such a file too: it takes the rows up to the next quote for one cell.

    Raises
    ------
    InputError
        Names the row.
    """
    if _well_quoted(source, delimiter):
        return
    # a quote within an unquoted cell (a 5" pipe) is fine: only a whole pass can tell
    row = -1
    with open_source(source) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
        try:
            for row, _ in numbered_rows(csv.reader(text, delimiter=delimiter, strict=True)):  # noqa: B007
                pass
        except csv.Error as error:
            limit = csv.field_size_limit()
            reason = f"a cell beyond {limit:,} letters" if "field larger" in str(error) else f"{error}"
            found = f"a quote that is not closed, or text behind a closing quote ({reason})"
            fix = 'Close the quote in this row; inside quotes write " as "".'
            place = f"{name}, row {row + 1:,}" if row >= 0 else f"{name}, header"
            raise InputError(place, found, "quotes in pairs around a cell", fix) from None


def _well_quoted(source: Source, delimiter: str) -> bool:
    """Whether quotes open at the start of a cell only, close at its end only, and come in pairs."""
    edges = np.zeros(256, dtype=np.bool_)
    edges[list(b'\n\r"' + delimiter.encode())] = True
    quotes, carried = 0, b"\n"
    for block in _blocks(source):
        text = np.frombuffer(carried + block, dtype=np.uint8)
        at = np.flatnonzero(text[1:-1] == ord('"')) + 1
        closes = (quotes + np.arange(len(at))) % 2 == 1
        if not (edges[text[at[closes] + 1]].all() and edges[text[at[~closes] - 1]].all()):
            return False
        quotes += len(at)
        carried = text[-2:].tobytes()  # the last byte is judged with its neighbour in the next block
    return quotes % 2 == 0


def _blocks(source: Source) -> Iterator[bytes]:
    with open_source(source) as file:
        if file.read(len(BOM)) != BOM:
            file.seek(0)
        while block := file.read(_BLOCK):
            yield block
    yield b"\n"
