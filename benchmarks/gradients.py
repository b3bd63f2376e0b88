"""Projected per-sample gradients of the two-layer transformer against TRAK and a plain forward and backward pass.

All sides get the same samples and take the gradient of the margin to 512 coordinates; each turn times them one after
the other. TRAK (traker) computes gradients with torch.func.vmap and projects them with its CPU projector. For every
projection: throughput, distortion of inner products, and what GradEx makes of its features, against subsets of
modular addition on which the network was really retrained (mean over two random maps of each kind). Slow sides get
fewer samples; times are per sample.

    .venv/bin/python benchmarks/gradients.py
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from machine import publish
from trak import TRAKer

from kernelsm import GradEx, gradient_features, lds, load_truth, relative_error
from kernelsm.examples.catalog import RECIPES
from kernelsm.gradients.distortion import distortion
from kernelsm.gradients.projections import Gaussian, Kronecker, Projection, Rademacher, Sparse
from kernelsm.pipelines.compute import base_model
from kernelsm.runtime.store import Store
from kernelsm.runtime.threads import use_torch_threads

EXAMPLE = "modular-addition"
DIM = 512
SAMPLES = {"plain": 8192, "kronecker": 8192, "others": 1024, "trak": 512}
TURNS = 2
SEEDS = 2
BATCH = 512


def main() -> None:
    """Time all sides turn by turn, then score the features."""
    recipe = RECIPES[EXAMPLE]
    suite = recipe.suite()
    model = base_model(EXAMPLE, Store())
    use_torch_threads()
    rows = np.random.default_rng(0).choice(len(suite.inputs), max(SAMPLES.values()))
    inputs, labels = suite.inputs[rows], suite.labels[rows]
    kinds: dict[str, Callable[[int], Projection]] = {
        "kronecker, block 1": lambda seed: Kronecker(DIM, seed, block=1),
        "kronecker, block 2": lambda seed: Kronecker(DIM, seed, block=2),
        "kronecker, block 4": lambda seed: Kronecker(DIM, seed, block=4),
        "sparse": lambda seed: Sparse(DIM, seed),
        "gaussian": lambda seed: Gaussian(DIM, seed),
        "rademacher": lambda seed: Rademacher(DIM, seed),
    }
    counts = {
        "plain": SAMPLES["plain"], "trak": SAMPLES["trak"],
        **{name: SAMPLES["kronecker" if name.startswith("kronecker") else "others"] for name in kinds},
    }  # fmt: skip
    sides: dict[str, Callable[[], None]] = {
        "plain": lambda: _plain(model, inputs[: counts["plain"]], labels[: counts["plain"]]),
        "trak": lambda: _trak(model, inputs[: counts["trak"]], labels[: counts["trak"]]),
        **{
            name: partial(_ours, model, inputs[: counts[name]], labels[: counts[name]], kind(0))
            for name, kind in kinds.items()
        },
    }
    times = _turns(sides, counts)
    errors = distortion(model, suite.inputs, suite.labels, [kind(0) for kind in kinds.values()])
    table: dict[str, dict[str, Any]] = {}
    for (name, kind), error in zip(kinds.items(), errors, strict=True):
        ours, trak, plain = times[name], times["trak"], times["plain"]
        table[name] = {
            "ms_per_sample": round(1e3 * float(np.median(ours)), 4),
            "samples_per_s": round(1 / float(np.median(ours))),
            "speedup_vs_trak": round(float(np.median(trak / ours)), 1),
            "cost_vs_plain": round(float(np.median(ours / plain)), 2),
            "distortion": round(error.size, 4),
            **_downstream(model, [kind(seed) for seed in range(SEEDS)]),
        }
    headline = table["kronecker, block 1"]
    result: dict[str, Any] = {
        "example": EXAMPLE, "parameters": recipe.parameters, "k": DIM, "samples": SAMPLES, "batch": BATCH,
        "turns": TURNS, "maps_of_each_kind": SEEDS, "threads": torch.get_num_threads(),
        "outputs": "margin", "plain_ms_per_sample": round(1e3 * float(np.median(times["plain"])), 4),
        "trak_ms_per_sample": round(1e3 * float(np.median(times["trak"])), 3),
        "distortion_of_a_gaussian": round(DIM**-0.5, 4), "projections": table,
        "headline": "kronecker, block 1", "lds_below_gaussian": round(table["gaussian"]["lds"] - headline["lds"], 4),
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


def _downstream(model: torch.nn.Module, projections: list[Projection]) -> dict[str, Any]:
    """GradEx with these features against really retrained subsets."""
    recipe = RECIPES[EXAMPLE]
    suite, truth = recipe.suite(), load_truth(EXAMPLE)
    scores, errors = [], []
    for projection in projections:
        train, test = (
            gradient_features(model, x, y, projection, outputs="margin")
            for x, y in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
        )
        estimates = GradEx(suite, train, test, ridge=recipe.ridge).outcomes(truth.masks)
        scores.append(lds(truth.values, estimates.values))
        errors.append(relative_error(truth.mean_target().values, estimates.mean_target().values))
    return {
        "lds": round(float(np.mean(scores)), 4), "lds_of_each": [round(score, 4) for score in scores],
        "relative_error": round(float(np.mean(errors)), 4),
    }  # fmt: skip


if __name__ == "__main__":
    main()
