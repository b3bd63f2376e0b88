"""How much a projection distorts the inner products of a model's own gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernelsm.gradients.features import gradient_features
from kernelsm.gradients.per_sample import trainable
from kernelsm.gradients.projections import Exact, Projection
from kernelsm.objectives.objective import Objective
from kernelsm.objectives.registry import DEFAULT, find_class
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent

_BUDGET = 2**28
_FEWEST = 4


@dataclass(frozen=True)
class Distortion:
    """Inner products of gradients before and after a projection.

    Parameters
    ----------
    name : str
        The projection.
    dim : int
        k.
    exact : ndarray, shape (pairs,)
        Cosines <g_i, g_j> / (|g_i| |g_j|) of pairs of samples, i < j.
    errors : ndarray, shape (pairs,)
        (<P g_i, P g_j> - <g_i, g_j>) / (|g_i| |g_j|), the error in the same unit; of standard deviation
        √((1 + cos²) / k) for a dense Gaussian.
    norm_errors : ndarray, shape (n,)
        |P g_i|² / |g_i|² - 1.
    """

    name: str
    dim: int
    exact: NDArray[np.float64]
    errors: NDArray[np.float64]
    norm_errors: NDArray[np.float64]

    @property
    def size(self) -> float:
        """Root mean square of `errors`."""
        return float(np.sqrt(np.mean(np.square(self.errors))))


def distortion(
    model: nn.Module,
    inputs: NDArray[Any],
    labels: NDArray[Any],
    projections: Sequence[Projection],
    *,
    objective: Objective | None = None,
    samples: int = 64,
    report: Report = silent,
) -> list[Distortion]:
    """Compare inner products of projected gradients with the exact ones, on a few samples.

    The gradients are those of the first number of each sample in the objective's last linearisation, which has the
    fewest: the margin for classes.

    Parameters
    ----------
    model : torch.nn.Module
    inputs, labels : ndarray
        Samples, shape (n, ...), and their labels; `samples` of them, evenly spaced, are used.
    projections : sequence of Projection
    objective : Objective, optional
        As of `gradient_features`.
    samples : int
        At most; fewer where their exact gradients take more than 256 MiB.
    report : Report
        Called after each projection.

    Raises
    ------
    InputError
        The exact gradients of even four samples would take more than 256 MiB.
    """
    if len(inputs) < _FEWEST:
        raise InputError("inputs", f"{len(inputs)} samples", f"{_FEWEST} or more", "Pairs are needed to compare.")
    d = sum(p.numel() for p in trainable(model).values())
    count = min(samples, len(inputs), _BUDGET // (4 * d))
    if count < _FEWEST:
        raise InputError(
            "model", f"{d:,} parameters", f"at most {_BUDGET // (4 * _FEWEST):,}",
            "The distortion is measured against exact gradients, which must fit in memory: skip it for this model.",
        )  # fmt: skip
    rows = np.linspace(0, len(inputs) - 1, count).astype(int)
    x, y = inputs[rows], labels[rows]
    total = len(projections) + 1
    fewest = (objective or find_class(DEFAULT)).linearisations[-1].name

    def projected(projection: Projection) -> NDArray[np.float32]:
        return gradient_features(model, x, y, projection, outputs=fewest, objective=objective).features[:, 0]

    exact = _gram(projected(Exact()))
    report(1, total, "exact gradients")
    first, second = np.triu_indices(count, k=1)
    norms = np.sqrt(np.diag(exact))
    unit = np.maximum(norms[first] * norms[second], np.finfo(np.float64).tiny)
    found = []
    for done, projection in enumerate(projections, start=2):
        features = projected(projection)
        kept = _gram(features)
        found.append(
            Distortion(
                projection.name,
                features.shape[1],
                exact[first, second] / unit,
                (kept - exact)[first, second] / unit,
                np.diag(kept) / np.maximum(np.diag(exact), np.finfo(np.float64).tiny) - 1.0,
            )
        )
        report(done, total, projection.name)
    return found


def _gram(features: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = torch.from_numpy(np.array(features)).double()
    return np.asarray((wide @ wide.T).numpy())
