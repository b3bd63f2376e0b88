"""How much memory this process may still take."""

from __future__ import annotations

import os
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")


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


def _of_the_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        sizes = dict(line.split(":", 1) for line in lines)
        return int(sizes["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
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
