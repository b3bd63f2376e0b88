"""What the words of a column of splits mean, also as data set hubs write them: train, validation_matched, test."""

from __future__ import annotations

from typing import Literal

from kernelsm.samples.splits import UNUSED, split_of

SplitMeaning = Literal["train", "test", "validation", "unused", ""]

_TRAINING = frozenset({"train", "training", "fit"})
_TEST = frozenset(
    {"test", "testing", "eval", "evaluation", "heldout", "held-out", "held_out", "holdout", "hold-out", "hold_out"}
)
_VALIDATION = frozenset({"val", "valid", "validation", "dev", "development"})
_MEANINGS: tuple[tuple[SplitMeaning, frozenset[str]], ...] = (
    ("train", _TRAINING), ("test", _TEST), ("validation", _VALIDATION), ("unused", UNUSED),
)  # fmt: skip


def split_meaning(word: str) -> SplitMeaning:
    """Return what a word of a column of splits means; empty where it means nothing known.

    A part of a split means what the split does.

    >>> split_meaning("Validation_matched"), split_meaning("dev"), split_meaning("unsupervised"), split_meaning("x")
    ('validation', 'validation', 'unused', '')
    """
    plain = word.strip().casefold()
    for candidate in (plain, split_of(plain)[0]):
        for meaning, words in _MEANINGS:
            if candidate in words:
                return meaning
    return ""
