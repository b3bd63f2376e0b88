"""Projected per-sample gradients of the two-layer transformer against TRAK and a plain forward and backward pass.

All sides get the same samples and take the gradient of the margin to 512 coordinates; each turn times them one after
the other. TRAK (traker) computes gradients with torch.func.vmap and projects them with its CPU projector. For every
projection: throughput, distortion of inner products, and what GradEx makes of its features, against subsets of
modular addition on which the network was really retrained.

    .venv/bin/python benchmarks/gradients.py
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from machine import publish
from trak import TRAKer

from kernelsm import GradEx, gradient_features, lds, load_truth, relative_error
from kernelsm.gradients.distortion import distortion
from kernelsm.gradients.projections import Gaussian, Kronecker, Projection, Rademacher, Sparse
from kernelsm.outcomes.pipeline import base_model
from kernelsm.outcomes.recipes import RECIPES
from kernelsm.runtime.store import Store
from kernelsm.runtime.threads import use_torch_threads

EXAMPLE = "modular-addition"
DIM = 512
SAMPLES = 2048
TRAK_SAMPLES = 512
TURNS = 5
BATCH = 512


def main() -> None:
    """Time all sides turn by turn, then score the features."""
    recipe = RECIPES[EXAMPLE]
    suite = recipe.suite()
    model = base_model(EXAMPLE, Store())
    use_torch_threads()
    rows = np.random.default_rng(0).choice(len(suite.inputs), SAMPLES, replace=len(suite.inputs) < SAMPLES)
    inputs, labels = suite.inputs[rows], suite.labels[rows]
    projections: dict[str, Projection] = {
        "kronecker": Kronecker(DIM),
        "kronecker, block 1": Kronecker(DIM, block=1),
        "kronecker, block 4": Kronecker(DIM, block=4),
        "sparse": Sparse(DIM),
        "gaussian": Gaussian(DIM),
        "rademacher": Rademacher(DIM),
    }
    sides: dict[str, Callable[[], None]] = {
        "plain": lambda: _plain(model, inputs, labels),
        "trak": lambda: _trak(model, inputs[:TRAK_SAMPLES], labels[:TRAK_SAMPLES]),
        **{
            name: lambda projection=projection: _ours(model, inputs, labels, projection)  # type: ignore[misc]
            for name, projection in projections.items()
        },
    }
    counts = {name: TRAK_SAMPLES if name == "trak" else SAMPLES for name in sides}
    times = _turns(sides, counts)
    errors = distortion(model, suite.inputs, suite.labels, list(projections.values()))
    table = {}
    for (name, projection), error in zip(projections.items(), errors, strict=True):
        ours, trak, plain = times[name], times["trak"], times["plain"]
        table[name] = {
            "ms_per_sample": round(1e3 * float(np.median(ours)), 4),
            "samples_per_s": round(1 / float(np.median(ours))),
            "speedup_vs_trak": round(float(np.median(trak / ours)), 1),
            "cost_vs_plain": round(float(np.median(ours / plain)), 2),
            "distortion": round(error.size, 4),
            **_downstream(model, projection),
        }
    headline = table["kronecker"]
    result: dict[str, Any] = {
        "example": EXAMPLE, "parameters": recipe.parameters, "k": DIM, "samples": SAMPLES,
        "trak_samples": TRAK_SAMPLES, "batch": BATCH, "turns": TURNS, "threads": torch.get_num_threads(),
        "outputs": "margin", "plain_ms_per_sample": round(1e3 * float(np.median(times["plain"])), 4),
        "trak_ms_per_sample": round(1e3 * float(np.median(times["trak"])), 3),
        "distortion_of_a_gaussian": round(DIM**-0.5, 4), "projections": table,
        "lds_below_gaussian": round(table["gaussian"]["lds"] - headline["lds"], 4),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "speedup_vs_trak": headline["speedup_vs_trak"], "cost_vs_plain": headline["cost_vs_plain"],
    }  # fmt: skip
    publish("gradients", result)


def _turns(sides: dict[str, Callable[[], None]], counts: dict[str, int]) -> dict[str, np.ndarray]:
    """Seconds per sample of each side in each turn, after one turn that does not count."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(TURNS + 1):
        for name, side in sides.items():
            begun = time.perf_counter()
            side()
            if turn:
                times[name].append((time.perf_counter() - begun) / counts[name])
    return {name: np.array(found) for name, found in times.items()}


def _plain(model: torch.nn.Module, inputs: np.ndarray, labels: np.ndarray) -> None:
    """One batched forward and backward pass with the gradients of all weights, as training takes it."""
    for start in range(0, len(inputs), BATCH):
        x = torch.from_numpy(inputs[start : start + BATCH])
        y = torch.from_numpy(labels[start : start + BATCH])
        torch.nn.functional.cross_entropy(model(x), y).backward()
    model.zero_grad()


def _ours(model: torch.nn.Module, inputs: np.ndarray, labels: np.ndarray, projection: Projection) -> None:
    gradient_features(model, inputs, labels, projection, batch_size=BATCH, outputs="margin")


def _trak(model: torch.nn.Module, inputs: np.ndarray, labels: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        traker = TRAKer(
            model=model, task="image_classification", train_set_size=len(inputs), proj_dim=DIM, save_dir=folder,
            device="cpu", use_half_precision=False, logging_level=40,
        )  # fmt: skip
        traker.load_checkpoint(model.state_dict(), model_id=0)
        # one batch: its projection matrix is drawn anew for each
        traker.featurize(batch=[torch.from_numpy(inputs), torch.from_numpy(labels)], num_samples=len(inputs))


def _downstream(model: torch.nn.Module, projection: Projection) -> dict[str, float]:
    """GradEx with these features against really retrained subsets."""
    recipe = RECIPES[EXAMPLE]
    suite, truth = recipe.suite(), load_truth(EXAMPLE)
    train, test = (
        gradient_features(model, x, y, projection, outputs="margin")
        for x, y in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
    )
    estimates = GradEx(suite, train, test, ridge=recipe.ridge).outcomes(truth.masks)
    return {
        "lds": round(lds(truth.values, estimates.values), 4),
        "relative_error": round(relative_error(truth.mean_target().values, estimates.mean_target().values), 4),
    }


if __name__ == "__main__":
    main()
