"""A PromptTask from files: what their columns mean, label words or free answers, what is drawn for checking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kernelsm.files.accepting import bare_name
from kernelsm.files.limits import limits
from kernelsm.files.written_tables import PACKED
from kernelsm.prompts.answer_rules import AnswerRule
from kernelsm.prompts.column_choice import ColumnChoice, guess_columns
from kernelsm.prompts.label_words import looks_free, merged_labels
from kernelsm.prompts.task import LONGEST_TEXT, Labelled, PromptTask, PromptTemplate, check_label_words
from kernelsm.prompts.text_rows import TextRows, most_megabytes, read_rows
from kernelsm.runtime.errors import InputError

__all__ = ["PromptFiles", "Reading", "most_megabytes", "read_labelled", "read_prompt_task", "usual_rule"]

LABELS, FREE = "labels", "free"
GROUPS = ("candidates", "queries", "fresh")


@dataclass(frozen=True)
class Reading:
    """How files of texts are to be read; what is not said is guessed.

    Parameters
    ----------
    columns : mapping of str to ColumnChoice
        Of "candidates", "queries" and "fresh".
    answers : {"", "labels", "free"}
        Whether answers are label words, or free; "" guesses.
    rule : AnswerRule, optional
        When a free answer is right; guessed where not given: a number for references that are numbers.
    label_names : mapping of str to str
        Label -> what it is called, see `read_label_names`.
    merge : bool
        Whether labels that differ in case and spaces alone are one.
    """

    columns: Mapping[str, ColumnChoice] = field(default_factory=dict)
    answers: str = ""
    rule: AnswerRule | None = None
    label_names: Mapping[str, str] = field(default_factory=dict)
    merge: bool = True

    def __post_init__(self) -> None:
        if self.answers not in ("", LABELS, FREE):
            raise InputError("answers", repr(self.answers)[:60], f"{LABELS!r} or {FREE!r}", "Choose one of these.")
        if unknown := [group for group in self.columns if group not in GROUPS]:
            raise InputError("columns", repr(unknown[0])[:60], " or ".join(map(repr, GROUPS)), "Name these files.")

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types, without what is guessed."""
        content: dict[str, Any] = {}
        if self.columns:
            content["columns"] = {group: choice.to_dict() for group, choice in self.columns.items()}
        if self.answers:
            content["answers"] = self.answers
        if self.rule:
            content["rule"] = self.rule.to_dict()
        if self.label_names:
            content["label_names"] = dict(self.label_names)
        if not self.merge:
            content["merge"] = False
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Reading:
        """Return what `to_dict` gave."""
        columns = {group: ColumnChoice.from_dict(one) for group, one in content.get("columns", {}).items()}
        rule = AnswerRule.from_dict(content["rule"]) if "rule" in content else None
        names = content.get("label_names", {})
        return cls(columns, content.get("answers", ""), rule, names, content.get("merge", True))


@dataclass(frozen=True)
class PromptFiles:
    """A task read from files, and what its owner should know of it.

    Parameters
    ----------
    task : PromptTask
    notes : tuple of str
        Sentences: repeated texts, a drawn split, what was merged.
    why_free : str
        Why answers look free, by guess; "" where they look like label words.
    """

    task: PromptTask
    notes: tuple[str, ...]
    why_free: str = ""


@dataclass(frozen=True)
class _Row:
    place: str
    example: Labelled
    group: str


