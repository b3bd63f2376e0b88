"""Files that exist whole or not at all, even if their writer is stopped or several write at once."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Yield a path to write to; when the block ends, the file there replaces `path` in one step.

    Whoever reads `path` meanwhile finds the old file or the new one, never a part. The path yielded is in the same
    folder (which is made if it is absent) and no other process or thread has it, so of several writers the last one
    wins. When the block fails, `path` is as it was and the unfinished file is removed.

    Parameters
    ----------
    path : Path
        The file to write.

    Yields
    ------
    Path
        Where to write. It ends in .part, whatever `path` ends in.

    Raises
    ------
    OSError
        The folder cannot be made or written to.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "notes.txt"
    ...     with write_whole(path) as part:
    ...         _ = part.write_text("all of it")
    ...     print(path.read_text())
    all of it
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _unfinished(path)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def unfinished_folder(path: Path) -> Iterator[Path]:
    """Yield a new, empty folder beside `path`, to be filled and renamed to its final name within the block.

    What has not been renamed when the block ends is removed. The caller renames, because the final name may depend on
    what the folder holds, and because it may find that another process has finished the same folder first.

    Parameters
    ----------
    path : Path
        Begins the name of the unfinished folder, which ends in .part; the folder above is made if it is absent.

    Yields
    ------
    Path
        The folder, which no other process or thread has.
    """
    part = _unfinished(path)
    part.mkdir(parents=True)
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _unfinished(path: Path) -> Path:
    """A name beside `path` that no other thread, process or computer uses."""
    return path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
