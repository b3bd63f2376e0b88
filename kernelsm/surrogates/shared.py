"""SharedSurrogate: many targets vary together, so g is fitted to their few principal components."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.checks import check_choice
from kernelsm.runtime.near_ties import NEAR, first_greatest, first_least, varies
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.kernel import KernelSurrogate
from kernelsm.surrogates.kernel_choice import CandidateKernels
from kernelsm.surrogates.measured_rows import distinct_rows
from kernelsm.surrogates.subset_distributions import Array, Indices, SubsetDistribution
from kernelsm.surrogates.tuning import FEWEST_ROWS, tuning_rows

Sharing = Literal["auto", "components", "targets"]
_SCALING_POWER = 0.5
_RANK_TOLERANCE = 1e-8
_FLOATS_KEPT = 5e7
_FEWEST_TO_COMPARE = 12


@dataclass(frozen=True, eq=False)
class ComponentGroup:
    """A surrogate of C components that share a kernel, and their `loadings` on the targets, shape (C, q)."""

    surrogate: Surrogate
    loadings: Array


class SharedSurrogate(Surrogate):
    """Gaussian processes of the principal components of the targets, each with its own likeliest kernel.

    The values are centred and divided by the root of each target's standard deviation; each component of their
    singular value decomposition takes a kernel (linear, or RBF of one of eight widths) and λ by the restricted
    likelihood, never with less noise than is known. Predictions and readouts are sums over components,
    exact and with intervals as those of `KernelSurrogate`.

    Parameters
    ----------
    sharing : {"auto", "components", "targets"}
        Fit principal components, or each target separately; "auto" takes whichever has the smaller error in
        three-fold cross-validation, and "targets" with fewer than 12 subsets.
    tuning_rows : int, optional
        At most this many subsets, drawn at random, choose kernels and λ; the fit takes all. None takes all.

    Attributes
    ----------
    parts_ : list of ComponentGroup
        Fitted surrogates and their loadings.
    components_ : int
        Number of components (or targets) that leave-one-out predicts better than their mean.
    sharing_ : {"components", "targets"}
        The choice that was made.
    left_out_ : ndarray, shape (m', q)
        Leave-one-out predictions of the tuning rows.
    tuning_rows_ : slice or ndarray of int
        Which rows those are.

    Examples
    --------
    >>> import numpy as np
    >>> from kernelsm import SharedSurrogate, bernoulli_masks
    >>> masks = bernoulli_masks(K=6, m=80)
    >>> rng = np.random.default_rng(0)
    >>> losses = np.outer(2.0 - masks[:, 0], np.linspace(1.0, 2.0, 10)) + rng.normal(scale=0.1, size=(80, 10))
    >>> g = SharedSurrogate(sharing="components").fit(masks, losses)
    >>> g.attribution().values.shape
    (6, 10)
    >>> bool(g.components_ < 10)  # ten targets move together
    True
    """

    def __init__(self, *, sharing: Sharing = "auto", tuning_rows: int | None = 1000) -> None:
        self.sharing = sharing
        self.tuning_rows = tuning_rows

    def _fit(self, X: Array, values: Array) -> None:
        if self._sees_no_noise(X, values):
            self.measured_rows_ = distinct_rows(X, values)
            X, values = self.measured_rows_.masks, self.measured_rows_.values
        self.tuning_rows_ = tuning_rows(len(X), self.tuning_rows)
        self._fit_with(CandidateKernels(X[self.tuning_rows_]), X, values, self._noise, noisy=not self.measured_rows_)

    def _fit_with(
        self, candidates: CandidateKernels, X: Array, values: Array, noise: Array | None = None, *, noisy: bool = True
    ) -> None:
        """Fit with candidate kernels on the tuning rows of X, which several tables of values may share."""
        check_choice("sharing", self.sharing, get_args(Sharing))
        self._K = X.shape[1]
        self.degrees_of_freedom_ = len(X) - 1
        spread = values.std(axis=0)
        varied = varies(values)
        if len(X) < FEWEST_ROWS or not candidates.kernels or not varied.any():
            self._fit_default(X, values, noisy=noisy)
            return
        rows = self.tuning_rows_
        self._mean = values.mean(axis=0)
        weight = np.where(varied, spread, 1.0) ** _SCALING_POWER
        scaled = np.where(varied, values - self._mean, 0.0) / weight
        # each pair of kernel and λ keeps an m x m factor in memory
        most_pairs = max(2, int(_FLOATS_KEPT / len(X) ** 2))
        self.sharing_ = self._choose_sharing(candidates, X[rows], values[rows], noise)
        known_noise = None if noise is None else noise / weight
        if self.sharing_ == "components":
            columns, axes = principal_components(scaled)
            loadings = axes * weight
            known_noise = None if known_noise is None else known_noise @ axes.T
        else:
            columns, loadings = scaled, np.diag(weight)
        least_noise = None if known_noise is None else (known_noise**2).sum(axis=0)
        choice = candidates.choose(columns[rows], most_pairs, least_noise)
        self.left_out_ = self._mean + choice.left_out @ loadings
        self.left_out_variance_ = choice.variance @ loadings**2
        self.components_ = int(choice.useful.sum())
        component_noise = np.empty(columns.shape[1])
        self.parts_: list[ComponentGroup] = []
        for index, ridge in sorted({(int(a), int(b)) for a, b in zip(choice.kernel, choice.ridge, strict=True)}):
            chosen = np.flatnonzero((choice.kernel == index) & (choice.ridge == ridge))
            surrogate = candidates.kernels[index].fitted(ridge, X, columns[:, chosen], noisy=noisy)
            component_noise[chosen] = surrogate.noise_variance_
            self.parts_.append(ComponentGroup(surrogate, loadings[chosen]))
        self.noise_variance_ = component_noise @ loadings**2

    def _choose_sharing(self, candidates: CandidateKernels, X: Array, values: Array, noise: Array | None) -> Sharing:
        """Return the sharing with the smaller three-fold cross-validation error; components in a tie.

        Leave-one-out would favour components: their axes have seen the row that is left out.
        """
        if values.shape[1] == 1:
            return "targets"
        if self.sharing != "auto":
            return self.sharing
        if len(X) < _FEWEST_TO_COMPARE:
            return "targets"
        spread = values.std(axis=0)
        varied = varies(values)
        options: tuple[Sharing, ...] = ("components", "targets")
        errors = np.zeros(len(options))
        for fitted, left_out, fold_candidates in candidates.folds:
            for option, sharing in enumerate(options):
                trial = SharedSurrogate(sharing=sharing)
                trial.tuning_rows_ = slice(None)
                trial._fit_with(fold_candidates, X[fitted], values[fitted], noise)
                missed = (trial._predict(X[left_out]) - values[left_out])[:, varied] / spread[varied]
                errors[option] += float((missed**2).sum())
        # roots of squared errors relative to the spread: on that scale rounding is below the tolerance
        return options[first_least(np.sqrt(errors / values[:, varied].size), tolerance=NEAR)]

    def _fit_default(self, X: Array, values: Array, *, noisy: bool) -> None:
        """Fit a kernel surrogate of default parameters, where the data cannot choose."""
        default = KernelSurrogate()
        default._noise = None if noisy else np.zeros((1, values.shape[1]))
        default._fit(X, values)
        q = values.shape[1]
        self.sharing_, self.components_ = "targets", q
        self._mean = np.zeros(q)
        self.parts_ = [ComponentGroup(default, np.eye(q))]
        self.noise_variance_ = default.noise_variance_
        self.left_out_ = np.tile(values.mean(axis=0), (len(X[self.tuning_rows_]), 1))
        self.left_out_variance_ = np.zeros(q)

    def of_target(self, target: str) -> SharedSurrogate:
        """Return the surrogate of one target, without fitting again.

        Raises
        ------
        KeyError
            No target has that name.
        """
        if target not in self.target_names_:
            raise KeyError(f"no target {target!r}; the targets are {', '.join(self.target_names_)}")
        j = [self.target_names_.index(target)]
        one = copy(self)
        one.target_names_ = (target,)
        one._mean = self._mean[j]
        one.parts_ = [ComponentGroup(part.surrogate, part.loadings[:, j]) for part in self.parts_]
        one.noise_variance_ = self.noise_variance_[j]
        one.left_out_ = self.left_out_[:, j]
        one.left_out_variance_ = self.left_out_variance_[j]
        one.measured_rows_ = None if self.measured_rows_ is None else self.measured_rows_.of_targets(j)
        return one

    def _predict(self, X: Array) -> Array:
        total = np.tile(self._mean, (len(X), 1))
        for part in self.parts_:
            total += part.surrogate._predict(X) @ part.loadings
        return total

    def _predict_exchanges(self, at: Array, out: Indices, into: Indices) -> Array:
        total = np.tile(self._mean, (len(out), len(into), 1))
        for part in self.parts_:
            total += part.surrogate._predict_exchanges(at, out, into) @ part.loadings
        return total

    def _predict_variance(self, X: Array) -> Array:
        total = np.zeros((len(X), len(self._mean)))
        for part in self.parts_:
            total += part.surrogate._predict_variance(X) @ part.loadings**2
        return total

    def _change(self, X: Array, reference: Array) -> tuple[Array, Array]:
        shape = len(X), len(self._mean)
        values, variance = np.zeros(shape), np.zeros(shape)
        for part in self.parts_:
            part_values, part_variance = part.surrogate._change(X, reference)
            values += part_values @ part.loadings
            variance += part_variance @ part.loadings**2
        return values, variance

    def _attribution(self, distribution: SubsetDistribution) -> tuple[Array, Array]:
        shape = self._K, len(self._mean)
        values, variance = np.zeros(shape), np.zeros(shape)
        for part in self.parts_:
            part_values, part_variance = part.surrogate._attribution(distribution)
            values += part_values @ part.loadings
            variance += part_variance @ part.loadings**2
        return values, variance

    def _interactions(self, distribution: SubsetDistribution) -> Array:
        values = np.zeros((self._K, self._K, len(self._mean)))
        for part in self.parts_:
            if isinstance(part.surrogate, KernelSurrogate):  # a linear part has none
                values += part.surrogate._interactions(distribution) @ part.loadings
        return values

    def _pair_means(self, distribution: SubsetDistribution, j: int, k: int) -> Array:
        parts = (part.surrogate._pair_means(distribution, j, k) @ part.loadings for part in self.parts_)
        return np.asarray(sum(parts, start=self._mean))

    def _pair_variance(self, distribution: SubsetDistribution, first: Indices, second: Indices) -> Array:
        variance = np.zeros((len(first), len(self._mean)))
        for part in self.parts_:
            variance += part.surrogate._pair_variance(distribution, first, second) @ part.loadings**2
        return variance


def principal_components(values: Array) -> tuple[Array, NDArray[np.float64]]:
    """Return components (m, C) and axes (C, q) with components @ axes = values, up to rounding.

    A decomposition determines axes up to their sign, and those of equal singular value up to a rotation. Here each
    axis is positive on its target of largest weight (the first of equal ones), on which the later axes of the same
    singular value are zero.
    """
    _, singular, axes = np.linalg.svd(values, full_matrices=False)
    kept = singular > _RANK_TOLERANCE * singular[0]
    singular, axes = singular[kept], axes[kept]
    group = np.concatenate([[0], np.cumsum(-np.diff(singular) > NEAR * singular[0])])
    for number in range(group[-1] + 1):
        axes[group == number] = _canonical_axes(axes[group == number])
    return values @ axes.T, axes


def _canonical_axes(axes: Array) -> Array:
    """Rotate orthonormal rows, shape (g, q), into a basis of their span that does not depend on the one given."""
    rest = axes.copy()
    rotated = np.empty_like(axes)
    for row in range(len(axes)):
        target = first_greatest((rest**2).sum(axis=0))
        along = rest[:, target] / np.linalg.norm(rest[:, target])
        rotated[row] = along @ axes
        rest -= np.outer(along, along @ rest)
    return rotated
