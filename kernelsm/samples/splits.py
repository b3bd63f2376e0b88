"""Splits: what names of files and arrays, and words of a column `split`, say about training and testing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

import pyarrow as pa

from kernelsm.files.table_read import Column
from kernelsm.runtime.errors import InputError
from kernelsm.samples.columns import join_columns

SPLIT = "split"
_TEST = "test testing eval evaluation heldout held-out held_out holdout hold-out hold_out"
_VALIDATION = "validation valid val dev development"
# the words that people and dataset hubs use, and the name each stands for
_SPLITS = {
    **dict.fromkeys(["train", "training", "fit"], "train"),
    **dict.fromkeys(_TEST.split(), "test"),
    **dict.fromkeys(_VALIDATION.split(), "validation"),
    "unsupervised": "unsupervised", "unlabeled": "unlabeled", "unlabelled": "unlabelled",
}  # fmt: skip
_ALONE = {"fit"}  # as a part of a longer name it means something else, such as a curve fit
UNUSED = frozenset({"unsupervised", "unlabeled", "unlabelled"})
"""Splits of samples without labels, which are neither trained on nor tested."""
_PIECE = re.compile(
    r"[-_. ]*((part|shard|piece|chunk)[-_. ]*)?\d*", re.IGNORECASE
)  # of a split, not a part of its own
_WORD = "|".join(sorted(set(_SPLITS) - _ALONE, key=len, reverse=True))

SplitMeaning = Literal["train", "test", "validation", "unused", ""]


def split_of(name: str) -> tuple[str, str]:
    """Split that a name begins or ends with, and the rest of the name; ("", name) where it names none.

    >>> split_of("x_train"), split_of("test-images"), split_of("trainer")
    (('train', 'x'), ('test', 'images'), ('', 'trainer'))
    """
    if name.casefold() in _ALONE:
        return _SPLITS[name.casefold()], ""
    if found := re.fullmatch(rf"({_WORD})(?:[-_. ]+(.*))?", name, re.IGNORECASE):
        return _SPLITS[found[1].lower()], found[2] or ""
    if found := re.fullmatch(rf"(.*?)[-_. ]+({_WORD})", name, re.IGNORECASE):
        return _SPLITS[found[2].lower()], found[1]
    return "", name


def split_meaning(word: str) -> SplitMeaning:
    """Return what a word of a column of splits means; empty where it means nothing known.

    A part of a split means what the split does.

    >>> split_meaning("Validation_matched"), split_meaning("dev"), split_meaning("unsupervised"), split_meaning("x")
    ('validation', 'validation', 'unused', '')
    """
    split = split_of(word.strip())[0]
    for meaning in ("train", "test", "validation"):
        if split == meaning:
            return meaning
    return "unused" if split in UNUSED else ""


def name_parts(names: Iterable[str]) -> dict[str, str]:
    """Split of each of several names; where one split has named parts, such as matched and mismatched, with the part.

    >>> name_parts(["train", "validation_matched", "validation_mismatched", "test-0", "test-1"])["validation_matched"]
    'validation_matched'
    >>> name_parts(["validation_matched", "test-0", "test-1"])
    {'validation_matched': 'validation', 'test-0': 'test', 'test-1': 'test'}
    """
    found = {name: split_of(name) for name in names}
    parts: dict[str, set[str]] = {}
    for split, rest in found.values():
        parts.setdefault(split, set()).add("" if _PIECE.fullmatch(rest) else rest)
    return {
        name: f"{split}_{rest}"
        if split not in ("", "train") and len(parts[split]) > 1 and not _PIECE.fullmatch(rest)
        else split
        for name, (split, rest) in found.items()
    }


def parts_without_labels(parts: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Parts to leave out, each with a sentence: they lack columns that all others have (labels kept back).

    These are test parts, and parts of samples without labels, where training samples and a part to test remain.

    Parameters
    ----------
    parts : mapping of str to collection of str
        The columns of each part.

    >>> columns = ["text", "label"]
    >>> parts_without_labels({"train": columns, "validation": columns, "test": ["text"]})
    {'test': "The part test has no column 'label' and is left out: validation is tested instead."}
    >>> parts_without_labels({"train": columns, "test": ["text"]})
    {}
    """
    whole = next((set(columns) for split, columns in parts.items() if split_of(split)[0] == "train"), set[str]())
    lacking = [
        split for split, columns in parts.items()
        if split_of(split)[0] in {"test", *UNUSED} and set(columns) < whole
    ]  # fmt: skip
    others = [split for split in parts if split not in lacking]
    kinds = {split_of(split)[0] for split in others}
    if not kinds & {"test", "validation"} or any(set(parts[split]) != whole for split in others):
        return {}
    instead = "" if "test" in kinds else ": validation is tested instead"
    left_out = {}
    for split in lacking:
        missing = [repr(column) for column in sorted(whole - set(parts[split]))]
        named = f"{', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}"
        ending = instead if split_of(split)[0] == "test" else ""
        left_out[split] = f"The part {split} has no column {named} and is left out{ending}."
    return left_out


def join_splits(
    parts: Mapping[str, Mapping[str, Column]], name: str
) -> tuple[dict[str, Column], dict[str, InputError]]:
    """Stack the parts and say in a column `split` which rows came from which; a single part is taken as it is.

    Left out are columns of other kinds in other parts, as `join_columns` does.

    Raises
    ------
    InputError
        The parts differ in their columns, or have a column `split` already.
    """
    if len(parts) == 1:
        return dict(next(iter(parts.values()))), {}
    splits = list(parts)
    joined, left_out = join_columns(list(parts.values()), [f"{name}, {split}" for split in splits])
    if SPLIT in joined:
        fix = "Rename or remove this column."
        raise InputError(f"{name}, column {SPLIT!r}", "a column of this name beside several splits", "none", fix)
    words = pa.array(splits, pa.large_string())
    chunks = [
        pa.DictionaryArray.from_arrays(
            pa.repeat(pa.scalar(number, pa.int32()), len(next(iter(part.values())))), words
        )
        for number, part in enumerate(parts.values())
    ]
    return {**joined, SPLIT: pa.chunked_array(chunks)}, left_out
