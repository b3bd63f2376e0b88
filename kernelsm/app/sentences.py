"""Results in plain language, safe to show as Markdown."""

from __future__ import annotations

import numpy as np

from kernelsm.app.words import plain
from kernelsm.surrogates.results import Attribution, Interactions
from kernelsm.surrogates.words import attribution_sentence, interaction_sentence


def task_sentence(attribution: Attribution, k: int) -> str:
    """Say what including task k does to the first target."""
    unit = "score" if attribution.higher_is_better else "loss"
    name = f"**{plain(attribution.task_names[k])}**"
    return attribution_sentence(name, float(attribution.values[k, 0]), unit, attribution.higher_is_better)


def pair_sentence(interactions: Interactions, j: int, k: int) -> str:
    """Say what tasks j and k do together to the first target."""
    unit = "score" if interactions.higher_is_better else "loss"
    first, second = (f"**{plain(interactions.task_names[i])}**" for i in (j, k))
    return interaction_sentence(
        first, second, float(interactions.values[j, k, 0]), unit, interactions.higher_is_better
    )


def strongest_task(attribution: Attribution) -> int:
    """Task of the largest magnitude for the first target."""
    return int(np.argmax(np.abs(attribution.values[:, 0])))


def strongest_pair(interactions: Interactions) -> tuple[int, int]:
    """Pair of the largest magnitude for the first target; (0, 1) where all are zero."""
    first, second = np.triu_indices(len(interactions.task_names), k=1)
    best = int(np.argmax(np.abs(interactions.values[first, second, 0])))
    return int(first[best]), int(second[best])
