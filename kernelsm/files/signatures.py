"""What a file seems to be by its content, whatever its name says."""

from __future__ import annotations

import re

from kernelsm.files.source import Source, open_source

PARQUET, NPZ, ZIP, JSON = "a Parquet file", "a NumPy archive (.npz)", "a zip archive", "JSON text"
UTF_16 = "text in UTF-16"
OFFICE = "a spreadsheet or document of an office program"
GZIP = "a gzip archive"
_BEGINNINGS = {
    b"PAR1": PARQUET,
    b"\x93NUMPY": "a single NumPy array (.npy)",
    b"ARROW1": "an Arrow or Feather file",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"{\\rtf": "an RTF document",
    b"\x1f\x8b": GZIP,
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word document",
    b"\xff\xfe": UTF_16,
    b"\xfe\xff": UTF_16,
    b"version https://git-lfs": "a Git LFS pointer instead of the file (run `git lfs pull`)",
}


def looks_like(source: Source) -> str:
    """Kind of file by its first bytes ("a PNG picture"); empty for plain text and unknown kinds."""
    with open_source(source) as file:
        head = file.read(1024)
    for beginning, words in _BEGINNINGS.items():
        if head.startswith(beginning):
            return words
    if re.match(rb"\x80[\x02-\x05]", head):
        return "a pickle, which can run code"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page (HTML), perhaps the page of a download that failed"
    if text.startswith(b"<?xml"):
        return "an XML file"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(head)
    return JSON if text.startswith((b'{"', b"[{", b"[[")) else ""


def _zip_kind(head: bytes) -> str:
    """Kind of zip archive by the name of its first entry."""
    length = int.from_bytes(head[26:28], "little")
    first = head[30 : 30 + length].decode("utf-8", errors="replace")
    if first.endswith(".npy"):
        return NPZ
    if first in ("[Content_Types].xml", "mimetype") or first.startswith(("xl/", "word/", "_rels/", "docProps/")):
        return OFFICE
    if first.endswith("data.pkl"):
        return "a PyTorch file, which is a pickle and can run code"
    return ZIP
