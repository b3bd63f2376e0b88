"""PromptTask: K demonstrations to choose from, queries to choose by, and fresh ones to check with."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from kernelsm.prompts.answer_rules import AnswerRule
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import content_hash

MOST_LABELS = 200
LONGEST_TEXT = 20_000
"""Characters of one text, of one free answer, and of a template."""
LONGEST_LABEL = 100
TEXT, LABEL, REASONING = "text", "label", "reasoning"
"""Fields that every template may name."""
LONGEST_FIELD_NAME = 40


@dataclass(frozen=True)
class Labelled:
    """A text and its answer.

    Parameters
    ----------
    text : str
        What is asked. Of several fields their contents, one below the other.
    label : str
        A label word of the task, or the reference where answers are free.
    fields : tuple of (str, str)
        Name and content of each input field, where there are several; empty for the text alone.
    reasoning : str
        What leads to the answer; empty for none.
    """

    text: str
    label: str
    fields: tuple[tuple[str, str], ...] = ()
    reasoning: str = ""

    @classmethod
    def of_fields(cls, fields: Sequence[tuple[str, str]], label: str, reasoning: str = "") -> Labelled:
        r"""Return an example of named fields; one field alone is the text, whatever it is called.

        Examples
        --------
        >>> Labelled.of_fields([("question", "Who?"), ("context", "Ada wrote it.")], "Ada").text
        'Who?\nAda wrote it.'
        """
        if len(fields) == 1:
            return cls(fields[0][1], label, reasoning=reasoning)
        return cls("\n".join(content for _, content in fields), label, tuple(map(tuple, fields)), reasoning)  # type: ignore[arg-type]

    def filling(self) -> dict[str, str]:
        """What a template's fields are filled with."""
        return {**dict(self.fields), TEXT: self.text, LABEL: self.label, REASONING: self.reasoning}

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types, without what is empty."""
        more = {"fields": [list(one) for one in self.fields]} if self.fields else {}
        return {TEXT: self.text, LABEL: self.label, **more, **({REASONING: self.reasoning} if self.reasoning else {})}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Labelled:
        """Return what `to_dict` gave."""
        fields = tuple((str(name), str(value)) for name, value in content.get("fields", ()))
        return cls(str(content[TEXT]), str(content[LABEL]), fields, str(content.get(REASONING, "")))


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
    fields : tuple of str
        Names of input fields that may stand in place of {text}, of which there must be one, such as question and
        context. In a demonstration {reasoning} may stand beside them where examples have some.

    Raises
    ------
    InputError
        A field is missing or unknown, a brace stands alone, or `query` ends in a space or a new line.
    """

    instruction: str = ""
    demonstration: str = "Text: {text}\nLabel: {label}\n\n"
    query: str = "Text: {text}\nLabel:"
    chat: bool = False
    fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", tuple(self.fields))
        check_field_names(self.fields, "template, fields")
        inputs = (*self.fields, TEXT)
        _check_pattern("template, demonstration", self.demonstration, inputs, (LABEL,), (REASONING,))
        _check_pattern("template, query", self.query, inputs)
        if len(self.instruction) > LONGEST_TEXT:
            found = f"{len(self.instruction):,} characters"
            raise InputError("template, instruction", found, f"at most {LONGEST_TEXT:,}", "Shorten it.")
        if self.query != self.query.rstrip():
            fix = "End it with a visible character, such as a colon."
            raise InputError("template, query", "a space or new line at its end", "no space: one follows", fix)

    def head(self, demonstrations: Sequence[Labelled]) -> str:
        """Return everything before the query: the same for all queries."""
        first = f"{self.instruction}\n\n" if self.instruction else ""
        return first + "".join(map(self.shown, demonstrations))

    def shown(self, example: Labelled) -> str:
        """Return one demonstration."""
        return self.demonstration.format(**example.filling())

    def tail(self, query: Labelled) -> str:
        """Return the query without its label."""
        return self.query.format(**query.filling())

    def prompt(self, demonstrations: Sequence[Labelled], query: Labelled | None = None) -> str:
        """Return the whole prompt, head and tail; without a query the head alone."""
        return self.head(demonstrations) + ("" if query is None else self.tail(query))

    @property
    def after_label(self) -> str:
        r"""What follows an answer in a demonstration, up to the last visible character before the next field.

        Where only spaces and new lines follow, the start of a further demonstration belongs to it: at the end of a
        text a tokenizer reads new lines otherwise than before words.

        Examples
        --------
        >>> PromptTemplate().after_label
        '\n\nText:'
        >>> PromptTemplate(demonstration="{text} is {label}.\n").after_label
        '.'
        """
        following, start = self._around_label()
        return following.rstrip() or f"{following}{start.rstrip()}"

    @property
    def stops(self) -> tuple[str, ...]:
        r"""Texts that end a free answer: what follows one in a demonstration, and the start of a further one.

        Examples
        --------
        >>> PromptTemplate().stops
        ('\n\n', '\nText:')
        """
        following, start = self._around_label()
        found = (following, f"\n{start.strip()}" if start.strip() else "")
        return tuple(dict.fromkeys(text for text in found if text))

    def _around_label(self) -> tuple[str, str]:
        """What follows the label up to the next field, and what a demonstration starts with."""
        parts = list(string.Formatter().parse(self.demonstration))
        last = max(i for i, part in enumerate(parts) if part[1] == LABEL)
        texts = [literal for literal, _, _, _ in parts]
        return "".join(texts[last + 1 : last + 2]), texts[0]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types, without settings that are as they were before there were any."""
        return {name: value for name, value in asdict(self).items() if name not in _LATER or value != _LATER[name]}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> PromptTemplate:
        """Return what `to_dict` gave."""
        return cls(**{**content, "fields": tuple(content.get("fields", ()))})


def template_of_fields(fields: Sequence[str], *, reasoning: bool = False, free: bool = False) -> PromptTemplate:
    r"""Return a template that names each field on a line of its own.

    Parameters
    ----------
    fields : sequence of str
        Names of the input fields; none for the text alone.
    reasoning : bool
        Whether demonstrations show what leads to the answer, before it.
    free : bool
        Whether answers are free: they are called so.

    Examples
    --------
    >>> template_of_fields(["question", "context"]).query
    'Question: {question}\nContext: {context}\nLabel:'
    >>> template_of_fields([], reasoning=True, free=True).demonstration
    'Text: {text}\nAnswer: {reasoning} So the answer is {label}.\n\n'
    """
    asked = "\n".join(f"{name.replace('_', ' ').capitalize()}: {{{name}}}" for name in fields or (TEXT,))
    word = "Answer" if free or reasoning else "Label"
    answer = f"{{{REASONING}}} So the answer is {{{LABEL}}}." if reasoning else f"{{{LABEL}}}"
    return PromptTemplate(
        demonstration=f"{asked}\n{word}: {answer}\n\n", query=f"{asked}\n{word}:", fields=tuple(fields)
    )


_LATER: dict[str, Any] = {"chat": False, "fields": ()}
"""Settings of a template that came later, with what older files mean."""


@dataclass(frozen=True, eq=False)
class PromptTask:
    """A problem that a language model solves in context: which label word fits, or a free answer to each query.

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
        The label words, in order: 2 to 200, without spaces around them. None where answers are free.
    template : PromptTemplate
    k : int
        Demonstrations in a prompt.
    name : str
        For people.
    meta : dict
        Where the texts come from; JSON types only.
    rule : AnswerRule, optional
        When a free answer is right. With it every query has a reference of its own, and there are no label words.

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
    rule: AnswerRule | None = None

    def __post_init__(self) -> None:
        if self.rule is None:
            check_label_words(self.labels, "labels")
        elif self.labels:
            fix = "Leave the label words or the rule out."
            raise InputError("labels", f"{len(self.labels)} with free answers", "none", fix)
        if len(self.candidates) < 2:
            fix = "There must be something to choose from."
            raise InputError("candidates", f"{len(self.candidates)}", "at least 2 demonstrations", fix)
        if not self.queries:
            raise InputError("queries", "none", "at least 1", "Demonstrations are chosen by the loss of queries.")
        for group in ("candidates", "queries", "fresh"):
            for position, example in enumerate(getattr(self, group)):
                place = f"{group}, number {position + 1}"
                _check_labelled(place, example, None if self.free else self.labels)
                _check_fields(place, example, self.fields)
        if foreign := [name for name in self.template.fields if name not in self.fields]:
            known = ", ".join(self.fields) or "the text alone"
            fix = "Name fields that the texts have."
            raise InputError("template, fields", f"{{{foreign[0]}}}", known, fix)
        if not 1 <= self.k <= self.K:
            fix = "Take fewer demonstrations into a prompt, or give more candidates."
            raise InputError("k", f"{self.k}", f"a whole number from 1 to the {self.K} candidates", fix)

    @property
    def K(self) -> int:  # noqa: N802 - the field's sign for the number of tasks
        """Number of candidates."""
        return len(self.candidates)

    @property
    def free(self) -> bool:
        """Whether each query has an answer of its own instead of one of the label words."""
        return self.rule is not None

    @property
    def classes(self) -> list[int]:
        """Which label word each candidate has; all 0 where answers are free, since no two need be alike."""
        return [0 if self.free else self.labels.index(candidate.label) for candidate in self.candidates]

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the input fields where there are several; empty for texts alone."""
        return tuple(name for name, _ in self.candidates[0].fields)

    @cached_property
    def content_hash(self) -> str:
        """Forty hex digits of everything but `name` and `meta`."""
        groups = [[_hashed(example) for example in group] for group in (self.candidates, self.queries, self.fresh)]
        template = [self.template.instruction, self.template.demonstration, self.template.query]
        template += ["chat"] if self.template.chat else []  # as it was before there was this choice
        parts = [groups, self.labels, template, self.k]
        if self.rule is not None:  # tasks of label words keep the hash that they had before there were others
            parts.append(self.rule.to_dict())
        # one string: joblib may tell apart equal containers whose parts are shared in one and copied in the other
        return content_hash(json.dumps(parts))

    def to_dict(self) -> dict[str, Any]:
        """Return the task as JSON types."""
        return {
            **{
                group: [example.to_dict() for example in getattr(self, group)]
                for group in ("candidates", "queries", "fresh")
            },
            "labels": list(self.labels), "template": self.template.to_dict(), "k": self.k, "name": self.name,
            "meta": self.meta, **({} if self.rule is None else {"rule": self.rule.to_dict()}),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> PromptTask:
        """Return the task of `to_dict`.

        Raises
        ------
        InputError, TypeError, KeyError
            It is not one.
        """
        candidates, queries, fresh = (
            tuple(map(Labelled.from_dict, content[group])) for group in ("candidates", "queries", "fresh")
        )
        template = PromptTemplate.from_dict(content["template"])
        rule = content.get("rule")
        return cls(
            candidates,
            queries,
            fresh,
            tuple(content["labels"]),
            template,
            content["k"],
            content["name"],
            content["meta"],
            None if rule is None else AnswerRule.from_dict(rule),
        )


def check_label_words(labels: Sequence[str], place: str) -> None:
    """Refuse label words that a model cannot distinguish or produce.

    Raises
    ------
    InputError
        Fewer than 2 or more than 200, one that is empty, long, of several lines or has spaces around it, or two that
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


