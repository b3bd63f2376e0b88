"""Finding a sum of kernels for one column of outcomes: which tasks matter to it, how, and which products of tasks.

g is a sum of an effect of size, main effects, three RBF parts of different widths in which every task has a relevance
of its own, and a few single products of tasks. Their variances follow the restricted likelihood
(`variance_components`). The relevance of a task is how much g changes with it, in the root mean square over the
fitted subsets, as in recursive feature machines (Radhakrishnan et al., Science 383, 2024): fitted in turn with g.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import combinations
from math import comb, log

import numpy as np
from numpy.typing import NDArray

from kernelsm.outcomes.splitting import random_parts
from kernelsm.runtime.near_ties import rising
from kernelsm.surrogates.kernel import KernelSurrogate
from kernelsm.surrogates.kernel_functions import LINEAR
from kernelsm.surrogates.relevance_kernel import RelevanceKernel, weighted_distances
from kernelsm.surrogates.subset_distributions import Array, Indices
from kernelsm.surrogates.subset_kernel import SubsetKernel, SumKernel
from kernelsm.surrogates.term_kernel import SizeKernel, TermKernel
from kernelsm.surrogates.variance_components import Solution, VarianceComponents

Terms = tuple[tuple[int, ...], ...]
_WIDTHS = (0.125, 0.5, 2.0)
"""γ of the RBF parts for two subsets at their mean distance, weighed by relevance; each four times the one before."""
_ROUNDS, _STEPS, _REFIT_STEPS = 3, 5, 2  # more rounds make intervals too narrow where noise drowns the effects
_ORDERS, _MOST_TERMS, _TERMS_AT_ONCE, _CLOSELY = (1, 2, 3, 4), 1500, 4, 300
_TERM_ROUNDS, _TERM_STEPS = 12, 3
_FOLDS, _WORTH, _CLEARLY = 3, 1.0, 1.5
_FAR, _OUTLIERS_IN, _NEXT_TO_NOTHING = 5.5, 20, 0.01
# so much further from the mean subset than the median one; below that share of its error a row was told by others
_UNLIKE, _ACCIDENTS = 1.25, 0.7
_LEAST_SUPPORT, _FEWEST_ROWS = 25.0, 2  # rows that a term's feature must rest on
_NO_FEATURE = 1e-10  # share of the largest prior weight below which there is only rounding
_SHARPENINGS, _SURELY = 1, 2.0
_FLOATS_KEPT = 16_000_000  # of dense parts


@dataclass(frozen=True, eq=False)
class Composite:
    """A sum of kernels and the noise, fitted to one column of outcomes.

    Parameters
    ----------
    relevance : ndarray, shape (K,)
        γ of every task in an RBF part of width 1.
    terms : tuple of tuple of int
        The products of tasks.
    components : VarianceComponents
        On the rows that it was fitted to: main effects, RBF parts and size, then the terms.
    centre : ndarray, shape (K,)
        Of the terms.
    solution : Solution
        The column, conditioned.
    """

    relevance: Array
    terms: Terms
    components: VarianceComponents
    centre: Array
    solution: Solution

    def without_rows(self) -> Composite:
        """Return what another scale's fit starts from, without the matrices of the fitted rows."""
        return replace(
            self, components=replace(self.components, grams=np.zeros((0, 0, 0))),
            solution=Solution(np.zeros(0), np.zeros(0)),
        )  # fmt: skip

    @property
    def left_out_variance(self) -> float:
        """Mean posterior variance of g at a row that is left out."""
        return float((1 / self.solution.diagonal).mean() - self.components.noise)

    def fitted(self, X: Array, columns: Array, *, noisy: bool, least_noise: float = 0.0) -> KernelSurrogate:
        """Return a surrogate with these variances, fitted to rows and outcomes (m, C).

        They are fitted once more by a common factor, which leaves no less noise than is known.
        """
        same_rows = len(X) == len(self.solution.alpha)
        gram = self.components.covariance() / self.components.noise if same_rows else None
        surrogate = KernelSurrogate(ridge=1.0)
        surrogate.gamma_, surrogate.ridge_ = math.nan, 1.0
        surrogate._fit_function(self.kernel(), X, columns, noisy=noisy, gram=gram)
        if least_noise > 0:
            surrogate.scale_ = np.maximum(surrogate.scale_, least_noise)
            surrogate.noise_variance_ = surrogate.scale_
        return surrogate

    def kernel(self) -> SubsetKernel:
        """Return the kernel over the noise: with λ = 1 it has these variances."""
        scale = self.components.noise
        main, *amplitudes, size = (float(amplitude) / scale for amplitude in self.components.amplitudes)
        spread = _size_variance(len(self.centre))
        parts: list[tuple[float, SubsetKernel]] = [
            (main / spread, LINEAR),
            (size / spread, SizeKernel(0.0)),
            (1.0, RelevanceKernel((), tuple(self.relevance.tolist()), _WIDTHS, tuple(amplitudes))),
        ]
        if self.terms:
            weights = tuple((self.components.weights / scale).tolist())
            parts.append((1.0, TermKernel(self.terms, weights, tuple(self.centre.tolist()))))
        return SumKernel(tuple(parts))


