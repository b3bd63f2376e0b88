"""How well the loss of a prompt is predicted from other prompts: by single orders, and by the means over orders.

Both examples as they are shipped: 200 prompts of 4 of 50 demonstrations in two orders, mean loss over 100 queries. A
fifth of the prompts is held out in turn, with both orders, and parts are drawn five times. Two surrogates see the
rest:

- `PositionSurrogate`, fitted to single orders with the labels of the slots; its prediction of a set is the mean over
  all orders. It predicts on the Demonstrations page.
- `SharedSurrogate`, the default elsewhere, fitted to the sets and their means over the measured orders.

The result is the share of the variance of the held-out means that is explained (1 is all of it, 0 what the mean of
all explains; the noise of two orders is in the variance), and how often the 90 % interval of a held-out single order
holds its outcome.

    .venv/bin/python benchmarks/prompt_prediction.py
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from machine import publish
from scipy.stats import norm

from kernelsm.examples.catalog import PROMPT_EXAMPLES, load_example
from kernelsm.prompts.order_surrogate import PositionSurrogate
from kernelsm.runtime.threads import use_torch_threads
from kernelsm.surrogates.shared import SharedSurrogate
from kernelsm.workspace.prompt_projects import find_prompts
from kernelsm.workspace.tables import load_run_orders

FOLDS, TURNS, LEVEL = 5, 5, 0.9


def main() -> None:
    """Hold prompts out of both examples."""
    use_torch_threads(1)
    publish(
        "prompt_prediction", {"folds": FOLDS, "turns": TURNS, **{name: _held_out(name) for name in PROMPT_EXAMPLES}}
    )


def _held_out(name: str) -> dict[str, Any]:
    """Predict each prompt of an example from the others, in each turn."""
    task = find_prompts(name).task
    outcomes, ordered = load_example(name).mean_target(), load_run_orders(name)
    assert ordered is not None
    labels = np.array([task.labels.index(one.label) for one in task.candidates])
    variance = float(outcomes.values.var())
    half = float(norm.ppf((1 + LEVEL) / 2))
    explained: dict[str, list[float]] = {"single_orders": [], "default": []}
    held: list[float] = []
    begun = time.perf_counter()
    for turn in range(TURNS):
        part = np.random.default_rng(turn).permutation(outcomes.m) % FOLDS
        found = {key: np.zeros_like(outcomes.values) for key in explained}
        inside: list[bool] = []
        for fold in range(FOLDS):
            train, left = outcomes.take(part != fold), part == fold
            seen, unseen = ordered.of(train.masks), ordered.of(outcomes.masks[left])
            surrogate = PositionSurrogate().fit(seen.orders, seen.values.mean(axis=1)[:, None], train.K, labels)
            found["single_orders"][left] = surrogate.predict_subsets(outcomes.masks[left])
            found["default"][left] = SharedSurrogate().fit_outcomes(train).predict(outcomes.masks[left])
            for order, value in zip(unseen.orders, unseen.values.mean(axis=1), strict=True):
                mean, std = surrogate.predict_mean(order[None])
                spread = np.sqrt(std[0] ** 2 + surrogate.noise_variance_[0])
                inside.append(bool(abs(value - mean[0]) < half * spread))
        for key, values in found.items():
            explained[key].append(1 - float(np.mean((outcomes.values - values) ** 2)) / variance)
        held.append(float(np.mean(inside)))
    return {
        "prompts": outcomes.m,
        "variance_explained": {key: _summary(values) for key, values in explained.items()},
        "inside_90": _summary(held),
        "seconds": round(time.perf_counter() - begun, 1),
    }


def _summary(values: list[float]) -> dict[str, float]:
    """Mean over turns, and the least and the most."""
    return {"mean": round(float(np.mean(values)), 4), "least": round(min(values), 4), "most": round(max(values), 4)}


if __name__ == "__main__":
    main()
