"""Text files of strangers: UTF-8 without NUL bytes, and CSV whose quotes are closed."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kernelsm.runtime.errors import InputError

BOM = codecs.BOM_UTF8
_BLOCK = 2**20


def check_text(path: Path, name: str, most: int | None = None) -> None:
    """Refuse a file that is no UTF-8 text.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Its name, for messages.
    most : int, optional
        Look at this many bytes from the beginning only.

    Raises
    ------
    InputError
        Names the position of the first byte that is wrong.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    start = 0
    with path.open("rb") as file:
        while most is None or start < most:
            block = file.read(_BLOCK)
            waiting = len(decoder.getstate()[0])  # of a letter that the end of the last block cut
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                found = f"a byte that is not UTF-8 at position {start - waiting + error.start:,}"
                fix = "Save it as UTF-8: 'CSV UTF-8' in Excel, or `iconv -f latin1 -t utf-8 old > new`."
                raise InputError(name, found, "text in UTF-8", fix) from None
            if (at := block.find(b"\0")) >= 0:
                found = f"binary data (a NUL byte at position {start + at:,})"
                fix = "Is it another kind of file, or UTF-16? Save it as UTF-8."
                raise InputError(name, found, "text in UTF-8", fix)
            if not block:
                break
            start += len(block)


def check_quotes(path: Path, name: str, delimiter: str) -> None:
    """Refuse a CSV file with a quote that is never closed or text behind a closing one.

    A lenient parser reads such a file too: it takes the rows up to the next quote for one cell.

    Raises
    ------
    InputError
        Names the row.
    """
    if _well_quoted(path, delimiter):
        return
    # a quote within an unquoted cell (a 5" pipe) is fine: only a whole pass can tell
    rows = -1
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                rows += bool(cells)
        except csv.Error as error:
            row = f"row {rows + 1}" if rows >= 0 else "header"
            limit = csv.field_size_limit()
            reason = f"a cell beyond {limit:,} letters" if "field larger" in str(error) else f"{error}"
            found = f"a quote that is not closed, or text behind a closing quote ({reason})"
            fix = 'Close the quote in this row; inside quotes write " as "".'
            raise InputError(f"{name}, {row}", found, "quotes in pairs around a cell", fix) from None


def _well_quoted(path: Path, delimiter: str) -> bool:
    """Whether quotes open at the start of a cell only, close at its end only, and come in pairs."""
    edges = np.zeros(256, dtype=np.bool_)
    edges[list(b'\n\r"' + delimiter.encode())] = True
    quotes, kept = 0, b"\n"
    for block in _blocks(path):
        text = np.frombuffer(kept + block, dtype=np.uint8)
        at = np.flatnonzero(text[1:-1] == ord('"')) + 1
        closes = (quotes + np.arange(len(at))) % 2 == 1
        if not (edges[text[at[closes] + 1]].all() and edges[text[at[~closes] - 1]].all()):
            return False
        quotes += len(at)
        kept = text[-2:].tobytes()  # the last letter is judged with its neighbours of the next block
    return quotes % 2 == 0


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        if file.read(len(BOM)) != BOM:
            file.seek(0)
        while block := file.read(_BLOCK):
            yield block
    yield b"\n"
