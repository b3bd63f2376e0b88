"""Files that users sent, kept for a day by content until a job has read them."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from pathlib import Path

from kernelsm.files.accepting import ending_of
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.content_hash import is_content_hash
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import cache_root

_KEPT_SECONDS = 24 * 3600
_ENDING = re.compile(r"\.[a-z0-9]{1,12}")


def keep_upload(data: bytes | memoryview, name: str, root: Path | None = None) -> str:
    """Keep the content of a file and return its key, forty hex digits.

    Parameters
    ----------
    data : bytes-like
    name : str
        Only its ending is used.
    root : Path, optional
        The cache's folder.
    """
    uploads = (root or cache_root()) / "uploads"
    key = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    ending = ending_of(name)
    path = uploads / key / f"file{ending if _ENDING.fullmatch(ending) else ''}"
    if path.exists():
        path.touch()
    else:
        with write_whole(path) as unfinished:
            unfinished.write_bytes(data)
    _drop_old(uploads)
    return key


def upload_path(key: str, ending: str, root: Path | None = None) -> Path:
    """Return where the content of a key is kept.

    Raises
    ------
    InputError
        It is not here (any more).
    """
    folder = (root or cache_root()) / "uploads" / key
    path = folder / f"file{ending if _ENDING.fullmatch(ending) else ''}"
    if not (is_content_hash(key) and path.exists()):
        raise InputError("upload", "a file that is not here any more", "a file sent today", "Upload it again.")
    return path


def _drop_old(uploads: Path) -> None:
    for folder in uploads.iterdir():
        try:
            # an empty one has just been made: its file comes next
            newest = max(path.stat().st_mtime for path in (folder, *folder.glob("*")))
        except FileNotFoundError:  # another process drops it now
            continue
        if time.time() - newest > _KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
