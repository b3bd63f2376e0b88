"""What kind of label a column holds, guessed from its values, with the reason in words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from kernelsm.samples.column_facts import ColumnFacts, Facts, facts_of
from kernelsm.samples.samples import Samples
from kernelsm.tasks.label_lists import find_separator
from kernelsm.tasks.suite import CLASSIFICATION, NEXT_TOKENS, REGRESSION, SEVERAL_LABELS

MOST_CLASSES = 50
"""A label of more different whole numbers is guessed to be a quantity."""
COMPLETION_NAMES = ("completion", "response", "answer", "output", "reply", "continuation")
"""What columns are called that hold what a language model is to write."""
_CLASS_WORDS = {"class", "classes", "label", "labels", "category", "species"}


@dataclass(frozen=True)
class LabelGuess:
    """A guess of what a label is.

    Parameters
    ----------
    objective : str
        "classification", "regression", "several labels" or "next tokens".
    reason : str
        Why, as a sentence without the column's name: "It holds 214 different numbers, some with fractions."
    more_labels : tuple of str
        Columns that belong to the same labels.
    question : str
        What only the user can tell, as a question; empty where nothing is open.
    """

    objective: str
    reason: str
    more_labels: tuple[str, ...] = ()
    question: str = ""


def guess_label(samples: Samples | Facts, label: str, *, free: Iterable[str] = ()) -> LabelGuess:
    """Guess what a label is, from all of its values.

    Numbers with fractions, and more than 50 different whole numbers, are a quantity, unless the column's name says
    that whole numbers are classes and they count from 0 or 1 without a gap. Columns of 0 and 1 whose names share a
    word such as "label" are several labels, and so are texts such as "sport, politics" whose parts come back. Text is
    a class where samples share it, unless the column is called a completion, a response or the like; else it is text
    that a language model is to write.

    Parameters
    ----------
    samples : Samples or Facts
    label : str
        A column.
    free : iterable of str
        Other columns that may be labels too.
    """
    facts = facts_of(samples)
    held = facts.columns[label]
    if held.kind == "array":
        return _of_array(held)
    if together := _together(facts, label, free):
        columns = len(together) + 1
        return LabelGuess(
            SEVERAL_LABELS, f"It is one of {columns} columns of 0 and 1 with names that belong together.", together
        )
    if held.kind == "text" and (found := _lists_of_labels(held) or _text_that_follows(facts, label)):
        return found
    if held.kind in ("text", "boolean", "empty"):
        return LabelGuess(CLASSIFICATION, "It holds words." if held.kind == "text" else "It holds true and false.")
    count = f"{held.count:,} different"
    if held.fractions:
        return LabelGuess(REGRESSION, f"It holds {count} numbers, some with fractions.")
    if held.count <= MOST_CLASSES:
        return LabelGuess(CLASSIFICATION, f"It holds {count} whole numbers, {MOST_CLASSES} at most.")
    if words_of(label) & _CLASS_WORDS and _counts_up(held) and held.count <= facts.rows // 2:
        return LabelGuess(
            CLASSIFICATION,
            f"It holds {count} whole numbers without a gap, and its name says that they are classes.",
        )
    return LabelGuess(REGRESSION, f"It holds {count} whole numbers, more than {MOST_CLASSES}.")


def words_of(name: str) -> set[str]:
    """Return the words of a column's name, in small letters.

    >>> sorted(words_of("Task-ID 2"))
    ['2', 'id', 'task']
    """
    return set(re.split(r"[^0-9a-z]+", name.strip().casefold()))


def _counts_up(held: ColumnFacts) -> bool:
    """Whether whole numbers go up from 0 or 1 one by one, as classes are numbered."""
    complete = len(held.distinct) == held.count
    return complete and held.distinct[0] in (0, 1) and held.distinct[-1] - held.distinct[0] == held.count - 1


def _lists_of_labels(held: ColumnFacts) -> LabelGuess | None:
    separator = find_separator(map(str, held.distinct))
    if not separator:
        return None
    several = next(str(text) for text in held.distinct if separator in text)
    return LabelGuess(
        SEVERAL_LABELS, f"Texts such as \u201c{several[:60]}\u201d look like several labels at once.",
        question=f"Is \u201c{several[:60]}\u201d several labels, or the name of one class?",
    )  # fmt: skip


def _text_that_follows(facts: Facts, label: str) -> LabelGuess | None:
    """The guess for text that is no class; None where it may be one."""
    if label.strip().casefold() in COMPLETION_NAMES:
        return LabelGuess(NEXT_TOKENS, "Its name says that it is what a language model is to write.")
    held = facts.columns[label]
    words = sum(" " in str(text).strip() for text in held.distinct)
    if held.count > max(MOST_CLASSES, facts.rows // 2) and 2 * words > len(held.distinct):
        return LabelGuess(NEXT_TOKENS, f"It holds {held.count:,} different texts, too many to be classes.")
    return None


def _of_array(held: ColumnFacts) -> LabelGuess:
    width = math.prod(held.shape)
    if width == 1:
        if not held.fractions and held.count <= MOST_CLASSES:
            return LabelGuess(CLASSIFICATION, "It holds a whole number for each sample.")
        return LabelGuess(REGRESSION, "It holds a number for each sample.")
    if held.marks:
        return LabelGuess(SEVERAL_LABELS, f"It holds {width} numbers for each sample, all of them 0 or 1.")
    return LabelGuess(REGRESSION, f"It holds {width} numbers for each sample.")


def _together(facts: Facts, label: str, free: Iterable[str]) -> tuple[str, ...]:
    """Other columns of 0 and 1 whose names share one of the words that labels are called by."""
    shared = words_of(label) & _CLASS_WORDS
    if not shared or not facts.columns[label].marks:
        return ()
    return tuple(one for one in free if one != label and words_of(one) & shared and facts.columns[one].marks)
