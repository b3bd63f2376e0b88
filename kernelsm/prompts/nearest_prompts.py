"""A prompt of its own for each query: the candidates whose texts are most like it, the most alike standing last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from kernelsm.prompts.task import Labelled
from kernelsm.runtime.checks import check_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import rising

# pieces of letters: single ones tell in scripts that write a word with one, three where a word has several
_WORDS: dict[str, Any] = {"analyzer": "word"}
_PIECES: dict[str, Any] = {"analyzer": "char", "ngram_range": (1, 3)}


def nearest_prompts(candidates: Sequence[Labelled], queries: Sequence[Labelled], k: int) -> list[tuple[int, ...]]:
    """Choose for each query the k candidates that are most like it by `text_likeness`.

    Answers are not looked at, so they may be free. The prompt of a query depends on the candidates and on the query
    alone: not on other queries, so that it can be made where the query comes in.

    Parameters
    ----------
    candidates : sequence of Labelled, length K
    queries : sequence of Labelled, length q
    k : int
        Demonstrations in a prompt, 1 to K.

    Returns
    -------
    list of tuples of int, length q
        Candidates of each prompt in the order in which they stand in it, the most alike last; of equally alike ones
        those with lower numbers are taken, and stand nearer to the query.

    Raises
    ------
    InputError
        No candidate, or k outside 1..K.

    References
    ----------
    Liu et al. (2022), What makes good in-context examples for GPT-3?

    Examples
    --------
    >>> from kernelsm.prompts.task import Labelled
    >>> films = [Labelled("a dull film", "bad"), Labelled("a fine book", "good"), Labelled("rain all day", "bad")]
    >>> nearest_prompts(films, [Labelled("what a fine one", "good"), Labelled("rain", "bad")], 1)
    [(1,), (2,)]
    """
    likeness = text_likeness(candidates, queries)
    check_whole("k", k, 1, len(candidates), fix="Take fewer demonstrations into a prompt.")
    return [most_alike_last(row, k) for row in likeness]


def most_alike_last(likeness: NDArray[np.float64], k: int) -> tuple[int, ...]:
    """Return the k candidates of the largest likeness to one query, shape (K,), as they stand in its prompt.

    Examples
    --------
    >>> import numpy as np
    >>> most_alike_last(np.array([0.2, 0.9, 0.2, 0.0]), 2)
    (0, 1)
    """
    return tuple(rising(-likeness)[:k][::-1].tolist())


def text_likeness(candidates: Sequence[Labelled], queries: Sequence[Labelled]) -> NDArray[np.float64]:
    """Return how alike the texts of queries and candidates are: the TF-IDF cosine of their words.

    Of several fields the texts hold all contents. Letters are compared without their case, words of one letter do not
    count, and how often a word stands in a text counts by its logarithm. How rare a word is, the candidates say; one
    that they do not know is as rare as can be. A query that shares no word with any candidate, as is usual in scripts
    that set no spaces between words, is compared by pieces of one to three letters instead, spaces among them.

    Parameters
    ----------
    candidates : sequence of Labelled, length K
    queries : sequence of Labelled, length q

    Returns
    -------
    ndarray, shape (q, K)
        0 for nothing in common to 1 for the same words as often.

    Raises
    ------
    InputError
        No candidate.

    Examples
    --------
    >>> from kernelsm.prompts.task import Labelled
    >>> films = [Labelled("fine film", "good"), Labelled("rain", "bad")]
    >>> text_likeness(films, [Labelled("Film, fine!", "good")]).round(2).tolist()
    [[1.0, 0.0]]
    """
    if not candidates:
        raise InputError("candidates", "none", "at least 1", "Give demonstrations to choose from.")
    found = np.zeros((len(queries), len(candidates)))
    known = [one.text for one in candidates]
    for parts in (_WORDS, _PIECES):
        alone = np.flatnonzero(~found.any(axis=1)).tolist()
        if alone:
            found[alone] = _cosines(known, [queries[j].text for j in alone], parts)
    return found


def _cosines(known: Sequence[str], asked: Sequence[str], parts: dict[str, Any]) -> NDArray[np.float64]:
    """TF-IDF cosine of each text of `asked` and `known` by some parts of texts, shape (asked, known)."""
    vectorizer = TfidfVectorizer(sublinear_tf=True, norm=None, **parts)
    try:
        known_weights = vectorizer.fit_transform(known)
    except ValueError:  # they hold no such part
        return np.zeros((len(asked), len(known)))
    asked_weights = vectorizer.transform(asked)
    # parts that no candidate has count in the length of a query: else one shared word would make it all alike
    split, vocabulary, rarest = vectorizer.build_analyzer(), vectorizer.vocabulary_, 1 + log(1 + len(known))
    foreign = [
        sum(
            (rarest * (1 + log(count))) ** 2 for part, count in Counter(split(text)).items() if part not in vocabulary
        )
        for text in asked
    ]
    lengths = [
        np.sqrt(np.asarray(weights.multiply(weights).sum(axis=1)).ravel() + more)
        for weights, more in ((asked_weights, np.array(foreign)), (known_weights, 0.0))
    ]
    asked_length, known_length = (np.where(length > 0, length, 1.0) for length in lengths)
    products = np.asarray((asked_weights @ known_weights.T).todense())
    return np.asarray(products / asked_length[:, None] / known_length)
