"""GradEx against SciPy's L-BFGS-B and against real retraining, on the digits example, both sides in one run.

K = 20 tasks, n = 1,198 training samples, a 64-32-10 network (2,410 parameters), Bernoulli(0.5) masks, ridge 0.03.

- GradEx: all masks at once, with the time of its shared directions and curvature, and of reading the targets;
  the median of three turns at m = 1,000.
- SciPy: one L-BFGS-B per subset of a sample, on the included rows only, until it is within 1e-6 of GradEx' objective
  value or below it. Single and double precision, one and two BLAS threads are tried and the fastest is used.
- Retraining: `Retraining` of a sample of subsets, sequential on one thread and batched, scaled per subset.

    .venv/bin/python benchmarks/gradex.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from machine import publish
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from threadpoolctl import threadpool_limits

from kernelsm import GradEx, GradientFeatures, Retraining, bernoulli_masks, gradient_features, lds
from kernelsm.examples.digits.suite import digits_suite
from kernelsm.models.mlp import mlp
from kernelsm.objectives.training import train_base
from kernelsm.runtime.threads import use_torch_threads
from kernelsm.tasks.suite import TaskSuite

M, RIDGE, SEED = 1000, 0.03, 5
GROWTH = (1000, 4000, 16000)
TURNS = 3
SAMPLE, BATCH = 10, 16
RELATIVE = 1e-6


class Objective:
    """GradEx' objective of one mask in numpy, on the included rows alone."""

    def __init__(self, suite: TaskSuite, train: GradientFeatures, mask: NDArray[np.bool_], dtype: type) -> None:
        weights = suite.sample_weights(mask[None])[0]
        inside = weights > 0
        self.weights = weights[inside].astype(np.float64)
        self.logits = train.model_outputs[inside].astype(np.float64)
        self.features = train.features[inside].astype(dtype).reshape(-1, train.features.shape[2])
        self.labels, self.dtype = suite.labels[inside], dtype
        self.one_hot = np.eye(suite.classes)[self.labels]

    def __call__(self, z: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Value and gradient."""
        logits = self.logits + (self.features @ z.astype(self.dtype)).reshape(self.logits.shape)
        losses = -log_softmax(logits, axis=1)[np.arange(len(logits)), self.labels]
        residual = (softmax(logits, axis=1) - self.one_hot) * self.weights[:, None]
        gradient = (residual.ravel().astype(self.dtype) @ self.features).astype(np.float64) + RIDGE * z
        return float(self.weights @ losses + RIDGE / 2 * z @ z), gradient


class ReachedError(Exception):
    """The target value of the objective is reached."""


def scipy_seconds(objective: Objective, target_value: float) -> tuple[float, float]:
    """Seconds until L-BFGS-B is at or below `target_value`, and the value reached."""
    best = [np.inf]

    def watched(z: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, gradient = objective(z)
        best[0] = min(best[0], value)
        if value <= target_value:
            raise ReachedError
        return value, gradient

    options = {"maxiter": 5000, "maxfun": 10_000, "maxcor": 20, "ftol": 0.0, "gtol": 1e-9}
    begun = time.perf_counter()
    with suppress(ReachedError):
        minimize(watched, np.zeros(objective.features.shape[1]), jac=True, method="L-BFGS-B", options=options)
    return time.perf_counter() - begun, best[0]


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of a call, and its result."""
    begun = time.perf_counter()
    found = call()
    return time.perf_counter() - begun, found


def against_scipy(gradex: GradEx, masks: NDArray[np.bool_]) -> dict[str, Any]:
    """SciPy's seconds per subset to GradEx' objective value, in its fastest setting, and the agreement of both."""
    z = gradex.problem.solve(gradex.shares(masks), tolerance=gradex.tolerance).z.double().numpy()
    values = [Objective(gradex.suite, gradex.train, mask, np.float64)(x)[0] for mask, x in zip(masks, z, strict=True)]
    settings: dict[tuple[str, int], float] = {}
    for dtype in (np.float32, np.float64):
        objective = Objective(gradex.suite, gradex.train, masks[0], dtype)
        for threads in (1, 2):
            with threadpool_limits(threads):
                settings[dtype.__name__, threads] = scipy_seconds(objective, values[0] * (1 + RELATIVE))[0]
    name, threads = min(settings, key=lambda setting: settings[setting])
    seconds, reached = [], []
    with threadpool_limits(threads):
        for mask, value in zip(masks, values, strict=True):
            objective = Objective(gradex.suite, gradex.train, mask, np.dtype(name).type)
            spent, found = scipy_seconds(objective, value * (1 + RELATIVE))
            seconds.append(spent)
            reached.append(found / value - 1)
        # how far GradEx is from the minimum itself: SciPy in double precision, left to run
        exact = Objective(gradex.suite, gradex.train, masks[0], np.float64)
        lowest = scipy_seconds(exact, -np.inf)[1]
    return {
        "scipy_s": float(np.mean(seconds)), "scipy_sample": len(masks), "scipy_precision": name,
        "scipy_threads": threads, "scipy_worst_relative_excess": max(reached),
        "gradex_relative_excess_over_minimum": values[0] / lowest - 1,
    }  # fmt: skip


def measure(
    suite: TaskSuite, train: GradientFeatures, test: GradientFeatures, sizes: tuple[int, ...]
) -> dict[str, Any]:
    """GradEx on one basis: growth in m over `sizes`, the worst gradient, SciPy on a sample."""
    masks = bernoulli_masks(suite.K, max(sizes), seed=SEED)
    gradex = GradEx(suite, train, test, ridge=RIDGE)
    gradex.outcomes(masks[:64])  # the first use of threads and memory is no part of the comparison, on any side
    growth, precompute = {}, 0.0
    for m in sizes:
        turns = []
        for _ in range(TURNS if m == M else 1):
            gradex = GradEx(suite, train, test, ridge=RIDGE)
            precompute = timed(partial(getattr, gradex, "problem"))[0]
            turns.append(precompute + timed(partial(gradex.outcomes, masks[:m]))[0])
        growth[str(m)] = {"s": round(median(turns), 2), "ms_per_mask": 1e3 * median(turns) / m, "turns": len(turns)}
        print(train.meta["projection"], m, growth[str(m)], flush=True)
    shares = gradex.shares(masks[:M])
    worst = max(
        float(gradex.problem.solve(part, tolerance=gradex.tolerance).gradient_norm.max())
        for part in shares.split(gradex.block)
    )
    seconds = growth[str(M)]["ms_per_mask"] / 1e3
    found = against_scipy(gradex, masks[:SAMPLE])
    return {
        "coordinates": int(train.features.shape[2]), "gradex_ms_per_mask": 1e3 * seconds,
        "gradex_precompute_s": precompute, "block": gradex.block, "worst_gradient_norm": worst, "growth": growth,
        **found, "speedup_vs_lbfgs": found["scipy_s"] / seconds,
    }  # fmt: skip


def main() -> None:
    """Measure both bases, and retraining once between them."""
    suite = digits_suite()
    use_torch_threads(1)
    model = train_base(mlp((64, 32, 10)), suite)
    bases: dict[str, dict[str, Any]] = {}
    retraining: dict[str, Any] = {}
    for name in ("exact", "gaussian"):
        use_torch_threads()
        train, test = (
            gradient_features(model, x, y, name)
            for x, y in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
        )
        bases[name] = measure(suite, train, test, GROWTH if name == "exact" else GROWTH[:1])
        if not retraining:
            masks = bernoulli_masks(suite.K, BATCH, seed=SEED)
            estimates = GradEx(suite, train, test, ridge=RIDGE).outcomes(masks)
            # one thread is the faster setting for so small a network
            use_torch_threads(1)
            sequential, together = (
                Retraining(suite, model, ridge=RIDGE, method=method) for method in ("sequential", "batched")
            )
            one_by_one, truth = timed(partial(sequential.outcomes, masks[:SAMPLE]))
            at_once, batched = timed(partial(together.outcomes, masks))
            retraining = {
                "sequential_s": one_by_one / SAMPLE, "sequential_sample": SAMPLE,
                "batched_s": at_once / BATCH, "batched_sample": BATCH,
                "batched_speedup_over_sequential": one_by_one / SAMPLE / (at_once / BATCH),
                "batched_largest_difference_nats": float(np.abs(batched.values[:SAMPLE] - truth.values).max()),
                "lds_of_gradex": lds(truth.values, estimates.values[:SAMPLE]),
            }  # fmt: skip
        bases[name]["speedup_vs_retraining"] = 1e3 * retraining["sequential_s"] / bases[name]["gradex_ms_per_mask"]
    exact = bases["exact"]
    result = {
        "K": suite.K, "n": len(suite.inputs), "classes": suite.classes, "m": M, "ridge": RIDGE,
        "torch_threads": torch.get_num_threads(), "headline": "exact basis",
        "speedup_vs_lbfgs": round(exact["speedup_vs_lbfgs"], 1),
        "speedup_vs_retraining": round(exact["speedup_vs_retraining"], 1),
        "worst_gradient_norm": max(basis["worst_gradient_norm"] for basis in bases.values()),
        "exact_basis": exact, "gaussian_512": bases["gaussian"], "retraining": retraining,
    }  # fmt: skip
    publish("gradex", result)


if __name__ == "__main__":
    main()
