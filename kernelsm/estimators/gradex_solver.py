"""The convex core of GradEx: many regressions on shared features, solved together, for any convex loss.

For each mask, with shares α_t of the tasks (0 where a task is left out), minimise over Z in R^k

    Σ_t α_t · mean over the samples i of task t of ℓ(u_i + G_i Z, t_i)  +  λ/2 ‖Z‖²

for the R numbers u_i and G_i Z of each sample. All masks share G, so every product is one of matrices; the rows of a
task are multiplied only with the masks that include it.

Most of Z lies in the few hundred directions in which the loss curves most. There each mask takes Newton steps by
conjugate gradients, which are cheap because there are few coordinates. The rest of Z, the tail, hardly curves the
loss: one step -gradient/λ nearly solves it. Leading and tail steps alternate until the gradient norm in all k
coordinates is at most the tolerance, so the result does not depend on the choice of directions. Where the network at
W0 is confidently wrong about a task, the loss curves along more directions than it did at W0, and these steps get
stuck: such masks are solved by Newton steps in all coordinates.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from kernelsm.estimators.gradex_active_rows import ActiveRows
from kernelsm.estimators.gradex_curvature import (
    Curvature,
    Preconditioner,
    WholePreconditioner,
    leading_directions,
)
from kernelsm.estimators.gradex_task_rows import TaskMembership, TaskRows, gradient, output_changes, task_rows
from kernelsm.objectives.objective import Expansion, OutputLoss

_NEWTON_STEPS = 100
_CG_STEPS = 10
# the same in all coordinates, where the preconditioner knows less
_WHOLE_CG_STEPS = 40
# a pass that leaves more than this share of the gradient norm is stuck, and so many of them end the passes
_STUCK = 0.7
_MOST_STUCK = 2
# conjugate gradients reduce the residual to at most this share of the gradient norm
_LARGEST_RESIDUAL = 0.1
# conjugate gradients end for all masks once they have ended for this share of them
_SHARE_SOLVED = 0.8
# how often a step that overshoots is shortened
_MAX_SHORTENINGS = 8
_MASKS_PER_THREAD = 16
# Newton steps at which the preconditioner is adapted to the curvature reached
_PRECONDITIONER_UPDATES = (2, 4)
# a step may overshoot until the slope at its end is this share of |slope at its start|
_OVERSHOOT = 0.25
# how often the active rows are chosen anew after a step as long as the loss allows
_RESTARTS = 20
_WHOLE_RESTARTS = 60
# gradient norm in the leading directions after the first pass: the gradient of the tail is larger than this
_FIRST_PASS_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Solution:
    """Minimisers Z (m, k), gradient norms (m,) and the number of passes over all k coordinates."""

    z: torch.Tensor
    gradient_norm: torch.Tensor
    passes: int


class LinearisedProblem:
    """The features that all masks share, their leading directions and curvature.

    Parameters
    ----------
    loss : OutputLoss
        ℓ.
    offsets : Tensor, shape (n, R)
        u at Z = 0.
    features : Tensor, shape (n, R, k)
        Their gradients G; the whole solve runs in their floating type.
    targets : Tensor, shape (n, R)
        What the loss compares the outputs with.
    task_of : Tensor of int64, shape (n,)
        Task of each sample, 0..K-1; every task has a sample.
    ridge : float
        λ > 0.
    full_set : Tensor, shape (K,), optional
        Shares of the tasks where all are in: all masks start at the minimum for these, which is the nearer to
        theirs the more alike tasks are weighed. Equal by default.
    """

    def __init__(
        self,
        loss: OutputLoss,
        offsets: torch.Tensor,
        features: torch.Tensor,
        targets: torch.Tensor,
        task_of: torch.Tensor,
        ridge: float,
        *,
        full_set: torch.Tensor | None = None,
    ) -> None:
        self.loss, self.ridge = loss, ridge
        self.tasks = task_rows(loss, offsets, features, targets, task_of)
        self.leading, projected = leading_directions(self.tasks)
        rotation = self._choose_reference(full_set)
        self.basis = rotation if projected is None else projected @ rotation
        self.has_tail = self.basis.shape[0] > self.basis.shape[1]
        if self.has_tail:
            self._choose_tails()

    def _choose_reference(self, full_set: torch.Tensor | None) -> torch.Tensor:
        """Solve the full set in the leading directions; all masks start there, and curvature is measured there.

        Rotates the leading features so that the most curved direction comes first, and returns the rotation (r, r).
        """
        rank = self.leading[0].features.shape[1]
        features = self.leading[0].features
        shares = features.new_full((1, len(self.leading)), 1 / len(self.leading))
        if full_set is not None:
            shares = full_set[None].to(features)
        state = _State.at(self.leading, shares, shares.new_zeros((1, rank)))
        self.curvature = Curvature(self.leading, state.expansions)
        slope = gradient(self.leading, state.membership, state.expansions, self.ridge, state.z)
        for _ in range(_RESTARTS):
            if not self._newton(self.leading, state, slope, shares.new_full((1,), 1e-2)):
                break
            slope = gradient(self.leading, state.membership, state.expansions, self.ridge, state.z)
        rotation = Curvature.rotation(self.leading, state.expansions)
        self.leading = [task.times(rotation) for task in self.leading]
        self.start = state.z @ rotation
        self.curvature = Curvature(self.leading, state.expansions)
        return rotation

    def _choose_tails(self) -> None:
        """Take each task's first tail step at the reference; masks start at the weighted sum over their tasks."""
        one_task_each = torch.eye(len(self.tasks)).to(self.start)
        state = _State.at(self.leading, one_task_each, self.start.expand(len(one_task_each), -1))
        full = gradient(
            self.tasks,
            state.membership,
            state.expansions,
            0.0,
            one_task_each.new_zeros((len(one_task_each), len(self.basis))),
        )
        self.tails = (full - (full @ self.basis) @ self.basis.T).div_(-self.ridge)
        self.tail_changes = [task.features @ self.tails.T for task in self.tasks]

    def solve(self, shares: torch.Tensor, *, tolerance: float = 9e-5, max_passes: int = 50) -> Solution:
        """Minimise for every row of `shares` (m, K), until each gradient norm is at most `tolerance`.

        A row of zeros (the empty subset) gives Z = 0. Masks that have not converged after `max_passes` have a
        gradient norm above the tolerance; no error is raised.
        """
        shares = shares.to(self.start)
        threads = min(torch.get_num_threads(), max(1, len(shares) // _MASKS_PER_THREAD))
        if threads == 1:
            return self._solve_part(shares, tolerance, max_passes)
        # one thread per part of the masks: threads that share each small product would wait for one another
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                parts = list(
                    pool.map(lambda part: self._solve_part(part, tolerance, max_passes), shares.chunk(threads))
                )
        finally:
            torch.set_num_threads(before)
        return Solution(
            torch.cat([part.z for part in parts]),
            torch.cat([part.gradient_norm for part in parts]),
            max(part.passes for part in parts),
        )

    def _solve_part(self, shares: torch.Tensor, tolerance: float, max_passes: int) -> Solution:
        m, k = len(shares), self.basis.shape[0]
        z = shares.new_zeros((m, k))
        norms = shares.new_zeros(m)
        unfinished = torch.nonzero(shares.sum(dim=1) > 0).squeeze(1)
        state = _State.at(self.leading, shares[unfinished], self.start.expand(len(unfinished), -1).clone())
        tail = shares.new_zeros((0, k))
        before = shares.new_full((len(unfinished),), math.inf)
        stuck = torch.zeros(len(unfinished), dtype=torch.int64)
        if self.has_tail:
            tail = shares[unfinished] @ self.tails
            state.move(
                [
                    (change @ shares[unfinished][masks].T).reshape(*task.shape, -1)
                    for task, change, masks in zip(self.tasks, self.tail_changes, state.membership.masks, strict=True)
                ]
            )
        goal = shares.new_full(
            (len(unfinished),), max(_FIRST_PASS_TOLERANCE, tolerance) if self.has_tail else tolerance
        )
        slope = gradient(self.leading, state.membership, state.expansions, self.ridge, state.z)
        passes = 0
        while len(unfinished):
            self._newton(self.leading, state, slope, goal)
            passes += 1
            if not self.has_tail:
                slope = gradient(self.leading, state.membership, state.expansions, self.ridge, state.z)
                current, full = state.z @ self.basis.T, slope
            else:
                current = state.z @ self.basis.T + tail
                full = gradient(self.tasks, state.membership, state.expansions, self.ridge, current)
            norm = full.norm(dim=1)
            finished = (norm <= tolerance) | (passes >= max_passes)
            stuck, before = stuck + (norm > _STUCK * before), norm
            given_up = ~finished & (stuck >= _MOST_STUCK)
            if self.has_tail and bool(given_up.any()):
                current[given_up], norm[given_up] = self._solve_whole(state.shares[given_up], tolerance)
                finished = finished | given_up
            z[unfinished[finished]], norms[unfinished[finished]] = current[finished], norm[finished]
            remaining = ~finished
            unfinished, full, state = unfinished[remaining], full[remaining], state.take(remaining)
            stuck, before = stuck[remaining], before[remaining]
            slope = full
            if self.has_tail:
                slope = full @ self.basis
                step = (full - slope @ self.basis.T).div_(-self.ridge)
                tail = tail[remaining] + step
                state.move(output_changes(self.tasks, state.membership, step))
                slope = gradient(self.leading, state.membership, state.expansions, self.ridge, state.z)
            goal = shares.new_full((len(unfinished),), tolerance / 2)
        return Solution(z, norms, passes)

    def _solve_whole(self, shares: torch.Tensor, tolerance: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Take Newton steps in all k coordinates; return where they end, (m, k), and the gradient norms there, (m,).

        They begin where all masks do, because steps that got stuck may have ended far away.
        """
        goal = shares.new_full((len(shares),), tolerance / 2)
        z, norm = (self.start @ self.basis.T).expand(len(shares), -1), goal
        for restart in range(_WHOLE_RESTARTS + 1):
            state = _State.at(self.tasks, shares, z)
            slope = gradient(self.tasks, state.membership, state.expansions, self.ridge, z)
            norm = slope.norm(dim=1)
            if restart == _WHOLE_RESTARTS or bool((norm <= tolerance).all()):
                break
            self._newton(self.tasks, state, slope, goal, whole=True)
            z = state.z
        return z, norm

    def _preconditioner(self, active: ActiveRows, *, whole: bool) -> Preconditioner | WholePreconditioner:
        adapted = self.curvature.adapted_shares(active.shares, active.membership, active.curvature_traces())
        leading = Preconditioner(self.curvature, adapted, self.ridge)
        return WholePreconditioner(leading, self.basis, self.ridge) if whole else leading

    def _newton(
        self, tasks: list[TaskRows], state: _State, slope: torch.Tensor, goal: torch.Tensor, *, whole: bool = False
    ) -> bool:
        """Take Newton steps in the coordinates of `tasks`, in place, until each gradient norm is at most `goal`.

        Those are the leading directions, or all coordinates (`whole`). `slope` (m, r) is the gradient where they
        start. Returns True if they ended early because some mask moved so far that other rows may matter now.
        """
        z_before = state.z
        active = ActiveRows(
            tasks, state.shares, state.membership, state.shift, state.expansions, state.z, slope, self.ridge
        )
        positions = torch.arange(len(slope))
        z = state.z.clone()
        preconditioner: Preconditioner | WholePreconditioner | None = None
        too_far = False
        for newton in range(_NEWTON_STEPS):
            unsolved = slope.norm(dim=1) > goal
            if not bool(unsolved.all()):
                z[positions[~unsolved]] = active.z[~unsolved]
                if not bool(unsolved.any()):
                    break
                active, positions = active.take(unsolved), positions[unsolved]
                slope, goal = slope[unsolved], goal[unsolved]
                preconditioner = preconditioner.take(unsolved) if preconditioner else None
            if preconditioner is None or newton in _PRECONDITIONER_UPDATES:
                preconditioner = self._preconditioner(active, whole=whole)
            steps = _WHOLE_CG_STEPS if whole else _CG_STEPS
            too_far = self._step(active, slope, _newton_direction(active, slope, preconditioner, goal, steps))
            if too_far:
                z[positions] = active.z
                break
            slope = active.gradient()
        else:
            z[positions] = active.z
        state.move(output_changes(tasks, state.membership, z - z_before))
        state.z = z
        return too_far

    def _step(self, active: ActiveRows, slope: torch.Tensor, direction: torch.Tensor) -> bool:
        """Move along the direction, by shorter steps for the masks whose loss rises too steeply at its end.

        Returns whether the step was longer for some mask than the loss allows.
        """
        change = active.changes(direction)
        slope_at_start = (slope * direction).sum(dim=1).abs()
        fixed_slope = ((active.frozen + self.ridge * active.z) * direction).sum(dim=1)
        ridge_slope = self.ridge * direction.square().sum(dim=1)
        length = torch.ones_like(slope_at_start)
        if math.isfinite(longest := self.loss.longest_step):
            length = longest / active.largest_change(change).clamp(min=longest)
        too_far = bool((length < 1).any())
        active.move(
            [by * length[masks] for by, masks in zip(change, active.membership.masks, strict=True)]
            if too_far
            else change
        )
        for _ in range(_MAX_SHORTENINGS):
            slope_at_end = active.slopes(change) + fixed_slope + length * ridge_slope
            steep = slope_at_end > _OVERSHOOT * slope_at_start
            if not bool(steep.any()):
                break
            shorter = torch.where(steep, length * slope_at_start / (slope_at_start + slope_at_end), length)
            difference = shorter - length
            active.move([by * difference[masks] for by, masks in zip(change, active.membership.masks, strict=True)])
            length = shorter
        active.z = torch.addcmul(active.z, direction, length[:, None])
        return too_far


def _newton_direction(
    active: ActiveRows,
    slope: torch.Tensor,
    preconditioner: Preconditioner | WholePreconditioner,
    goal: torch.Tensor,
    steps: int,
) -> torch.Tensor:
    """Solve (Hessian) d = -slope approximately, by preconditioned conjugate gradients for all masks at once."""
    norm = slope.norm(dim=1)
    largest_residual = torch.maximum(norm * norm.sqrt().clamp(max=_LARGEST_RESIDUAL), 0.3 * goal)
    direction, residual = torch.zeros_like(slope), -slope
    scaled = preconditioner(residual)
    search, product = scaled, (residual * scaled).sum(dim=1)
    for _ in range(steps):
        curved = active.hessian_times(search)
        length = product / (search * curved).sum(dim=1).clamp(min=1e-37)
        length = torch.where(residual.norm(dim=1) > largest_residual, length, torch.zeros_like(length))
        direction = torch.addcmul(direction, search, length[:, None])
        residual = torch.addcmul(residual, curved, length[:, None], value=-1)
        # the few harder masks continue in the next Newton step, without the others
        if float((residual.norm(dim=1) <= largest_residual).double().mean()) >= _SHARE_SOLVED:
            break
        scaled = preconditioner(residual)
        before, product = product, (residual * scaled).sum(dim=1)
        search = torch.addcmul(scaled, search, (product / before.clamp(min=1e-37))[:, None])
    return direction


class _State:
    """Masks in progress: leading coordinates z (m, r); per task, shift of the outputs (R, n, m_t) and expansions."""

    def __init__(
        self,
        tasks: list[TaskRows],
        shares: torch.Tensor,
        z: torch.Tensor,
        membership: TaskMembership,
        shift: list[torch.Tensor],
        expansions: list[Expansion],
    ) -> None:
        self.tasks, self.shares, self.z, self.membership = tasks, shares, z, membership
        self.shift, self.expansions = shift, expansions

    @classmethod
    def at(cls, tasks: list[TaskRows], shares: torch.Tensor, z: torch.Tensor) -> _State:
        membership = TaskMembership(shares, [task.size for task in tasks])
        shift = output_changes(tasks, membership, z)
        return cls(tasks, shares, z, membership, shift, _expansions(tasks, shift))

    def move(self, change: list[torch.Tensor]) -> None:
        self.shift = [old + new for old, new in zip(self.shift, change, strict=True)]
        self.expansions = _expansions(self.tasks, self.shift)

    def take(self, chosen: torch.Tensor) -> _State:
        columns = [chosen[masks] for masks in self.membership.masks]
        return _State(
            self.tasks, self.shares[chosen], self.z[chosen],
            TaskMembership(self.shares[chosen], self.membership.sizes),
            [shift[..., kept] for shift, kept in zip(self.shift, columns, strict=True)],
            [expansion.of_models(kept) for expansion, kept in zip(self.expansions, columns, strict=True)],
        )  # fmt: skip


def _expansions(tasks: list[TaskRows], shift: list[torch.Tensor]) -> list[Expansion]:
    return [task.expand(of_task) for task, of_task in zip(tasks, shift, strict=True)]
