"""The dialect of a CSV file: its delimiter, its decimal point, and whether its quotes are closed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from kernelsm.files.accepting import ending_of, plain_name
from kernelsm.files.source import Source, open_source
from kernelsm.runtime.errors import InputError

_BLOCK = 2**20
_BLANK = rb"(?:[ \t]*+[\r\n])*+"  # possessive: millions of blank lines are not gone back over
_BEGINNING = rb"(?:\xef\xbb\xbf)?" + _BLANK + rb"(?:\"?sep=([,;|\t])\"?[ \t]*[\r\n]" + _BLANK + rb")?"


@dataclass(frozen=True)
class Dialect:
    """How the cells of a CSV file are written.

    Parameters
    ----------
    delimiter : str
        What stands between columns: a comma, a semicolon, a tab or an upright bar.
    decimal : str
        The decimal point of numbers, or comma.
    escaped : bool
        Whether a quote inside quotes has a backslash before it, instead of a second quote.
    """

    delimiter: str
    decimal: str
    escaped: bool = False

    def rows(self, lines: Iterable[str], *, strict: bool = False) -> Iterator[list[str]]:
        """Rows of a file of this dialect."""
        if self.escaped:
            return csv.reader(lines, delimiter=self.delimiter, strict=strict, escapechar="\\", doublequote=False)
        return csv.reader(lines, delimiter=self.delimiter, strict=strict)


def skip_beginning(head: bytes) -> tuple[int, str]:
    r"""Return how many bytes stand before the header of a CSV file, and the delimiter that they name, if any.

    These are a byte order mark, blank lines, and a line such as `sep=;`, which tells spreadsheets the delimiter.

    >>> skip_beginning(b"\nsep=;\na;b\n"), skip_beginning(b"a,b\n")
    ((7, ';'), (0, ''))
    """
    found = re.match(_BEGINNING, head, re.IGNORECASE)
    return (found.end(), (found[1] or b"").decode()) if found else (0, "")


def find_dialect(head: str, name: str, delimiter: str = "") -> Dialect:
    """Infer delimiter and decimal point from the beginning of a file.

    The delimiter is the one that splits the header into most columns, preferably one that splits the next row into as
    many. Ties go to the comma, or to the tab if the name ends in .tsv. Numbers have a decimal comma only where
    semicolons separate the columns, or tabs where no number has a point and not every comma has three digits behind
    it, as thousands do.

    Parameters
    ----------
    head : str
        From the header on.
    name : str
        Of the file.
    delimiter : str, optional
        The one that the file names.
    """
    best, chosen = (False, 0), delimiter or ","
    for candidate in "" if delimiter else "\t,;|" if ending_of(plain_name(name)) == ".tsv" else ",;\t|":
        counts: list[int] = []
        with suppress(csv.Error):
            for _, cells in islice(numbered_rows(csv.reader(io.StringIO(head, newline=""), delimiter=candidate)), 2):
                counts.append(len(cells))
        found = (len(counts) == 2 and counts[0] == counts[1] > 1, counts[0] if counts else 0)
        if found > best:
            best, chosen = found, candidate
    # a spreadsheet writes ; between columns where the comma is taken by the numbers
    number = rf"(?:^|{chosen})([-+]?\d+,\d+)(?={chosen}|\r?$)"
    numbers = re.findall(number, head, re.MULTILINE) if chosen in ";\t" else []
    comma = bool(numbers)
    if chosen == "\t":
        thousands = all(re.fullmatch(r"[-+]?[1-9]\d{0,2},\d{3}", number) for number in numbers)
        points = re.search(r"(?:^|\t)[-+]?\d*\.\d+(?=\t|\r?$)", head, re.MULTILINE)
        comma = comma and not thousands and not points
    return Dialect(chosen, "," if comma else ".")


def numbered_rows(rows: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Yield the header of a table with number 0 and its rows with numbers from 1; blank lines are skipped."""
    number, columns = 0, 0
    for cells in rows:
        if not cells or (len(cells) == 1 and columns != 1 and not cells[0].strip()):
            continue
        yield number, cells
        columns = columns or len(cells)
        number += 1


