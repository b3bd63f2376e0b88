"""What is seen in a user's file: its columns, what they are guessed to mean and why, and what was left out."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from kernelsm.files.accepting import ending_of, format_of
from kernelsm.files.written_tables import PACKED
from kernelsm.models.model_folders import ADAPTER
from kernelsm.outcomes.table import Outcomes
from kernelsm.outcomes.table_validation import TARGET_PREFIX, TASK_PREFIX
from kernelsm.runtime.errors import InputError
from kernelsm.samples.column_facts import Facts
from kernelsm.samples.reader import read_facts
from kernelsm.samples.splits import split_meaning
from kernelsm.tasks.mapping_guess import explain_guess


def inspect_samples(path: Path) -> dict[str, Any]:
    r"""Read a file or folder of samples, or a table of outcomes, and return what *Data & model* shows of it.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict
        JSON types. Of samples: `columns` with their kinds, the `mapping` that is guessed and its `reasons`, columns
        that the guess leaves aside (`left_aside`) or that cannot be read (`left_out`), `notes`, `encoding`, `splits`.
        Of a table of outcomes: its numbers of subsets, tasks and targets, and `notes`.

    Raises
    ------
    InputError
        Names the file and the row, column or entry of the first thing that is wrong.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from kernelsm.pipelines.inspect_samples import inspect_samples
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "mine.csv")
    ...     _ = path.write_text("x,label,source\n" + "1.5,a,s\n2.5,b,t\n" * 10)
    ...     found = inspect_samples(path)
    >>> found["mapping"]["label"], found["mapping"]["tasks"]["columns"], found["reasons"]["label"]
    ('label', ['source'], 'Its name says so.')
    """
    try:
        facts = read_facts(path)
    except InputError:
        if (own := _own_format(path)) is None:
            raise
        return own
    if {"masks", "values"} <= set(facts.names) and (own := _own_format(path)):
        return own
    if is_outcomes(facts):
        if path.is_dir() or ending_of(path.name) == ".zip":
            fix = "Inspect the file: python -m kernelsm inspect FOLDER/TABLE.csv."
            raise InputError(path.name, "a table of outcomes inside", "samples, or the file of the table itself", fix)
        return _outcomes_seen(path)
    guess = explain_guess(facts)
    return {
        "file": path.name, "kind": "samples", "rows": facts.rows, "encoding": facts.encoding,
        "columns": columns_seen(facts), "mapping": guess.mapping.to_dict(), "reasons": guess.reasons,
        "left_aside": guess.left_aside, "left_out": dict(facts.left_out), "notes": list(facts.notes),
        "splits": {
            word: {"rows": rows, "meaning": split_meaning(word)}
            for word, rows in facts.columns[guess.mapping.split].counts.items()
        } if guess.mapping.split else {},
    }  # fmt: skip


def _outcomes_seen(path: Path) -> dict[str, Any]:
    outcomes = Outcomes.from_files([(path.read_bytes(), path.name)])
    return {
        "file": path.name, "kind": "table of outcomes", "subsets": outcomes.m, "tasks": list(outcomes.task_names),
        "targets": list(outcomes.target_names), "higher_is_better": outcomes.higher_is_better,
        "notes": list(outcomes.meta.get("notes", [])),
    }  # fmt: skip


def _own_format(path: Path) -> dict[str, Any] | None:
    """What is in masks (or ids) and values, as `Outcomes` takes them; None where a file does not hold these."""
    if not path.is_file() or format_of(path.name, PACKED) not in (".json", ".npz"):
        return None
    with suppress(InputError):  # what is wrong with it as samples is told
        return _outcomes_seen(path)
    return None


def holds_model(path: Path) -> bool:
    """Whether a folder or zip holds a Hugging Face model or an adapter, at its top or one folder down."""
    named = ("config.json", ADAPTER)
    if path.is_dir():
        return any((path / name).is_file() or any(path.glob(f"*/{name}")) for name in named)
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [name.split("/") for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, ValueError):
        return False  # reading it as samples says what is wrong
    return any(entry[-1] in named and len(entry) <= 2 for entry in entries)


def columns_seen(facts: Facts) -> list[dict[str, Any]]:
    """Return name, kind, different values and missing ones of each column, and the shape of arrays."""
    return [
        {"name": name, "kind": held.kind, "distinct": held.count, "missing": held.missing}
        | ({"shape": list(held.shape)} if held.shape else {})
        for name, held in facts.columns.items()
    ]


def is_outcomes(facts: Facts) -> bool:
    """Whether columns are named as in a table of outcomes: task:NAME and target:NAME."""
    named = [any(name.startswith(prefix) for name in facts.names) for prefix in (TASK_PREFIX, TARGET_PREFIX)]
    return all(named)
