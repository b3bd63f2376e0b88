"""The header of a table in any format: a name for each column, none twice, and not too many of them."""

from __future__ import annotations

from collections.abc import Sequence

from kernelsm.files.text import check_whole_letters
from kernelsm.runtime.errors import InputError


def check_header(names: Sequence[str], name: str, max_columns: int, *, word: str = "columns") -> None:
    """Refuse a header of too many columns, or one in which a column has no name or that of an earlier one.

    Parameters
    ----------
    names : sequence of str
        Names of the columns.
    name : str
        Name of the file, for messages.
    max_columns : int
        Columns that a table may have.
    word : str
        What messages call the columns.

    Raises
    ------
    InputError
        Names the first column (from 1) that is wrong.
    """
    check_width(names, name, max_columns, word=word)
    seen: dict[str, int] = {}
    for number, column in enumerate(names, start=1):
        place = f"{name}, header, column {number}"
        if not column.strip():
            fix = "Name every column. pandas writes an unnamed one for its index: use to_csv(..., index=False)."
            raise InputError(place, "no name", "a name for each column", fix)
        check_whole_letters(column, place)
        if column in seen:
            fix = "Rename one of the two."
            raise InputError(place, f"{column[:80]!r} again (as column {seen[column]})", "different names", fix)
        seen[column] = number


def check_width(names: Sequence[str], name: str, max_columns: int, *, word: str = "columns") -> None:
    """Refuse a header of too many columns; see `check_header`.

    Raises
    ------
    InputError
        Says how many there are.
    """
    if len(names) > max_columns:
        fix = "Leave columns out, merge them into groups, or make one list column or array of them."
        raise InputError(f"{name}, header", f"{len(names):,} {word}", f"at most {max_columns:,}", fix)
