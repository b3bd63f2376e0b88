"""Many unconstrained minimisations at once by L-BFGS, each with its own history, line search and convergence."""

from __future__ import annotations

from collections.abc import Callable

import torch

_HISTORY = 20
_LINE_SEARCH_TRIALS = 15
_PATIENCE = 10
# weak Wolfe conditions: a sufficient decrease, and a slope that has risen sufficiently
_DECREASE, _RISE = 1e-4, 0.9

Function = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
_Pair = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def minimise(
    function: Function,
    start: torch.Tensor,
    *,
    tolerance: float = 1e-6,
    smallest_change: float = 1e-7,
    max_steps: int = 1000,
) -> torch.Tensor:
    """Minimise m functions of P variables.

    The line search brackets by doubling and bisection until the weak Wolfe conditions hold (Lewis and Overton 2013),
    which also works at the kinks of a ReLU network.

    Parameters
    ----------
    function : callable
        Maps points (a, P) and the problems they belong to (a,) to values (a,) and gradients (a, P).
    start : Tensor, shape (m, P)
    tolerance : float
        A problem is solved when no entry of its gradient is larger in magnitude.
    smallest_change : float
        A problem also ends when ten steps together lower its value by no more than this share of it, or when no
        step satisfies the conditions. Both happen at kinks, where the gradient does not vanish.
    max_steps : int
        Bound on the steps of each problem.

    Returns
    -------
    Tensor, shape (m, P)
    """
    result = start.clone()
    active = torch.arange(len(start))
    x = start.clone()
    value, gradient = function(x, active)
    earlier = value.clone()
    history: list[_Pair] = []
    finished = gradient.abs().amax(dim=1) <= tolerance
    for step in range(max_steps):
        if bool(finished.any()):
            result[active[finished]] = x[finished]
            left = ~finished
            active, x, value, gradient = active[left], x[left], value[left], gradient[left]
            history = [(s[left], y[left], r[left]) for s, y, r in history]
        if not len(active):
            return result
        direction = -_inverse_hessian_times(gradient, history)
        length = torch.ones_like(value)
        if step == 0:
            length = (1 / gradient.abs().sum(dim=1).clamp(min=1e-30)).clamp(max=1.0)
        new_x, new_value, new_gradient, stuck = _line_search(function, active, x, value, gradient, direction, length)
        difference, change = new_x - x, new_gradient - gradient
        curvature = (difference * change).sum(dim=1)
        usable = curvature > 1e-12 * difference.norm(dim=1) * change.norm(dim=1)
        inverse = torch.where(usable, 1 / curvature.clamp(min=1e-300), torch.zeros_like(curvature))
        history = [*history[-_HISTORY + 1 :], (difference, change, inverse)]
        finished = stuck | (new_gradient.abs().amax(dim=1) <= tolerance)
        x, value, gradient = new_x, new_value, new_gradient
        if (step + 1) % _PATIENCE == 0:
            finished |= earlier[active] - value <= smallest_change * value.abs()
            earlier[active] = value
    result[active] = x
    return result


def _inverse_hessian_times(gradient: torch.Tensor, history: list[_Pair]) -> torch.Tensor:
    """Two-loop recursion (Nocedal 1980); pairs without curvature have r = 0 and do nothing."""
    q = gradient.clone()
    used = []
    scale = torch.ones_like(gradient[:, 0])
    for _, y, r in history:
        scale = torch.where(r > 0, 1 / (r * y.square().sum(dim=1)).clamp(min=1e-300), scale)
    for s, y, r in reversed(history):
        alpha = r * (s * q).sum(dim=1)
        q -= alpha[:, None] * y
        used.append(alpha)
    q *= scale[:, None]
    for (s, y, r), alpha in zip(history, reversed(used), strict=True):
        q += s * (alpha - r * (y * q).sum(dim=1))[:, None]
    return q


def _line_search(
    function: Function,
    active: torch.Tensor,
    x: torch.Tensor,
    value: torch.Tensor,
    gradient: torch.Tensor,
    direction: torch.Tensor,
    length: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Points, values and gradients along `direction`, and which searches failed: they end at the best point seen."""
    slope = (gradient * direction).sum(dim=1)
    low, high = torch.zeros_like(length), torch.full_like(length, float("inf"))
    best_x, best_value, best_gradient = x.clone(), value.clone(), gradient.clone()
    searching = torch.arange(len(x))
    for _ in range(_LINE_SEARCH_TRIALS):
        t = length[searching]
        point = x[searching] + t[:, None] * direction[searching]
        found, its_gradient = function(point, active[searching])
        decreased = found <= value[searching] + _DECREASE * t * slope[searching]
        risen = (its_gradient * direction[searching]).sum(dim=1) >= _RISE * slope[searching]
        better = decreased & (found <= best_value[searching])
        accepted = decreased & risen
        written = better | accepted
        rows = searching[written]
        best_x[rows], best_value[rows], best_gradient[rows] = point[written], found[written], its_gradient[written]
        low[searching] = torch.where(decreased, t, low[searching])
        high[searching] = torch.where(decreased, high[searching], t)
        searching = searching[~accepted]
        if not len(searching):
            break
        bounds = low[searching], high[searching]
        length[searching] = torch.where(bounds[1].isinf(), 2 * bounds[0], (bounds[0] + bounds[1]) / 2)
    stuck = torch.zeros_like(value, dtype=torch.bool)
    stuck[searching] = True
    return best_x, best_value, best_gradient, stuck
