"""LDS on the outcomes published with the paper: 200 prompts of 4 of 50 coin-flip demonstrations, 869 queries.

Twenty random splits, 80 prompts to fit and 120 to predict; all choices are made on the 80. "all" is the LDS over all
queries, "filtered" the authors' protocol, over the queries whose held-out outcomes vary by at least 0.1. Beside the
default surrogate: the authors' setting (RBF, γ = 1/K, λ = 0.1, no intercept), and ridge and RBF regression tuned by
leave-one-out, and the default without what targets share, and on the outcome's own scale alone. The splits share
prompts: the interval of the gain is a plain one over splits, narrower than new prompts would give.

    .venv/bin/python benchmarks/coin_flip.py ../shared/data/coin_flip
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import publish
from scipy.stats import t

from kernelsm import (
    AutoSurrogate,
    KernelSurrogate,
    KernelSurrogateCV,
    LinearSurrogateCV,
    Outcomes,
    default_surrogate,
    lds,
)
from kernelsm.runtime.threads import limit_blas_threads
from kernelsm.surrogates.base import Surrogate

SPLITS, FITTED, VARIES = 20, 0.4, 0.1
SURROGATES: dict[str, Surrogate] = {
    "default": default_surrogate(),
    "without_sharing": AutoSurrogate(sharing="targets"),
    "own_scale_only": AutoSurrogate(scales=("identity",)),
    "authors": KernelSurrogate(ridge=0.1, fit_intercept=False),
    "tuned_linear": LinearSurrogateCV(),
    "tuned_rbf": KernelSurrogateCV(),
}


def published(folder: Path) -> Outcomes:
    """Read the two published files."""
    losses = np.array(json.loads((folder / "coin_flip_subset_scores_loss.json").read_text()))
    prompts = json.loads((folder / "coin_flip_train_ids_list.json").read_text())
    masks = np.zeros((len(prompts), 50), dtype=bool)
    for row, demonstrations in zip(masks, prompts, strict=True):
        row[demonstrations] = True
    return Outcomes(masks, losses)


def gain(scores: dict[str, list[float]], first: str, second: str) -> tuple[float, float, float]:
    """Mean paired difference over splits and its 90 % interval."""
    difference = np.subtract(scores[first], scores[second])
    margin = float(t.ppf(0.95, SPLITS - 1) * difference.std(ddof=1) / np.sqrt(SPLITS))
    mean = float(difference.mean())
    return round(mean, 4), round(mean - margin, 4), round(mean + margin, 4)


def main() -> None:
    """Fit all surrogates to all splits."""
    limit_blas_threads()
    outcomes = published(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/coin_flip"))
    scores: dict[str, dict[str, list[float]]] = {
        kind: {name: [] for name in SURROGATES} for kind in ("all", "filtered")
    }
    seconds = dict.fromkeys(SURROGATES, 0.0)
    for seed in range(SPLITS):
        train, test = outcomes.split(FITTED, seed=seed)
        varies = test.values.var(axis=0) >= VARIES
        for name, surrogate in SURROGATES.items():
            begun = time.perf_counter()
            predicted = surrogate.fit_outcomes(train).predict(test.masks)
            seconds[name] += time.perf_counter() - begun
            scores["all"][name].append(lds(test.values, predicted))
            scores["filtered"][name].append(lds(test.values[:, varies], predicted[:, varies]))
    result: dict[str, Any] = {"m": outcomes.m, "K": outcomes.K, "q": outcomes.q, "fitted": train.m, "splits": SPLITS}
    for kind, table in scores.items():
        for name, found in table.items():
            result[f"lds_{name}" + ("" if kind == "all" else "_filtered")] = round(float(np.mean(found)), 4)
    for kind, suffix in (("all", ""), ("filtered", "_filtered")):
        for rival in ("authors", "tuned_linear", "tuned_rbf"):
            key = "gain" + ("" if rival == "authors" else f"_over_{rival}") + suffix
            result[key], result[f"{key}_low"], result[f"{key}_high"] = gain(scores[kind], "default", rival)
    result["seconds_per_fit_and_prediction"] = {name: round(s / SPLITS, 3) for name, s in seconds.items()}
    publish("coin_flip", result)


if __name__ == "__main__":
    main()
