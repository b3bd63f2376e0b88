"""Movie reviews in a prompt: the example, its real sentences, and how they were drawn."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kernelsm.examples.example import PROMPT_SIZES, PromptExample
from kernelsm.examples.sentiment.sentences import is_usable, rated_sentences
from kernelsm.prompts.task import Labelled, PromptTask, PromptTemplate
from kernelsm.runtime.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

REVIEWS = Path(__file__).with_name("movie_reviews.csv")
CLEAR = 2.0
"""Least absolute mean rating of a review that is taken; ratings are -4 to 4."""
LONGEST = 150
"""Most characters of a review."""


def movie_reviews(*, k: int = 4) -> PromptTask:
    """Return the task of the shipped movie reviews: whether a sentence is positive or negative.

    Parameters
    ----------
    k : int
        Demonstrations in a prompt.
    """
    import pandas as pd

    rows = pd.read_csv(REVIEWS, keep_default_na=False)
    groups = {group: _labelled(rows[rows["group"] == group]) for group in PROMPT_SIZES}
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
        python -m kernelsm.examples.movie_reviews.example vaderSentiment-3.3.2.tar.gz

    Parameters
    ----------
    archive : Path
        The .tar.gz file.
    seed : int
        Of the random draw.

    Returns
    -------
    DataFrame
        `group` (of `PROMPT_SIZES`), `text`, `label` ("positive" or "negative", equally many in each group) and
        `rating` (mean of at least 20 people), in random order within each group.

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
    needed = sum(PROMPT_SIZES.values()) // 2
    for label, reviews in clear.items():
        if len(reviews) < needed:
            place, fix = f"{archive.name}, {label} movie reviews", "Use vaderSentiment 3.3.2."
            raise InputError(place, f"{len(reviews)} clear ones", f"at least {needed}", fix)
    drawn = {label: iter(rng.permutation(len(reviews)).tolist()) for label, reviews in clear.items()}
    rows = []
    for group, size in PROMPT_SIZES.items():
        part = [(group, *clear[label][next(drawn[label])], label) for label in clear for _ in range(size // 2)]
        rows += [part[position] for position in rng.permutation(size)]
    return pd.DataFrame(rows, columns=["group", "text", "rating", "label"])[["group", "text", "label", "rating"]]


MOVIE_REVIEWS = PromptExample(
    name="movie-reviews",
    title="Movie reviews in a prompt",
    summary=(
        "50 real review sentences, four of which go into the prompt of a language model that tells good "
        "reviews from bad. Which four work best together?"
    ),
    folder=Path(__file__).parent,
    make=cache(movie_reviews),
)


if __name__ == "__main__":
    build_reviews(Path(sys.argv[1])).to_csv(REVIEWS, index=False, lineterminator="\n")
