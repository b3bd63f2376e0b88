"""Files that users sent, kept for a day by content until a job has read them."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kernelsm.files.accepting import ending_of
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.content_hash import is_content_hash
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.settings import whole_number
from kernelsm.runtime.store import cache_root

_KEPT_SECONDS = 24 * 3600
_ABOUT_TO_BE_READ = 3600
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

    Raises
    ------
    InputError
        All uploads together are as large as `KERNELSM_UPLOAD_MEGABYTES` lets them be, 8 GiB by default.
    OSError
        The cache cannot be written to.
    """
    most = 2**20 * whole_number("KERNELSM_UPLOAD_MEGABYTES", 8192)
    drop_uploads(most - len(data), root)
    uploads = (root or cache_root()) / "uploads"
    key = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    ending = ending_of(name)
    path = uploads / key / f"file{ending if _ENDING.fullmatch(ending) else ''}"
    if path.exists():
        path.touch()
    else:
        if (there := sum(size for _, size, _ in _uploads(root))) + len(data) > most:
            found = f"no room for {len(data) / 2**20:,.1f} MiB beside {there / 2**20:,.0f} MiB of other uploads"
            fix = "Try again in an hour, when the oldest go, or ask whoever runs the server."
            raise InputError("uploads", found, f"at most {most // 2**20:,} MiB of all visitors together", fix)
        with write_whole(path) as unfinished:
            unfinished.write_bytes(data)
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


def is_uploaded(key: str, root: Path | None = None) -> bool:
    """Whether the content of a key is here still."""
    return is_content_hash(key) and ((root or cache_root()) / "uploads" / key).exists()


def drop_upload(key: str, root: Path | None = None) -> None:
    """Delete the content of a key at once: it has been read, and need not be there any more."""
    if is_content_hash(key):
        shutil.rmtree((root or cache_root()) / "uploads" / key, ignore_errors=True)


def drop_uploads(most: int | None = None, root: Path | None = None, now: float | None = None) -> None:
    """Delete uploads older than a day, and those used longest ago until `most` bytes are left.

    A job may be about to read an upload of the last hour, so those stay.

    Parameters
    ----------
    most : int, optional
        Bytes; by default only age counts.
    root : Path, optional
        The cache's folder.
    now : float, optional
        Seconds since 1970.
    """
    now = time.time() if now is None else now
    found = sorted(_uploads(root))
    total = sum(size for _, size, _ in found)
    for used, size, folder in found:
        if now - used > _KEPT_SECONDS or (most is not None and total > most and now - used > _ABOUT_TO_BE_READ):
            shutil.rmtree(folder, ignore_errors=True)
            total -= size


def _uploads(root: Path | None) -> Iterator[tuple[float, int, Path]]:
    """When each upload was used last, its bytes and its folder."""
    for folder in ((root or cache_root()) / "uploads").glob("*"):
        with suppress(FileNotFoundError, NotADirectoryError):  # another process drops it now
            # an empty one has just been made: its file comes next
            files = [path.stat() for path in folder.iterdir()]
            used = max(stat.st_mtime for stat in (folder.stat(), *files))
            yield used, sum(stat.st_size for stat in files), folder
