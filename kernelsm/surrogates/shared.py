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
from kernelsm.surrogates.composite import Composite
from kernelsm.surrogates.kernel import KernelSurrogate
from kernelsm.surrogates.kernel_choice import CandidateKernels
from kernelsm.surrogates.measured_rows import distinct_rows
from kernelsm.surrogates.subset_distributions import Array, Indices, SubsetDistribution
from kernelsm.surrogates.tuning import FEWEST_ROWS, mean_error, tuning_rows

Sharing = Literal["auto", "components", "targets"]
_SCALING_POWER = 0.5
_RANK_TOLERANCE = 1e-8
_FLOATS_KEPT = 5e7
_FEWEST_TO_COMPARE, _ROWS_TO_COMPARE = 12, 200
_MOST_COMPOSITES = 32  # each takes tens of milliseconds, and an m x m matrix
_TARGETS_TO_COMPARE = 5  # evenly spread, with which the sharing is chosen


@dataclass(frozen=True, eq=False)
class _Fitted:
    """Fitted parts with their columns; left-out predictions, their variance, noise and use of every column."""

    parts: list[tuple[Surrogate, Indices]]
    left_out: Array
    variance: Array
    noise: Array
    useful: NDArray[np.bool_]

    @classmethod
    def empty(cls, columns: Array) -> _Fitted:
        count = columns.shape[1]
        mean = np.tile(columns.mean(axis=0), (len(columns), 1))
        return cls([], mean, np.zeros(count), np.zeros(count), np.zeros(count, dtype=bool))


@dataclass(frozen=True, eq=False)
class ComponentGroup:
    """A surrogate of C components that share a kernel, and their `loadings` on the targets, shape (C, q)."""

    surrogate: Surrogate
    loadings: Array


