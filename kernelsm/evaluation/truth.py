"""An example's estimates and surrogates against its held-out truth."""

from __future__ import annotations

from typing import Any

from kernelsm.evaluation.metrics import lds, relative_error, spearman_per_target
from kernelsm.outcomes.table import Outcomes
from kernelsm.surrogates.kernel import KernelSurrogate
from kernelsm.surrogates.linear import LinearSurrogate


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
    """Scores of the linear and the kernel surrogate, with default parameters, fitted to `outcomes`, on the truth."""
    linear = LinearSurrogate().fit_outcomes(outcomes).predict(truth.masks)
    kernel = KernelSurrogate().fit_outcomes(outcomes).predict(truth.masks)
    return {
        "lds_linear": lds(truth.values, linear),
        "lds_kernel": lds(truth.values, kernel),
        "relative_error_linear": relative_error(truth.values, linear),
        "relative_error_kernel": relative_error(truth.values, kernel),
    }
