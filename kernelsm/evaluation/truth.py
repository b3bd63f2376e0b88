"""An example's estimates and surrogates against its held-out truth."""

from __future__ import annotations

from typing import Any

from kernelsm.evaluation.fidelity import held_out_tables
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
    """Scores of surrogates fitted to `outcomes`, on those subsets of the truth that are not among them.

    Returns
    -------
    dict
        `unseen_subsets`, how many those are; `lds_NAME` and `relative_error_NAME` for "linear" and "rbf", tuned by
        leave-one-out, "authors" (RBF with γ = 1/K, λ = 0.1 and no intercept), and "default".
    """
    surrogates: dict[str, Surrogate] = {
        "linear": LinearSurrogateCV(),
        "rbf": KernelSurrogateCV(),
        "authors": KernelSurrogate(ridge=0.1, fit_intercept=False),
        "default": default_surrogate(),
    }
    _, unseen = held_out_tables(outcomes, truth)
    scores: dict[str, Any] = {"unseen_subsets": unseen.m}
    for name, surrogate in surrogates.items():
        predicted = surrogate.fit_outcomes(outcomes).predict(unseen.masks)
        scores[f"lds_{name}"] = lds(unseen.values, predicted)
        scores[f"relative_error_{name}"] = relative_error(unseen.values, predicted)
    return scores
