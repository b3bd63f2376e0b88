"""What a reader made of a table: its columns, what it left out, and what its owner should know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pyarrow as pa
from numpy.typing import NDArray

from kernelsm.runtime.errors import InputError

Column: TypeAlias = "pa.ChunkedArray | NDArray[Any]"
"""The values of a column: a ChunkedArray of single values, or an array with the samples along its first axis."""


@dataclass(frozen=True)
class TableRead:
    """Columns of a file, or of its first rows.

    Parameters
    ----------
    columns : dict of str to Column
    rows : int or None
        Of the whole file; None where only reading on would show that.
    notes : tuple of str
        Sentences that the owner of the file should read.
    left_out : mapping of str to InputError
        Columns that cannot be read, and why: the error is raised by whatever needs one of them.
    index : frozenset of str
        Columns that only name the rows, as the program that wrote the file says.
    encoding : str
        Of a text file, in words: "UTF-8", "Windows-1252"; empty for other files.
    """

    columns: dict[str, Column]
    rows: int | None
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, InputError] = field(default_factory=dict)
    index: frozenset[str] = frozenset()
    encoding: str = ""


def keep_readable(columns: dict[str, Column], left_out: Mapping[str, InputError]) -> dict[str, Column]:
    """Return the columns that are not left out.

    Raises
    ------
    InputError
        None is left: the first reason.
    """
    kept = {name: held for name, held in columns.items() if name not in left_out}
    if left_out and not kept:
        raise next(iter(left_out.values()))
    return kept
