"""Many softmax regressions on shared features, solved together: the convex core of GradEx.

For each mask, with sample weights w, minimise over Z in R^k

    Σ_i w_i CE(f_i + G_i Z, y_i) + λ/2 ‖Z‖²

All masks share G, so every step is two matrix products for all of them at once. Steps are L-BFGS with the shared
preconditioner (H + λI)⁻¹, H the Gauss-Newton matrix at Z = 0 with all tasks in. The objective along a step is a
one-dimensional convex function of logits that are already known, so the exact line search costs no product.
Masks whose gradient is small enough leave the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

_HISTORY = 10
_LINE_STEPS = 6


@dataclass(frozen=True)
class Solution:
    """Minimisers Z (k, m), gradient norms (m,) and the number of steps taken."""

    z: torch.Tensor
    gradient_norm: torch.Tensor
    steps: int


class SoftmaxProblem:
    """The features that all masks share, and the preconditioner.

    Parameters
    ----------
    logits : Tensor, shape (n, C)
        Offsets f.
    features : Tensor, shape (n, C, k)
        G; its floating type is that of the whole solve.
    labels : Tensor of int64, shape (n,)
    mean_weights : Tensor, shape (n,)
        Sample weights with all tasks in; they set the preconditioner.
    ridge : float
        λ > 0.
    """

    def __init__(
        self,
        logits: torch.Tensor,
        features: torch.Tensor,
        labels: torch.Tensor,
        mean_weights: torch.Tensor,
        ridge: float,
    ) -> None:
        n, classes, k = features.shape
        self.ridge = ridge
        self.offsets = logits.to(features).unsqueeze(-1)
        # adding one number to all logits of a sample changes no loss: centred features condition better
        self.features = (features - features.mean(dim=1, keepdim=True)).reshape(n * classes, k)
        self.shape = (n, classes)
        self.one_hot = torch.nn.functional.one_hot(labels, classes).to(features).unsqueeze(-1)
        probability = torch.softmax(self.offsets.squeeze(-1), dim=1)
        curved = self.features.reshape(n, classes, k)
        mean = torch.einsum("nc,nck->nk", probability, curved)
        scaled = (probability * mean_weights.to(features)[:, None]).sqrt()
        spread = (curved - mean[:, None]) * scaled[..., None]
        flat = spread.reshape(n * classes, k)
        hessian = flat.T @ flat
        hessian.diagonal().add_(ridge)
        self.preconditioner = torch.cholesky_inverse(torch.linalg.cholesky(hessian))

    def logits(self, z: torch.Tensor) -> torch.Tensor:
        """<G, Z> for each sample and class, shape (n, C, m)."""
        return (self.features @ z).reshape(*self.shape, -1)

    def solve(self, weights: torch.Tensor, *, tolerance: float = 1e-5, max_steps: int = 500) -> Solution:
        """Minimise for every row of `weights` (m, n), until each gradient norm is at most `tolerance`."""
        m, k = len(weights), self.features.shape[1]
        result = self.features.new_zeros((k, m))
        norms = self.features.new_full((m,), float("inf"))
        active = torch.arange(m)
        weight = weights.to(self.features).T.unsqueeze(1).contiguous()  # (n, 1, m)
        z = self.features.new_zeros((k, m))
        shift = torch.zeros_like(self.offsets).expand(-1, -1, m).contiguous()
        history: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        gradient = self._gradient(shift, z, weight)
        steps = 0
        while True:
            norm = gradient.norm(dim=0)
            finished = norm <= tolerance
            if steps == max_steps:
                finished = torch.ones_like(finished)
            if bool(finished.any()):
                result[:, active[finished]] = z[:, finished]
                norms[active[finished]] = norm[finished]
                keep = ~finished
                active, z, gradient = active[keep], z[:, keep], gradient[:, keep]
                shift, weight = shift[..., keep], weight[..., keep]
                history = [(s[:, keep], y[:, keep], r[keep]) for s, y, r in history]
                if not len(active):
                    return Solution(result, norms, steps)
            direction = self._direction(gradient, history)
            change = self.logits(direction)
            length = self._line_search(shift, change, z, direction, weight)
            step = direction * length
            z = z + step
            shift = shift + change * length
            new = self._gradient(shift, z, weight)
            difference = new - gradient
            curvature = (step * difference).sum(dim=0)
            usable = curvature > 1e-12 * step.norm(dim=0) * difference.norm(dim=0)
            inverse = torch.where(usable, 1.0 / curvature.clamp(min=1e-30), torch.zeros_like(curvature))
            history = [*history[-_HISTORY + 1 :], (step, difference, inverse)]
            gradient = new
            steps += 1

    def _gradient(self, shift: torch.Tensor, z: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        residual = (torch.softmax(self.offsets + shift, dim=1) - self.one_hot) * weight
        return self.features.T @ residual.reshape(len(self.features), -1) + self.ridge * z

    def _direction(
        self, gradient: torch.Tensor, history: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
    ) -> torch.Tensor:
        """Two-loop recursion (Nocedal 1980), all masks at once."""
        q = gradient.clone()
        used = []
        for s, y, r in reversed(history):
            alpha = r * (s * q).sum(dim=0)
            q -= alpha * y
            used.append(alpha)
        d = self.preconditioner @ q
        for (s, y, r), alpha in zip(history, reversed(used), strict=True):
            d += s * (alpha - r * (y * d).sum(dim=0))
        return -d

    def _line_search(
        self,
        shift: torch.Tensor,
        change: torch.Tensor,
        z: torch.Tensor,
        direction: torch.Tensor,
        weight: torch.Tensor,
    ) -> torch.Tensor:
        """Minimise the objective along `direction` for each mask by bracketed Newton steps on its slope."""
        zd, dd = (z * direction).sum(dim=0), (direction * direction).sum(dim=0)
        truth = (self.one_hot * change).sum(dim=1, keepdim=True)
        length = torch.ones_like(zd)
        low, high = torch.zeros_like(zd), torch.full_like(zd, float("inf"))
        for _ in range(_LINE_STEPS):
            probability = torch.softmax(self.offsets + shift + change * length, dim=1)
            mean = (probability * change).sum(dim=1, keepdim=True)
            slope = ((mean - truth) * weight).sum(dim=(0, 1)) + self.ridge * (zd + length * dd)
            square = (probability * change.square()).sum(dim=1, keepdim=True) - mean.square()
            curvature = (square * weight).sum(dim=(0, 1)) + self.ridge * dd
            low = torch.where(slope < 0, length, low)
            high = torch.where(slope < 0, high, length)
            newton = length - slope / curvature.clamp(min=1e-30)
            middle = torch.where(high.isinf(), 2 * length, (low + high) / 2)
            moved = torch.where((newton > low) & (newton < high), newton, middle)
            if bool(((moved - length).abs() <= 1e-3 * length).all()):
                return moved
            length = moved
        return length
