"""What goes by itself: what nobody opened for long, the oldest where room runs out, and what was left unfinished.

Things that users keep, their uploads, finished chunks and the folders of jobs each have an age or a size beyond which
the ones used longest ago go. What somebody opened within the last day never goes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kernelsm.runtime.settings import whole_number
from kernelsm.runtime.store import Store, cache_root
from kernelsm.workspace.holders import all_kept, holders_of
from kernelsm.workspace.kept import KeptItem
from kernelsm.workspace.uploads import drop_uploads

_DAY = 24 * 3600.0


@dataclass(frozen=True)
class Bounds:
    """How much is kept, and for how long.

    Parameters
    ----------
    days : int
        After which what nobody opened goes (`KERNELSM_KEEP_DAYS`).
    megabytes : int
        MiB of all things that users keep (`KERNELSM_KEEP_MEGABYTES`).
    session_megabytes : int
        MiB that one visitor may have sent and keep (`KERNELSM_SESSION_MEGABYTES`).
    """

    days: int = 90
    megabytes: int = 20_480
    session_megabytes: int = 4_096


def bounds() -> Bounds:
    """Return the bounds that the environment sets now.

    Raises
    ------
    InputError
        A variable holds no such number.

    Examples
    --------
    >>> bounds().days
    90
    """
    return Bounds(
        whole_number("KERNELSM_KEEP_DAYS", Bounds.days),
        whole_number("KERNELSM_KEEP_MEGABYTES", Bounds.megabytes),
        whole_number("KERNELSM_SESSION_MEGABYTES", Bounds.session_megabytes),
    )


def tidy(root: Path | None = None, now: float | None = None) -> list[KeptItem]:
    """Delete what is beyond the bounds, and return the kept things that went.

    Parameters
    ----------
    root : Path, optional
        The cache's folder.
    now : float, optional
        Seconds since 1970.

    Raises
    ------
    InputError
        An environment variable holds no such number.
    OSError
        The cache cannot be read or written to.
    """
    root, now, limits = root or cache_root(), time.time() if now is None else now, bounds()
    drop_uploads(root=root, now=now)
    gone = list(_expired(root, now, limits))
    for item in gone:
        item.kind.delete(item.key, root)
    _drop_old_jobs(root / "jobs", now - limits.days * _DAY)
    _drop_old_lists(root / "started", now - limits.days * _DAY)
    _drop_unfinished(root, now - _DAY)
    Store(root).shrink()
    return gone


def _expired(root: Path, now: float, limits: Bounds) -> Iterator[KeptItem]:
    """What was opened too long ago, then what was opened longest ago until the rest is small enough."""
    by_last_use = sorted(
        ((holders_of(item, root).last_held, item) for item in all_kept(root)), key=lambda one: one[0]
    )
    sizes = {item: item.kind.size(item.key, root) for _, item in by_last_use}
    total = sum(sizes.values())
    for last_held, item in by_last_use:
        unopened = now - last_held
        if unopened > limits.days * _DAY or (total > limits.megabytes * 2**20 and unopened > _DAY):
            total -= sizes[item]
            yield item


def _drop_old_jobs(jobs: Path, before: float) -> None:
    for folder in jobs.glob("*"):
        with suppress(OSError):  # another process drops it now
            newest = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
            if newest < before:
                shutil.rmtree(folder, ignore_errors=True)


def _drop_old_lists(lists: Path, before: float) -> None:
    """Forget who started what long ago, and who started nothing since."""
    for path in lists.glob("*/*.json"):
        with suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()
    for folder in lists.glob("*"):
        with suppress(OSError):  # not where it still holds a job
            folder.rmdir()


def _drop_unfinished(root: Path, before: float) -> None:
    """Delete what a writer that was killed left behind."""
    for ending in ("part", "deleted"):
        for path in root.rglob(f"*.{ending}"):
            with suppress(OSError):
                if path.stat().st_mtime < before:
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
