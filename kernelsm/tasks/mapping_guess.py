"""A first guess of what the columns of a file mean, from their names and all of their values, with the reasons."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kernelsm.samples.column_facts import MOST_COUNTED, ColumnFacts, Facts, facts_of
from kernelsm.samples.samples import Samples
from kernelsm.samples.splits import split_meaning
from kernelsm.tasks.label_guess import COMPLETION_NAMES, LabelGuess, guess_label, words_of
from kernelsm.tasks.mapping import (
    MAX_CATEGORIES,
    TARGET_ALL,
    TARGET_TASK,
    InputKind,
    SampleMapping,
    TaskRule,
)
from kernelsm.tasks.suite import CLASSIFICATION, NEXT_TOKENS
from kernelsm.tasks.weighting import BY_SIZE

_FEW = 20
_LABEL_NAMES = (
    "label", "labels", "class", "y", "target_label", "sentiment", "category", "class_label", "gold", "species",
)  # fmt: skip
_LABEL_WORDS = {"label", "labels", "class", "gold"}
_TASK_WORDS = {"task", "tasks", "source", "group", "domain", "origin", "dataset", "cluster"}
# what says where a sample comes from, or what it is for, is nothing that a network should see
_NEVER_INPUTS = _TASK_WORDS | {"split", "fold", "subset", "partition"}
_QUANTITY_NAMES = ("target", "outcome", "response", "quantity")  # of labels with too many values to be classes
_TARGET_NAMES = ("target", "target_group", "test_group", "eval_group", "targets")
# in the order in which what they hold is said
_PROMPT_NAMES = ("system", "context", "instruction", "prompt", "question", "input", "query")
_ID_WORDS = {"id", "ids", "idx", "index", "row", "rownum", "uuid", "guid", "unnamed"}
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_TOKEN_NAMES = {"tokens", "token_ids", "input_ids", "ids"}
_TEXT_NAMES = {
    "text", "sentence", "sentence1", "sentence2", "content", "review", "prompt", "question", "context", "body",
    "document", "message", "tweet", "title", "premise", "hypothesis", "comment", "article",
}  # fmt: skip
_KIND_WORDS = {
    "image": "It holds a picture for each sample.",
    "tokens": "It holds a row of whole numbers for each sample, and its name says that these are tokens.",
    "text": "It holds sentences; text is taken before numbers.",
    "tabular": "All other columns of numbers, and of words that samples share.",
}


@dataclass(frozen=True)
class MappingGuess:
    """A guess of what the columns mean.

    Parameters
    ----------
    mapping : SampleMapping
    reasons : dict of str to str
        Why, as a sentence for each of "label", "inputs", "tasks", "split" and "target".
    left_aside : dict of str to str
        Columns that are nothing by guess, and why.
    """

    mapping: SampleMapping
    reasons: dict[str, str]
    left_aside: dict[str, str]


def guess_mapping(samples: Samples | Facts) -> SampleMapping:
    """Guess from names and values what the columns mean; what cannot be guessed stays empty.

    All rows are looked at. Each sample is to count the same, as in training on the whole file.

    Parameters
    ----------
    samples : Samples or Facts
    """
    return explain_guess(samples).mapping


def explain_guess(samples: Samples | Facts) -> MappingGuess:
    """Guess as `guess_mapping` does, and say why."""
    return _Guess(facts_of(samples)).made()


class _Guess:
    """Settles the meaning of the columns one after the other; `free` holds those that are not settled yet."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.columns = facts.columns
        self.why: dict[str, str] = {}
        self.aside: dict[str, str] = {}
        for name in facts.names:
            if reason := self._nothing(name):
                self.aside[name] = reason
        self.free = [name for name in facts.names if name not in self.aside]

    def made(self) -> MappingGuess:
        split = self._settle(self._split())
        label = self._settle(self._label())
        about = guess_label(self.facts, label, free=self.free) if label else LabelGuess(CLASSIFICATION, "")
        for name in about.more_labels:
            self._settle(name)
        target = self._settle(self._named(_TARGET_NAMES))
        self.why["target"] = "Its name says that test samples are grouped by it." if target else ""
        named = [name for name in self.free if self._says_task(name)]
        # a column named "task" comes before one of a similar name, which may group the targets
        task = self._settle(next((name for name in named if name.strip().casefold() == "task"), (named or [""])[0]))
        coarser = [name for name in named if name != task and self.columns[name].count < self.columns[task].count]
        for name in list(self.free):
            if words := sorted(words_of(name) & _NEVER_INPUTS):
                self._put_aside(name, f"A column called {words[0]} says where a sample belongs: it is no input.")
        kind, inputs = self._inputs(label, about.objective)
        rule = self._tasks(task, label, about, kind, inputs)
        if not target and task and not self.columns[task].missing:
            target = coarser[0] if coarser and not self.columns[coarser[0]].missing else TARGET_TASK
            self.why["target"] = "A column groups the tasks." if target != TARGET_TASK else (
                "Each task is measured on its own test samples."
            )  # fmt: skip
        if target in (TARGET_ALL, TARGET_TASK) and self._has_parts(split):
            target, self.why["target"] = split, "What is tested comes in several parts: each is a target."
        if target == TARGET_ALL:
            self.why["target"] = "No column is called target, test_group or the like."
        mapping = SampleMapping(
            label, inputs, kind, rule, split, target=target, task_weighting=BY_SIZE, target_weighting=BY_SIZE,
            objective=about.objective, more_labels=about.more_labels,
        )  # fmt: skip
        used = {name for _, name in mapping.columns()}
        return MappingGuess(mapping, self.why, {name: why for name, why in self.aside.items() if name not in used})

    def _settle(self, name: str) -> str:
        if name:
            self.free.remove(name)
        return name

    def _put_aside(self, name: str, reason: str) -> None:
        self.free.remove(name)
        self.aside[name] = reason

    def _nothing(self, name: str) -> str:
        """Why a column can mean nothing; empty where it can mean something."""
        facts = self.columns[name]
        if facts.kind == "empty":
            return "It holds no value."
        if name in self.facts.index or _PANDAS_INDEX.fullmatch(name):
            return "It is the index of a pandas table: it only numbers or names the rows."
        named = not name.strip() or bool(words_of(name) & _ID_WORDS)
        if facts.kind != "array" and named and facts.count >= min(self.facts.rows, 1_001):
            return "Its name and its values say that it only numbers or names the rows."
        return ""

    def _few(self, name: str, most: int = 1_000) -> bool:
        """Whether the values of a column can be groups."""
        facts = self.columns[name]
        return facts.kind != "array" and 2 <= facts.count <= min(most, max(2, self.facts.rows // 2))

    def _split(self) -> str:
        split = next((name for name in self.free if self._says_split(name)), "")
        counts = self.columns[split].counts.items() if split else ()
        values = ", ".join(f"{word} ({rows:,} rows)" for word, rows in counts)
        self.why["split"] = f"Its values say so: {values}." if split else "No column holds train and test."
        return split

    def _says_split(self, name: str) -> bool:
        if self.columns[name].kind != "text" or self.columns[name].count > MOST_COUNTED:
            return False
        meanings = {split_meaning(str(value)) for value in self.columns[name].distinct}
        return "" not in meanings and "train" in meanings and bool(meanings & {"test", "validation"})

    def _has_parts(self, split: str) -> bool:
        """Whether what is tested comes in several parts, such as matched and mismatched."""
        meanings = [split_meaning(str(value)) for value in self.columns[split].distinct] if split else []
        words = {str(value).strip().casefold() for value in self.columns[split].distinct} if split else set()
        return max(meanings.count("test"), meanings.count("validation")) > 1 and len(words) == len(meanings)

    def _says_task(self, name: str) -> bool:
        return bool(words_of(name) & _TASK_WORDS) and self.columns[name].kind != "number" and self._few(name, 500)

    def _tasks(self, task: str, label: str, about: LabelGuess, kind: InputKind, inputs: tuple[str, ...]) -> TaskRule:
        if task:
            self.why["tasks"] = f"Its name says so, and it has {self.columns[task].count:,} values."
            return TaskRule("column", (task,))
        no_column = "No column is called task, source, group, domain or the like"
        classes = self.columns[label].count if label else 0
        if about.objective == CLASSIFICATION and classes >= 5:
            self.why["tasks"] = f"{no_column}, and the label has {classes:,} values."
            return TaskRule("label")
        self.why["tasks"] = f"{no_column}."
        count = min(10, max(2, self.facts.rows // 20))
        uncounted = kind == "tokens" or not inputs or about.objective == NEXT_TOKENS
        return TaskRule("slices" if uncounted else "clusters", (), count)

    def _named(self, names: tuple[str, ...]) -> str:
        """First free column with one of these names whose values can be groups."""
        found = (c for name in names for c in self.free if c.strip().casefold() == name)
        return next((column for column in found if self._few(column)), "")

    def _label(self) -> str:
        label, self.why["label"] = self._found_label()
        return label

    def _found_label(self) -> tuple[str, str]:
        by_name = "Its name says so."
        if named := self._named(_LABEL_NAMES):
            return named, by_name
        if named := self._completion():
            return named, by_name
        # even with other values it is most likely the column that the user means
        meant = [c for c in self.free if c.strip().casefold() in _LABEL_NAMES]
        meant = meant or [c for c in self.free if words_of(c) & _LABEL_WORDS and self._few(c)]
        if named := meant[0] if meant else self._named(("target",)):
            return named, by_name
        quantities = (c for name in _QUANTITY_NAMES for c in self.free if c.strip().casefold() == name)
        if named := next((c for c in quantities if self.columns[c].kind in ("whole", "number")), ""):
            return named, by_name
        kinds = ("whole", "boolean", "text")
        few = [
            c for c in self.free
            if self.columns[c].kind in kinds and self._few(c, _FEW) and not words_of(c) & _NEVER_INPUTS
        ]  # fmt: skip
        if few:
            return few[-1], f"It is the last column of few different values: {self.columns[few[-1]].count}."
        return "", "No column is called label, class or the like, or holds few different values."

    def _completion(self) -> str:
        """A column of text that is called a completion or the like, beside one that is called a prompt."""
        found = (c for name in COMPLETION_NAMES for c in self.free if c.strip().casefold() == name)
        return next((c for c in found if self.columns[c].kind == "text"), "") if self._prompt() else ""

    def _prompt(self) -> tuple[str, ...]:
        """Columns of text that are called a prompt or the like, in the order in which they are said."""
        named = (c for name in _PROMPT_NAMES for c in self.free if c.strip().casefold() == name)
        return tuple(c for c in named if self.columns[c].kind == "text")

    def _inputs(self, label: str, objective: str) -> tuple[InputKind, tuple[str, ...]]:
        if label:
            for column in [c for c in self.free if words_of(c) & _LABEL_WORDS]:
                self._put_aside(column, "It may give the label away.")
        if objective == NEXT_TOKENS:
            inputs = self._prompt()
            kind: InputKind = "text"
            self.why["inputs"] = "Its name says that it comes before the text." if inputs else (
                "No column of text is called prompt, instruction, question or the like: the texts stand alone."
            )  # fmt: skip
        else:
            kind, inputs = self._found_inputs()
            self.why["inputs"] = _KIND_WORDS[kind] if inputs else "No column is left that a network could read."
        reasons = {"text": "It is no column of sentences.", "tabular": "It has gaps, or too many different words."}
        for column in [c for c in self.free if c not in inputs]:
            self._put_aside(column, reasons.get(kind, "Another column holds what the network reads."))
        return kind, inputs

    def _found_inputs(self) -> tuple[InputKind, tuple[str, ...]]:
        arrays = [c for c in self.free if self.columns[c].kind == "array"]
        for column in arrays:
            if _is_image(self.columns[column]):
                return "image", (column,)
        for column in arrays:
            facts = self.columns[column]
            if column.strip().casefold() in _TOKEN_NAMES and len(facts.shape) == 1 and facts.whole_type:
                return "tokens", (column,)
        lengths = {c: self._length(c) for c in self.free if self.columns[c].kind == "text"}
        texts = {c: length for c, length in lengths.items() if length > 0}
        if texts:
            by_name = [c for c in lengths if c.strip().casefold() in _TEXT_NAMES]
            named = tuple(c for c in by_name if c in texts or self._says_text(c))
            return "text", named or (max(texts, key=lambda c: texts[c]),)
        fitting = [
            c for c in self.free if self.columns[c].kind != "text" or self.columns[c].count <= MAX_CATEGORIES
        ]  # fmt: skip
        return "tabular", tuple([c for c in fitting if not self.columns[c].missing] or fitting)

    def _says_text(self, column: str) -> bool:
        """Whether texts of a column that is called so are more than words; premises, for one, come back."""
        texts = [str(value) for value in self.columns[column].distinct]
        spaces = sum(text.count(" ") for text in texts)
        return len(texts) > 1 and spaces >= 2 * len(texts)

    def _length(self, column: str) -> float:
        """Mean number of characters of a column of sentences; 0 for one of names and words."""
        facts = self.columns[column]
        texts = [str(value) for value in facts.distinct]
        if not texts:
            return 0.0
        characters = sum(map(len, texts)) / len(texts)
        spaces = sum(text.count(" ") for text in texts) / len(texts)
        varied = facts.count > min(MAX_CATEGORIES, self.facts.rows // 2)
        return characters if varied and (characters > 40 or spaces >= 2) else 0.0


def _is_image(facts: ColumnFacts) -> bool:
    shape = facts.shape
    if len(shape) == 2:
        return min(shape) > 1
    return len(shape) == 3 and (shape[0] in (1, 3, 4) or shape[2] in (1, 3, 4))
