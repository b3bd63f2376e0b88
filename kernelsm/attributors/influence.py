"""Influence functions at the level of tasks: dF/dα_k = -g_kᵀ (H + damping)⁻¹ h, solved in several ways.

g_k is the gradient of a task's training loss, h that of a target's loss, H the Gauss-Newton matrix of the training
loss. There are q solves, whatever the number of samples and tasks. With damping = λ, the pull towards W0, H + λ is
the curvature of what retraining minimises, and the step -(H + λ)⁻¹ g that of Newton's method.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch

from kernelsm.attributors.attributor import Array, MethodCost
from kernelsm.attributors.first_order import FirstOrder
from kernelsm.attributors.solves import (
    Product,
    conjugate_gradients,
    largest_eigenvalue,
    neumann_series,
    solve_dense,
)
from kernelsm.attributors.task_losses import DENSE_UP_TO, TaskLosses
from kernelsm.runtime.checks import check_number, check_whole
from kernelsm.runtime.errors import ConvergenceError, InputError
from kernelsm.runtime.progress import Report
from kernelsm.runtime.store import ChunkKind, Store

SOLVE_CHUNKS = ChunkKind("influence_solves", version=2)
_AT_ONCE = 16
_POWER_STEPS = 50
_FLOPS = 4e9
"""Multiplications a second of a matrix product on one core in double precision, at the low end."""
PASSES_A_PRODUCT = 0.5
"""A product of eight vectors with the curvature takes about as long as four forward and backward passes."""


class Influence(FirstOrder):
    """What the influence functions share.

    Parameters
    ----------
    losses : TaskLosses
    damping : float, optional
        Added to every eigenvalue of the curvature; the pull λ if not given, with which it is the curvature of what
        retraining minimises. Curvature that is cut off or projected may want more.
    centred : bool
        See `kernelsm.attributors.attributor`.

    References
    ----------
    Koh and Liang (2017), Understanding black-box predictions via influence functions; the paper's appendix B.
    """

    def __init__(self, losses: TaskLosses, *, damping: float | None = None, centred: bool = True) -> None:
        super().__init__(losses, centred=centred)
        self.damping = losses.ridge if damping is None else damping
        check_number("damping", self.damping, above=0, fix="The pull towards W0 is the default.")

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {**super().settings(), "damping": self.damping}

    def _product(self) -> Product:
        """Multiplies rows with H + damping."""
        return lambda rows: self.losses.curvature_times(self.losses.at, rows) + self.damping * rows

    def _from_solutions(self, solutions: torch.Tensor) -> Array:
        gradients = self.losses.task_gradients(self.losses.at)
        return np.asarray(-(gradients @ solutions.T).double().numpy())


class ExactInfluence(Influence):
    """Influence functions with the Gauss-Newton matrix written down and factored; up to 6,000 coordinates.

    Raises
    ------
    InputError
        damping ≤ 0, or more coordinates.

    Examples
    --------
    >>> from kernelsm import build_model, gradient_features
    >>> from kernelsm.attributors.feature_losses import FeatureLosses
    >>> from kernelsm.attributors.influence import ExactInfluence
    >>> from kernelsm.examples.digits.suite import digits_suite
    >>> suite, model = digits_suite(), build_model("logistic", inputs=64, classes=10)
    >>> train = gradient_features(model, suite.inputs, suite.labels)
    >>> test = gradient_features(model, suite.test_inputs, suite.test_labels, outputs=train.outputs)
    >>> influence = ExactInfluence(FeatureLosses(suite, train, test, ridge=1.0))
    >>> influence.attribute().values.shape
    (20, 10)
    """

    name, title = "influence_exact", "influence functions, exact Gauss-Newton"

    def cost(self) -> MethodCost:
        """One pass for gradients, n R d² multiplications for the matrix, d³/3 for its factors."""
        d, n = self.losses.d, sum(self.losses.sizes)
        dense = d**3 / 3 / _FLOPS
        if self.losses.where == "network":
            passes = 1 + PASSES_A_PRODUCT * d
            return MethodCost(passes, dense + passes * self.losses.pass_seconds, 3 * 8 * d * d)
        rows = n * int(self.losses.train.offsets.shape[1])  # type: ignore[attr-defined]
        return MethodCost(1, dense + rows * d * d / _FLOPS, 3 * 8 * d * d + 8 * rows * d)

    def _slopes(self, store: Store | None, report: Report) -> Array:
        if self.losses.d > DENSE_UP_TO:
            fix = "Take conjugate gradients (influence_cg), or project the gradients to fewer coordinates."
            raise InputError(self.name, f"{self.losses.d:,} coordinates", f"at most {DENSE_UP_TO:,}", fix)
        report(0, 2, "curvature", reused=None)
        matrix = self.losses.dense_curvature(self.losses.at)
        matrix.diagonal().add_(self.damping)
        report(1, 2, "solving", reused=None)
        return self._from_solutions(solve_dense(matrix, self.losses.target_gradients(self.losses.at)))


class IterativeInfluence(Influence):
    """Influence functions that know the curvature by products alone; sixteen targets at once are a chunk."""

    @abstractmethod
    def _solve(self, b: torch.Tensor, report: Report) -> torch.Tensor:
        """Return (H + damping)⁻¹ of each row of b."""

    def _slopes(self, store: Store | None, report: Report) -> Array:
        parts = self.losses.target_gradients(self.losses.at).split(_AT_ONCE)
        found = []
        for number, part in enumerate(parts):

            def within(
                done: int, total: int, message: str = "", *, reused: bool | None = None, at: int = number
            ) -> None:
                report(at * total + done, len(parts) * total, message, reused=None)

            def solve(part: torch.Tensor = part, within: Report = within) -> Any:
                return self._solve(part, within).double().numpy()

            if store is None:
                found.append(solve())
            else:
                settings = sorted((k, v) for k, v in self.settings().items() if k != "centred")
                key = (self.name, *self.losses.key, settings, number)
                found.append(store.chunk(SOLVE_CHUNKS, key, solve))
        return self._from_solutions(torch.from_numpy(np.concatenate(found)).to(self.losses.start.dtype))

    def _memory(self) -> int:
        numbers = 8 * self.losses.d * (4 * min(_AT_ONCE, self.losses.q) + self.losses.K + self.losses.q)
        return int(numbers)


class ConjugateGradientInfluence(IterativeInfluence):
    """Influence functions by conjugate gradients on products with the curvature: any number of weights.

    Parameters
    ----------
    losses, damping, centred
        As of `Influence`.
    tolerance : float
        Relative residual at which a target is solved.
    most : int
        Bound on the products for sixteen targets.

    Raises
    ------
    ConvergenceError
        The residual after `most` products is more than ten times the tolerance.

    Examples
    --------
    >>> from kernelsm import build_model
    >>> from kernelsm.attributors.network_losses import NetworkLosses
    >>> from kernelsm.examples.digits.suite import digits_suite
    >>> from kernelsm.attributors.influence import ConjugateGradientInfluence
    >>> losses = NetworkLosses(digits_suite(), build_model("logistic", inputs=64, classes=10), ridge=1.0)
    >>> ConjugateGradientInfluence(losses, damping=1.0).attribute().values.shape
    (20, 10)
    """

    name, title = "influence_cg", "influence functions, conjugate gradients"

    def __init__(
        self, losses: TaskLosses, *, damping: float | None = None, centred: bool = True, tolerance: float = 1e-4,
        most: int = 1000,
    ) -> None:  # fmt: skip
        super().__init__(losses, damping=damping, centred=centred)
        check_number("tolerance", tolerance, above=0, below=1)
        self.tolerance, self.most = tolerance, check_whole("most", most)

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {**super().settings(), "tolerance": self.tolerance, "most": self.most}

    def cost(self) -> MethodCost:
        """Products that a condition number of (largest eigenvalue / damping) asks for, for every target."""
        # √κ/2 · ln(2/tolerance), with the largest eigenvalue near 10 as in small networks; rarely more than d
        steps = min(self.most, self.losses.d, 0.5 * np.sqrt(10 / self.damping + 1) * np.log(2 / self.tolerance))
        passes = 1 + PASSES_A_PRODUCT * steps * self.losses.q
        return MethodCost(passes, passes * self.losses.pass_seconds, self._memory())

    def _solve(self, b: torch.Tensor, report: Report) -> torch.Tensor:
        found = conjugate_gradients(self._product(), b, tolerance=self.tolerance, most=self.most, report=report)
        if not found.residual <= 10 * self.tolerance:
            raise ConvergenceError(
                self.name, f"a residual of {found.residual:.1e} after {found.products} products",
                f"at most {self.tolerance:.0e}", "Raise the damping, the tolerance or `most`.",
            )  # fmt: skip
        return found.x


class NeumannInfluence(IterativeInfluence):
    """Influence functions by LiSSA: the first terms of the Neumann series, on all samples instead of random ones.

    Cut off after T terms it is near the inverse of H + damping + largest eigenvalue / T: few terms damp more.

    Parameters
    ----------
    losses, damping, centred
        As of `Influence`.
    terms : int
        T.
    scale : float, optional
        Above the largest eigenvalue of H + damping; 1.1 times what 50 steps of power iteration find if not given.

    Examples
    --------
    >>> from kernelsm import build_model
    >>> from kernelsm.attributors.network_losses import NetworkLosses
    >>> from kernelsm.examples.digits.suite import digits_suite
    >>> from kernelsm.attributors.influence import NeumannInfluence
    >>> losses = NetworkLosses(digits_suite(), build_model("logistic", inputs=64, classes=10), ridge=1.0)
    >>> NeumannInfluence(losses, damping=1.0, terms=10).attribute().values.shape
    (20, 10)
    """

    name, title = "influence_lissa", "influence functions, LiSSA"

    def __init__(
        self, losses: TaskLosses, *, damping: float | None = None, centred: bool = True, terms: int = 200,
        scale: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(losses, damping=damping, centred=centred)
        self.terms, self.scale = check_whole("terms", terms), scale
        if scale is not None:
            check_number("scale", scale, above=0)

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {**super().settings(), "terms": self.terms, "scale": self.scale}

    def cost(self) -> MethodCost:
        """A product for each term and target."""
        passes = 1 + PASSES_A_PRODUCT * ((self.terms + 1) * self.losses.q + _POWER_STEPS)
        return MethodCost(passes, passes * self.losses.pass_seconds, self._memory())

    def _solve(self, b: torch.Tensor, report: Report) -> torch.Tensor:
        if self.scale is None:
            self._scale = 1.1 * largest_eigenvalue(self._product(), b[0], steps=_POWER_STEPS)
        scale = self._scale if self.scale is None else self.scale
        found = neumann_series(self._product(), b, scale=scale, terms=self.terms, report=report)
        if not bool(torch.isfinite(found.x).all()) or found.residual > 1e3:
            raise ConvergenceError(
                self.name, "a series that grows", "terms that fall", f"Set the scale above {scale:.3g}."
            )
        return found.x
