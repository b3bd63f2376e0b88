"""GradEx of a quantity against one plain ridge solve a subset and against real retraining, both sides in one run.

The diabetes patients of scikit-learn (442, six groups by sex and age as tasks), a linear network and one with a
hidden layer, the pull of a project. GradEx is every subset in closed form from shared matrices; the plain limit is
scikit-learn's `Ridge` fitted to the gradient features of each subset's samples alone, in turns with it, pair by pair.
Fidelity is against `Retraining` of fresh subsets. In all:

- seconds for 500 subsets by GradEx, with its shared part and the reading of all measures;
- the ratio of the plain solves to it, and the largest difference between both in the network's change;
- LDS over targets and relative error of the overall loss against retraining;
- the last two also on Friedman's three functions, one of whose six groups has shuffled labels: data on which nobody
  chose the pull.

    .venv/bin/python benchmarks/regression.py
"""

from __future__ import annotations

import io
import time
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from gradex import timed
from machine import publish
from numpy.typing import NDArray
from sklearn.datasets import make_friedman1, make_friedman2, make_friedman3
from sklearn.linear_model import Ridge

from kernelsm import GradEx, Retraining, bernoulli_masks, gradient_features, lds, relative_error
from kernelsm.examples.templates import templates
from kernelsm.gradients.features import GradientFeatures
from kernelsm.models.presets import presets
from kernelsm.models.registry import build_model
from kernelsm.objectives.registry import find
from kernelsm.objectives.training import train_base
from kernelsm.runtime.store import Store
from kernelsm.runtime.threads import use_torch_threads
from kernelsm.samples.samples import Samples
from kernelsm.tasks.build import build_suite
from kernelsm.tasks.mapping_guess import guess_mapping
from kernelsm.tasks.suite import TaskSuite

M, RIDGE, SEED = 500, 0.3, 5
TURNS, RETRAINED = 5, 40


def diabetes() -> TaskSuite:
    """The suite of the template, as *Data & model* guesses it."""
    frame = pd.read_csv(io.BytesIO(templates()["diabetes.csv"]().data))
    columns = {str(name): values.to_numpy(dtype=str if name == "group" else float) for name, values in frame.items()}
    samples = Samples(columns, "diabetes.csv")
    return build_suite(samples, guess_mapping(samples))


def friedman(number: int) -> TaskSuite:
    """One of Friedman's functions with noise, in six groups by its first input, the last with shuffled labels."""
    make, noise = {1: (make_friedman1, 1.0), 2: (make_friedman2, 50.0), 3: (make_friedman3, 0.1)}[number]
    inputs, labels = make(n_samples=500, noise=noise, random_state=SEED)
    groups = np.digitize(inputs[:, 0], np.quantile(inputs[:, 0], np.arange(1, 6) / 6))
    shuffled = groups == 5
    labels[shuffled] = np.random.default_rng(SEED).permutation(labels[shuffled])
    columns = {f"x{place}": column for place, column in enumerate(inputs.T)}
    columns["group"] = np.array([f"group {group}" for group in groups])
    columns["target"] = labels
    samples = Samples(columns, f"friedman{number}.csv")
    return build_suite(samples, guess_mapping(samples))


def fidelity(suite: TaskSuite) -> dict[str, float]:
    """LDS and relative error of GradEx with a hidden layer against retraining, at the default pull."""
    preset = presets("tabular", suite.inputs.shape[1:], 1, len(suite.inputs))["mlp"]
    model = train_base(build_model(preset.architecture, **preset.config), suite, **preset.training)
    train, test = (
        gradient_features(model, inputs, labels, objective=find(suite))
        for inputs, labels in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
    )
    masks = bernoulli_masks(suite.K, RETRAINED, seed=SEED + 1)
    estimates = GradEx(suite, train, test, ridge=RIDGE).outcomes(masks)
    truth = Retraining(suite, model, ridge=RIDGE).outcomes(masks)
    mean = truth.mean_target().values
    return {
        "lds": lds(truth.values, estimates.values), "spread_over_mean": float(mean.std() / mean.mean()),
        "relative_error": relative_error(mean, estimates.mean_target().values),
    }  # fmt: skip


