"""Text files from users: UTF-8 without NUL bytes, read line by line or whole."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass

from kernelsm.files.source import Source, open_source
from kernelsm.runtime.errors import InputError

BOM = codecs.BOM_UTF8
_BLOCK = 2**20


@dataclass(frozen=True)
class TextFault:
    """The first byte of a file that is no text in UTF-8.

    Parameters
    ----------
    position : int
        From 0.
    binary : bool
        Whether it is a NUL byte.
    cut_off : bool
        Whether it belongs to a letter of which the end of the file took the rest.
    """

    position: int
    binary: bool = False
    cut_off: bool = False

    def explained(self, name: str) -> InputError:
        """Return the error that says so."""
        if self.binary:
            found = f"binary data (a NUL byte at position {self.position:,})"
            fix = "Is it another kind of file? Save it as text in UTF-8."
        else:
            found = f"a byte that is not UTF-8 at position {self.position:,}"
            fix = "Save it as UTF-8: 'CSV UTF-8' in Excel, or `iconv -f latin1 -t utf-8 old > new`."
        return InputError(name, found, "text in UTF-8", fix)


def find_fault(source: Source, max_bytes: int | None = None) -> TextFault | None:
    """Find the first byte that is not UTF-8, or NUL; None where all is well.

    Parameters
    ----------
    source : Path or bytes
        The file.
    max_bytes : int, optional
        Check only this many bytes from the beginning.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    start = 0
    with open_source(source) as file:
        while max_bytes is None or start < max_bytes:
            block = file.read(_BLOCK)
            pending = len(decoder.getstate()[0])  # bytes of a character that the end of the last block cut
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return TextFault(start - pending + error.start, cut_off=not block)
            if (at := block.find(b"\0")) >= 0:
                return TextFault(start + at, binary=True)
            if not block:
                break
            start += len(block)
    return None


def check_text(source: Source, name: str, max_bytes: int | None = None) -> None:
    """Refuse a file that is no UTF-8 text.

    Parameters
    ----------
    source : Path or bytes
        The file.
    name : str
        Its name, for messages.
    max_bytes : int, optional
        Check only this many bytes from the beginning.

    Raises
    ------
    InputError
        Names the position of the first byte that is wrong.
    """
    if fault := find_fault(source, max_bytes):
        raise fault.explained(name)


def decode_text(data: bytes, name: str) -> str:
    """Return the text of a file's bytes, without a byte order mark.

    Raises
    ------
    InputError
        No UTF-8 text, see `check_text`.
    """
    check_text(data, name)
    return data.decode("utf-8-sig")


def text_lines(source: Source, name: str, max_length: int) -> Iterator[tuple[int, str]]:
    """Lines of a text file that hold more than spaces, with their numbers from 1.

    Lines end as on any system; other line separators of Unicode (U+2028 ...) count as ordinary
    characters. The text must have been checked by `check_text`.

    Parameters
    ----------
    source : Path or bytes
        The file.
    name : str
        Its name, for messages.
    max_length : int
        Lines must have fewer characters than this.

    Raises
    ------
    InputError
        Names the first longer line.
    """
    with open_source(source) as file, io.TextIOWrapper(file, "utf-8-sig", errors="replace") as text:
        for number, line in enumerate(iter(lambda: text.readline(max_length), ""), start=1):
            if len(line) == max_length:
                found = f"more than {max_length:,} letters"
                fix = "Is it one object per line?"
                raise InputError(f"{name}, line {number:,}", found, "a shorter line", fix)
            if line.strip():
                yield number, line


def is_number(text: str) -> bool:
    """Whether a text is written as Python writes numbers, "inf" and "nan" among them."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def check_whole_letters(text: str, place: str) -> None:
    r"""Refuse half of a letter (a lone surrogate), which JSON can say (\ud800) and no file can hold.

    Raises
    ------
    InputError
        There is one.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        found = "half a surrogate pair (\\ud800..\\udfff)"
        raise InputError(place, found, "whole letters", "Write the text again as UTF-8.") from None