class SharedSurrogate(Surrogate):
    """Gaussian processes of the principal components of the targets, each with its own likeliest kernel.

    The values are centred and divided by the root of each target's standard deviation; each component of their
    singular value decomposition takes a kernel (linear, or RBF of one of eight widths) and λ by the restricted
    likelihood, never with less noise than is known. Where targets are fitted separately and are at most 32, each
    takes a sum of kernels of its own instead: effects of size and of single tasks, RBF parts in which every task has
    its own relevance, and a few products of tasks. Predictions and readouts are sums over components, exact and with
    intervals as those of `KernelSurrogate`. Outcomes without noise are interpolated (`measured_rows_`).

    Parameters
    ----------
    sharing : {"auto", "components", "targets"}
        Fit principal components, or each target separately; "auto" takes whichever has the smaller error in
        three-fold cross-validation, and "targets" with fewer than 12 subsets.
    composite : bool
        Whether targets may take sums of kernels.
    tuning_rows : int, optional
        At most this many subsets, drawn at random, choose kernels and λ; the fit takes all. None takes all.

    Attributes
    ----------
    composites_ : dict of int to Composite
        The sum of kernels of each target, where targets have one.
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

    _like: dict[int, Composite] | None = None
    _quick = False

    def __init__(self, *, sharing: Sharing = "auto", composite: bool = True, tuning_rows: int | None = 1000) -> None:
        self.sharing = sharing
        self.composite = composite
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
        if len(X) < FEWEST_ROWS or candidates.spread == 0 or not varied.any():
            self._fit_default(X, values, noisy=noisy)
            return
        rows = self.tuning_rows_
        self._mean = values.mean(axis=0)
        weight = np.where(varied, spread, 1.0) ** _SCALING_POWER
        scaled = np.where(varied, values - self._mean, 0.0) / weight
        self.sharing_ = self._choose_sharing(candidates, X[rows], values[rows], noise)
        known_noise = None if noise is None else noise / weight
        if self.sharing_ == "components":
            columns, axes = principal_components(scaled)
            loadings = axes * weight
            known_noise = None if known_noise is None else known_noise @ axes.T
        else:
            columns, loadings = scaled, np.diag(weight)
        self._weight = weight
        least_noise = None if known_noise is None else (known_noise**2).sum(axis=0)
        self.parts_: list[ComponentGroup] = []
        self.composites_: dict[int, Composite] = {}
        self.composite_unit_ = np.ones(columns.shape[1])
        # each pair of kernel and λ keeps an m x m factor in memory
        most_kernels = max(2, int(_FLOATS_KEPT / len(X) ** 2))
        if self.sharing_ == "targets" and self._may_be_composite(candidates, values, most_kernels):
            found = self._fit_composites(candidates, X, columns, least_noise, noisy=noisy)
        else:
            found = self._fit_kernels(candidates, X, columns, least_noise, most_kernels, noisy=noisy)
        self.components_ = int(found.useful.sum())
        loads = loadings * self.composite_unit_[:, None]
        self.parts_ = [ComponentGroup(part, loads[chosen]) for part, chosen in found.parts]
        self.left_out_ = self._mean + found.left_out @ loadings
        self.left_out_variance_ = found.variance @ loadings**2
        self.noise_variance_ = found.noise @ loadings**2

    def _may_be_composite(self, candidates: CandidateKernels, values: Array, most_kernels: int) -> bool:
        """Whether every target may have a sum of kernels: they are few, and there are rows to find it by."""
        enough = len(candidates.rows) >= _FEWEST_TO_COMPARE
        binary = bool(np.isin(candidates.rows, (0.0, 1.0)).all())
        return self.composite and enough and binary and values.shape[1] <= min(_MOST_COMPOSITES, most_kernels)

    def _fit_composites(
        self, candidates: CandidateKernels, X: Array, columns: Array, least_noise: Array | None, *, noisy: bool
    ) -> _Fitted:
        """Fit every column, in units of its own spread, with a sum of kernels of its own (`composite`)."""
        self.composite_unit_ = np.where(varies(columns), columns[self.tuning_rows_].std(axis=0), 1.0)
        self.composite_unit_[self.composite_unit_ == 0] = 1.0
        tuning = columns[self.tuning_rows_] / self.composite_unit_
        found = _Fitted.empty(tuning)
        for column in np.flatnonzero(varies(columns)):
            unit = self.composite_unit_[column]
            known = 0.0 if least_noise is None else float(least_noise[column] / unit**2)
            like = None if self._like is None else self._like.get(int(column))
            search, values = candidates.composites(columns.shape[1]), tuning[:, column]
            composite = (
                search.find(values, known, quick=self._quick) if like is None else search.refit(values, like, known)
            )
            part = composite.fitted(X, columns[:, [column]] / unit, noisy=noisy, least_noise=known)
            self.composites_[int(column)] = composite
            found.parts.append((part, np.array([column])))
            found.left_out[:, column] = composite.solution.left_out(values)
            found.variance[column] = composite.left_out_variance
            found.noise[column] = part.noise_variance_[0]
        units = self.composite_unit_
        found.useful[:] = ((tuning - found.left_out) ** 2).mean(axis=0) < (1 - NEAR) * mean_error(tuning, True)
        return _Fitted(
            found.parts, found.left_out * units, found.variance * units**2, found.noise * units**2, found.useful
        )

    def _fit_kernels(
        self, candidates: CandidateKernels, X: Array, columns: Array, least_noise: Array | None, most_kernels: int,
        *, noisy: bool,
    ) -> _Fitted:  # fmt: skip
        """Fit every column with the likeliest of the candidate kernels."""
        tuning = columns[self.tuning_rows_]
        choice = candidates.choose(tuning, most_kernels, least_noise)
        found = _Fitted([], choice.left_out, choice.variance, np.zeros(columns.shape[1]), choice.useful)
        for index, ridge in sorted({(int(a), int(b)) for a, b in zip(choice.kernel, choice.ridge, strict=True)}):
            chosen = np.flatnonzero((choice.kernel == index) & (choice.ridge == ridge))
            part = candidates.kernels[index].fitted(ridge, X, columns[:, chosen], noisy=noisy)
            found.parts.append((part, chosen))
            found.noise[chosen] = part.noise_variance_
        return found

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
        if len(X) > _ROWS_TO_COMPARE:
            some = np.sort(np.random.default_rng(0).choice(len(X), _ROWS_TO_COMPARE, replace=False))
            X, values, candidates = X[some], values[some], CandidateKernels(X[some])
        spread = values.std(axis=0)
        varied = varies(values)
        options: tuple[Sharing, ...] = ("components", "targets")
        errors = np.zeros(len(options))
        judged = np.flatnonzero(varied)
        if values.shape[1] <= _MOST_COMPOSITES:  # each takes a search of its own
            judged = judged[np.unique(np.linspace(0, len(judged) - 1, _TARGETS_TO_COMPARE).astype(np.intp))]
        for fitted, left_out, fold_candidates in candidates.folds:
            for option, sharing in enumerate(options):
                trial = SharedSurrogate(sharing=sharing, composite=self.composite)
                trial._quick = True
                trial.tuning_rows_ = slice(None)
                own = judged if sharing == "targets" else np.arange(values.shape[1])
                trial._fit_with(
                    fold_candidates, X[fitted], values[np.ix_(fitted, own)], None if noise is None else noise[:, own]
                )
                predicted = trial._predict(X[left_out])[:, slice(None) if sharing == "targets" else judged]
                missed = (predicted - values[np.ix_(left_out, judged)]) / spread[judged]
                errors[option] += float((missed**2).sum())
        # roots of squared errors relative to the spread: on that scale rounding is below the tolerance
        return options[first_least(np.sqrt(errors / (len(values) * len(judged))), tolerance=NEAR)]

    def _fit_default(self, X: Array, values: Array, *, noisy: bool) -> None:
        """Fit a kernel surrogate of default parameters, where the data cannot choose."""
        default = KernelSurrogate()
        default._noise = None if noisy else np.zeros((1, values.shape[1]))
        default._fit(X, values)
        q = values.shape[1]
        self.sharing_, self.components_ = "targets", q
        self.composites_ = {}
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