def plain(suite: TaskSuite, train: GradientFeatures, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Z (m, k) by one weighted ridge regression a subset, on its own samples."""
    features = train.features[:, 0].astype(np.float64)
    residuals = (suite.labels - train.model_outputs[:, 0]).astype(np.float64)
    found = np.zeros((len(masks), features.shape[1]))
    for z, weights in zip(found, suite.sample_weights(masks).astype(np.float64), strict=True):
        inside = weights > 0
        if inside.any():  # the loss is Σ w r², the pull λ/2 ‖Z‖²
            solver = Ridge(alpha=RIDGE / 2, fit_intercept=False, solver="cholesky")
            z[:] = solver.fit(features[inside], residuals[inside], sample_weight=weights[inside]).coef_
    return found


def measure(suite: TaskSuite, architecture: str) -> dict[str, Any]:
    """One network: time, ratio, agreement with the plain solves, and fidelity."""
    preset = presets("tabular", suite.inputs.shape[1:], 1, len(suite.inputs))[architecture]
    use_torch_threads(1)
    model = train_base(build_model(preset.architecture, **preset.config), suite, **preset.training)
    train, test = (
        gradient_features(model, inputs, labels, objective=find(suite))
        for inputs, labels in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
    )
    masks = bernoulli_masks(suite.K, M, seed=SEED)
    use_torch_threads()
    GradEx(suite, train, test, ridge=RIDGE).outcomes(masks[:8])  # the first use of threads is no part of it
    ours, theirs, solved = [], [], np.zeros(0)
    for _ in range(TURNS):
        begun = time.perf_counter()
        gradex = GradEx(suite, train, test, ridge=RIDGE)
        gradex.outcomes(masks)
        ours.append(time.perf_counter() - begun)
        spent, solved = timed(partial(plain, suite, train, masks))
        theirs.append(spent)
    z = gradex.problem.solve(gradex.shares(masks)).z.numpy()
    fresh = bernoulli_masks(suite.K, RETRAINED, seed=SEED + 1)
    use_torch_threads(1)
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store")
        sources = GradEx(suite, train, test, ridge=RIDGE), Retraining(suite, model, ridge=RIDGE)
        estimates = sources[0].outcomes(fresh, store=store)
        spent, truth = timed(partial(sources[1].outcomes, fresh, store=store))
        # the same subsets in another measure, which the store has
        r2 = [source.outcomes(fresh, measure="R²", store=store).mean_target().values for source in sources]
    found = {
        "parameters": preset.parameters, "gradex_s": round(median(ours), 3), "plain_s": round(median(theirs), 3),
        "ratio": round(median(b / a for a, b in zip(ours, theirs, strict=True)), 2),
        "largest_difference": float(np.abs(z - solved).max()), "retraining_s_per_subset": spent / RETRAINED,
        "lds": lds(truth.values, estimates.values),
        "relative_error": relative_error(truth.mean_target().values, estimates.mean_target().values),
        "relative_error_of_targets": relative_error(truth.values, estimates.values),
        "mean_absolute_difference_of_r2": float(np.abs(r2[0] - r2[1]).mean()),
        "spread": float(truth.mean_target().values.std()),
    }  # fmt: skip
    print(architecture, found, flush=True)
    return found


def main() -> None:
    """Measure both networks."""
    suite = diabetes()
    networks = {name: measure(suite, name) for name in ("logistic", "mlp")}
    use_torch_threads(1)
    elsewhere = {f"friedman{number}": fidelity(friedman(number)) for number in (1, 2, 3)}
    sizes = {"samples": len(suite.inputs), "test_samples": len(suite.test_inputs), "K": suite.K}
    publish(
        "regression",
        {**sizes, "subsets": M, "retrained": RETRAINED, "ridge": RIDGE, "networks": networks, "elsewhere": elsewhere},
    )


if __name__ == "__main__":
    main()
