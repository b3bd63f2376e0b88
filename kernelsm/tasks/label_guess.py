"""What kind of label a column holds, guessed from its values, with the reason in words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kernelsm.samples.samples import Samples
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
    """

    objective: str
    reason: str
    more_labels: tuple[str, ...] = ()


def guess_label(samples: Samples, label: str, *, free: Iterable[str] = ()) -> LabelGuess:
    """Guess what a label is.

    Numbers with fractions, and more than 50 different whole numbers, are a quantity, unless the column's name says
    that whole numbers are classes and samples share them. Columns of 0 and 1 whose names share a word such as "label"
    are several labels. Text is a class where samples share it, unless the column is called a completion, a response
    or the like; else it is text that a language model is to write.

    Parameters
    ----------
    samples : Samples
    label : str
        A column.
    free : iterable of str
        Other columns that may be labels too.
    """
    kind = samples.kind(label)
    if kind == "array":
        return _of_array(samples, label)
    if together := _together(samples, label, free):
        columns = len(together) + 1
        return LabelGuess(
            SEVERAL_LABELS, f"It is one of {columns} columns of 0 and 1 with names that belong together.", together
        )
    if kind == "text" and (follows := _text_that_follows(samples, label)):
        return follows
    if kind in ("text", "boolean", "empty"):
        return LabelGuess(CLASSIFICATION, "It holds words." if kind == "text" else "It holds true and false.")
    values = samples.distinct(label)
    count = f"{len(values)} different" if len(values) <= 1000 else "more than 1,000 different"
    finite = [value for value in values if np.isfinite(value)]
    if any(value != round(value) for value in finite):
        return LabelGuess(REGRESSION, f"It holds {count} numbers, some with fractions.")
    if len(values) <= MOST_CLASSES:
        return LabelGuess(CLASSIFICATION, f"It holds {count} whole numbers, {MOST_CLASSES} at most.")
    if _words(label) & _CLASS_WORDS and len(values) <= samples.rows // 2:
        return LabelGuess(CLASSIFICATION, f"It holds {count} whole numbers, and its name says that they are classes.")
    return LabelGuess(REGRESSION, f"It holds {count} whole numbers, more than {MOST_CLASSES}.")


def _text_that_follows(samples: Samples, label: str) -> LabelGuess | None:
    """The guess for text that is no class; None where it may be one."""
    if label.strip().casefold() in COMPLETION_NAMES:
        return LabelGuess(NEXT_TOKENS, "Its name says that it is what a language model is to write.")
    texts = samples.distinct(label)
    words = sum(" " in str(text).strip() for text in texts)
    if len(texts) > max(MOST_CLASSES, samples.rows // 2) and 2 * words > len(texts):
        count = f"{len(texts)}" if len(texts) <= 1000 else "more than 1,000"
        return LabelGuess(NEXT_TOKENS, f"It holds {count} different texts, too many to be classes.")
    return None


def _of_array(samples: Samples, label: str) -> LabelGuess:
    values = samples.values(label)
    width = int(np.prod(values.shape[1:]))
    if width == 1:
        whole = values.dtype.kind in "biu" or bool((np.nan_to_num(values) == np.rint(np.nan_to_num(values))).all())
        few = len(np.unique(values[:1000])) <= MOST_CLASSES
        if whole and few:
            return LabelGuess(CLASSIFICATION, "It holds a whole number for each sample.")
        return LabelGuess(REGRESSION, "It holds a number for each sample.")
    if bool(np.isin(values, (0, 1)).all()):
        return LabelGuess(SEVERAL_LABELS, f"It holds {width} numbers for each sample, all of them 0 or 1.")
    return LabelGuess(REGRESSION, f"It holds {width} numbers for each sample.")


def _together(samples: Samples, label: str, free: Iterable[str]) -> tuple[str, ...]:
    """Other columns of 0 and 1 whose names share one of the words that labels are called by."""
    shared = _words(label) & _CLASS_WORDS
    if not shared or not _is_marks(samples, label):
        return ()
    return tuple(one for one in free if one != label and _words(one) & shared and _is_marks(samples, one))


def _is_marks(samples: Samples, column: str) -> bool:
    kind = samples.kind(column)
    return kind == "boolean" or (kind in ("whole", "number") and set(samples.distinct(column, 3)) <= {0, 1})


def _words(name: str) -> set[str]:
    return set(re.split(r"[^0-9a-z]+", name.strip().casefold()))
