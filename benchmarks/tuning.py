"""The whole leave-one-out surface against scikit-learn's GridSearchCV(KernelRidge) with leave-one-out, one thread.

m = 500 subsets of K = 50 tasks, 20 x 20 values of γ and λ. scikit-learn refits m times per point, so a slice of 2 x 2
points is timed and scaled; both sides must agree on the errors there.

    .venv/bin/python benchmarks/tuning.py
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from machine import publish
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, LeaveOneOut

from kernelsm import KernelSurrogateCV, bernoulli_masks
from kernelsm.runtime.threads import limit_blas_threads

K, M = 50, 500
TARGETS = (1, 100)
SLICE = 2
TURNS = 5


def main() -> None:
    """Time both sides in one run."""
    limit_blas_threads()
    rng = np.random.default_rng(0)
    masks = bernoulli_masks(K, M, seed=0).astype(np.float64)
    values = masks @ rng.normal(size=(K, max(TARGETS))) + rng.normal(size=(M, max(TARGETS)))
    # scikit-learn's kernel ridge has no intercept
    surface = KernelSurrogateCV(fit_intercept=False).fit(masks, values[:, 0]).surface_
    at = np.linspace(0, len(surface.gammas) - 1, SLICE + 2).astype(int)[1:-1]
    grid = {"gamma": surface.gammas[at], "alpha": surface.ridges[at]}
    search = GridSearchCV(
        KernelRidge(kernel="rbf"), grid, cv=LeaveOneOut(), scoring="neg_mean_squared_error", refit=False
    )
    begun = time.perf_counter()
    search.fit(masks, values[:, 0])
    theirs = time.perf_counter() - begun
    ours: dict[int, list[float]] = {q: [] for q in TARGETS}
    for _ in range(TURNS):
        for q in TARGETS:
            begun = time.perf_counter()
            KernelSurrogateCV(fit_intercept=False).fit(masks, values[:, :q])
            ours[q].append(time.perf_counter() - begun)
    errors = -search.cv_results_["mean_test_score"].reshape(SLICE, SLICE).T  # alpha before gamma -> (γ, λ)
    disagreement = float(np.abs(errors / surface.errors[np.ix_(at, at)][:, :, 0] - 1).max())
    assert disagreement < 1e-6, disagreement
    scaled = theirs * surface.relative.size / SLICE**2
    result: dict[str, Any] = {
        "K": K, "m": M, "grid": [len(surface.gammas), len(surface.ridges)], "threads": 1,
        **{f"surface_q{q}_s": round(float(np.median(found)), 3) for q, found in ours.items()},
        "sklearn_slice_points": SLICE**2, "sklearn_slice_s": round(theirs, 2), "sklearn_scaled_s": round(scaled, 1),
        "largest_relative_disagreement": disagreement,
        "speedup_vs_sklearn": round(scaled / float(np.median(ours[1])), 1),
    }  # fmt: skip
    publish("tuning", result)


if __name__ == "__main__":
    main()
