"""Real sentences with human sentiment ratings, from four sources: the shipped sample, and how it is made."""

from __future__ import annotations

import html
import io
import re
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kernelsm.runtime.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

SENTENCES = Path(__file__).with_name("sentiment.csv")
SOURCES = {
    "product reviews": "amazonReviewSnippets",
    "movie reviews": "movieReviewSnippets",
    "editorials": "nytEditorialSnippets",
    "tweets": "tweets",
}
BANDS = ("strongly negative", "mildly negative", "mildly positive", "strongly positive")
MILD, STRONG = 0.5, 1.5
"""Least absolute mean rating of a sentence that is taken, and of a strongly worded one; ratings are -4 to 4."""
TRAINING, TEST = 112, 38
"""Sentences of each source and band."""
LONGEST = 250
"""Most characters of a sentence."""

_INSIDE = "additional_resources/hutto_ICWSM_2014.tar.gz"
_NO_WORDS = ("@", "#", "http")
# sentences are shown on screen, in classrooms too
_CRUDE = re.compile("fuck|shit|bitch|cunt|whore|slut|nigg|retard", re.IGNORECASE)


def load_sentences() -> pd.DataFrame:
    """Return the shipped sentences, in random order.

    Returns
    -------
    DataFrame
        `text`, `source` (of `SOURCES`), `rating` (mean of at least 20 people, to two digits), `band` (of `BANDS`),
        `task` (source and band), `sentiment` ("negative" or "positive") and `split`: 112 "train" and 38 "test"
        sentences of each task.
    """
    import pandas as pd

    return pd.read_csv(SENTENCES, keep_default_na=False)


def build_sentences(archive: Path, *, seed: int = 0) -> pd.DataFrame:
    """Draw the shipped sentences from the source distribution of vaderSentiment 3.3.2.

    Left out are sentences that are rated nearly neutral, have fewer than three words or more than 250 characters,
    use crude words, or repeat one before them but for case, spaces and punctuation. To make the shipped file again::

        pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
        python -m kernelsm.examples.sentiment.sentences vaderSentiment-3.3.2.tar.gz

    Parameters
    ----------
    archive : Path
        The .tar.gz file.
    seed : int
        Of the random draw.

    Returns
    -------
    DataFrame
        As of `load_sentences`.

    Raises
    ------
    InputError
        The archive cannot be read or is another one, or a source has too few sentences of one band.

    References
    ----------
    Hutto & Gilbert (2014), VADER: a parsimonious rule-based model for sentiment analysis of social media text, ICWSM.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    seen: set[str] = set()
    drawn = []
    for source, rated in rated_sentences(archive).items():
        groups: dict[str, list[tuple[str, float]]] = {band: [] for band in BANDS}
        for text, rating in rated:
            bare = "".join(filter(str.isalnum, text.casefold()))
            if abs(rating) >= MILD and is_usable(text) and bare not in seen:
                seen.add(bare)
                groups[band_of(rating)].append((text, rating))
        for band, group in groups.items():
            if len(group) < TRAINING + TEST:
                place, fix = f"{archive.name}, {source}, {band}", "Use vaderSentiment 3.3.2."
                raise InputError(place, f"{len(group)} sentences", f"at least {TRAINING + TEST}", fix)
            for position, index in enumerate(rng.permutation(len(group))[: TRAINING + TEST]):
                text, rating = group[index]
                split = "train" if position < TRAINING else "test"
                drawn.append((text, source, rating, band, f"{source} · {band}", band.split()[1], split))
    mixed = [drawn[index] for index in rng.permutation(len(drawn))]
    return pd.DataFrame(mixed, columns=["text", "source", "rating", "band", "task", "sentiment", "split"])


def band_of(rating: float) -> str:
    """Return the band of a mean rating; mild ends below 1.5."""
    return f"{'strongly' if abs(rating) >= STRONG else 'mildly'} {'positive' if rating > 0 else 'negative'}"


def is_usable(text: str) -> bool:
    """Whether a text is a sentence to be shown: three words or more, not too long, none of them crude."""
    words = [word for word in text.split() if not word.startswith(_NO_WORDS) and any(map(str.isalpha, word))]
    return len(words) >= 3 and len(text) <= LONGEST and not _CRUDE.search(text)


def rated_sentences(archive: Path) -> dict[str, list[tuple[str, float]]]:
    """All sentences and mean ratings of each source, in the order of the files; nothing is unpacked to disk."""
    ratings = {}
    try:
        with tarfile.open(archive, "r:gz") as outer:
            packed = next((name for name in outer.getnames() if name.endswith(_INSIDE)), None)
            if packed is None:
                raise InputError(archive.name, f"no file {_INSIDE}", "it inside", "Use vaderSentiment 3.3.2.")
            with tarfile.open(fileobj=io.BytesIO(_content(outer, packed)), mode="r:gz") as inner:
                for source, name in SOURCES.items():
                    lines = _content(inner, f"hutto_ICWSM_2014/{name}_GroundTruth.txt").decode("utf-8").split("\n")
                    cells = [line.split("\t") for line in lines if line.strip()]
                    ratings[source] = [(_clean(text), round(float(rating), 2)) for _, rating, text in cells]
    except (tarfile.TarError, OSError, EOFError, KeyError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        fix = "Download vaderSentiment 3.3.2 again."
        raise InputError(archive.name, str(error)[:120], "a source distribution (.tar.gz)", fix) from None
    return ratings


def _clean(text: str) -> str:
    """Without HTML entities, some of which were escaped twice, and with single spaces."""
    return " ".join(html.unescape(html.unescape(text)).split())


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(f"{name} is no file")
    return file.read()


if __name__ == "__main__":
    build_sentences(Path(sys.argv[1])).to_csv(SENTENCES, index=False, lineterminator="\n")