class CompositeSearch:
    """Finds sums of kernels on the subsets X, shape (m, K), for one column of outcomes after the other.

    Relevance and terms are looked for on at most `few_rows` rows drawn at random, or two for each task, and where the
    search is `thorough` sharpened on all.
    """

    def __init__(self, X: Array, few_rows: int = 300, *, thorough: bool = True, centre: Array | None = None) -> None:
        self._X = X
        self._few_rows, self._thorough = few_rows, thorough
        self._centre = X.mean(axis=0) if centre is None else centre
        self._spread = 2 * X.var(axis=0) * len(X) / max(len(X) - 1, 1)
        # not centred, as the kernels are: the intercept takes up the difference
        self._main = X @ X.T / _size_variance(self._X.shape[1])
        sizes = X.sum(axis=1)
        self._size = np.outer(sizes, sizes) / _size_variance(self._X.shape[1])
        self._known_grams: list[tuple[Array, Array]] = []

    @cached_property
    def _few(self) -> tuple[NDArray[np.intp], CompositeSearch]:
        m, K = self._X.shape
        most = max(self._few_rows, 2 * K)
        if m <= most:
            return np.arange(m), self
        rows = np.sort(np.random.default_rng(0).choice(m, most, replace=False))
        return rows, CompositeSearch(self._X[rows], most)

    def find(self, column: Array, least_noise: float = 0.0, *, quick: bool = False) -> Composite:
        """Search from tasks of equal relevance, for outcomes of shape (m,); `quick` to compare, not to keep."""
        rows, few = self._few
        if few is not self:
            found = few.find(column[rows], least_noise, quick=quick)
            if quick or not self._thorough:
                return self._refitted(column, found, found.components, 1, least_noise)
            return self._sharpened(column, found, least_noise)
        variance = float(column.var())
        relevance = np.ones(self._X.shape[1]) / self._spread.sum()
        signal = max(variance - least_noise, 1e-3 * variance)  # what known noise leaves for g
        parts = VarianceComponents(
            self._grams(relevance), np.array([0.3, *([0.1] * len(_WIDTHS)), 0.05]) * signal,
            np.zeros((len(column), 0)), np.zeros(0), 0.2 * variance,
        )  # fmt: skip
        terms: Terms = ()
        if not quick and len(column) < 2 * self._X.shape[1]:
            terms, parts = self._tasks_first(column, parts, least_noise)
        rounds = 1 if quick else _ROUNDS
        for turn in range(rounds + 1):
            amplitudes = np.where(parts.amplitudes, np.maximum(parts.amplitudes, 1e-3 * signal), 0.0)
            parts = replace(parts, grams=self._grams(relevance), amplitudes=amplitudes)
            parts = parts.fitted(column, _STEPS, least_noise)
            solution = parts.solve(column)
            if turn < rounds:
                relevance = self._relevance(relevance, terms, parts, solution)
        plain = Composite(relevance, terms, parts, self._centre, solution)
        if quick:
            return plain
        candidates, features = self._candidates(relevance)
        found = self._with_terms(column, plain, candidates, features, least_noise)
        if found.terms == terms or not self._terms_pay(column, plain, candidates, features, least_noise):
            return plain
        return found

    def _sharpened(self, column: Array, found: Composite, least_noise: float) -> Composite:
        """Find relevance and further terms on all rows, from what few of them say."""
        found = replace(found, centre=self._centre)
        for _ in range(_SHARPENINGS):
            found = self._refitted(column, found, found.components, _REFIT_STEPS, least_noise, whole=True)
            relevance = self._relevance(found.relevance, found.terms, found.components, found.solution)
            found = replace(found, relevance=relevance)
        found = self._refitted(column, found, found.components, _REFIT_STEPS, least_noise, whole=True)
        candidates, features = self._candidates(found.relevance)
        return self._with_terms(column, found, candidates, features, least_noise, surely=True)

    def _terms_pay(
        self, column: Array, plain: Composite, candidates: list[tuple[int, ...]], features: Array, least_noise: float
    ) -> bool:
        """Whether looking for terms predicts left-out thirds better than none: chance products fit a few far rows.

        The first third decides alone where it says so clearly.
        """
        without, within = 0.0, 0.0
        for fitted, left_out, fold in self._folds:
            base = fold._refitted(column[fitted], plain, plain.components, _TERM_STEPS, least_noise, whole=True)
            richer = fold._with_terms(column[fitted], base, candidates, features[fitted], least_noise)
            for composite, is_plain in ((base, True), (richer, False)):
                part = composite.fitted(self._X[fitted], column[fitted, None], noisy=True)
                missed = float(((part._predict(self._X[left_out])[:, 0] - column[left_out]) ** 2).sum())
                without, within = (without + missed, within) if is_plain else (without, within + missed)
            if max(without, within) > _CLEARLY * min(without, within):
                break
        return within < _WORTH * without

    @cached_property
    def _folds(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp], CompositeSearch]]:
        ends = np.cumsum([len(part) for part in np.array_split(self._X, _FOLDS)])[:-1]
        parts = [part for part in random_parts(self._X, ends.tolist(), 1) if len(part)]
        others = [np.sort(np.concatenate([other for other in parts if other is not part])) for part in parts]
        return [
            (fit, part, CompositeSearch(self._X[fit], centre=self._centre))
            for fit, part in zip(others, parts, strict=True)
        ]

    def refit(self, column: Array, known: Composite, least_noise: float = 0.0) -> Composite:
        """Fit the variances alone, with the relevance and the terms that another scale of the outcomes has."""
        rows, few = self._few
        ratio = float(column.var()) / max(known.components.total, 1e-300)
        start = known.components.scaled(ratio)
        found = few._refitted(column[rows], known, start, _REFIT_STEPS, least_noise)
        return found if few is self else self._refitted(column, known, found.components, 0, least_noise)

    def outlying_rows(self, column: Array, known: Composite, *, noisy: bool) -> tuple[Indices, Array]:
        """Return rows whose outcome is far from everything else, and the column with their left-out predictions.

        A row is far if its left-out error is above 5.5 robust standard deviations, and a deviation of its own would
        raise the restricted likelihood by more than the best of m rows does by chance. If these are more than one row
        in twenty, outcomes are heavy-tailed rather than some rows wrong: none is named. Nor are subsets that are
        unlike the others, as with few tasks where most have many: a rare subset may well have a rare outcome, and
        so may several whose outcomes tell of each other. Outcomes without noise are
        true however far they are: there, rows are named only if the others leave next to nothing unexplained
        (`noisy` false).
        """
        cleaned, rows, found = column.copy(), np.zeros(0, dtype=np.intp), known
        unlikeness = np.abs(self._X - self._centre).sum(axis=1)
        ordinary = unlikeness < _UNLIKE * np.median(unlikeness)
        most = max(1, len(column) // _OUTLIERS_IN)
        while True:
            size = np.where(ordinary, np.abs(found.solution.alpha) / np.sqrt(found.solution.diagonal), 0.0)
            square = np.maximum(size**2, 1.0)
            gain = (square - 1 - np.log(square)) / 2
            far = (
                (size > _FAR * 1.4826 * np.median(size[ordinary]))
                & (gain > log(len(column)) + 2)
                & (size > 0.6 * size.max())
            )
            far[rows] = False
            if not far.any():
                if len(rows) and self._tell_of_each_other(column, rows, known, cleaned):
                    return np.zeros(0, dtype=np.intp), column
                if noisy or found.components.noise < _NEXT_TO_NOTHING * known.components.noise:
                    return np.sort(rows), cleaned
                return np.zeros(0, dtype=np.intp), column
            rows = np.concatenate([rows, np.flatnonzero(far)])
            if len(rows) > most:
                return np.zeros(0, dtype=np.intp), column
            for _ in range(2):  # where several are far, each was predicted from the others
                cleaned[rows] = found.solution.left_out(cleaned)[rows]
                found = self._refitted(cleaned, found, found.components, _TERM_STEPS, 0.0)

    def _tell_of_each_other(self, column: Array, rows: Indices, known: Composite, cleaned: Array) -> bool:
        """Whether far rows, one left out at a time, are predicted better from the others than without all of them."""
        from_others = known.solution.left_out(column)[rows] - column[rows]
        return float((from_others**2).sum()) < _ACCIDENTS * float(((cleaned - column)[rows] ** 2).sum())

    def _refitted(
        self, column: Array, known: Composite, start: VarianceComponents, steps: int, least_noise: float,
        *, whole: bool = False,
    ) -> Composite:  # fmt: skip
        features = TermKernel(known.terms, (1.0,) * len(known.terms), tuple(known.centre.tolist())).features(self._X)
        parts = replace(start, grams=self._grams(known.relevance), features=features)
        parts = parts.fitted(column, steps, least_noise)
        return replace(known, components=parts, solution=parts.solve(column) if whole else parts.solve_each(column))

    def _grams(self, relevance: Array) -> Array:
        """Dense parts, shape (P, m, m); those of the last relevances are kept, which all scales of a column share."""
        for known, grams in self._known_grams:
            if known is relevance:
                return grams
        distances = weighted_distances(self._X, self._X, relevance)
        grams = np.empty((len(_WIDTHS) + 2, *distances.shape))
        grams[0], grams[-1] = self._main, self._size
        np.exp(distances * -_WIDTHS[0], out=grams[1])
        for place in range(1, len(_WIDTHS)):  # each width is four times the one before
            np.square(np.square(grams[place]), out=grams[place + 1])
        self._known_grams = [*self._known_grams, (relevance, grams)][-max(1, _FLOATS_KEPT // grams.size) :]
        return grams

    def _relevance(self, relevance: Array, terms: Terms, parts: VarianceComponents, solution: Solution) -> Array:
        """How much g changes with each task, in the root mean square; the mean distance of two subsets stays 1."""
        changes = self._changes(relevance, parts, solution)
        centred = self._X - self._centre
        for term, of_term in zip(terms, parts.weights * (parts.features.T @ solution.alpha), strict=True):
            for task in term:
                changes[:, task] += of_term * centred[:, [other for other in term if other != task]].prod(axis=1)
        changes = np.sqrt((changes**2).mean(axis=0))
        total = float(changes @ self._spread)
        return changes / total if total > 0 else relevance

    def _changes(self, relevance: Array, parts: VarianceComponents, solution: Solution) -> Array:
        """Change of g when each task is added, at every fitted subset, shape (m, K)."""
        signs = 2 * self._X - 1
        alpha = solution.alpha
        changes = np.zeros_like(self._X)
        main, *widths, size = parts.amplitudes
        changes += main / _size_variance(self._X.shape[1]) * ((self._X - self._centre).T @ alpha)
        changes += size / _size_variance(self._X.shape[1]) * float((self._X - self._centre).sum(axis=1) @ alpha)
        for width, amplitude, gram in zip(_WIDTHS, widths, parts.grams[1:-1], strict=True):
            q = np.exp(-width * relevance)
            loads = amplitude * gram
            both, signed = (loads @ alpha)[:, None], signs * (loads @ (alpha[:, None] * signs))
            alike, unlike = (both + signed) / 2, (both - signed) / 2
            changes += signs * ((1 - q) * alike - (1 / np.maximum(q, 1e-12) - 1) * unlike)
        return changes

    def _tasks_first(
        self, column: Array, parts: VarianceComponents, least_noise: float
    ) -> tuple[Terms, VarianceComponents]:
        """Where rows are few for so many tasks, find those of main effects told from chance before all others."""
        variance = float(column.var())
        empty = replace(parts, amplitudes=np.zeros_like(parts.amplitudes), noise=variance)
        none = Composite(np.ones(self._X.shape[1]), (), empty, self._centre, empty.solve(column))
        tasks: list[tuple[int, ...]] = [(k,) for k in range(self._X.shape[1])]
        found = self._grown(
            column, none, tasks, self._X - self._centre, np.full(len(tasks), log(len(tasks)) / 2 + 1), least_noise
        )
        left = found.components.noise / variance
        return found.terms, replace(found.components, amplitudes=parts.amplitudes * left)

    def _with_terms(
        self, column: Array, plain: Composite, candidates: list[tuple[int, ...]], features: Array, least_noise: float,
        *, surely: bool = False,
    ) -> Composite:  # fmt: skip
        """Add products of tasks as long as one raises the restricted likelihood by more than the search for it costs.

        The gain of a term of feature φ is (ρ - 1 - ln ρ)/2 with ρ = (φᵀα)² / φᵀAφ (Tipping and Faul, 2003, Fast
        marginal likelihood maximisation for sparse Bayesian models); the best of n candidates gains ln n by chance.
        """
        # a little below what chance gains: left-out rows judge once more (`_terms_pay`), unless they do not
        orders = np.array([len(term) for term in candidates], dtype=np.intp)
        gates = np.log(np.maximum(np.bincount(orders, minlength=1), 1))[orders] + (_SURELY if surely else -1)
        return self._grown(column, plain, candidates, features, gates, least_noise)

    def _grown(
        self, column: Array, plain: Composite, candidates: list[tuple[int, ...]], features: Array, gates: Array,
        least_noise: float,
    ) -> Composite:  # fmt: skip
        """Add the candidates of these features as long as one gains more than its entry of `gates`."""
        parts, solution, terms = plain.components, plain.solution, plain.terms
        variance = float(column.var())
        squares = features**2
        for _ in range(_TERM_ROUNDS if len(candidates) else 0):
            fit = (features.T @ solution.alpha) ** 2
            # φᵀAφ is costly: only for those that come near by the diagonal of A
            rough = fit / np.maximum(squares.T @ solution.diagonal, 1e-300)
            near = rising(-rough)[:_CLOSELY] if len(rough) > _CLOSELY else np.arange(len(rough))
            prior = np.einsum("it,it->t", features[:, near], solution.whole @ features[:, near])
            # a feature that is constant over these rows tells nothing
            prior = np.where(prior > _NO_FEATURE * prior.max(initial=0.0), prior, np.inf)
            ratio = np.maximum(fit[near] / prior, 1.0)
            gain = (ratio - 1 - np.log(ratio)) / 2
            gain[[candidates[t] in terms for t in near]] = 0.0
            order = rising(-gain)[: max(1, min(_TERMS_AT_ONCE, len(terms) + 1))]
            new = [t for t in order if gain[t] > max(gates[near[t]], 0.3 * float(gain.max()))]
            if not new:
                break
            terms += tuple(candidates[near[t]] for t in new)
            weights = (fit[near[new]] - prior[new]) / prior[new] ** 2
            parts = replace(
                parts,
                features=np.column_stack([parts.features, features[:, near[new]]]),
                weights=np.concatenate([parts.weights, weights]),
            ).fitted(column, _TERM_STEPS, least_noise)
            kept = parts.weights > 1e-6 * variance / np.maximum(parts.features.var(axis=0), 1e-300)
            terms = tuple(term for term, keep in zip(terms, kept, strict=True) if keep)
            parts = replace(parts, features=parts.features[:, kept], weights=parts.weights[kept])
            solution = parts.solve(column)
        if terms != plain.terms:
            parts = parts.fitted(column, _STEPS, least_noise)
            solution = parts.solve(column)
        return Composite(plain.relevance, terms, parts, self._centre, solution)

    def _candidates(self, relevance: Array) -> tuple[list[tuple[int, ...]], Array]:
        """Return products of tasks that may be added, of the most relevant if they are many, and features (m, T)."""
        K = self._X.shape[1]
        by_relevance = rising(-relevance)
        centred = np.ascontiguousarray((self._X - self._centre).T)
        held = np.ascontiguousarray(self._X.T.astype(np.int8))
        found: list[tuple[int, ...]] = []
        rows: list[NDArray[np.float64]] = []
        for order in _ORDERS:
            count = K
            while comb(count, order) > _MOST_TERMS:
                count -= 1
            terms = np.sort(by_relevance[:count])[_combinations(count, order)]
            # rows must hold all of its tasks, and none: what a product says there is not to be guessed
            size = held[terms].sum(axis=1)
            seen = ((size == order).sum(axis=1) >= _FEWEST_ROWS) & ((size == 0).sum(axis=1) >= _FEWEST_ROWS)
            terms = terms[seen]
            product = np.ones((len(terms), len(self._X)))
            for place in range(order):
                product *= centred[terms[:, place]]
            squares = product**2
            support = squares.sum(axis=1) ** 2 / np.maximum(np.einsum("ti,ti->t", squares, squares), 1e-300)
            rests = support >= _LEAST_SUPPORT
            found += [tuple(term) for term in terms[rests].tolist()]
            rows.append(product[rests])
        return found, np.ascontiguousarray(np.vstack(rows).T)


@lru_cache
def _combinations(count: int, order: int) -> Indices:
    """All choices of `order` from 0..count-1, shape (choices, order)."""
    return np.array(list(combinations(range(count), order)), dtype=np.intp).reshape(-1, order)


def _size_variance(K: int) -> float:
    """Variance of the size of subsets that hold half of K tasks, and of the sum of unit main effects."""
    return K / 4
