"""PromptTask: K labelled demonstrations to choose from, queries to choose by, and fresh ones to check with."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import content_hash

MOST_LABELS = 20
LONGEST_TEXT = 20_000
"""Characters of one text, and of a template."""
LONGEST_LABEL = 100


@dataclass(frozen=True)
class Labelled:
    """A text and its label word."""

    text: str
    label: str


@dataclass(frozen=True)
class PromptTemplate:
    """How a prompt is written: head (instruction and demonstrations), then tail (the query).

    Parameters
    ----------
    instruction : str
        Stands first, with an empty line after it; empty for none.
    demonstration : str
        Each demonstration, with {text} and {label}; write { and } of your own as {{ and }}.
    query : str
        The query, with {text}. The label word that the model is to say follows after one space.
    chat : bool
        Whether the prompt is a conversation, written down by the chat template of the model: the instruction as the
        system's turn, each demonstration as a turn of the user (its text, as `query` writes one) and a reply of the
        assistant (its label), the query as the last turn. `demonstration` is then not used.

    Raises
    ------
    InputError
        A field is missing or unknown, a brace stands alone, or `query` ends in a space or a new line.
    """

    instruction: str = ""
    demonstration: str = "Text: {text}\nLabel: {label}\n\n"
    query: str = "Text: {text}\nLabel:"
    chat: bool = False

    def __post_init__(self) -> None:
        _check_pattern("template, demonstration", self.demonstration, ("text", "label"))
        _check_pattern("template, query", self.query, ("text",))
        if len(self.instruction) > LONGEST_TEXT:
            found = f"{len(self.instruction):,} characters"
            raise InputError("template, instruction", found, f"at most {LONGEST_TEXT:,}", "Shorten it.")
        if self.query != self.query.rstrip():
            fix = "End it with a visible character, such as a colon."
            raise InputError("template, query", "a space or new line at its end", "no space: one follows", fix)

    def head(self, demonstrations: Sequence[Labelled]) -> str:
        """Return everything before the query: the same for all queries."""
        first = f"{self.instruction}\n\n" if self.instruction else ""
        shown = (self.demonstration.format(text=example.text, label=example.label) for example in demonstrations)
        return first + "".join(shown)

    def tail(self, query: Labelled) -> str:
        """Return the query without its label."""
        return self.query.format(text=query.text)

    def prompt(self, demonstrations: Sequence[Labelled], query: Labelled | None = None) -> str:
        """Return the whole prompt, head and tail; without a query the head alone."""
        return self.head(demonstrations) + ("" if query is None else self.tail(query))


@dataclass(frozen=True, eq=False)
class PromptTask:
    """A classification problem that a language model solves in context.

    The demonstrations are the K tasks; a subset of `k` of them is a prompt.

    Parameters
    ----------
    candidates : tuple of Labelled, length K
        Demonstrations to choose from.
    queries : tuple of Labelled
        Whose mean loss is the outcome that demonstrations are chosen by.
    fresh : tuple of Labelled
        Queries for checking a choice only; may be empty.
    labels : tuple of str
        The label words, in order: 2 to 20, without spaces around them.
    template : PromptTemplate
    k : int
        Demonstrations in a prompt.
    name : str
        For people.
    meta : dict
        Where the texts come from; JSON types only.

    Raises
    ------
    InputError
        Fewer than two candidates, no query, an empty or too long text, a label that is not in `labels`, too few or
        too many labels, or k outside 1..K.
    """

    candidates: tuple[Labelled, ...]
    queries: tuple[Labelled, ...]
    fresh: tuple[Labelled, ...]
    labels: tuple[str, ...]
    template: PromptTemplate = field(default_factory=PromptTemplate)
    k: int = 4
    name: str = "prompt task"
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_label_words(self.labels, "labels")
        if len(self.candidates) < 2:
            fix = "There must be something to choose from."
            raise InputError("candidates", f"{len(self.candidates)}", "at least 2 demonstrations", fix)
        if not self.queries:
            raise InputError("queries", "none", "at least 1", "Demonstrations are chosen by the loss of queries.")
        for group in ("candidates", "queries", "fresh"):
            for position, example in enumerate(getattr(self, group)):
                _check_labelled(f"{group}, number {position + 1}", example, self.labels)
        if not 1 <= self.k <= self.K:
            fix = "Take fewer demonstrations into a prompt, or give more candidates."
            raise InputError("k", f"{self.k}", f"a whole number from 1 to the {self.K} candidates", fix)

    @property
    def K(self) -> int:  # noqa: N802 - the field's sign for the number of tasks
        """Number of candidates."""
        return len(self.candidates)

    @cached_property
    def content_hash(self) -> str:
        """Forty hex digits of everything but `name` and `meta`."""
        groups = [
            [(example.text, example.label) for example in group]
            for group in (self.candidates, self.queries, self.fresh)
        ]
        template = [self.template.instruction, self.template.demonstration, self.template.query]
        template += ["chat"] if self.template.chat else []  # as it was before there was this choice
        # one string: joblib may tell apart equal containers whose parts are shared in one and copied in the other
        return content_hash(json.dumps([groups, self.labels, template, self.k]))

    def to_dict(self) -> dict[str, Any]:
        """Return the task as JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> PromptTask:
        """Return the task of `to_dict`.

        Raises
        ------
        InputError, TypeError, KeyError
            It is not one.
        """
        candidates, queries, fresh = (
            tuple(Labelled(str(example["text"]), str(example["label"])) for example in content[group])
            for group in ("candidates", "queries", "fresh")
        )
        template = PromptTemplate(**content["template"])
        return cls(
            candidates,
            queries,
            fresh,
            tuple(content["labels"]),
            template,
            content["k"],
            content["name"],
            content["meta"],
        )


