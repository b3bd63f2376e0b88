"""What all surrogates share: fitting as scikit-learn does, names, and the door of the readouts."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from kernelsm.outcomes.names import check_names
from kernelsm.outcomes.repeated_rows import rows_agree
from kernelsm.outcomes.table import Outcomes
from kernelsm.outcomes.table_validation import check_noise
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.fit_input import name_wrong_rows
from kernelsm.surrogates.measured_rows import MeasuredRows, found_without_noise, without_noise
from kernelsm.surrogates.results import Attribution, Interactions
from kernelsm.surrogates.subset_distributions import (
    Anchor,
    Array,
    Indices,
    SubsetDistribution,
    distribution_of,
    mean_masks,
)

AttributionKind = Literal["leave_one_out", "inclusion", "banzhaf", "shapley"]
InteractionKind = Literal["second_difference", "inclusion", "banzhaf", "shapley"]


class Surrogate(MultiOutputMixin, RegressorMixin, BaseEstimator, metaclass=ABCMeta):  # type: ignore[misc]
    """A regression g of outcomes on subsets, all targets at once.

    `fit` and `predict` take any real matrix, as scikit-learn's tools do; the readouts need subsets and refuse
    anything but 0/1.

    Every surrogate is the posterior mean of a Gaussian process, so predictions and readouts have standard deviations.

    Attributes
    ----------
    noise_variance_ : ndarray, shape (q,)
        Estimated variance of what g leaves unexplained in a single outcome, in the outcome's unit squared.
    degrees_of_freedom_ : int
        What that was estimated from.
    measured_rows_ : MeasuredRows or None
        The subsets whose outcomes have no noise: predictions and readouts that need no others are read from them.
    """

    noise_variance_: Array
    measured_rows_: MeasuredRows | None = None
    _noise: Array | None = None
    degrees_of_freedom_: int

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        task_names: Sequence[str] | None = None,
        target_names: Sequence[str] | None = None,
        higher_is_better: bool = False,
        noise: ArrayLike | None = None,
    ) -> Self:
        """Fit g to outcomes.

        Parameters
        ----------
        X : array-like, shape (m, K)
            Subsets, one row each.
        y : array-like, shape (m, q) or (m,)
            Their outcomes.
        task_names, target_names : sequence of str, optional
            Names for the results.
        higher_is_better : bool
            For the words of the results.
        noise : 0, or array-like, shape (n, q), optional
            What is known of the noise, as in `Outcomes`. 0: there is none, and kernel surrogates pass through the
            outcomes of measured subsets. `SharedSurrogate` and `AutoSurrogate`, which choose by likelihood, take no
            parameters that leave less noise than is known, and see by themselves that a table has none; leaving out
            rows tells the others of it anyway.

        Raises
        ------
        InputError
            Inputs or outcomes that are not finite, wrong names, noise of another number of targets, or rows that
            contradict noise=0.

        Examples
        --------
        >>> from kernelsm import KernelSurrogate
        >>> g = KernelSurrogate(ridge=0.001).fit([[0, 0], [0, 1], [1, 0], [1, 1]], [4.0, 2.0, 2.0, 1.0])
        >>> g.predict([[1, 1]]).round(1).tolist()
        [1.0]
        """
        inputs: Array
        given: Array
        try:
            inputs, given = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        except ValueError:
            name_wrong_rows(X, y)
            raise
        self._single_target = given.ndim == 1
        values = given.reshape(len(given), -1).astype(np.float64)
        self.task_names_ = check_names("task_names", task_names, inputs.shape[1], "task")
        self.target_names_ = check_names("target_names", target_names, values.shape[1], "target")
        self.higher_is_better_ = bool(higher_is_better)
        self.outcomes_hash_: str | None = None
        self._noise = check_noise(noise, values.shape[1])
        self.is_binary_ = bool(np.isin(inputs, (0.0, 1.0)).all())
        self.measured_rows_ = None
        self._fit(inputs, values)
        return self

    def fit_outcomes(self, outcomes: Outcomes) -> Self:
        """Fit g to a table of outcomes and take over its names.

        Outcomes that were computed exactly (`Outcomes.computed_exactly`) are taken to be without noise.

        Examples
        --------
        >>> from kernelsm import default_surrogate, load_example
        >>> g = default_surrogate().fit_outcomes(load_example("planted"))
        >>> g.task_names_[:2]
        ('arithmetic (helps)', 'algebra (helps a little)')
        """
        noise = outcomes.noise
        if (
            noise is None
            and outcomes.computed_exactly
            and rows_agree(outcomes.masks.astype(np.float64), outcomes.values)
        ):
            noise = np.zeros((1, outcomes.q))
        self.fit(
            outcomes.masks,
            outcomes.values,
            task_names=outcomes.task_names,
            target_names=outcomes.target_names,
            higher_is_better=outcomes.higher_is_better,
            noise=noise,
        )
        self.outcomes_hash_ = outcomes.content_hash
        return self

    @overload
    def predict(self, X: ArrayLike, return_std: Literal[False] = False) -> Array: ...

    @overload
    def predict(self, X: ArrayLike, return_std: Literal[True]) -> tuple[Array, Array]: ...

    def predict(self, X: ArrayLike, return_std: bool = False) -> Array | tuple[Array, Array]:
        """Predict the outcomes of subsets.

        Parameters
        ----------
        X : array-like, shape (m, K)
            Subsets.
        return_std : bool
            Also return the posterior standard deviation of g; a single measured outcome scatters about it with
            `noise_variance_` more.

        Returns
        -------
        ndarray, or two
            Shape (m, q), or (m,) where `y` was 1-D.

        Examples
        --------
        >>> from kernelsm import default_surrogate, load_example
        >>> outcomes = load_example("planted")
        >>> g = default_surrogate().fit_outcomes(outcomes)
        >>> predicted, std = g.predict(outcomes.masks, return_std=True)
        >>> predicted.shape == std.shape == outcomes.values.shape
        True
        """
        check_is_fitted(self)
        inputs: Array = validate_data(self, X, dtype=np.float64, reset=False)
        predicted = self._predict(inputs)
        variance = self._predict_variance(inputs) if return_std else None
        if self.measured_rows_ is not None:
            measured, known = self.measured_rows_.lookup(inputs)
            predicted[measured] = known[measured]
            if variance is not None:
                variance[measured] = 0.0
        if variance is None:
            return self._shaped(predicted)
        return self._shaped(predicted), self._shaped(np.sqrt(variance))

    def predict_change(self, X: ArrayLike, reference: ArrayLike) -> tuple[Array, Array]:
        """Predict how the outcome changes from one subset to others.

        Like the readouts this is a difference on F's own scale.

        Parameters
        ----------
        X : array-like, shape (m, K)
            Subsets.
        reference : array-like, shape (K,)
            What they are compared with.

        Returns
        -------
        (ndarray, ndarray)
            g(X) - g(reference) and its posterior standard deviation, shapes as of `predict`. Doubts that both share
            cancel.

        Examples
        --------
        >>> from kernelsm import LinearSurrogate, bernoulli_masks
        >>> masks = bernoulli_masks(K=3, m=20)
        >>> g = LinearSurrogate(ridge=0.0).fit(masks, 5.0 - 2.0 * masks[:, 0])
        >>> change, std = g.predict_change([[1, 0, 0]], reference=[0, 0, 0])
        >>> change.round(6).tolist()
        [-2.0]
        """
        check_is_fitted(self)
        inputs: Array = validate_data(self, X, dtype=np.float64, reset=False)
        base: Array = validate_data(self, np.asarray(reference)[None], dtype=np.float64, reset=False)
        values, variance = self._change(inputs, base)
        if self.measured_rows_ is not None:
            measured, known = self.measured_rows_.lookup(np.vstack([base, inputs]))
            both = measured[0] & measured[1:]
            values[both], variance[both] = (known[1:] - known[0])[both], 0.0
        return self._shaped(values), self._shaped(np.sqrt(variance))

    def predict_exchanges(self, mask: ArrayLike) -> Array:
        """Predict what a subset becomes when one of its tasks is exchanged for one outside.

        Parameters
        ----------
        mask : array-like of 0/1, shape (K,)
            With n tasks.

        Returns
        -------
        ndarray, shape (n, K - n, q)
            By the task that leaves and the one that comes, both rising.

        Raises
        ------
        InputError
            A fit on inputs that are not 0/1.
        """
        self._check_readout()
        at: Array = validate_data(self, np.asarray(mask)[None], dtype=np.float64, reset=False)[0]
        out, into = np.flatnonzero(at), np.flatnonzero(at == 0)
        if not len(out) or not len(into):
            return np.zeros((len(out), len(into), len(self.target_names_)))
        return self._predict_exchanges(at, out, into)

    def attribution(
        self,
        kind: AttributionKind = "leave_one_out",
        *,
        at: ArrayLike | None = None,
        p: float | None = None,
        size: int | None = None,
    ) -> Attribution:
        """Read off the effect of including each task, exactly.

        Parameters
        ----------
        kind : {"leave_one_out", "inclusion", "banzhaf", "shapley"}
            "leave_one_out" is g(at with k) - g(at without k). "inclusion" is the mean of g over random subsets that
            contain k minus the mean over those that do not, the contrast of the paper's score. "banzhaf" is the mean
            of the differences over subsets of the others, each in with probability p (the same as "inclusion" with
            p); "shapley" the mean over random orders: its values sum to g(all) - g(none).
        at : array-like of 0/1, shape (K,), optional
            Anchor of "leave_one_out"; all tasks where not given.
        p : float, optional
            "inclusion", "banzhaf": probability that each task is in; 0.5 where neither p nor size is given.
        size : int, optional
            "inclusion" over subsets of exactly this many tasks, 1..K-1.

        Returns
        -------
        Attribution
            Values and standard deviations (K, q), F(with) - F(without): for a loss negative helps.

        Raises
        ------
        InputError
            Unknown kind, an argument out of range, or a fit on inputs that are not 0/1.

        References
        ----------
        Shapley (1953); Banzhaf (1965); weighted Banzhaf: Li and Yu (2023). The paper's score: section 3.

        Examples
        --------
        >>> from kernelsm import default_surrogate, load_example
        >>> g = default_surrogate().fit_outcomes(load_example("planted"))
        >>> g.attribution("leave_one_out").values.shape
        (10, 1)
        >>> shapley = g.attribution("shapley").values.sum()
        >>> change, std = g.predict_change([[1] * 10], [0] * 10)
        >>> bool(abs(shapley - change[0]).max() < 1e-6)  # Shapley values share out the whole change
        True
        """
        K = self._check_readout()
        distribution, readout = distribution_of(kind, 1, K, at=at, p=p, size=size)
        values, variance = self._attribution(distribution)
        measured = None
        if self.measured_rows_ is not None:
            measured, known = self.measured_rows_.effects(distribution)
            values[measured], variance[measured] = known[measured], 0.0
        return Attribution(
            values, self.task_names_, self.target_names_, self.higher_is_better_, self._meta(readout),
            self.degrees_of_freedom_, np.sqrt(variance), measured,
        )  # fmt: skip

    def interactions(
        self,
        kind: InteractionKind = "second_difference",
        *,
        at: ArrayLike | None = None,
        p: float | None = None,
        size: int | None = None,
    ) -> Interactions:
        """Read off the interaction of every pair of tasks, exactly.

        Parameters
        ----------
        kind : {"second_difference", "inclusion", "banzhaf", "shapley"}
            g(11) - g(10) - g(01) + g(00) in the two tasks, with the others as in `at` ("second_difference"), or
            averaged over subsets of the others as in `attribution`. "inclusion" takes the four means of g over
            random subsets that hold both, the one, the other, and neither. "shapley" is the Shapley interaction
            index.
        at : array-like of 0/1, shape (K,), optional
            Anchor of "second_difference"; all tasks where not given.
        p : float, optional
            "inclusion", "banzhaf": probability that each task is in; 0.5 where neither p nor size is given.
        size : int, optional
            "inclusion" over subsets of exactly this many tasks, 2..K-2.

        Returns
        -------
        Interactions
            Values (K, K, q): for a loss negative is synergy, positive redundancy or conflict. Standard deviations are
            computed when asked for.

        Raises
        ------
        InputError
            Unknown kind, an argument out of range, or a fit on inputs that are not 0/1.

        References
        ----------
        Grabisch and Roubens (1999), An axiomatic approach to the concept of interaction.

        Examples
        --------
        >>> from kernelsm import default_surrogate, load_example
        >>> g = default_surrogate().fit_outcomes(load_example("planted"))
        >>> pairs = g.interactions("banzhaf", p=0.5).top(3)
        >>> sorted(zip(pairs["first"], pairs["second"], strict=True))
        [('XOR left', 'XOR right'), ('copy one', 'copy two'), ('lock (with key)', 'key (with lock)')]
        """
        K = self._check_readout()
        distribution, readout = distribution_of(kind, 2, K, at=at, p=p, size=size)
        # a single task has no pairs
        values = self._interactions(distribution) if K > 1 else np.zeros((1, 1, len(self.target_names_)))
        measured = None
        if self.measured_rows_ is not None and K > 1:
            measured, known = self.measured_rows_.pair_effects(distribution)
            values[measured] = known[measured]
        diagonal = np.arange(K)
        values[diagonal, diagonal] = 0.0
        return Interactions(
            values, self.task_names_, self.target_names_, self.higher_is_better_, self._meta(readout),
            self.degrees_of_freedom_, partial(self._pair_std, distribution, measured), measured,
        )  # fmt: skip

    def pair_means(
        self,
        j: int,
        k: int,
        kind: InteractionKind = "second_difference",
        *,
        at: ArrayLike | None = None,
        p: float | None = None,
        size: int | None = None,
    ) -> Array:
        """Read off the four means of g whose second difference is the interaction of tasks j and k, exactly.

        Parameters
        ----------
        j, k : int
            Two tasks.
        kind, at, p, size
            Which other tasks are in, as of `interactions`. With "second_difference" the means are single predictions.

        Returns
        -------
        ndarray, shape (2, 2, q)
            Entry [a, b] is the mean with task j in (a = 1) or out (0), and task k in (b = 1) or out (0).

        Raises
        ------
        InputError
            No two tasks, or as `interactions`.

        Examples
        --------
        >>> from kernelsm import default_surrogate, load_example
        >>> g = default_surrogate().fit_outcomes(load_example("planted"))
        >>> means = g.pair_means(8, 9)[..., 0]
        >>> second_difference = means[1, 1] - means[1, 0] - means[0, 1] + means[0, 0]
        >>> bool(abs(second_difference - g.interactions().values[8, 9, 0]) < 1e-6)
        True
        """
        K = self._check_readout()
        if not (0 <= j < K and 0 <= k < K and j != k):
            raise InputError("pair", f"{j} and {k}", f"two different tasks of 0 to {K - 1}", "Choose a pair.")
        distribution, _ = distribution_of(kind, 2, K, at=at, p=p, size=size)
        means = self._pair_means(distribution, j, k)
        if self.measured_rows_ is not None and isinstance(distribution, Anchor):
            measured, known = self.measured_rows_.lookup(mean_masks(distribution, K, j, k))
            means[measured] = known[measured]
        return means.reshape(2, 2, -1)

    def _pair_std(
        self, distribution: SubsetDistribution, measured: NDArray[np.bool_] | None, first: Indices, second: Indices
    ) -> Array:
        std = np.sqrt(self._pair_variance(distribution, first, second))
        if measured is not None:
            std[measured[first, second]] = 0.0
        return np.asarray(std)

    def _sees_no_noise(self, X: Array, values: Array) -> bool:
        """Whether the outcomes are known, or show by themselves, to have no noise."""
        return without_noise(self._noise) or (self.is_binary_ and found_without_noise(X, values))

    def _check_readout(self) -> int:
        check_is_fitted(self)
        if not self.is_binary_:
            found = "a fit on inputs that are not 0/1"
            raise InputError("readout", found, "masks of 0 and 1", "A task is in a subset or not: fit on masks.")
        return len(self.task_names_)

    def _meta(self, readout: dict[str, object]) -> dict[str, object]:
        return {**readout, "surrogate": repr(self), "outcomes": self.outcomes_hash_}

    def _shaped(self, values: Array) -> Array:
        return values[:, 0] if self._single_target else values

    @abstractmethod
    def _fit(self, X: Array, values: Array) -> None:
        """Fit to (m, K) inputs and (m, q) values; sets the attributes of this class."""

    @abstractmethod
    def _predict(self, X: Array) -> Array:
        """Predict, shape (m, q)."""

    def _predict_exchanges(self, at: Array, out: Indices, into: Indices) -> Array:
        """Predict exchanges of every task of `out` for every one of `into`, shape (n, K - n, q)."""
        rows = []
        for task in out:
            steps = np.tile(at, (len(into), 1))
            steps[:, task] = 0.0
            steps[np.arange(len(into)), into] = 1.0
            rows.append(self._predict(steps))
        return np.array(rows)

    @abstractmethod
    def _predict_variance(self, X: Array) -> Array:
        """Posterior variance of g, shape (m, q)."""

    @abstractmethod
    def _change(self, X: Array, reference: Array) -> tuple[Array, Array]:
        """Values and variances of g(X) - g(reference), shape (m, q) each; `reference` has one row."""

    @abstractmethod
    def _attribution(self, distribution: SubsetDistribution) -> tuple[Array, Array]:
        """Values and variances, shape (K, q) each."""

    @abstractmethod
    def _interactions(self, distribution: SubsetDistribution) -> Array:
        """Values, shape (K, K, q); the diagonal is overwritten."""

    @abstractmethod
    def _pair_means(self, distribution: SubsetDistribution, j: int, k: int) -> Array:
        """Means at the four `CORNERS` of a pair, shape (4, q)."""

    @abstractmethod
    def _pair_variance(self, distribution: SubsetDistribution, first: Indices, second: Indices) -> Array:
        """Variances of the interactions of some pairs, shape (P, q)."""