def check_field_names(names: Sequence[str], place: str) -> None:
    """Refuse names of input fields that a template cannot hold.

    Raises
    ------
    InputError
        One that is no word of letters, digits and _, that stands twice, or that has another meaning.
    """
    for i, name in enumerate(names):
        taken = name in (TEXT, LABEL, REASONING) or name in names[:i]
        if taken or not name.isidentifier() or len(name) > LONGEST_FIELD_NAME:
            expected = f"words of letters, digits and _, each once, none of them {TEXT}, {LABEL} or {REASONING}"
            raise InputError(place, repr(name)[:60], expected, "Rename the field.")


def _hashed(example: Labelled) -> tuple[Any, ...]:
    if example.fields or example.reasoning:
        return (example.text, example.label, example.fields, example.reasoning)
    return (example.text, example.label)


def _check_fields(place: str, example: Labelled, names: tuple[str, ...]) -> None:
    found = tuple(name for name, _ in example.fields)
    check_field_names(found, place)
    if found != names:
        expected = ", ".join(names) or "a text alone, as the first candidate has"
        raise InputError(
            f"{place}, fields", ", ".join(found) or "a text alone", expected, "Give all the same fields."
        )
    if len(example.reasoning) > LONGEST_TEXT:
        size = f"{len(example.reasoning):,} characters"
        raise InputError(f"{place}, reasoning", size, f"at most {LONGEST_TEXT:,}", "Shorten it.")


