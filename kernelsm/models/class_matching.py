"""Which class of a trained classifier each label of the user's samples is, by name or by number. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kernelsm.runtime.errors import InputError

How = Literal["name", "number", "order", "choice"]
BY_NAME: How = "name"
BY_NUMBER: How = "number"
IN_ORDER: How = "order"
CHOSEN: How = "choice"
MAX_LABELS = 100_000
_MADE_UP = re.compile(r"LABEL_(\d+)")


@dataclass(frozen=True)
class ClassMatch:
    """The classes of a network that labels stand for.

    Parameters
    ----------
    of : tuple of int
        The network's class of each label.
    how : {"name", "number", "order", "choice"}
        By the network's names of its classes, by numbers, in order because neither fits, or as the user chose.
    """

    of: tuple[int, ...]
    how: How

    @property
    def is_known(self) -> bool:
        """Whether the labels say themselves which classes they are, or the user did."""
        return self.how != IN_ORDER


def class_names(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the classes 0..C-1 by a model's config.json; empty where they are not known.

    No more than MAX_LABELS classes are named, whatever number a file from a stranger gives.

    Examples
    --------
    >>> from kernelsm.models.class_matching import class_names
    >>> class_names({"id2label": {"1": "POSITIVE", "0": "NEGATIVE"}})
    ('NEGATIVE', 'POSITIVE')
    """
    if config and "id2label" not in config:  # transformers leaves out what is as usual
        count = config.get("num_labels", 2)
        known = type(count) is int and 0 < count <= MAX_LABELS
        return tuple(f"LABEL_{number}" for number in range(count)) if known else ()
    named = config.get("id2label")
    if not isinstance(named, Mapping):
        return ()
    by_number = {str(number): str(name) for number, name in named.items()}
    if set(by_number) != set(map(str, range(len(by_number)))):
        return ()
    return tuple(by_number[str(number)] for number in range(len(by_number)))


def has_own_names(names: Sequence[str]) -> bool:
    """Whether the classes have names of their own, other than LABEL_0, LABEL_1, ..."""
    return bool(names) and not all(_MADE_UP.fullmatch(name) for name in names)


def match_classes(labels: Sequence[str], names: Sequence[str], chosen: Mapping[str, int] | None = None) -> ClassMatch:
    """Find the class of a network that each label stands for.

    Labels are names of classes in any case, or numbers: those of the classes, or the ones that stand in their names
    ("1 star"), where only one of the two fits. Several labels never share a class.

    Parameters
    ----------
    labels : sequence of str
        Different labels of the samples, numbers written as such.
    names : sequence of str
        Names of the classes; see `class_names`. Empty where they are not known: all is in order then.
    chosen : mapping of str to int, optional
        Label -> class, as the user chose.

    Raises
    ------
    InputError
        What was chosen leaves a label out, or is no class of the network, or the same for two labels.

    Examples
    --------
    >>> from kernelsm.models.class_matching import match_classes
    >>> match_classes(["neg", "pos"], ["POS", "NEG"])
    ClassMatch(of=(1, 0), how='name')
    >>> match_classes(["bad", "good"], ["LABEL_0", "LABEL_1"]).is_known
    False
    """
    if chosen:
        return ClassMatch(_chosen(labels, names, chosen), CHOSEN)
    if (by_name := _one_each([_simple(label) for label in labels], [_simple(name) for name in names])) is not None:
        return ClassMatch(by_name, BY_NAME)
    as_classes = _one_each(labels, [str(number) for number in range(len(names))])
    as_named = _one_each(labels, [_only_number(name) for name in names])
    if as_classes is not None and as_named in (None, as_classes):
        return ClassMatch(as_classes, BY_NUMBER)
    if as_named is not None and as_classes is None:
        return ClassMatch(as_named, BY_NUMBER)
    return ClassMatch(tuple(range(len(labels))), IN_ORDER)


def _simple(name: str) -> str:
    """A name without its case and what stands between its words."""
    return re.sub(r"[\s_\-]+", "", name.casefold())


def _only_number(name: str) -> str:
    """The number in a name such as "1 star"; "" where there is none or more than one."""
    numbers = re.findall(r"\d+", name)
    return str(int(numbers[0])) if len(numbers) == 1 else ""


def _one_each(labels: Sequence[str], names: Sequence[str]) -> tuple[int, ...] | None:
    """Position of each label among the names; None unless each has exactly one, and its own."""
    places: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        if name:
            places.setdefault(name, []).append(number)
    found = [places.get(label, []) for label in labels]
    if any(len(numbers) != 1 for numbers in found) or len({numbers[0] for numbers in found}) < len(labels):
        return None
    return tuple(numbers[0] for numbers in found)


def _chosen(labels: Sequence[str], names: Sequence[str], chosen: Mapping[str, int]) -> tuple[int, ...]:
    missing = [label for label in labels if label not in chosen]
    if missing:
        raise InputError("classes", f"no class for the label {missing[0]!r}"[:120], "one for each", "Choose one.")
    of = tuple(chosen[label] for label in labels)
    count = max(len(names), len(labels))
    wrong = next((number for number in of if isinstance(number, bool) or not 0 <= number < count), None)
    if wrong is not None:
        raise InputError("classes", f"class {wrong}", f"0 to {count - 1}, which the network has", "Choose another.")
    if len(set(of)) < len(of):
        raise InputError("classes", "one class for two labels", "a class for each label", "Choose another.")
    return of
