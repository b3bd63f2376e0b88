"""What all surrogates share: fitting as scikit-learn does, names, and the door of the readouts."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from kernelsm.outcomes.table import Outcomes
from kernelsm.outcomes.table_checks import check_names
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.results import Attribution, Interactions

Array = NDArray[np.float64]
AttributionKind = Literal["leave_one_out", "inclusion"]
InteractionKind = Literal["second_difference"]


class Surrogate(MultiOutputMixin, RegressorMixin, BaseEstimator, metaclass=ABCMeta):  # type: ignore[misc]
    """A regression g of outcomes on subsets, all targets at once.

    `fit` and `predict` take any real matrix, as scikit-learn's tools do; the readouts need subsets and refuse
    anything but 0/1.
    """

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        task_names: Sequence[str] | None = None,
        target_names: Sequence[str] | None = None,
        higher_is_better: bool = False,
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
        """
        inputs: Array
        given: Array
        inputs, given = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        self._single_target = given.ndim == 1
        values = given.reshape(len(given), -1).astype(np.float64)
        self.task_names_ = check_names("task_names", task_names, inputs.shape[1], "task")
        self.target_names_ = check_names("target_names", target_names, values.shape[1], "target")
        self.higher_is_better_ = higher_is_better
        self.outcomes_hash_: str | None = None
        self.is_binary_ = bool(np.isin(inputs, (0.0, 1.0)).all())
        self._fit(inputs, values)
        return self

    def fit_outcomes(self, outcomes: Outcomes) -> Self:
        """Fit g to a table of outcomes and take over its names."""
        self.fit(
            outcomes.masks,
            outcomes.values,
            task_names=outcomes.task_names,
            target_names=outcomes.target_names,
            higher_is_better=outcomes.higher_is_better,
        )
        self.outcomes_hash_ = outcomes.content_hash
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predict the outcomes of subsets; shape (m, q), or (m,) where `y` was 1-D."""
        check_is_fitted(self)
        inputs: Array = validate_data(self, X, dtype=np.float64, reset=False)
        predicted = self._predict(inputs)
        return predicted[:, 0] if self._single_target else predicted

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
        kind : {"leave_one_out", "inclusion"}
            "leave_one_out" is g(at with k) - g(at without k). "inclusion" is the mean of g over random subsets that
            contain k minus the mean over those that do not, the contrast of the paper's score.
        at : array-like of 0/1, shape (K,), optional
            Anchor of "leave_one_out"; all tasks where not given.
        p : float, optional
            "inclusion" over subsets that hold each task with probability p (0.5 where neither p nor size is given).
        size : int, optional
            "inclusion" over subsets of exactly this many tasks, 1..K-1.

        Returns
        -------
        Attribution
            Values (K, q), F(with) - F(without): for a loss negative helps.

        Raises
        ------
        InputError
            Unknown kind, an argument out of range, or a fit on inputs that are not 0/1.
        """
        K = self._check_readout()
        if kind == "leave_one_out":
            if p is not None or size is not None:
                raise InputError(
                    "attribution", "p or size", "only `at` with 'leave_one_out'", "Use kind='inclusion'."
                )
            anchor = self._anchor(at, K)
            values = self._leave_one_out(anchor)
            readout: dict[str, Any] = {"readout": kind, "at": anchor.astype(int).tolist()}
        elif kind == "inclusion":
            if at is not None or (p is not None and size is not None):
                raise InputError("attribution", "`at`, or both p and size", "one of p and size", "Give one of them.")
            p = 0.5 if p is None and size is None else p
            if p is not None and not 0.0 < p < 1.0:
                raise InputError("p", f"{p}", "a probability between 0 and 1", "0.5 is usual.")
            if size is not None and not 1 <= size <= K - 1:
                raise InputError("size", f"{size}", f"1 to {K - 1}", "Both with and without k must exist.")
            values = self._inclusion(p, size)
            readout = {"readout": kind, "p": p, "size": size}
        else:
            raise InputError("kind", repr(kind), "'leave_one_out' or 'inclusion'", "Choose one of these.")
        meta = {**readout, "surrogate": repr(self), "outcomes": self.outcomes_hash_}
        return Attribution(values, self.task_names_, self.target_names_, self.higher_is_better_, meta)

    def interactions(
        self, kind: InteractionKind = "second_difference", *, at: ArrayLike | None = None
    ) -> Interactions:
        """Read off the interaction of every pair of tasks, exactly.

        Parameters
        ----------
        kind : {"second_difference"}
            g(11) - g(10) - g(01) + g(00) in the two tasks, the others as in `at`.
        at : array-like of 0/1, shape (K,), optional
            Anchor; all tasks where not given.

        Returns
        -------
        Interactions
            Values (K, K, q): for a loss negative is synergy, positive redundancy or conflict.

        Raises
        ------
        InputError
            Unknown kind, a wrong anchor, or a fit on inputs that are not 0/1.
        """
        K = self._check_readout()
        if kind != "second_difference":
            raise InputError("kind", repr(kind), "'second_difference'", "Choose this one.")
        anchor = self._anchor(at, K)
        values = self._second_difference(anchor)
        diagonal = np.arange(K)
        values[diagonal, diagonal] = 0.0
        meta = {
            "readout": kind,
            "at": anchor.astype(int).tolist(),
            "surrogate": repr(self),
            "outcomes": self.outcomes_hash_,
        }
        return Interactions(values, self.task_names_, self.target_names_, self.higher_is_better_, meta)

    def _check_readout(self) -> int:
        check_is_fitted(self)
        if not self.is_binary_:
            found = "a fit on inputs that are not 0/1"
            raise InputError("readout", found, "masks of 0 and 1", "A task is in a subset or not: fit on masks.")
        return len(self.task_names_)

    @staticmethod
    def _anchor(at: ArrayLike | None, K: int) -> Array:
        anchor = np.ones(K) if at is None else np.asarray(at, dtype=np.float64)
        if anchor.shape != (K,) or not np.isin(anchor, (0.0, 1.0)).all():
            raise InputError("at", f"shape {anchor.shape}", f"{K} values of 0 or 1", "Give one value per task.")
        return anchor

    @abstractmethod
    def _fit(self, X: Array, values: Array) -> None:
        """Fit to (m, K) inputs and (m, q) values."""

    @abstractmethod
    def _predict(self, X: Array) -> Array:
        """Predict, shape (m, q)."""

    @abstractmethod
    def _leave_one_out(self, at: Array) -> Array:
        """g(at with k) - g(at without k), shape (K, q)."""

    @abstractmethod
    def _inclusion(self, p: float | None, size: int | None) -> Array:
        """Mean of g over subsets with k minus over those without, shape (K, q)."""

    @abstractmethod
    def _second_difference(self, at: Array) -> Array:
        """Second differences, shape (K, K, q); the diagonal is overwritten."""
