"""The encoding of a text file: told by its mark, by its bytes, or detected from its letters."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from kernelsm.files.source import Source, open_source
from kernelsm.files.text import find_fault

_BLOCK = 2**20
_SAMPLE = 32 * 2**10  # bytes of lines with letters beyond ASCII, from which the encoding is detected
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
_NAMES = {
    "utf-8": "UTF-8", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "utf-32": "UTF-32",
    "cp1252": "Windows-1252 (Western European)", "cp1250": "Windows-1250 (Central European)",
    "cp1251": "Windows-1251 (Cyrillic)", "cp1253": "Windows-1253 (Greek)", "cp1254": "Windows-1254 (Turkish)",
    "cp1255": "Windows-1255 (Hebrew)", "cp1256": "Windows-1256 (Arabic)", "koi8_r": "KOI8-R (Cyrillic)",
    "mac_roman": "Mac Roman", "cp932": "Shift JIS (Japanese)", "euc_jp": "EUC-JP (Japanese)",
    "gb18030": "GB 18030 (Chinese)", "big5": "Big5 (Chinese)", "cp949": "CP949 (Korean)",
}  # fmt: skip
_DETECTED = [codec for codec in _NAMES if not codec.startswith("utf")]
_USUAL = "cp1252"
# how much less like a language the usual encoding may look, and be taken all the same
_MESS, _LIKENESS = 0.01, 0.02
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


@dataclass(frozen=True)
class Encoding:
    """How the letters of a text file are written.

    Parameters
    ----------
    codec : str
        Python's name of it.
    name : str
        In words: "Windows-1252 (Western European)".
    note : str
        What its owner should read; empty for UTF-8.
    """

    codec: str
    name: str
    note: str = ""


UTF_8 = Encoding("utf-8", "UTF-8")


def find_encoding(source: Source, name: str, max_bytes: int | None = None) -> Encoding:
    """Find the encoding of a text file.

    A byte order mark tells UTF-8, UTF-16 and UTF-32 apart; text that is whole in UTF-8 is UTF-8. Other text is
    detected from its letters, Windows-1252 where that is as likely as another. UTF-8 with a few wrong bytes is taken
    to be damaged.

    Parameters
    ----------
    source : Path or bytes
        The file.
    name : str
        Its name, for messages.
    max_bytes : int, optional
        Look at this many bytes only, as long as these are UTF-8.

    Raises
    ------
    InputError
        Binary data, damaged UTF-8, or an encoding that cannot be told.
    """
    with open_source(source) as file:
        head = file.read(4096)
    for mark, codec in _MARKS.items():
        if head.startswith(mark):
            return _noted(codec, "its first bytes say so")
    if codec := _utf_16(head):
        return _noted(codec, "every second byte is empty")
    fault = find_fault(source, max_bytes)
    if fault is None:
        return UTF_8
    if fault.binary:
        raise fault.explained(name)
    sample = _sample(source)
    if fault.cut_off or _BINARY.search(sample) or _is_mostly_utf_8(sample):
        raise fault.explained(name)
    codec = _detected(sample)
    if not codec:
        raise fault.explained(name)
    return _noted(codec, "its bytes look like it; if letters are wrong, save it as UTF-8")


def _noted(codec: str, why: str) -> Encoding:
    name = _NAMES[codec]
    return Encoding(codec, name, f"Its text is read as {name}: {why}.")


def _utf_16(head: bytes) -> str:
    """UTF-16 without a mark: the text of most languages has zeros in every second byte."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    most = len(head) // 2
    if odd > 0.4 * most and even < 0.05 * most:
        return "utf-16-le"
    return "utf-16-be" if most and even > 0.4 * most and odd < 0.05 * most else ""


def _sample(source: Source) -> bytes:
    """Lines with letters beyond ASCII, from the beginning of the file."""
    kept, size = [], 0
    for line in _lines(source):
        if not line.isascii():
            kept.append(line[:_SAMPLE])
            size += len(line)
            if size > _SAMPLE:
                break
    return b"\n".join(kept)


def _lines(source: Source) -> Iterator[bytes]:
    with open_source(source) as file:
        carried = b""
        while block := file.read(_BLOCK):
            lines = re.split(rb"[\r\n]", carried + block)
            # a line without an end is a piece of itself
            carried = lines.pop() if len(lines) > 1 or len(lines[0]) < _BLOCK else b""
            yield from lines
        yield carried


def _is_mostly_utf_8(sample: bytes) -> bool:
    letters = sample.decode("utf-8", errors="surrogateescape")
    stray = sum("\udc80" <= letter <= "\udcff" for letter in letters)
    return sum(letter > "\x7f" for letter in letters) - stray >= stray


def _detected(sample: bytes) -> str:
    """The codec that makes most sense of some bytes; empty where none does."""
    from charset_normalizer import from_bytes  # here: hardly a file needs it

    found = list(from_bytes(sample, cp_isolation=_DETECTED, enable_fallback=False))
    if not found:
        return ""
    best = found[0]
    for match in found:
        usual = match.encoding == _USUAL or _USUAL in match.could_be_from_charset
        if usual and match.chaos <= best.chaos + _MESS and match.coherence >= best.coherence - _LIKENESS:
            return _USUAL
    return best.encoding if best.encoding in _NAMES else ""