def check_quotes(source: Source, name: str, dialect: Dialect, start: int = 0) -> Dialect:
    """Refuse a CSV file with a quote that is never closed or text behind a closing one.

    A lenient parser reads such a file too: it takes the rows up to the next quote for one cell.

    Parameters
    ----------
    source : Path or bytes
    name : str
        Of the file, for messages.
    dialect : Dialect
    start : int
        Bytes before the header.

    Returns
    -------
    Dialect
        With backslashes before quotes where the whole file can be read in that way alone.

    Raises
    ------
    InputError
        Names the row and the cause.
    """
    if _well_quoted(source, dialect.delimiter, start):
        return dialect
    # a quote within an unquoted cell (a 5" pipe) is fine: only a whole pass can tell
    row = -1
    try:
        with open_text(source, start) as text:
            for row, cells in numbered_rows(dialect.rows(text, strict=True)):
                if any(cell[:1] in " \t" and cell.lstrip().startswith('"') for cell in cells):
                    place = f"{name}, row {row:,}" if row else f"{name}, header"
                    raise InputError(
                        place, "a blank before a quote", "a quote right behind the delimiter", "Take the blank away."
                    )
    except csv.Error as error:
        escaped = replace(dialect, escaped=True)
        if _is_escaped(source, escaped, start):
            return escaped
        raise _bad_quotes(source, name, row + 1, str(error), start) from None
    return dialect


def _is_escaped(source: Source, dialect: Dialect, start: int) -> bool:
    """Whether every backslash escapes a quote or another one, and all rows are whole when it does."""
    empty = re.compile(rf'(?:^|(?<={re.escape(dialect.delimiter)}))""(?={re.escape(dialect.delimiter)}|$)')
    bare: list[bytes] = []
    seen, width = False, 0
    with open_text(source, start) as text:
        for line in text:
            marks = re.findall(r"\\(.?)", line.rstrip("\r\n"))
            seen |= '"' in marks
            cells = empty.sub("", re.sub(r'\\["\\]', "", line.rstrip("\r\n")))
            if not set(marks) <= {'"', "\\"} or '""' in cells:
                return False
            bare.append(cells.encode())
    if not seen or not _well_quoted(b"\n".join(bare), dialect.delimiter, 0):
        return False
    with suppress(csv.Error), open_text(source, start) as text:
        for _, row in numbered_rows(dialect.rows(text, strict=True)):
            width = width or len(row)
            if len(row) != width:
                return False
        return True
    return False


def _bad_quotes(source: Source, name: str, row: int, reason: str, start: int) -> InputError:
    place = f"{name}, row {row:,}" if row else f"{name}, header"
    expected, fix = "quotes in pairs around a cell", 'Close the quote in this row; inside quotes write " as "".'
    if "field larger" in reason:
        found = f"a quote that is not closed (a cell beyond {csv.field_size_limit():,} letters)"
    elif "expected after" in reason:
        found = "a bare quote inside quotes, or text behind a closing quote"
        if any(b'\\"' in block for block in _blocks(source, start)):
            found += ", and backslashes that do not all stand before a quote"
            fix = 'Inside quotes write " as "", without a backslash.'
    else:
        found = f"a quote that is not closed ({reason})"
    return InputError(place, found, expected, fix)


def _well_quoted(source: Source, delimiter: str, start: int) -> bool:
    """Whether quotes open at the start of a cell only, close at its end only, and come in pairs."""
    edges = np.zeros(256, dtype=np.bool_)
    edges[list(b'\n\r"' + delimiter.encode())] = True
    quotes, carried = 0, b"\n"
    for block in _blocks(source, start):
        text = np.frombuffer(carried + block, dtype=np.uint8)
        at = np.flatnonzero(text[1:-1] == ord('"')) + 1
        closes = (quotes + np.arange(len(at))) % 2 == 1
        if not (edges[text[at[closes] + 1]].all() and edges[text[at[~closes] - 1]].all()):
            return False
        quotes += len(at)
        carried = text[-2:].tobytes()  # the last byte is judged with its neighbour in the next block
    return quotes % 2 == 0


def open_text(source: Source, start: int) -> io.TextIOWrapper:
    """Open a file of UTF-8 as text, from a byte on."""
    file = open_source(source)
    file.seek(start)
    return io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")


def _blocks(source: Source, start: int) -> Iterator[bytes]:
    with open_source(source) as file:
        file.seek(start)
        while block := file.read(_BLOCK):
            yield block
    yield b"\n"