def _check_labelled(place: str, example: Labelled, labels: tuple[str, ...] | None) -> None:
    if not example.text.strip():
        raise InputError(f"{place}, text", "an empty text", "some words", "Leave it out, or fill it in.")
    if len(example.text) > LONGEST_TEXT:
        found = f"{len(example.text):,} characters"
        raise InputError(f"{place}, text", found, f"at most {LONGEST_TEXT:,}", "Shorten the text.")
    if labels is None:
        if not example.label.strip():
            raise InputError(f"{place}, answer", "an empty answer", "the reference", "Leave it out, or fill it in.")
        if len(example.label) > LONGEST_TEXT:
            found = f"{len(example.label):,} characters"
            raise InputError(f"{place}, answer", found, f"at most {LONGEST_TEXT:,}", "Shorten the answer.")
    elif example.label not in labels:
        known = ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")
        raise InputError(f"{place}, label", repr(example.label)[:60], known, "Use a label of the task.")


def _check_pattern(
    place: str, pattern: str, inputs: tuple[str, ...], needed: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> None:
    """Refuse other fields than these, and anything in a field but its name: format reads attributes otherwise.

    One of `inputs` and all of `needed` have to be there.
    """
    if len(pattern) > LONGEST_TEXT:
        raise InputError(place, f"{len(pattern):,} characters", f"at most {LONGEST_TEXT:,}", "Shorten it.")
    usual = inputs[:-1] or inputs  # {text} may stand for several fields, but need not be advised
    expected = " and ".join([" or ".join(f"{{{name}}}" for name in usual), *(f"{{{name}}}" for name in needed)])
    fix = "Write { and } of your own as {{ and }}."
    try:
        parts = [part[1:] for part in string.Formatter().parse(pattern) if part[1] is not None]
    except ValueError as error:
        raise InputError(place, str(error), expected, fix) from None
    names = [name for name, _, _ in parts]
    for name, specification, conversion in parts:
        if name not in (*inputs, *needed, *optional) or specification or conversion:
            written = (
                f"{name}{'!' if conversion else ''}{conversion or ''}{':' if specification else ''}{specification}"
            )
            raise InputError(place, f"{{{written[:60]}}}", expected, fix)
    missing = [name for name in needed if name not in names]
    if not any(name in names for name in inputs):
        missing.insert(0, usual[0])
    if missing:
        fix = f"Put {{{missing[0]}}} where the {missing[0]} goes."
        raise InputError(place, f"no {{{missing[0]}}}", expected, fix)
