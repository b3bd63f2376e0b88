"""What the default surrogate chose, in words."""

from __future__ import annotations

import numpy as np

from kernelsm.runtime.near_ties import rising
from kernelsm.surrogates.auto import AutoSurrogate
from kernelsm.surrogates.kernel import KernelSurrogate
from kernelsm.surrogates.shared import SharedSurrogate

_SCALE_NAMES = {"identity": "as it is", "sqrt": "square root", "log": "logarithm", "rank": "ranks"}


def _kernels(own_effects: SharedSurrogate) -> str:
    """Name the kernels that were taken."""
    if composites := list(getattr(own_effects, "composites_", {}).values()):
        products = sum(len(composite.terms) for composite in composites)
        of_tasks = f", and {products} single product{'s' if products > 1 else ''} of tasks" if products else ""
        return f"a sum of kernels (main effects, RBF kernels in which each task has a weight of its own{of_tasks})"
    linear = sum(len(part.loadings) for part in own_effects.parts_ if not isinstance(part.surrogate, KernelSurrogate))
    total = sum(len(part.loadings) for part in own_effects.parts_)
    return "RBF kernels" if linear == 0 else "linear kernels" if linear == total else "RBF and linear kernels"


def auto_choice(auto: AutoSurrogate) -> str:
    """Say in a sentence what the default surrogate chose: kernels, what targets share, and scales of the outcome."""
    own_effects = auto.effects_
    if own_effects.components_ == 0:
        return "Auto found nothing that it predicts better than the mean does, leaving each subset out once."
    q = own_effects.noise_variance_.size
    shared = (
        f"{own_effects.components_} components that the {q} targets share"
        if own_effects.sharing_ == "components" and q > 1 else "each target by itself" if q > 1 else "one target"
    )  # fmt: skip
    kernels = _kernels(own_effects)
    if auto.own_scale_only_.all():
        alone = "on the outcome's own scale: no other predicts left-out subsets better"
        return f"Auto took {kernels} for {shared}, {alone}."
    weights = {_SCALE_NAMES[name]: float(weight.mean()) for name, weight in auto.weights_.items()}
    names, shares = list(weights), np.array(list(weights.values()))
    scales = ", ".join(f"{names[i]} {shares[i]:.0%}" for i in rising(-shares))
    return f"Auto took {kernels} for {shared}, and weighs scales of the outcome by leave-one-out: {scales}."
