"""Label words found among the most probable tokens of a reply, and label words found in an answer."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Listed(NamedTuple):
    """One place of a reply: the token that was taken, and the log-probabilities of the most probable ones."""

    taken: str
    likely: Mapping[str, float]


def label_masses(places: Sequence[Listed], labels: Sequence[str]) -> NDArray[np.float64]:
    """Return how probable it is that a reply is each label word, from the most probable tokens at each of its places.

    A token counts for the label that it begins; case and spaces before it do not matter. Where it begins several, the
    tokens after it tell, which are known of the reply that was given; of others its probability is shared evenly. A
    label that no token begins counts as probable as the least probable token of the first place: it is at most that.

    Parameters
    ----------
    places : sequence of Listed
        At least one.
    labels : sequence of str

    Returns
    -------
    ndarray, shape (labels,)
        Above 0; they need not sum to 1.

    Examples
    --------
    >>> import math
    >>> first = Listed("pos", {"pos": math.log(0.6), " Negative": math.log(0.3), "I": math.log(0.1)})
    >>> label_masses([first], ["positive", "negative", "mixed"]).round(3).tolist()
    [0.6, 0.3, 0.1]
    """
    folded = [" ".join(label.casefold().split()) for label in labels]
    masses = np.zeros(len(labels))
    _add(masses, places, 0, "", 1.0, folded)
    least = min(places[0].likely.values(), default=0.0)
    return np.where(masses > 0, masses, max(math.exp(min(least, 0.0)), 1e-300))


def label_in(answer: str, labels: Sequence[str]) -> int | None:
    """Return which label word an answer gives: the one it begins with, else the only one that it mentions.

    Parameters
    ----------
    answer : str
    labels : sequence of str

    Examples
    --------
    >>> label_in("Positive.", ["negative", "positive"]), label_in("It is negative", ["negative", "positive"])
    (1, 0)
    >>> label_in("positive or negative?", ["negative", "positive"]), label_in("10", ["1", "10"])
    (1, 1)
    >>> label_in("neither", ["negative", "positive"]) is None
    True
    """
    text = " ".join(answer.casefold().split()).lstrip("\"'*`( ")
    patterns = [re.compile(rf"(?<!\w){re.escape(' '.join(label.casefold().split()))}(?!\w)") for label in labels]
    first = [number for number, pattern in enumerate(patterns) if pattern.match(text)]
    if first:
        return max(first, key=lambda number: len(labels[number]))
    said = [number for number, pattern in enumerate(patterns) if pattern.search(text)]
    return said[0] if len(said) == 1 else None


def _add(
    masses: NDArray[np.float64], places: Sequence[Listed], place: int, before: str, share: float,
    labels: Sequence[str],
) -> None:  # fmt: skip
    """Add what the tokens of one place say, after a beginning that has a share of the probability."""
    for token, value in places[place].likely.items():
        probability = share * math.exp(min(value, 0.0))
        text = (before + token.casefold()).lstrip()
        goes_on = token == places[place].taken and place + 1 < len(places)
        begun = [number for number, label in enumerate(labels) if label.startswith(text)]
        ended = [number for number, label in enumerate(labels) if re.match(rf"{re.escape(label)}(?!\w)", text)]
        if not text or (goes_on and begun and not (len(begun) == 1 and labels[begun[0]] == text)):
            if goes_on:
                _add(masses, places, place + 1, text, probability, labels)
        elif ended and (not begun or text in labels):
            masses[max(ended, key=lambda number: len(labels[number]))] += probability
        elif begun:
            masses[begun] += probability / len(begun)
