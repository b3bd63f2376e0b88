"""Results in plain language, safe to show as Markdown."""

from __future__ import annotations

import numpy as np

from kernelsm.app.words import plain
from kernelsm.surrogates.results import Attribution, Interactions


def task_sentence(attribution: Attribution, k: int) -> str:
    """Say what including task k does to the first target, with its interval."""
    return attribution.sentence(k, name=f"**{plain(attribution.task_names[k])}**")


def pair_sentence(interactions: Interactions, j: int, k: int) -> str:
    """Say what tasks j and k do together to the first target, with its interval."""
    first, second = (f"**{plain(interactions.task_names[i])}**" for i in (j, k))
    return interactions.sentence(j, k, names=(first, second))


def strongest_task(attribution: Attribution) -> int:
    """Task of the largest magnitude for the first target."""
    return int(np.argmax(np.abs(attribution.values[:, 0])))


def strongest_pair(interactions: Interactions) -> tuple[int, int]:
    """Pair of the largest magnitude for the first target; (0, 1) where all are zero."""
    first, second = interactions.strongest(1)
    return int(first[0]), int(second[0])
