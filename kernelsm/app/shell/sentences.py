"""Results in plain language, safe to show as Markdown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernelsm.app.shell.words import SCALE_NAMES, plain
from kernelsm.evaluation.metrics import lds, relative_error
from kernelsm.runtime.near_ties import rising
from kernelsm.surrogates.auto import AutoSurrogate
from kernelsm.surrogates.kernel import KernelSurrogate
from kernelsm.surrogates.results import Attribution, Interactions
from kernelsm.surrogates.shared import SharedSurrogate
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


def _kernels(own_effects: SharedSurrogate) -> str:
    """Name the kernels that were taken."""
    if composites := list(getattr(own_effects, "composites_", {}).values()):
        products = sum(len(composite.terms) for composite in composites)
        of_tasks = f", and {products} single product{'s' if products > 1 else ''} of tasks" if products else ""
        return f"a sum of kernels (main effects, RBF kernels in which each task has a weight of its own{of_tasks})"
    linear = sum(len(part.loadings) for part in own_effects.parts_ if not isinstance(part.surrogate, KernelSurrogate))
    total = sum(len(part.loadings) for part in own_effects.parts_)
    return "RBF kernels" if linear == 0 else "linear kernels" if linear == total else "RBF and linear kernels"


def choice_sentence(auto: AutoSurrogate) -> str:
    """Say what the default surrogate chose."""
    own_effects = auto.effects_
    if own_effects.components_ == 0:
        return "**Auto** found nothing that it predicts better than the mean does, leaving each subset out once."
    q = own_effects.noise_variance_.size
    shared = (
        f"{own_effects.components_} components that the {q} targets share"
        if own_effects.sharing_ == "components" and q > 1 else "each target by itself" if q > 1 else "one target"
    )  # fmt: skip
    kernels = _kernels(own_effects)
    if auto.own_scale_only_.all():
        alone = "on the outcome's own scale: no other predicts left-out subsets better"
        return f"**Auto** took {kernels} for {shared}, {alone}."
    weights = {SCALE_NAMES[name]: float(weight.mean()) for name, weight in auto.weights_.items()}
    names, shares = list(weights), np.array(list(weights.values()))
    scales = ", ".join(f"{names[i]} {shares[i]:.0%}" for i in rising(-shares))
    return f"**Auto** took {kernels} for {shared}, and weighs scales of the outcome by leave-one-out: {scales}."
