"""An example's estimates and surrogates against its held-out truth."""

from __future__ import annotations

from typing import Any

from kernelsm.evaluation.metrics import lds, relative_error, spearman_per_target
from kernelsm.outcomes.table import Outcomes
from kernelsm.surrogates.auto import default_surrogate
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.kernel import KernelSurrogate, KernelSurrogateCV
from kernelsm.surrogates.linear import LinearSurrogateCV


def score_estimates(truth: Outcomes, estimates: Outcomes) -> dict[str, Any]:
    """Scores of an estimator against retraining on the same subsets.

    Returns
    -------
    dict
        `spearman` and `relative_error` of the mean over targets, `lds` over targets, and per target both.
    """
    overall, guess = truth.mean_target(), estimates.mean_target()
    names = truth.target_names
    return {
        "spearman": float(spearman_per_target(overall.values, guess.values)[0]),
        "lds": lds(truth.values, estimates.values),
        "relative_error": relative_error(overall.values, guess.values),
        "spearman_per_target": dict(
            zip(names, map(float, spearman_per_target(truth.values, estimates.values)), strict=True)
        ),
        "relative_error_per_target": {
            name: relative_error(truth.values[:, j], estimates.values[:, j]) for j, name in enumerate(names)
        },
    }


def score_surrogates(outcomes: Outcomes, truth: Outcomes) -> dict[str, Any]:
    """Scores of surrogates fitted to `outcomes`, on the truth.

    Returns
    -------
    dict
        `lds_NAME` and `relative_error_NAME` for "linear" and "rbf", tuned by leave-one-out, "authors" (RBF with
        γ = 1/K, λ = 0.1 and no intercept), and "default".
    """
    surrogates: dict[str, Surrogate] = {
        "linear": LinearSurrogateCV(),
        "rbf": KernelSurrogateCV(),
        "authors": KernelSurrogate(ridge=0.1, fit_intercept=False),
        "default": default_surrogate(),
    }
    scores = {}
    for name, surrogate in surrogates.items():
        predicted = surrogate.fit_outcomes(outcomes).predict(truth.masks)
        scores[f"lds_{name}"] = lds(truth.values, predicted)
        scores[f"relative_error_{name}"] = relative_error(truth.values, predicted)
    return scores