def read_prompt_task(
    candidates: tuple[bytes, str],
    queries: tuple[bytes, str],
    fresh: tuple[bytes, str] | None = None,
    *,
    k: int = 4,
    template: PromptTemplate | None = None,
    name: str | None = None,
    seed: int = 0,
    reading: Reading | None = None,
) -> PromptFiles:
    """Make a task of the contents and names of two or three files.

    Parameters
    ----------
    candidates, queries : (bytes, str)
        Content and name of a file; the ending of the name chooses the format. Label words are those of the
        candidates, in the order in which they first appear there.
    fresh : (bytes, str), optional
        Queries for checking. Without it half of the queries, drawn at random, become these; `notes` says so. Queries
        of one group, where a column says so, stay on one side.
    k : int
        Demonstrations in a prompt.
    template : PromptTemplate, optional
    name : str, optional
        Of the task; that of the candidates' file where not given.
    seed : int
        Of the draw.
    reading : Reading, optional
        What the columns mean, and what the answers are; what it does not say is guessed.

    Returns
    -------
    PromptFiles

    Raises
    ------
    InputError
        Names the file, row and column of the first thing that is wrong.
    """
    bounds, reading, notes = limits(), reading or Reading(), list[str]()
    chosen = reading.columns.get("candidates")
    shown, choice, said_rule = _rows(*candidates, bounds.tasks, chosen, notes)
    if len(shown) < 2:
        fix = "There must be something to choose from."
        raise InputError(candidates[1], f"{len(shown)} candidate", "at least 2", fix)
    answers = [row.example.label for row in shown]

    def read_queries(file: tuple[bytes, str], group: str) -> list[_Row]:
        found, of_file, _ = _rows(
            *file, bounds.targets, reading.columns.get(group), notes, like=choice, labels=set(answers)
        )
        if len(of_file.texts) != len(choice.texts):
            found_texts = f"{len(of_file.texts)} column{'s' if len(of_file.texts) != 1 else ''} of texts"
            fix = "Choose as many."
            raise InputError(file[1], found_texts, f"{len(choice.texts)}, as the candidates have", fix)
        names = choice.fields  # fields are called as among the candidates
        return [
            replace(row, example=replace(row.example, fields=tuple(zip(names, (v for _, v in row.example.fields)))))  # noqa: B905
            for row in found
        ]

    asked = read_queries(queries, "queries")
    checking = None if fresh is None else read_queries(fresh, "fresh")
    others = [row.example.label for row in (*asked, *(checking or ()))]
    why_free = looks_free(answers, others)
    free = reading.answers == FREE or (not reading.answers and bool(why_free))
    rule: AnswerRule | None = None
    labels: tuple[str, ...] = ()
    if free:
        rule = reading.rule or (AnswerRule(said_rule) if said_rule else usual_rule([*answers, *others]))
        if not reading.answers:
            notes.append(f"Answers are read as free ones, not as label words: {why_free}")
        for row in (*asked, *(checking or ())):
            rule.check_reference(row.example.label, f"{row.place}, answer")
    else:
        spelling, said = merged_labels(answers, others, names=reading.label_names, merge=reading.merge)
        notes += said
        shown, asked = _spelt(shown, spelling), _spelt(asked, spelling)
        checking = None if checking is None else _spelt(checking, spelling)
        labels = tuple(dict.fromkeys(row.example.label for row in shown))
        check_label_words(labels, f"{candidates[1]}, column {choice.answer!r}")
        for row in (*asked, *(checking or ())):
            _check_known(row, labels, choice.answer)
    if checking is None:
        asked, checking = _drawn(asked, queries[1], seed)
        notes.append(f"{len(checking)} of the queries, drawn at random, are kept for checking.")
    groups = {"candidates": shown, "queries": asked, "fresh queries": checking}
    examples = {group: tuple(row.example for row in rows) for group, rows in groups.items()}
    notes += _repeats(examples)
    sources = {"candidates": candidates[1], "queries": queries[1], "fresh": queries[1] if fresh is None else fresh[1]}
    task = PromptTask(
        candidates=examples["candidates"],
        queries=examples["queries"],
        fresh=examples["fresh queries"],
        labels=labels,
        template=template or PromptTemplate(),
        k=k,
        name=name or bare_name(candidates[1], PACKED),
        meta={"sources": sources, "notes": notes},
        rule=rule,
    )
    return PromptFiles(task, tuple(notes), why_free)


def read_labelled(
    data: bytes,
    name: str,
    *,
    most: int | None = None,
    notes: list[str] | None = None,
    columns: ColumnChoice | None = None,
) -> tuple[Labelled, ...]:
    """Read texts and their answers, with the spaces around them taken off; other columns are not looked at.

    Parameters
    ----------
    data : bytes
        Content of the file.
    name : str
        Its name; the ending chooses the format, see `read_rows`, and messages repeat it.
    most : int, optional
        Most rows.
    notes : list of str, optional
        Sentences on how the file was read are appended to it.
    columns : ColumnChoice, optional
        What its columns mean; guessed where not given.

    Raises
    ------
    InputError
        Names the row of the first thing that is wrong; rows count from 1, without header and
        empty lines, JSON lines as in the file.
    """
    rows, _, _ = _rows(data, name, most, columns, [] if notes is None else notes)
    return tuple(row.example for row in rows)


