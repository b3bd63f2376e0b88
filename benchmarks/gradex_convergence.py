"""Whether the solver of GradEx converges for any number of coordinates, pull and number of classes.

A made problem in each cell of a grid: n = 120 samples of K = 6 tasks, m = 4 subsets, features of norm 10 a row whose
spectrum falls like that of a network's gradients, and logits of which a good part is confident. One task is
confidently wrong: it hardly curves the loss until it is corrected. For each cell: passes, seconds on one thread, and
the largest gradient norm as the solver says it and as NumPy computes it in double precision from the definition.
Where a cell needs more memory than is free the solver says so before it starts, and that is its result.

Finished cells are kept: a run that was stopped goes on where it was. They belong to the text of the solver, and
are measured anew once that changes.

    .venv/bin/python benchmarks/gradex_convergence.py [--quick]
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import publish
from scipy.special import softmax

from kernelsm.estimators import gradex_solver
from kernelsm.estimators.gradex_cost import check_solve_fits, solve_cost
from kernelsm.estimators.gradex_solver import LinearisedProblem
from kernelsm.objectives.classification import EveryLogit
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import ChunkKind, Store

COORDINATES = (64, 512, 1024, 8192)
RIDGES = (1e-3, 0.03, 1.0, 100.0)
CLASSES = (2, 10, 100)
N, TASKS, MASKS = 120, 6, 4
ROW_NORM, DECAY = 10.0, 0.75
TOLERANCE = 9e-5
CELLS = ChunkKind("gradex_convergence", version=1)


class Made:
    """Logits, features and labels of a made problem, and its gradient in double precision."""

    def __init__(self, coordinates: int, classes: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(0, classes, N)
        self.task_of = np.arange(N) % TASKS
        self.logits = rng.normal(size=(N, classes)).astype(np.float32)
        self.logits[np.arange(N), self.labels] += rng.exponential(4.0, N)
        wrong = self.task_of == 0
        self.logits[wrong, (self.labels[wrong] + 1) % classes] += 12.0
        scale = np.arange(1, coordinates + 1, dtype=np.float32) ** -DECAY
        features = rng.standard_normal((N, classes, coordinates), dtype=np.float32)
        features += rng.standard_normal((1, classes, coordinates), dtype=np.float32)  # what samples have in common
        features *= scale * (ROW_NORM / np.sqrt(2 * np.square(scale).sum()))
        self.features = features
        masks = rng.random((MASKS, TASKS)) < 0.5
        masks[0], masks[1], masks[2] = True, False, False
        masks[1, 0], masks[2, 1] = True, True
        self.shares = masks / masks.sum(axis=1, keepdims=True).clip(1)

    def gradient_norm(self, z: np.ndarray, ridge: float) -> float:
        """Largest norm over the masks, in double precision."""
        logits = self.logits[:, :, None] + (self.features.reshape(-1, z.shape[1]) @ z.T).reshape(N, -1, len(z))
        residual = softmax(logits.astype(np.float64), axis=1)
        residual[np.arange(N), self.labels] -= 1
        residual *= (self.shares / (N / TASKS))[:, self.task_of].T[:, None]
        found = ridge * z.astype(np.float64)
        for sample in range(N):
            found += residual[sample].T @ self.features[sample].astype(np.float64)
        return float(np.linalg.norm(found, axis=1).max())


def solve(made: Made, ridge: float) -> dict[str, Any]:
    """Solve one cell."""
    every, labels = EveryLogit(), torch.tensor(made.labels)
    begun = time.perf_counter()
    problem = LinearisedProblem(
        every.loss, every.offsets(torch.tensor(made.logits), labels), every.features(torch.tensor(made.features)),
        every.targets(labels, made.logits.shape[1] - 1), torch.tensor(made.task_of), ridge,
    )  # fmt: skip
    shared = time.perf_counter()
    solution = problem.solve(torch.tensor(made.shares), tolerance=TOLERANCE)
    ended = time.perf_counter()
    return {
        "shared_s": round(shared - begun, 2), "solve_s": round(ended - shared, 2), "passes": solution.passes,
        "gradient_norm": float(solution.gradient_norm.max()),
        "gradient_norm_in_double": made.gradient_norm(solution.z.double().numpy(), ridge),
    }  # fmt: skip


def cell(classes: int, coordinates: int, ridge: float) -> dict[str, Any]:
    """Measure one cell, or say why it cannot be."""
    shape = N, classes, coordinates
    cost = solve_cost(shape, MASKS, tasks=TASKS)
    said = {"expected_s": round(cost.seconds, 1), "expected_gib": round(cost.memory / 2**30, 2)}
    try:
        check_solve_fits(shape, cost)
    except InputError as error:
        return {**said, "says_before_it_starts": str(error)}
    return {**said, **solve(Made(coordinates, classes), ridge)}


def solver_text() -> str:
    """The solver as it is written."""
    folder = Path(gradex_solver.__file__).parent
    return "".join(file.read_text() for file in sorted(folder.glob("gradex_*.py")) if file.stem != "gradex_cost")


def main() -> None:
    """Run the grid; `--quick` only its corners."""
    torch.set_num_threads(1)
    quick = "--quick" in sys.argv
    corners = [(64, 1024, 8192), (1e-3, 0.1, 100.0), (2, 100)] if quick else [COORDINATES, RIDGES, CLASSES]
    store, text, cells = Store(), solver_text(), []
    for classes in corners[2]:
        for coordinates in corners[0]:
            for ridge in corners[1]:
                where = int(classes), int(coordinates), float(ridge)
                found = store.chunk(CELLS, (text, N, TASKS, MASKS, *where), partial(cell, *where))
                cells.append({"classes": where[0], "coordinates": where[1], "ridge": ridge, **found})
                print(cells[-1], flush=True)
    solved = [one for one in cells if "passes" in one]
    converged = sum(one["gradient_norm"] <= TOLERANCE for one in solved)
    result = {
        "n": N, "K": TASKS, "m": MASKS, "row_norm": ROW_NORM, "tolerance": TOLERANCE, "torch_threads": 1,
        "cells": len(cells), "solved": len(solved), "converged": converged,
        "refused_before_the_start": len(cells) - len(solved), "most_passes": max(one["passes"] for one in solved),
        "worst_gradient_norm": max(one["gradient_norm"] for one in solved),
        "worst_gradient_norm_in_double": max(one["gradient_norm_in_double"] for one in solved), "grid": cells,
    }  # fmt: skip
    if quick:
        print(result)
    else:
        publish("gradex_convergence", result)


if __name__ == "__main__":
    main()
