"""How much a user may send: sizes and counts that every reader checks before it takes memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from kernelsm.runtime.errors import InputError
from kernelsm.runtime.settings import whole_number


@dataclass(frozen=True)
class Limits:
    """Upper bounds of what is read; each is set by the environment variable KERNELSM_MAX_ and its name in capitals.

    Parameters
    ----------
    megabytes : int
        Size of one file, MiB.
    unpacked_megabytes : int
        Size of what an archive or compressed arrays unpack to, and of a table in memory, MiB.
    files : int
        Files in an archive.
    rows : int
        Samples.
    columns : int
        Columns of a table, arrays of an archive.
    tasks : int
        Number of tasks K.
    targets : int
        Number of targets q.
    classes : int
        Number of classes C.
    """

    megabytes: int = 1024
    unpacked_megabytes: int = 4096
    files: int = 2000
    rows: int = 2_000_000
    columns: int = 10_000
    tasks: int = 500
    targets: int = 1_000
    classes: int = 1_000


def limits() -> Limits:
    """Limits as the environment sets them now.

    Raises
    ------
    InputError
        A variable holds something else than a whole number of 1 or more.
    """
    return Limits(**{
        field.name: whole_number(f"KERNELSM_MAX_{field.name.upper()}", getattr(Limits, field.name))
        for field in fields(Limits)
    })  # fmt: skip


def check_megabytes(size: int, place: str, megabytes: int, fix: str, *, found: str = "{} MiB") -> None:
    """Refuse more bytes than a limit in MiB.

    Parameters
    ----------
    size : int
        Bytes.
    place : str
        What takes them, for messages.
    megabytes : int
        Most MiB.
    fix : str
        How to send less.
    found : str
        How to report the size, with {} for the number of MiB: "at least {} MiB in memory".

    Raises
    ------
    InputError
        Says how many MiB there are.
    """
    if size > megabytes * 2**20:
        needed = f"{math.ceil(size / 2**20):,}"
        raise InputError(place, found.format(needed), f"at most {megabytes:,} MiB", fix)


def check_table_size(rows: int, size: int, name: str, limits: Limits) -> None:
    """Refuse a table of more rows, or of more bytes in memory, than the limits allow.

    Raises
    ------
    InputError
        Says which of the two it is.
    """
    if rows > limits.rows:
        found = f"more than {limits.rows:,} rows"
        raise InputError(name, found, f"at most {limits.rows:,}", "Send a sample of the rows.")
    fix = "Send fewer rows or columns."
    check_megabytes(size, name, limits.unpacked_megabytes, fix, found="at least {} MiB in memory")
