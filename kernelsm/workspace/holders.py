"""Who holds what is kept: those who own it, and those who opened a link to it.

Beside each thing stands a folder `KEY.holders` of empty files that only the server reads: `owner-ID` for whoever
brought or computed it, `viewer-ID` for whoever opened a link to it. An ID is a hash that says nothing of who it is,
and knowing one grants nothing. A file is there or not, so that servers which share a cache never read half a list.

Owners may rename it, take its data along and let go of it; viewers see it. What nobody else holds goes with the last
owner. What was kept by a version that wrote no holders has no owner: everybody with a link sees it, nobody can change
or delete it, and it goes when it has not been opened for long. Who restores a session file owns what is in it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kernelsm.runtime.content_hash import is_content_hash
from kernelsm.runtime.store import cache_root
from kernelsm.workspace.kept import KeptItem
from kernelsm.workspace.kept_kinds import KEPT_KINDS

_MOST_VIEWERS, _OTHERS = 100, "0" * 32
"""Beyond so many, who looks at a thing is written down as one of the others, who never let go of it."""
_MARK = re.compile(r"(owner|viewer)-([0-9a-f]{32})")
Part = Literal["owner", "viewer"]


@dataclass(frozen=True)
class Holders:
    """Who holds one thing.

    Parameters
    ----------
    owners, viewers : frozenset of str
        Their IDs, 32 hex digits each.
    last_held : float
        When it was last brought, computed or opened, in seconds since 1970; 0 where it is not here.
    """

    owners: frozenset[str]
    viewers: frozenset[str]
    last_held: float

    @property
    def everybody(self) -> frozenset[str]:
        """Owners and viewers."""
        return self.owners | self.viewers


def holders_of(item: KeptItem, root: Path | None = None) -> Holders:
    """Return who holds a thing."""
    found: dict[str, set[str]] = {"owner": set(), "viewer": set()}
    if not item.kind.is_here(item.key, root):
        return Holders(frozenset(), frozenset(), 0.0)
    times = [_changed(item.kind.paths(item.key, root)[0])]
    for path in _marks(item, root):
        if match := _MARK.fullmatch(path.name):
            found[match[1]].add(match[2])
            times.append(_changed(path))
    return Holders(frozenset(found["owner"]), frozenset(found["viewer"]), max(times))


def hold(item: KeptItem, holder: str, part: Part, root: Path | None = None) -> None:
    """Write down that somebody owns or sees a thing, now; nothing where it is not here.

    Parameters
    ----------
    item : KeptItem
    holder : str
        An ID: 32 hex digits.
    part : {"owner", "viewer"}
    root : Path, optional
        The cache's folder.

    Raises
    ------
    ValueError
        `holder` is no ID.
    OSError
        The cache cannot be written to.
    """
    if not _MARK.fullmatch(f"{part}-{holder}"):
        raise ValueError(f"{holder!r} is no ID of a holder")
    if item.kind.is_here(item.key, root):
        folder = item.kind.holders_folder(item.key, root)
        folder.mkdir(mode=0o700, exist_ok=True)
        mark = folder / f"{part}-{holder}"
        if part == "viewer" and not mark.exists() and len(list(folder.iterdir())) >= _MOST_VIEWERS:
            mark = folder / f"viewer-{_OTHERS}"
        mark.touch(mode=0o600)


def is_owned(item: KeptItem, holders: Collection[str], root: Path | None = None) -> bool:
    """Whether one of these IDs owns a thing."""
    if not is_content_hash(item.key):
        return False
    folder = item.kind.holders_folder(item.key, root)
    return any(_MARK.fullmatch(f"owner-{one}") and (folder / f"owner-{one}").exists() for one in holders)


def let_go(item: KeptItem, holders: Collection[str], root: Path | None = None) -> int:
    """End what these IDs have of a thing, and delete it where they owned it and nobody else holds it.

    Of a thing that holds somebody's data (`Kept.holds_data`), who merely saw it holds nothing: what its owners delete
    is gone.

    Returns
    -------
    int
        Bytes freed; 0 where somebody else holds it, and where these own nothing of it.
    """
    owned = is_owned(item, holders, root)
    for one in holders:
        for part in ("owner", "viewer"):
            (item.kind.holders_folder(item.key, root) / f"{part}-{one}").unlink(missing_ok=True)
    left = holders_of(item, root)
    keep = left.owners if item.kind.holds_data else left.everybody
    return item.kind.delete(item.key, root) if owned and not keep else 0


def all_kept(root: Path | None = None) -> Iterator[KeptItem]:
    """Go through all things of all kinds that are kept here; what is damaged is among them."""
    for kind in KEPT_KINDS:
        folder = (root or cache_root()) / kind.folder
        names = sorted(path.name.partition(".")[0] for path in folder.iterdir()) if folder.is_dir() else []
        yield from (KeptItem(kind, key) for key in dict.fromkeys(names) if kind.is_here(key, root))


def _marks(item: KeptItem, root: Path | None) -> list[Path]:
    folder: Path = item.kind.holders_folder(item.key, root)
    with suppress(FileNotFoundError):
        return list(folder.iterdir())
    return []


def _changed(path: Path) -> float:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0
