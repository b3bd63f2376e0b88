"""Checks of a file before it is read: a known ending, a size within the limit, and content that fits the ending."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path, PurePath

from kernelsm.files.limits import check_megabytes
from kernelsm.files.signatures import looks_like
from kernelsm.files.source import Source, source_size
from kernelsm.runtime.errors import InputError

GZIP = ".gz"
PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt")
"""Endings of files that are pickles, which are never read: loading one can run any code."""


def ending_of(name: str) -> str:
    """Ending of a file's name in small letters, such as ".csv"; empty where it has none."""
    return PurePath(name).suffix.lower()


def plain_name(name: str) -> str:
    """Name of a file without the .gz behind it, in any case.

    >>> plain_name("samples.csv.GZ"), plain_name("samples.csv")
    ('samples.csv', 'samples.csv')
    """
    return name[: -len(GZIP)] if ending_of(name) == GZIP else name


def format_of(name: str, packed: Collection[str] = ()) -> str:
    """Ending that tells what is in a file: of NAME.csv.gz ".csv", where `packed` holds it; else as `ending_of`."""
    inner = ending_of(plain_name(name))
    return inner if inner in packed else ending_of(name)


def bare_name(name: str, packed: Collection[str] = ()) -> str:
    """Name of a file without its ending: of NAME.csv NAME, and of NAME.csv.gz too where `packed` holds ".csv"."""
    return PurePath(name if format_of(name, packed) == ending_of(name) else plain_name(name)).stem


def check_ending(name: str, endings: Collection[str], expected: str, fix: str, *, unpickle: str) -> str:
    """Return the ending of a file's name if it is one of those that are read.

    Parameters
    ----------
    name : str
        Name of the file.
    endings : collection of str
        Those that are read, in small letters; "" for a name without one.
    expected : str
        What should be sent, for messages.
    fix : str
        What to do about another ending.
    unpickle : str
        What to do about a pickle.

    Raises
    ------
    InputError
        Another ending; pickles are refused with the reason.
    """
    ending = ending_of(name)
    if ending in PICKLES and ending not in endings:
        raise InputError(name, f"a pickle ({ending})", f"{expected}, because pickles can run code", unpickle)
    if ending not in endings:
        raise InputError(name, f"the ending {ending or '(none)'!r}", expected, fix)
    return ending


def check_size(source: Source, name: str, megabytes: int, expected: str, fix: str) -> None:
    """Refuse a file without a byte, or of more MiB than are allowed.

    Parameters
    ----------
    source : Path or bytes
    name : str
        Its name, for messages.
    megabytes : int
        Most MiB.
    expected : str
        What should be in the file.
    fix : str
        How to send less.

    Raises
    ------
    InputError
        Says how large it is.
    """
    size = source_size(source)
    if not size:
        raise InputError(name, "an empty file (0 bytes)", expected, "Save it again and retry.")
    check_megabytes(size, name, megabytes, fix)


def check_content(source: Source, name: str, kinds: Collection[str], expected: str, fix: str) -> None:
    """Refuse a file whose first bytes say that it is something else than its name does.

    Parameters
    ----------
    source : Path or bytes
    name : str
        Its name, for messages.
    kinds : collection of str
        What `looks_like` may say of it.
    expected : str
        What the file should be.
    fix : str
        What to do about it.

    Raises
    ------
    InputError
        Says what the file seems to be.
    """
    seems = looks_like(source)
    if seems not in kinds:
        found = f"what seems to be {seems}" if seems else f"no sign of {expected}"
        raise InputError(name, found, f"{expected}, as its name says", fix)


def check_written_ending(path: Path, *endings: str) -> None:
    """Refuse to write a file whose name ends in something else than what will be in it.

    Raises
    ------
    InputError
        Another ending.
    """
    if path.suffix not in endings:
        found = f"the ending {path.suffix!r}"
        raise InputError(f"file name {path.name!r}", found, " or ".join(endings), "Rename it.")