def _rows(
    data: bytes, name: str, most: int | None, columns: ColumnChoice | None, notes: list[str],
    *, like: ColumnChoice | None = None, labels: set[str] | None = None,
) -> tuple[list[_Row], ColumnChoice, str]:  # fmt: skip
    """Rows of a file, what its columns mean, and the kind of rule that its tests come near to."""
    read = read_rows(data, name, most=most)
    notes += [f"{name}: {note}" for note in read.notes]
    if columns is None:
        guess = guess_columns(read, like=like, labels=labels or ())
        columns = guess.choice
        columns.check(read)
        if sentence := guess.sentence():
            notes.append(f"{name}: {sentence}")
    columns.check(read)
    return [_row(read, position, columns) for position in range(len(read.rows))], columns, read.rule


def _row(read: TextRows, position: int, columns: ColumnChoice) -> _Row:
    row = read.rows[position]
    parts: dict[str, str] = {}
    for column in columns.used():
        place = f"{row.place}, {read.word if read.word == 'column' else 'field'} {column!r}"
        cell = read.cell(row, column)
        needed = column == columns.answer or column in columns.texts[:1]
        if not cell and needed:
            fix = "Leave the row out, or fill it in."
            raise InputError(place, "an empty cell", "an answer" if column == columns.answer else "a text", fix)
        if len(cell) > LONGEST_TEXT:
            raise InputError(place, f"{len(cell):,} characters", f"at most {LONGEST_TEXT:,}", "Shorten the text.")
        parts[column] = cell
    names = columns.fields or columns.texts
    fields = [(name, parts[column]) for name, column in zip(names, columns.texts, strict=True)]
    example = Labelled.of_fields(fields, parts[columns.answer], parts.get(columns.reasoning, ""))
    return _Row(row.place, example, parts.get(columns.group, ""))


def usual_rule(answers: Sequence[str]) -> AnswerRule:
    """Return the rule by guess: a number for references that are all numbers, else an exact match.

    Examples
    --------
    >>> usual_rule(["12", "1,000 kg"]).kind, usual_rule(["Paris"]).kind
    ('number', 'exact')
    """
    number = AnswerRule("number")
    bare = all(len(answer) <= 20 and any(letter.isdigit() for letter in answer) for answer in answers)
    try:
        for answer in answers if bare else ():
            number.check_reference(answer, "answer")
    except InputError:
        bare = False
    return number if bare else AnswerRule("exact")


def _spelt(rows: Sequence[_Row], spelling: Mapping[str, str]) -> list[_Row]:
    return [replace(row, example=replace(row.example, label=spelling[row.example.label])) for row in rows]


def _check_known(row: _Row, labels: Sequence[str], column: str) -> None:
    if row.example.label not in labels:
        known = ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")
        expected, fix = f"a label of the candidates ({known})", "Give a candidate of it, or mend its spelling."
        raise InputError(f"{row.place}, column {column!r}", repr(row.example.label[:60]), expected, fix)


def _drawn(rows: list[_Row], name: str, seed: int) -> tuple[list[_Row], list[_Row]]:
    """Half of the queries, and the others for checking; those of one group are on one side."""
    if len(rows) < 2:
        fix = "Give more queries, or a file of fresh ones."
        raise InputError(name, "1 query", "at least 2: half are kept for checking", fix)
    order = np.random.default_rng(seed).permutation(len(rows)).tolist()
    held_out: set[int] = set()
    if not any(row.group for row in rows):
        held_out.update(order[: len(rows) // 2])
    else:
        of_group: dict[str, list[int]] = {}
        for position in order:
            of_group.setdefault(rows[position].group or f"\n{position}", []).append(position)
        if len(of_group) < 2:
            fix = "Choose another column for the groups, or none."
            raise InputError(name, "one group of queries", "at least 2: half are kept for checking", fix)
        for members in of_group.values():
            if len(held_out) + len(members) <= len(rows) // 2 or not held_out:
                held_out.update(members)
    kept = [row for position, row in enumerate(rows) if position not in held_out]
    return kept, [row for position, row in enumerate(rows) if position in held_out]


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
