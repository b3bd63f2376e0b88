"""Figure 2: whether a surrogate can follow a decision boundary that candidates push over a test point.

A small network learns to tell two groups of points in the plane. Twelve candidate points of one class lie on a path
that crosses the boundary; which of them are in decides how probable that class is at a test point near it: the point
of a grid that is most sensitive to them, as in the paper. Hundreds of networks, one a subset, are trained together.

The paper tries subsets that hold exactly one candidate. Of K candidates there are K such subsets, and any surrogate
with a coefficient for each passes through all of them, whatever the outcomes: there is nothing left to predict, so
nothing to compare. Random subsets are tried here instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kernelsm.outcomes.samplers import bernoulli_masks
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.near_ties import first_greatest
from kernelsm.surrogates.kernel import KernelSurrogateCV
from kernelsm.surrogates.linear import LinearSurrogateCV

Array = NDArray[np.float64]
CANDIDATES, ANCHORS, HIDDEN = 12, 10, 16
FITTED, HELD_OUT, PROBES = 200, 200, 40
STEPS, LEARNING_RATE = 300, 0.02
APART = 0.5


@dataclass(frozen=True)
class Plane:
    """Points of the plane that networks learn from.

    Parameters
    ----------
    anchors : ndarray, shape (2 ANCHORS, 2)
        Always in; half of each class.
    labels : ndarray of int, shape (2 ANCHORS,)
        0 or 1.
    candidates : ndarray, shape (CANDIDATES, 2)
        Of class 1, on a path from the side of class 1 into that of class 0.
    """

    anchors: Array
    labels: NDArray[np.int64]
    candidates: Array


def draw_plane(seed: int) -> Plane:
    """Draw two groups of anchors around (-1, 0) and (1, 0), and candidates along a path between them."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], ANCHORS)
    anchors = np.column_stack([2.0 * labels - 1.0, np.zeros(2 * ANCHORS)]) + rng.normal(0, 0.4, (2 * ANCHORS, 2))
    along = np.linspace(0.6, -0.8, CANDIDATES)
    candidates = np.column_stack([along, 0.8 * np.sin(2.5 * along)]) + rng.normal(0, 0.1, (CANDIDATES, 2))
    return Plane(anchors, labels, candidates)


def train_networks(plane: Plane, masks: NDArray[np.bool_], test: Array, seed: int = 0) -> Array:
    """Return the probability of class 1 at test points, of a network trained on the anchors and each subset.

    All networks start from the same weights and see all their points at every step, so that outcomes differ by the
    subset alone.

    Parameters
    ----------
    plane : Plane
    masks : ndarray of bool, shape (m, CANDIDATES)
    test : ndarray, shape (tested, 2)
    seed : int
        Of the initial weights.

    Returns
    -------
    ndarray, shape (m, tested)
    """
    import torch  # imported here, so that finished results are read without torch

    m = len(masks)
    generator = torch.Generator().manual_seed(seed)
    points = torch.from_numpy(np.vstack([plane.anchors, plane.candidates])).float()
    labels = torch.from_numpy(np.concatenate([plane.labels, np.ones(CANDIDATES, dtype=np.int64)]))
    inside = torch.from_numpy(np.hstack([np.ones((m, len(plane.anchors)), dtype=np.bool_), masks])).float()
    share = inside / inside.sum(dim=1, keepdim=True)
    signs = 1.0 - 2.0 * labels.float()
    sizes = (2, HIDDEN, HIDDEN, 1)
    layers = []
    for fan_in, fan_out in pairwise(sizes):
        weight = torch.randn(fan_in, fan_out, generator=generator) * np.sqrt(2 / fan_in)
        layers += [weight.expand(m, -1, -1).clone().requires_grad_(), torch.zeros(m, 1, fan_out, requires_grad=True)]
    optimizer = torch.optim.Adam(layers, lr=LEARNING_RATE)

    def logits(x: torch.Tensor) -> torch.Tensor:
        for at in range(0, len(layers), 2):
            x = torch.baddbmm(layers[at + 1], x, layers[at])
            x = x if at == len(layers) - 2 else torch.relu(x)
        return x[:, :, 0]

    together = points.expand(m, -1, -1)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = (share * torch.nn.functional.softplus(signs * logits(together))).sum()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = torch.sigmoid(logits(torch.from_numpy(test).float().expand(m, -1, -1)))
        return np.asarray(found.double().numpy())


def sensitive_point(plane: Plane, seed: int) -> Array:
    """Return the point of a grid whose probability differs most between a few subsets, which are not used again.

    Right beside a candidate everything hangs on that one, so points within `APART` of one are left out.
    """
    grid = np.stack(np.meshgrid(np.linspace(-1.5, 1.5, 25), np.linspace(-1.2, 1.2, 21)), axis=-1).reshape(-1, 2)
    grid = grid[np.linalg.norm(grid[:, None] - plane.candidates, axis=2).min(axis=1) > APART]
    probes = bernoulli_masks(CANDIDATES, PROBES, p=0.5, seed=10_000 + seed)
    return np.asarray(grid[first_greatest(train_networks(plane, probes, grid, seed).var(axis=0))])


@dataclass(frozen=True)
class BoundaryFit:
    """What surrogates say of subsets that they have not seen.

    Parameters
    ----------
    truth, linear, rbf : ndarray, shape (HELD_OUT,)
        The network's probability of class 1 at the test point, and two predictions.
    """

    truth: Array
    linear: Array
    rbf: Array

    def r2(self, predicted: Array) -> float:
        """Share of the variance over held-out subsets that a prediction explains."""
        return float(1 - ((self.truth - predicted) ** 2).sum() / ((self.truth - self.truth.mean()) ** 2).sum())


def fit_boundary(seed: int) -> BoundaryFit:
    """Train a network on each of 400 subsets of a drawn plane; fit surrogates to half, and predict the other half."""
    plane = draw_plane(seed)
    masks = bernoulli_masks(CANDIDATES, FITTED + HELD_OUT, p=0.5, seed=seed, distinct=True)
    outcomes = Outcomes(masks, train_networks(plane, masks, sensitive_point(plane, seed)[None], seed))
    fitted, held_out = outcomes.take(range(FITTED)), outcomes.take(range(FITTED, outcomes.m))
    linear, rbf = (
        surrogate.fit_outcomes(fitted).predict(held_out.masks).ravel()
        for surrogate in (LinearSurrogateCV(), KernelSurrogateCV())
    )
    return BoundaryFit(held_out.values[:, 0], linear, rbf)
