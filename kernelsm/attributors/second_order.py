"""Interaction-aware influence: the second derivative of the outcome by the weights of two tasks, in the linear model.

With w(α) the minimum of E = Σ_k α_k L_k(w) + λ/2 ‖w - W0‖², u_k = E''⁻¹ g_k and v = E''⁻¹ h,

    ∂F/∂α_k      = -g_kᵀ v,
    ∂²F/∂α_k∂α_l = u_kᵀ F'' u_l + vᵀ (L_k'' u_l + L_l'' u_k) - E'''[v, u_k, u_l].

All of it follows from changes of the samples' outputs along u_k and v. Effects and second differences are those of
the quadratic in the weights, along which subsets move by renormalising.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from kernelsm.attributors.attributor import Array, Attributor, Masks, MethodCost, check_masks, removal_steps
from kernelsm.attributors.feature_losses import FeatureLosses, SampleRows
from kernelsm.attributors.solves import solve_dense
from kernelsm.attributors.task_losses import DENSE_UP_TO
from kernelsm.objectives.objective import Expansion
from kernelsm.runtime.checks import check_number
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.surrogates.results import Attribution, Interactions

EXPANSION_CHUNKS = ChunkKind("second_order_influence", version=1)


class SecondOrderInfluence(Attributor):
    """Influence functions to second order in the weights of tasks: effects, pairs and predictions.

    Parameters
    ----------
    losses : FeatureLosses
        Up to 6,000 coordinates. At the minimum for all tasks (`point="all_tasks"`) the expansion is exact to second
        order; at W0 it is that of a Newton step.
    damping : float, optional
        The pull λ if not given; another value keeps the derivatives from being those of the minimum.

    References
    ----------
    After Interaction-aware influence functions for group attribution (arXiv 2605.15675), written out for tasks.
    """

    name, title, has_pairs, is_additive = "influence_pairs", "influence functions to second order", True, False

    def __init__(self, losses: FeatureLosses, *, damping: float | None = None) -> None:
        self.losses = losses
        self.damping = losses.ridge if damping is None else damping
        check_number("damping", self.damping, above=0)
        self._expansion: tuple[Array, Array, Array] | None = None

    @property
    def task_names(self) -> Sequence[str]:
        """Names of the K tasks."""
        return self.losses.task_names

    @property
    def target_names(self) -> Sequence[str]:
        """Names of the q targets."""
        return self.losses.target_names

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {"where": self.losses.where, "damping": self.damping}

    def cost(self) -> MethodCost:
        """The exact Gauss-Newton matrix and its factors, and K² q sums over samples."""
        d, n, K, q = self.losses.d, sum(self.losses.sizes), self.losses.K, self.losses.q
        rows = n * int(self.losses.train.offsets.shape[1])
        work = d**3 / 3 + rows * d * d + 3 * rows * K * K * q
        return MethodCost(1, work / 4e9, 8 * (3 * d * d + rows * (d + 3 * K)))

    def expansion(self, *, store: Store | None = None, report: Report = silent) -> tuple[Array, Array, Array]:
        """Return F (q,), dF/dα (K, q) and d²F/dα² (K, K, q) at the weights of all tasks.

        Raises
        ------
        InputError
            More than 6,000 coordinates.
        """
        if self._expansion is None:
            key = (*self.losses.key, self.damping)
            before = store.reused if store else 0
            self._expansion = self._expand() if store is None else store.chunk(EXPANSION_CHUNKS, key, self._expand)
            report(1, 1, self.title, reused=bool(store and store.reused > before))
        return self._expansion

    def _expand(self) -> tuple[Array, Array, Array]:
        losses, w = self.losses, self.losses.at
        matrix = losses.dense_curvature(w)  # refuses more than DENSE_UP_TO coordinates
        assert losses.d <= DENSE_UP_TO
        matrix.diagonal().add_(self.damping)
        gradients, targets = losses.task_gradients(w), losses.target_gradients(w)
        both = solve_dense(matrix, torch.cat([gradients, targets]))
        u, v = both[: losses.K], both[losses.K :]
        slopes = -(gradients @ v.T)
        seconds = self._of_targets(losses.test, w, u) + self._of_training(losses.train, w, u, v)
        with torch.no_grad():
            values = losses.target_losses(w)
        return tuple(np.asarray(part.double().numpy()) for part in (values, slopes, seconds))  # type: ignore[return-value]

    def _of_targets(self, rows: SampleRows, w: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """u_kᵀ F'' u_l of every target, shape (K, K, q)."""
        changes = rows.changes(u)  # (R, n, K)
        curved = rows.expand(w).curvature_times(changes)
        return torch.einsum("rnk,rnl,qn->klq", changes, curved, rows.means)

    def _of_training(self, rows: SampleRows, w: torch.Tensor, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """vᵀ (L_k'' u_l + L_l'' u_k) - E'''[v, u_k, u_l], shape (K, K, q)."""
        changes, weights = rows.changes(u), self.losses.sample_weights
        outputs = rows.outputs(w)
        curvature = rows.expand_at(outputs)
        found = []
        for one in v:
            along = rows.changes(one[None])  # (R, n, 1)
            moved = curvature.curvature_times(along)  # C δv
            # by task: vᵀ L_k'' u_l
            by_task = torch.einsum("kn,rnl,rn->kl", rows.means, changes, moved[..., 0])
            third = _along(rows, outputs, along, changes)
            cubic = torch.einsum("n,rnk,rnl->kl", weights, changes, third)
            found.append(by_task + by_task.T - cubic)
        return torch.stack(found, dim=2)

    def _effects_along(self, steps: Array) -> Array:
        """Change of F along steps of the weights (m, K), shape (m, q)."""
        _, slopes, seconds = self.expansion()
        return np.asarray(steps @ slopes + 0.5 * np.einsum("mk,klq,ml->mq", steps, seconds, steps))

    def attribute(self, *, store: Store | None = None, report: Report = silent) -> Attribution:
        """Return minus the change of the quadratic where each task is left out, shape (K, q)."""
        self.expansion(store=store, report=report)
        values = -self._effects_along(removal_steps(self.losses.shares.double().numpy()))
        return Attribution(
            values, tuple(self.task_names), tuple(self.target_names), meta={"readout": self.name, **self.settings()}
        )

    def interactions(self, *, store: Store | None = None, report: Report = silent) -> Interactions:
        """Return second differences of the quadratic where all other tasks are in, shape (K, K, q)."""
        self.expansion(store=store, report=report)
        K = self.losses.K
        single = self._effects_along(self._steps(~np.eye(K, dtype=np.bool_)))
        first, second = np.triu_indices(K, k=1)
        without = ~np.eye(K, dtype=np.bool_)
        both = self._effects_along(self._steps(without[first] & without[second]))
        values = np.zeros((K, K, self.losses.q))
        values[first, second] = values[second, first] = both - single[first] - single[second]
        return Interactions(
            values, tuple(self.task_names), tuple(self.target_names), meta={"readout": self.name, **self.settings()}
        )

    def predict(self, masks: Masks, *, store: Store | None = None, report: Report = silent) -> Array:
        """Predict subsets by the quadratic in their weights, shape (m, q)."""
        values = self.expansion(store=store, report=report)[0]
        return np.asarray(values + self._effects_along(self._steps(check_masks(masks, self.losses.K))))

    def baseline(self) -> Array:
        """Loss of each target where the method looks, shape (q,)."""
        return self.expansion()[0]

    def _steps(self, masks: Masks) -> Array:
        """How far the weights of each subset are from those of all tasks, shape (m, K)."""
        shares = self.losses.shares.double().numpy()
        included = masks * shares
        total = included.sum(axis=1, keepdims=True)
        return np.asarray(included / np.where(total > 0, total, 1.0) - shares)


def _along(rows: SampleRows, outputs: torch.Tensor, along: torch.Tensor, changes: torch.Tensor) -> torch.Tensor:
    """Derivative of (curvature · changes) along a change of the outputs, by a central difference; (R, n, K)."""
    largest = along.abs().amax(dim=0, keepdim=True).clamp(min=1e-300)
    reach = 1e-4 if along.dtype == torch.double else 1e-2
    step = reach * along / largest

    def curved(at: torch.Tensor) -> torch.Tensor:
        expansion: Expansion = rows.expand_at(at)
        return expansion.curvature_times(changes)

    return (curved(outputs + step) - curved(outputs - step)) * (largest / (2 * reach))
