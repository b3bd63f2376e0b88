"""The source of a file's bytes: a path on the disk, or an upload in memory."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

Source = Path | bytes
"""A file on the disk, or the content of one."""


def open_source(source: Source) -> BinaryIO:
    """Open a source for reading bytes.

    Raises
    ------
    OSError
        No such file, or one that may not be read.
    """
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def source_size(source: Source) -> int:
    """Bytes of a source."""
    return len(source) if isinstance(source, bytes) else source.stat().st_size
