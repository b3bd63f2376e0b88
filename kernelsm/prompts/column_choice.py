"""Which columns of a file hold the texts, their answers, what leads to them and what belongs together: a guess."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kernelsm.prompts.promptfoo_tests import EXPECTED, EXPECTED_COLUMN
from kernelsm.prompts.task import LABEL, REASONING, TEXT
from kernelsm.prompts.text_rows import TextRows, names_of
from kernelsm.runtime.errors import InputError

# in the order in which they are looked for
_TEXT_NAMES = (
    "text", "question", "problem", "sentence", "premise", "instruction", "prompt", "query", "input", "ticket",
    "message", "utterance", "review", "document", "article", "passage", "user", "content", "body", "description",
    "title", "comment", "tweet", "email", "post",
)  # fmt: skip
_BESIDE = {
    "question": ("context", "passage", "paragraph", "options", "choices"), "premise": ("hypothesis",),
    "sentence1": ("sentence2",), "text1": ("text2",), "text_a": ("text_b",), "question1": ("question2",),
    "instruction": ("input",), "title": ("body", "text", "content", "description", "abstract"),
}  # fmt: skip
_ANSWER_NAMES = (
    "label", "labels", "answer", "answers", "target", "category", "class", "intent", "output", "response",
    "completion", EXPECTED, EXPECTED_COLUMN, "ideal", "gold", "reference", "solution", "sentiment", "route", "topic",
    "assistant",
)  # fmt: skip
_REASONING_NAMES = ("reasoning", "rationale", "explanation", "thought", "chain_of_thought", "cot", "steps")
_GROUP_NAMES = (
    "group",
    "group_id",
    "document_id",
    "doc_id",
    "conversation_id",
    "thread_id",
    "user_id",
    "customer_id",
)
_ASIDE = re.compile(
    r"(id|_id|uuid|index|idx|row|split|timestamp|date|created_at|dspy_\w+|__\w+|unnamed: \d+)|.*_(id|uuid)"
)
_BY_NAME = "Its name says so."
_LONG = 60  # letters of a mean answer from which it is no label


@dataclass(frozen=True)
class ColumnChoice:
    """What the columns of a file mean.

    Parameters
    ----------
    texts : tuple of str
        Columns of what is asked: one, or several fields.
    answer : str
        Column of the answer.
    reasoning : str
        Column of what leads to the answer; "" for none.
    group : str
        Column whose equal values keep queries together where some are drawn for checking; "" for none.
    """

    texts: tuple[str, ...] = ()
    answer: str = ""
    reasoning: str = ""
    group: str = ""

    def used(self) -> tuple[str, ...]:
        """All columns that are read."""
        return tuple(name for name in (*self.texts, self.answer, self.reasoning, self.group) if name)

    def check(self, rows: TextRows) -> None:
        """Refuse a choice that names no text or no answer, one column twice, or columns that the file has not.

        Raises
        ------
        InputError
            See there.
        """
        if not self.texts or not self.answer:
            missing = "texts" if not self.texts else "answers"
            found, expected = (
                f"no column of {missing} among {rows.known}",
                "a column of texts and one of their answers",
            )
            raise InputError(rows.header, found, expected, "Rename a column, or choose it.")
        used = [*self.texts, self.answer, *filter(None, (self.reasoning,))]
        if twice := [name for i, name in enumerate(used) if name in used[:i]]:
            fix = "Choose another column for one of them."
            raise InputError(rows.header, f"{twice[0]!r} chosen twice", "a column for each", fix)
        for name in self.used():
            rows.check_column(name)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names by which a template calls the texts where there are several: words made of those of the columns.

        Examples
        --------
        >>> ColumnChoice(("input.Question", "2nd context"), "y").fields
        ('question', 'field_2nd_context')
        """
        if len(self.texts) < 2:
            return ()
        names: list[str] = []
        for column in self.texts:
            bare = re.sub(r"\W+", "_", _last(column)).strip("_")[:30] or "field"
            name = bare if bare.isidentifier() and bare not in (TEXT, LABEL, REASONING) else f"field_{bare}"
            number = 1
            while name in names:
                number += 1
                name = f"{bare}_{number}" if bare.isidentifier() else f"field_{bare}_{number}"
            names.append(name)
        return tuple(names)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {**asdict(self), "texts": list(self.texts)}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> ColumnChoice:
        """Return what `to_dict` gave."""
        return cls(**{**content, "texts": tuple(content["texts"])})


@dataclass(frozen=True)
class ColumnGuess:
    """A guess of what columns mean, and a sentence on each part: texts, answer, reasoning, group."""

    choice: ColumnChoice
    reasons: dict[str, str]

    def sentence(self) -> str:
        """Say what was guessed in one sentence, for who did not choose; empty where the names say it all."""
        choice = self.choice
        if choice == ColumnChoice((TEXT,), LABEL) or not choice.texts or not choice.answer:
            return ""
        more = f", {names_of([choice.reasoning])} what leads to it" if choice.reasoning else ""
        group = f"; rows with the same {names_of([choice.group])} are kept together" if choice.group else ""
        return (
            f"{names_of(choice.texts)} is read as the text, {names_of([choice.answer])} as its answer{more}{group}."
        )


