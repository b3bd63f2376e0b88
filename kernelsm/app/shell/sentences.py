"""Results in plain language, safe to show as Markdown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernelsm.app.shell.words import plain
from kernelsm.evaluation.metrics import lds, relative_error
from kernelsm.surrogates.auto import AutoSurrogate
from kernelsm.surrogates.auto_choice import auto_choice
from kernelsm.surrogates.results import Attribution, Interactions
from kernelsm.surrogates.subset_distributions import Array
from kernelsm.surrogates.wording import percent


def task_sentence(attribution: Attribution, k: int) -> str:
    """Say what including task k does to the first target, with its interval."""
    return attribution.sentence(k, name=f"**{plain(attribution.task_names[k])}**")


def pair_sentence(interactions: Interactions, j: int, k: int, *, clear: NDArray[np.bool_] | None = None) -> str:
    """Say what tasks j and k do together to the first target, with its interval; `clear` as of `sentence`."""
    first, second = (f"**{plain(interactions.task_names[i])}**" for i in (j, k))
    return interactions.sentence(j, k, names=(first, second), clear=clear)


def own_scale_sentence(observed: Array, predicted: Array) -> str:
    """Say how well the surrogate on the outcome's own scale predicts, which Explore reads off."""
    rank, error = lds(observed, predicted), relative_error(observed, predicted)
    if not (np.isfinite(rank) and np.isfinite(error)):
        return ""
    return (
        "Effects are differences of the outcome, so Explore reads them off the fit on the outcome's own scale: "
        f"LDS {rank:.3f}, relative error {percent(error)}."
    )


def choice_sentence(auto: AutoSurrogate) -> str:
    """Say what the default surrogate chose."""
    return auto_choice(auto).replace("Auto", "**Auto**", 1)
