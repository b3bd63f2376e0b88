"""A PromptTask from files: demonstrations and queries as tables with the columns text and label."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kernelsm.files.accepting import bare_name, check_ending, check_size, format_of, plain_name
from kernelsm.files.csv_tables import read_csv_texts
from kernelsm.files.json_tables import list_of_objects
from kernelsm.files.json_text import parse_json_object
from kernelsm.files.limits import Limits, limits
from kernelsm.files.plain_text import plain_text
from kernelsm.files.source import Source
from kernelsm.files.spreadsheets import excel_as_csv
from kernelsm.files.text import check_whole_letters, text_lines
from kernelsm.files.written_tables import PACKED, WRITTEN
from kernelsm.prompts.task import LONGEST_TEXT, Labelled, PromptTask, PromptTemplate, check_label_words
from kernelsm.runtime.errors import InputError

_MOST_MEGABYTES = 20
_COLUMNS = ("text", "label")
_LINES = (".jsonl", ".ndjson")
_FORMATS = ".csv, .tsv, .xlsx, .jsonl or .json with the columns text and label"


def most_megabytes() -> int:
    """MiB that a file of texts may have: 20, which 500 long texts need, or less where the limits say so."""
    return min(_MOST_MEGABYTES, limits().megabytes)


@dataclass(frozen=True)
class PromptFiles:
    """A task read from files, and sentences that its owner should read (repeated texts, a drawn split)."""

    task: PromptTask
    notes: tuple[str, ...]


def read_prompt_task(
    candidates: tuple[bytes, str],
    queries: tuple[bytes, str],
    fresh: tuple[bytes, str] | None = None,
    *,
    k: int = 4,
    template: PromptTemplate | None = None,
    name: str | None = None,
    seed: int = 0,
) -> PromptFiles:
    """Make a task of the contents and names of two or three files.

    Parameters
    ----------
    candidates, queries : (bytes, str)
        Content and name of a file; the ending of the name chooses the format. The labels are those of the
        candidates, in the order in which they first appear there.
    fresh : (bytes, str), optional
        Queries for checking. Without it half of the queries, drawn at random, become these; `notes` says so.
    k : int
        Demonstrations in a prompt.
    template : PromptTemplate, optional
    name : str, optional
        Of the task; that of the candidates' file where not given.
    seed : int
        Of the draw.

    Returns
    -------
    PromptFiles

    Raises
    ------
    InputError
        Names the file, row and column of the first thing that is wrong.
    """
    bounds = limits()
    notes: list[str] = []
    candidate_rows = read_labelled(*candidates, most=bounds.tasks, notes=notes)
    labels = tuple(dict.fromkeys(example.label for example in candidate_rows))
    if len(candidate_rows) < 2:
        fix = "There must be something to choose from."
        raise InputError(candidates[1], f"{len(candidate_rows)} candidate", "at least 2", fix)
    check_label_words(labels, f"{candidates[1]}, column 'label'")
    query_rows = read_labelled(*queries, most=bounds.targets, labels=labels, notes=notes)
    if fresh is not None:
        fresh_rows = read_labelled(*fresh, most=bounds.targets, labels=labels, notes=notes)
    else:
        if len(query_rows) < 2:
            fix = "Give more queries, or a file of fresh ones."
            raise InputError(queries[1], "1 query", "at least 2: half are kept for checking", fix)
        order = np.random.default_rng(seed).permutation(len(query_rows))
        held_out = set(order[: len(query_rows) // 2].tolist())
        fresh_rows = tuple(example for position, example in enumerate(query_rows) if position in held_out)
        query_rows = tuple(example for position, example in enumerate(query_rows) if position not in held_out)
        notes.append(f"{len(fresh_rows)} of the queries, drawn at random, are kept for checking.")
    sources = {"candidates": candidates[1], "queries": queries[1], "fresh": queries[1] if fresh is None else fresh[1]}
    notes += _repeats({"candidates": candidate_rows, "queries": query_rows, "fresh queries": fresh_rows})
    task = PromptTask(
        candidates=candidate_rows,
        queries=query_rows,
        fresh=fresh_rows,
        labels=labels,
        template=template or PromptTemplate(),
        k=k,
        name=name or bare_name(candidates[1], PACKED),
        meta={"sources": sources, "notes": notes},
    )
    return PromptFiles(task, tuple(notes))


def read_labelled(
    data: bytes,
    name: str,
    *,
    most: int | None = None,
    labels: Sequence[str] | None = None,
    notes: list[str] | None = None,
) -> tuple[Labelled, ...]:
    """Read texts and labels, with the spaces around them taken off; other columns are not read.

    Parameters
    ----------
    data : bytes
        Content of the file.
    name : str
        Its name; the ending chooses the format (one of `WRITTEN`, text also with .gz behind it), messages repeat it.
    most : int, optional
        Most rows.
    labels : sequence of str, optional
        Labels that may stand there; any where not given.
    notes : list of str, optional
        Sentences on how the file was read are appended to it.

    Raises
    ------
    InputError
        Names the row of the first thing that is wrong; rows count from 1, without header and
        empty lines, JSON lines as in the file.
    """
    rows: list[Labelled] = []
    unpickle = "Save the texts with DataFrame.to_csv."
    ending = format_of(name, PACKED)
    plain = plain_name(name) if ending in PACKED else name
    check_ending(plain, tuple(WRITTEN), _FORMATS, "Export it in one of these.", unpickle=unpickle)
    check_size(data, name, most_megabytes(), _FORMATS, "Send fewer rows.")
    rows_read, said = _read(data, name, ending, replace(limits(), megabytes=most_megabytes()))
    if notes is not None:
        notes += [f"{name}: {note}" for note in said]
    for place, text, label in rows_read:
        if len(rows) == most:
            raise InputError(name, f"more than {most:,} rows", f"at most {most:,}", "Send a sample of the rows.")
        for column, cell in (("text", text), ("label", label)):
            if not cell:
                fix = "Leave the row out, or fill it in."
                raise InputError(f"{place}, column {column!r}", "an empty cell", f"the {column}", fix)
        if len(text) > LONGEST_TEXT:
            found = f"{len(text):,} characters"
            raise InputError(f"{place}, column 'text'", found, f"at most {LONGEST_TEXT:,}", "Shorten the text.")
        if labels is not None and label not in labels:
            known = ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")
            expected, fix = f"a label of the candidates ({known})", "Give a candidate of it, or mend its spelling."
            raise InputError(f"{place}, column 'label'", repr(label[:60]), expected, fix)
        rows.append(Labelled(text, label))
    if not rows:
        raise InputError(name, "no row", "one row per text", "Save the table again.")
    return tuple(rows)


def _read(data: bytes, name: str, ending: str, bounds: Limits) -> tuple[list[tuple[str, str, str]], tuple[str, ...]]:
    """Place, text and label of each row, and what was done to the file."""
    if ending == ".xlsx":
        with excel_as_csv(data, name, bounds) as (path, notes, _):
            return list(_of_table(path, name)), notes
    if ending == ".json":
        objects, text = list_of_objects(data, name, bounds)
        return [_pair(row, f"{name}, row {number:,}") for number, row in enumerate(objects, start=1)], text.notes
    with plain_text(data, name, bounds) as text:
        return list((_of_lines if ending in _LINES else _of_table)(text.source, name)), text.notes


def _of_table(source: Source, name: str) -> Iterator[tuple[str, str, str]]:
    """Place, text and label of each row."""
    for row, (text, label) in read_csv_texts(source, name, limits(), _COLUMNS):
        yield f"{name}, row {row:,}", text, label


def _of_lines(source: Source, name: str) -> Iterator[tuple[str, str, str]]:
    """Place, text and label of each line."""
    expected, fix = 'one JSON object, such as {"text": "...", "label": "yes"}', "Write each text on one line."
    for number, line in text_lines(source, name, _MOST_MEGABYTES * 2**20):
        place = f"{name}, line {number:,}"
        yield _pair(parse_json_object(line, place, expected, fix), place)


def _pair(row: dict[str, Any], place: str) -> tuple[str, str, str]:
    return place, _field(row, "text", place), _field(row, "label", place)


def _field(row: dict[str, Any], column: str, place: str) -> str:
    if column not in row:
        fix = "Give every row the fields text and label."
        raise InputError(place, f"no field {column!r}", "the fields text and label", fix)
    value = row[column]
    if column == "label" and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # as a CSV file would hold it
    if not isinstance(value, str):
        found = "null" if value is None else json.dumps(value)[:60]
        raise InputError(f"{place}, field {column!r}", found, "text in quotes", "Write it as text.")
    check_whole_letters(value, f"{place}, field {column!r}")
    return value.strip()


def _repeats(groups: dict[str, tuple[Labelled, ...]]) -> list[str]:
    """Sentences on texts that are there more than once, but for case and spaces."""
    bare = {group: Counter(_bare(example) for example in rows) for group, rows in groups.items()}
    notes = []
    for group, counts in bare.items():
        if repeated := [text for text, count in counts.items() if count > 1]:
            notes.append(f"{_texts(len(repeated))} more than once among the {group}: {_shortened(repeated[0])}.")
    names = list(bare)
    for first, second, harm in (
        (names[0], names[1], "its label can be read off the prompt"),
        (names[0], names[2], "its label can be read off the prompt"),
        (names[1], names[2], "the check is not fresh for it"),
    ):
        if shared := [text for text in bare[first] if text in bare[second]]:
            text = _shortened(shared[0])
            notes.append(f"{_texts(len(shared))} both among the {first} and the {second} ({harm}): {text}.")
    labels: dict[str, set[str]] = {}
    for example in (example for rows in groups.values() for example in rows):
        labels.setdefault(_bare(example), set()).add(example.label)
    if contradicting := [text for text, labels_of_text in labels.items() if len(labels_of_text) > 1]:
        notes.append(f"{_texts(len(contradicting))} there with different labels: {_shortened(contradicting[0])}.")
    return notes


def _bare(example: Labelled) -> str:
    return " ".join(example.text.casefold().split())


def _texts(count: int) -> str:
    return "1 text is" if count == 1 else f"{count} texts are"


def _shortened(text: str) -> str:
    return f"\u201c{text[:57]}...\u201d" if len(text) > 60 else f"\u201c{text}\u201d"
