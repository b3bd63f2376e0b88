"""The one way to text that users send: in whatever encoding, gzip'd or not, it is read as plain UTF-8."""

from __future__ import annotations

import codecs
import gzip
import io
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelsm.files.accepting import GZIP
from kernelsm.files.encodings import UTF_8, find_encoding
from kernelsm.files.limits import Limits, check_megabytes
from kernelsm.files.source import Source, open_source
from kernelsm.runtime.errors import InputError

_BLOCK = 2**20


@dataclass(frozen=True)
class PlainText:
    """A text file as UTF-8.

    Parameters
    ----------
    source : Path or bytes
        The text; a byte order mark may stand before it.
    encoding : str
        What it came in, in words.
    notes : tuple of str
        What its owner should read about that.
    """

    source: Source
    encoding: str
    notes: tuple[str, ...]


@contextmanager
def plain_text(source: Source, name: str, limits: Limits, max_bytes: int | None = None) -> Iterator[PlainText]:
    """Open a text file as UTF-8, unpacked where its name ends in .gz; copies on the disk are gone afterwards.

    Parameters
    ----------
    source : Path or bytes
        The file.
    name : str
        Its name at the user's, also for messages.
    limits : Limits
        Of these `megabytes`, which the text may not exceed when it is unpacked or in UTF-8.
    max_bytes : int, optional
        Check only this many bytes, where these are UTF-8.

    Raises
    ------
    InputError
        Damaged, too large when unpacked, or no text.
    """
    with _unpacked(source, name, limits) as unpacked:
        encoding = find_encoding(unpacked, name, max_bytes)
        if encoding == UTF_8:
            yield PlainText(unpacked, encoding.name, ())
            return
        with _Copy(source, name, limits) as copy:
            _recode(unpacked, copy, encoding.codec, encoding.name, name)
            yield PlainText(copy.written(), encoding.name, (encoding.note,))


@contextmanager
def _unpacked(source: Source, name: str, limits: Limits) -> Iterator[Source]:
    if not name.lower().endswith(GZIP):
        yield source
        return
    with _Copy(source, name, limits) as copy:
        try:
            with open_source(source) as packed, gzip.GzipFile(fileobj=packed) as file:
                while block := file.read(_BLOCK):
                    copy.write(block)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            reason = f"a damaged gzip file ({str(error)[:100]})"
            fix = "Was the transfer cut short? Write it again."
            raise InputError(name, reason, "a whole gzip file", fix) from None
        yield copy.written()


class _Copy:
    """A copy of a source: bytes of bytes, a file on the disk of a path."""

    def __init__(self, source: Source, name: str, limits: Limits) -> None:
        self.in_memory = isinstance(source, bytes)
        self.name, self.limits, self.size = name, limits, 0

    def __enter__(self) -> _Copy:
        self.file: Any = io.BytesIO() if self.in_memory else tempfile.NamedTemporaryFile(prefix="kernelsm-")
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def write(self, block: bytes) -> None:
        """Append bytes, as many as the limits allow."""
        self.size += len(block)
        most, fix = self.limits.megabytes, "Send fewer rows."
        check_megabytes(self.size, self.name, most, fix, found="at least {} MiB when unpacked")
        self.file.write(block)

    def written(self) -> Source:
        """What was written."""
        self.file.flush()
        return self.file.getvalue() if isinstance(self.file, io.BytesIO) else Path(self.file.name)


def _recode(source: Source, copy: _Copy, codec: str, encoding: str, name: str) -> None:
    decoder = codecs.getincrementaldecoder(codec)()
    with open_source(source) as file:
        done = False
        while not done:
            block = file.read(_BLOCK)
            done = not block
            try:
                text = decoder.decode(block, final=done)
            except UnicodeDecodeError as error:
                found = f"bytes that are not {encoding}, as which it was detected ({error.reason})"
                raise InputError(name, found, "text in one encoding", "Save it as UTF-8.") from None
            if "\0" in text:
                raise InputError(name, "binary data (NUL letters)", "text", "Is it another kind of file?")
            copy.write(text.encode("utf-8", errors="replace"))