def check_label_words(labels: Sequence[str], place: str) -> None:
    """Refuse label words that a model cannot distinguish or produce.

    Raises
    ------
    InputError
        Fewer than 2 or more than 20, one that is empty, long, of several lines or has spaces around it, or two that
        differ in case only.
    """
    if not 2 <= len(labels) <= MOST_LABELS:
        found = f"{len(labels)} different label{'s' if len(labels) != 1 else ''}"
        fix = "Is this the column of labels? Merge rare ones." if len(labels) > 1 else "Give texts of both kinds."
        raise InputError(place, found, f"2 to {MOST_LABELS}", fix)
    spellings: dict[str, str] = {}
    for label in labels:
        if not label.strip() or label != label.strip() or not label.isprintable() or len(label) > LONGEST_LABEL:
            expected = f"a word of at most {LONGEST_LABEL} characters on one line, without spaces around it"
            raise InputError(place, f"the label {label[:40]!r}", expected, "Write it as the model is to say it.")
        folded = label.casefold()
        if folded in spellings:
            other = spellings[folded]
            found = f"the label {label!r} twice" if other == label else f"two spellings, {other!r} and {label!r}"
            raise InputError(place, found, "each label once", "Write it the same everywhere.")
        spellings[folded] = label


def _check_labelled(place: str, example: Labelled, labels: tuple[str, ...]) -> None:
    if not example.text.strip():
        raise InputError(f"{place}, text", "an empty text", "some words", "Leave it out, or fill it in.")
    if len(example.text) > LONGEST_TEXT:
        found = f"{len(example.text):,} characters"
        raise InputError(f"{place}, text", found, f"at most {LONGEST_TEXT:,}", "Shorten the text.")
    if example.label not in labels:
        known = ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")
        raise InputError(f"{place}, label", repr(example.label)[:60], known, "Use a label of the task.")


def _check_pattern(place: str, pattern: str, fields: tuple[str, ...]) -> None:
    """Refuse other fields than these, and anything in a field but its name: format reads attributes otherwise."""
    if len(pattern) > LONGEST_TEXT:
        raise InputError(place, f"{len(pattern):,} characters", f"at most {LONGEST_TEXT:,}", "Shorten it.")
    expected = " and ".join(f"{{{name}}}" for name in fields)
    fix = "Write { and } of your own as {{ and }}."
    try:
        parts = [part[1:] for part in string.Formatter().parse(pattern) if part[1] is not None]
    except ValueError as error:
        raise InputError(place, str(error), expected, fix) from None
    names = [name for name, _, _ in parts]
    for name, specification, conversion in parts:
        if name not in fields or specification or conversion:
            written = (
                f"{name}{'!' if conversion else ''}{conversion or ''}{':' if specification else ''}{specification}"
            )
            raise InputError(place, f"{{{written[:60]}}}", expected, fix)
    if missing := [name for name in fields if name not in names]:
        fix = f"Put {{{missing[0]}}} where the {missing[0]} goes."
        raise InputError(place, f"no {{{missing[0]}}}", expected, fix)
