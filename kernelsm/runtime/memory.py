"""How much memory is free, and refusing work that needs more before it begins."""

from __future__ import annotations

import os
from pathlib import Path

from kernelsm.runtime.errors import InputError

_MEMINFO = Path("/proc/meminfo")
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


def free_memory() -> int | None:
    """Bytes that a process can still take without swapping; None where the system does not say.

    On Linux what the kernel calls available, and within a container at most what its limit leaves.

    Examples
    --------
    >>> from kernelsm.runtime.memory import free_memory
    >>> found = free_memory()
    >>> found is None or found > 0
    True
    """
    found: int | None = None
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines() if ":" in line)
        found = 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError, IndexError):
        try:
            found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
        except (ValueError, OSError, AttributeError):  # unknown there
            found = None
    try:
        left = int(_LIMIT.read_text()) - int(_USED.read_text())  # "max" is no number: there is no limit
    except (OSError, ValueError):
        return found
    return left if found is None else min(found, left)


def check_memory(place: str, needed: int, *, what: str, fix: str) -> None:
    """Refuse work that needs more memory than is free; where that is unknown nothing is refused.

    Parameters
    ----------
    place : str
        What is about to begin.
    needed : int
        Bytes.
    what : str
        What they are for, in words.
    fix : str
        What takes less.

    Raises
    ------
    InputError
        More than is free.

    Examples
    --------
    >>> from kernelsm.runtime.memory import check_memory
    >>> check_memory("GradEx", 2**20, what="a few samples", fix="Take fewer.")
    """
    free = free_memory()
    if free is not None and needed > free:
        found = f"{what}, which takes about {needed / 2**30:,.1f} GiB of memory"
        raise InputError(place, found, f"at most the {free / 2**30:,.1f} GiB that are free", fix)
