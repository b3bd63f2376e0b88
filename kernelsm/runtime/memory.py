"""How much memory this process may still take, and refusing work that needs more before it begins."""

from __future__ import annotations

import os
from pathlib import Path

from kernelsm.runtime.errors import InputError

_MEMINFO, _GROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that are free, or that the container has left where that is less; None where the system does not say.

    Examples
    --------
    >>> found = available_memory()
    >>> found is None or found > 0
    True
    """
    found = [size for size in (_of_the_machine(), _of_the_container()) if size is not None]
    return max(1, min(found)) if found else None


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
    free = available_memory()
    if free is not None and needed > free:
        found = f"{what}, which takes about {needed / 2**30:,.1f} GiB of memory"
        raise InputError(place, found, f"at most the {free / 2**30:,.1f} GiB that are free", fix)


def _of_the_machine() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
        sizes = dict(line.split(":", 1) for line in lines if ":" in line)
        return int(sizes["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        pass
    try:  # no such file: all there is
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _of_the_container() -> int | None:
    try:
        most = (_GROUP / "memory.max").read_text().strip()
        if most == "max":
            return None
        used = int((_GROUP / "memory.current").read_text())
        statistics = dict(line.split() for line in (_GROUP / "memory.stat").read_text().splitlines())
        # files that were read and can be dropped count as used there
        return int(most) - used + int(statistics.get("inactive_file", 0))
    except (OSError, ValueError):
        return None
