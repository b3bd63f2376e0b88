"""Two prompt tasks to try: the paper's coin flips, and real movie reviews."""

from __future__ import annotations

import sys
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kernelsm.examples.sentiment.sentences import is_usable, rated_sentences
from kernelsm.prompts.task import Labelled, PromptTask, PromptTemplate
from kernelsm.runtime.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

REVIEWS = Path(__file__).parent / "data" / "movie_reviews.csv"
SIZES = {"candidates": 50, "queries": 100, "fresh": 200}
CLEAR = 2.0
"""Least absolute mean rating of a review that is taken; ratings are -4 to 4."""
LONGEST = 150
"""Most characters of a review."""

_NAMES = (
    "Adaeze", "Agnieszka", "Ahmed", "Aiko", "Amara", "Anahita", "Anders", "Anouk", "Antonio", "Aoife", "Arjun",
    "Astrid", "Babak", "Beatriz", "Bilal", "Bjarne", "Camila", "Chiara", "Chidi", "Cormac", "Dagny", "Daniela",
    "Dariusz", "Deepa", "Dmitri", "Ebba", "Elif", "Emeka", "Esperanza", "Fatima", "Femi", "Fiona", "Florian",
    "Gabriela", "Gianni", "Goran", "Greta", "Hana", "Haruki", "Helena", "Hiroshi", "Ibrahim", "Ines", "Ingrid",
    "Isamu", "Ivana", "Jakub", "Jamila", "Joaquin", "Jonas", "Kalinda", "Kasper", "Katarina", "Kenji", "Kofi",
    "Kwame", "Laila", "Leandro", "Linh", "Lucia", "Magnus", "Mai", "Marek", "Mariam", "Mateo", "Mei", "Milena",
    "Nadia", "Naoko", "Nikhil", "Nkechi", "Noemi", "Olga", "Omar", "Oskar", "Paloma", "Pavel", "Petra", "Priya",
    "Quentin", "Rafael", "Rania", "Rosalind", "Ruben", "Sakura", "Samir", "Sanjay", "Sofia", "Soren", "Tadeo",
    "Tamar", "Thandiwe", "Tomasz", "Uma", "Valentina", "Viktor", "Wanjiru", "Wei", "Xavier", "Yasmin", "Yusuf",
    "Zainab", "Zofia",
)  # fmt: skip


def coin_flip(*, k: int = 4, seed: int = 0) -> PromptTask:
    """Make the coin-flip task: whether a coin is still heads up after two people flip it or do not.

    The four ways it can go are as frequent as the sizes allow, so "yes" and "no" are equally many in each group. No
    two of the 50 candidates, 100 queries and 200 fresh queries name the same two people in the same order.

    Parameters
    ----------
    k : int
        Demonstrations in a prompt.
    seed : int
        Of the draw of names and of the order.

    References
    ----------
    The wording is that of table 6 of the paper; the task is of Wei et al. (2022), Chain-of-thought prompting elicits
    reasoning in large language models.
    """
    rng = np.random.default_rng(seed)
    pairs = list(permutations(_NAMES, 2))
    drawn = iter(rng.permutation(len(pairs)).tolist())
    # yes, no, yes, no: the first rows of any number are balanced
    ways = ((True, True), (True, False), (False, False), (False, True))
    groups: dict[str, tuple[Labelled, ...]] = {}
    for group, size in SIZES.items():
        rows = [_flips(pairs[next(drawn)], ways[position % len(ways)]) for position in range(size)]
        groups[group] = tuple(rows[position] for position in rng.permutation(size))
    return PromptTask(
        candidates=groups["candidates"],
        queries=groups["queries"],
        fresh=groups["fresh"],
        labels=("yes", "no"),
        template=PromptTemplate(demonstration="Q: {text}\nA: {label}\n\n", query="Q: {text}\nA:"),
        k=k,
        name="Coin flip",
        meta={"example": "coin_flip", "seed": seed},
    )


def _flips(people: tuple[str, str], flips: tuple[bool, bool]) -> Labelled:
    acts = (f"{who} {'flips' if act else 'does not flip'} the coin." for who, act in zip(people, flips, strict=True))
    text = f"A coin is heads up. {' '.join(acts)} Is the coin still heads up?"
    return Labelled(text, "no" if sum(flips) % 2 else "yes")


def movie_reviews(*, k: int = 4) -> PromptTask:
    """Return the task of the shipped movie reviews: whether a sentence is positive or negative.

    Parameters
    ----------
    k : int
        Demonstrations in a prompt.
    """
    import pandas as pd

    rows = pd.read_csv(REVIEWS, keep_default_na=False)
    groups = {group: _labelled(rows[rows["group"] == group]) for group in SIZES}
    return PromptTask(
        candidates=groups["candidates"],
        queries=groups["queries"],
        fresh=groups["fresh"],
        labels=("positive", "negative"),
        template=PromptTemplate(
            demonstration="Review: {text}\nSentiment: {label}\n\n", query="Review: {text}\nSentiment:"
        ),
        k=k,
        name="Movie reviews",
        meta={"example": "movie_reviews", "source": "vaderSentiment 3.3.2, Hutto & Gilbert (2014), MIT licence"},
    )


def _labelled(rows: pd.DataFrame) -> tuple[Labelled, ...]:
    return tuple(Labelled(text, label) for text, label in zip(rows["text"], rows["label"], strict=True))


def build_reviews(archive: Path, *, seed: int = 0) -> pd.DataFrame:
    """Draw the shipped movie reviews from the source distribution of vaderSentiment 3.3.2.

    Taken are sentences of movie reviews that people rated clearly, of at most 150 characters; left out is also what
    `kernelsm.examples.sentiment.sentences` leaves out. To make the shipped file again::

        pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
        python -m kernelsm.examples.prompt_tasks vaderSentiment-3.3.2.tar.gz

    Parameters
    ----------
    archive : Path
        The .tar.gz file.
    seed : int
        Of the random draw.

    Returns
    -------
    DataFrame
        `group` (of `SIZES`), `text`, `label` ("positive" or "negative", equally many in each group) and `rating`
        (mean of at least 20 people), in random order within each group.

    Raises
    ------
    InputError
        The archive cannot be read or is another one, or has too few clear reviews.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    seen: set[str] = set()
    clear: dict[str, list[tuple[str, float]]] = {"positive": [], "negative": []}
    for text, rating in rated_sentences(archive)["movie reviews"]:
        bare = "".join(filter(str.isalnum, text.casefold()))
        if abs(rating) >= CLEAR and len(text) <= LONGEST and is_usable(text) and bare not in seen:
            seen.add(bare)
            clear["positive" if rating > 0 else "negative"].append((text, rating))
    needed = sum(SIZES.values()) // 2
    for label, reviews in clear.items():
        if len(reviews) < needed:
            place, fix = f"{archive.name}, {label} movie reviews", "Use vaderSentiment 3.3.2."
            raise InputError(place, f"{len(reviews)} clear ones", f"at least {needed}", fix)
    drawn = {label: iter(rng.permutation(len(reviews)).tolist()) for label, reviews in clear.items()}
    rows = []
    for group, size in SIZES.items():
        part = [(group, *clear[label][next(drawn[label])], label) for label in clear for _ in range(size // 2)]
        rows += [part[position] for position in rng.permutation(size)]
    return pd.DataFrame(rows, columns=["group", "text", "rating", "label"])[["group", "text", "label", "rating"]]


if __name__ == "__main__":
    build_reviews(Path(sys.argv[1])).to_csv(REVIEWS, index=False, lineterminator="\n")