def guess_columns(rows: TextRows, *, like: ColumnChoice | None = None, labels: Collection[str] = ()) -> ColumnGuess:
    """Guess what the columns of a file mean, from their names and all of their values.

    Parameters
    ----------
    rows : TextRows
    like : ColumnChoice, optional
        Of the candidates: columns of the same names mean the same.
    labels : collection of str
        Answers of the candidates: a column that holds them is the answer.

    Returns
    -------
    ColumnGuess
        Texts or answer are empty where no column looks like them.
    """
    if like is not None and all(name in rows.columns for name in (*like.texts, like.answer)):
        guess, same = _Guess(rows, ()), "It is called so among the candidates, too."
        more = {
            part: wanted if wanted in rows.columns else guess.named(names, *like.texts, like.answer, filled=True)
            for part, wanted, names in (
                ("reasoning", like.reasoning, _REASONING_NAMES),
                ("group", like.group, _GROUP_NAMES),
            )
        }
        reasons = {"texts": same, "answer": same, **{part: _why(part, bool(found)) for part, found in more.items()}}
        return ColumnGuess(ColumnChoice(like.texts, like.answer, **more), reasons)
    guess = _Guess(rows, labels)
    answer, why_answer = guess.answer()
    reasoning = guess.named(_REASONING_NAMES, answer, filled=True)
    group = guess.named(_GROUP_NAMES, answer, reasoning, filled=True)
    texts, why_texts = guess.texts(answer, reasoning, group)
    reasons = {
        "texts": why_texts, "answer": why_answer,
        "reasoning": _why("reasoning", bool(reasoning)), "group": _why("group", bool(group)),
    }  # fmt: skip
    return ColumnGuess(ColumnChoice(texts, answer, reasoning, group), reasons)


class _Guess:
    def __init__(self, rows: TextRows, labels: Collection[str]) -> None:
        self.rows = rows
        self.labels = {" ".join(label.casefold().split()) for label in labels}
        self.columns = [name for name in dict.fromkeys(rows.columns) if name]
        self.folded = {name: _last(name) for name in self.columns}

    def named(self, names: Sequence[str], *taken: str, filled: bool = False) -> str:
        """The column that is called by the first of some names, and has a text; "" for none."""
        for wanted in names:
            for column in self.columns:
                if (
                    self.folded[column] == wanted
                    and column not in taken
                    and (not filled or self.rows.texts.get(column))
                ):
                    return column
        return ""

    def answer(self) -> tuple[str, str]:
        found = self.named(_ANSWER_NAMES)
        shares = {column: self._share_of_labels(column) for column in self.columns} if self.labels else {}
        best = max(shares, key=lambda column: shares[column], default="")
        if best and shares[best] > 0.5 and not (found and shares[found]):
            return best, "Its values are answers of the candidates."
        if found:
            return found, _BY_NAME
        asked = self.named(_TEXT_NAMES)
        counts = {}
        for column in self._left():
            if column == asked:
                continue
            values = self.rows.texts.get(column, ())
            distinct = len(set(values))
            short = values and sum(map(len, values)) / len(values) <= _LONG
            if len(values) == len(self.rows.rows) and short and 2 <= distinct <= max(2, 0.5 * len(values)):
                counts[column] = distinct
        if counts:
            best = min(counts, key=lambda column: counts[column])
            return best, f"It has {counts[best]} different short values."
        left = [column for column in self._left() if column != asked]
        if asked and len(left) == 1:
            return left[0], "It is the only column left."
        return "", "No column is called label or answer, and none has few different values."

    def texts(self, answer: str, reasoning: str, group: str) -> tuple[tuple[str, ...], str]:
        taken = (answer, reasoning, group)
        names = (*_TEXT_NAMES, *_BESIDE)
        first = self.named(names, *taken)
        if first:
            more = [self.named((name,), *taken, first) for name in _BESIDE.get(self.folded[first], ())]
            found = (first, *(column for column in more if column))
            return found, _BY_NAME if len(found) == 1 else "Their names say that they belong together."
        left = [column for column in self._left() if column not in taken]
        lengths = {
            column: sum(map(len, texts)) / len(texts) for column in left if (texts := self.rows.texts.get(column, ()))
        }
        if not lengths:
            return (), "No column of texts is left."
        best = max(lengths, key=lambda column: lengths[column])
        return (best,), "Its texts are the longest." if len(lengths) > 1 else "It is the only column left."

    def _left(self) -> list[str]:
        return [column for column in self.columns if not _ASIDE.fullmatch(self.folded[column])]

    def _share_of_labels(self, column: str) -> float:
        values = self.rows.texts.get(column, ())
        return sum(" ".join(value.casefold().split()) in self.labels for value in values) / max(len(values), 1)


def _why(part: str, found: bool) -> str:
    names = "reasoning, rationale" if part == "reasoning" else "group, document_id"
    return _BY_NAME if found else f"No column is called {names} or the like."


def _last(column: str) -> str:
    """The last part of a path, in small letters: messages.user is called user."""
    return column.rpartition(".")[2].strip().casefold() or column.casefold()
