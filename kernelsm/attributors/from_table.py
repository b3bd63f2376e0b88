"""Methods that ask a table of outcomes alone: surrogates, datamodels and ProxySPEX."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.attributors.attributor import Array, Attributor, Masks, MethodCost, check_masks
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.checks import check_whole
from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
from kernelsm.runtime.executors import Task
from kernelsm.runtime.extras import needed_by
from kernelsm.runtime.near_ties import varies
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.surrogates.base import AttributionKind, Surrogate
from kernelsm.surrogates.results import Attribution, Interactions

LASSO_CHUNKS = ChunkKind("datamodels", version=1)
SERIES_CHUNKS = ChunkKind("proxyspex_series", version=1)


class _FromTable(Attributor):
    """What methods on a table share.

    Parameters
    ----------
    outcomes : Outcomes
        Fitted to all of them.
    """

    def __init__(self, outcomes: Outcomes) -> None:
        self.outcomes = outcomes

    @property
    def task_names(self) -> Sequence[str]:
        """Names of the K tasks."""
        return self.outcomes.task_names

    @property
    def target_names(self) -> Sequence[str]:
        """Names of the q targets."""
        return self.outcomes.target_names

    def _everything(self) -> Masks:
        return np.ones((1, self.outcomes.K), dtype=np.bool_)

    def baseline(self) -> Array:
        """Predicted outcome of all tasks together, shape (q,)."""
        return np.asarray(self.predict(self._everything())[0])

    def _result(self, values: Array) -> Attribution:
        return Attribution(
            values, tuple(self.task_names), tuple(self.target_names), self.outcomes.higher_is_better,
            meta={"readout": self.name, **self.settings(), "outcomes": self.outcomes.content_hash},
        )  # fmt: skip


class SurrogateAttribution(_FromTable):
    """A surrogate of this package: effects and pairs are read off it exactly, with intervals.

    Parameters
    ----------
    outcomes : Outcomes
    make : callable
        Returns the surrogate to fit.
    name, title : str
    readout : str
        Which readout is its effect of a task: "leave_one_out", or "banzhaf", the average over all subsets. Where all
        subsets hold one number of tasks, neither is near anything that was measured, and "inclusion" among subsets of
        that size stands in its place.
    seconds : float
        What a fit of one target takes with 400 subsets.
    pairs : bool
        Whether it can say anything about pairs.

    Examples
    --------
    >>> from kernelsm import default_surrogate, load_example
    >>> from kernelsm.attributors.from_table import SurrogateAttribution
    >>> default = SurrogateAttribution(load_example("planted"), default_surrogate, "default", "default surrogate")
    >>> default.attribute().values.shape
    (10, 1)
    """

    has_intervals, is_additive = True, False

    def __init__(
        self, outcomes: Outcomes, make: Callable[[], Surrogate], name: str, title: str, *,
        readout: AttributionKind = "leave_one_out", seconds: float = 0.5, pairs: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(outcomes)
        self.size = _only_size(outcomes)
        self.readout: AttributionKind = readout if self.size is None else "inclusion"
        self.name, self.title, self.has_pairs = name, title, pairs
        self._make, self._seconds = make, seconds
        self._fitted: Surrogate | None = None

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {"effect": self.readout} if self.size is None else {"effect": self.readout, "size": self.size}

    def cost(self) -> MethodCost:
        """A fit for each target; it grows with the square of the subsets, as measured."""
        m, q = self.outcomes.m, self.outcomes.q
        return MethodCost(0, self._seconds * q * (m / 400) ** 2, 8 * 20 * m * m)

    def surrogate(self) -> Surrogate:
        """Return the fitted surrogate."""
        if self._fitted is None:
            self._fitted = self._make().fit_outcomes(self.outcomes)
        return self._fitted

    def attribute(self, *, store: Store | None = None, report: Report = silent) -> Attribution:
        """Fit, and read effects off; a fit takes too little time to be kept."""
        size = {} if self.size is None else {"size": self.size}
        found = self.surrogate().attribution(self.readout, **size)
        report(1, 1, self.title)
        return found

    def interactions(self, *, store: Store | None = None, report: Report = silent) -> Interactions:
        """Read second differences at all tasks off; a linear surrogate has none."""
        if not self.has_pairs:
            return super().interactions(store=store, report=report)
        return self.surrogate().interactions("second_difference")

    def predict(self, masks: Masks, *, store: Store | None = None, report: Report = silent) -> Array:
        """Predict subsets by the surrogate itself, pairs and all."""
        found = self.surrogate().predict(check_masks(masks, self.outcomes.K))
        return np.asarray(found).reshape(len(masks), -1)


def _only_size(outcomes: Outcomes) -> int | None:
    """How many tasks every subset holds, where that is one number and neither none nor all."""
    sizes = np.unique(outcomes.masks.sum(axis=1))
    return int(sizes[0]) if len(sizes) == 1 and 0 < sizes[0] < outcomes.K else None


class _Predictor(_FromTable):
    """Methods whose effects are differences of their predictions."""

    is_additive = False

    @abstractmethod
    def _fit(self, store: Store | None, report: Report) -> None:
        """Make `_values` work."""

    @abstractmethod
    def _values(self, masks: Masks) -> Array:
        """Predictions (m, q)."""

    def predict(self, masks: Masks, *, store: Store | None = None, report: Report = silent) -> Array:
        """Predict subsets, shape (m, q)."""
        self._fit(store, report)
        return self._values(check_masks(masks, self.outcomes.K))

    def attribute(self, *, store: Store | None = None, report: Report = silent) -> Attribution:
        """Prediction of all tasks minus that of all but each."""
        self._fit(store, report)
        without = ~np.eye(self.outcomes.K, dtype=np.bool_)
        return self._result(self._values(self._everything()) - self._values(without))

    def interactions(self, *, store: Store | None = None, report: Report = silent) -> Interactions:
        """Second differences of the predictions, all other tasks being in."""
        if not self.has_pairs:
            return super().interactions(store=store, report=report)
        self._fit(store, report)
        K = self.outcomes.K
        single = ~np.eye(K, dtype=np.bool_)
        alone = self._values(single)
        first, second = np.triu_indices(K, k=1)
        both = self._values(single[first] & single[second])
        values = np.zeros((K, K, self.outcomes.q))
        found = self._values(self._everything()) - alone[first] - alone[second] + both
        values[first, second] = values[second, first] = found
        return Interactions(
            values, tuple(self.task_names), tuple(self.target_names), self.outcomes.higher_is_better,
            meta={"readout": self.name, **self.settings(), "outcomes": self.outcomes.content_hash},
        )  # fmt: skip


class Datamodels(_Predictor):
    """Lasso on the indicators of tasks, a target at a time, its penalty by cross-validation.

    Parameters
    ----------
    outcomes : Outcomes
    folds : int
        Of the cross-validation.

    References
    ----------
    Ilyas et al. (2022), Datamodels: predicting predictions from training data.

    Examples
    --------
    >>> from kernelsm import load_example
    >>> from kernelsm.attributors.from_table import Datamodels
    >>> Datamodels(load_example("planted")).attribute().values.shape
    (10, 1)
    """

    name, title, is_additive = "datamodels", "datamodels (Lasso)", True

    def __init__(self, outcomes: Outcomes, *, folds: int = 5) -> None:
        super().__init__(outcomes)
        self.folds = check_whole("folds", folds, 2, max(2, outcomes.m))
        self._fitted: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {"folds": self.folds}

    def cost(self) -> MethodCost:
        """A path of a hundred penalties for each fold and target."""
        m, q, K = self.outcomes.m, self.outcomes.q, self.outcomes.K
        return MethodCost(0, 0.1 * q * (m / 400) * max(1.0, K / 20), 8 * m * K * 2)

    def _fit(self, store: Store | None, report: Report) -> None:
        if self._fitted is not None:
            return

        def fit() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            from sklearn.linear_model import LassoCV

            X, values = self.outcomes.masks.astype(np.float64), self.outcomes.values
            coefficients, constants = np.zeros((self.outcomes.K, self.outcomes.q)), values.mean(axis=0)
            for j in np.flatnonzero(varies(values)):
                lasso = LassoCV(cv=self.folds, random_state=0).fit(X, values[:, j])
                coefficients[:, j], constants[j] = lasso.coef_, lasso.intercept_
                report(int(j) + 1, self.outcomes.q, self.title, reused=None)
            return coefficients, constants

        key = (self.outcomes.content_hash, self.folds)
        self._fitted = fit() if store is None else store.chunk(LASSO_CHUNKS, key, fit)

    def _values(self, masks: Masks) -> Array:
        assert self._fitted is not None
        coefficients, constants = self._fitted
        return np.asarray(masks.astype(np.float64) @ coefficients + constants)


class ProxySpex(_Predictor):
    """ProxySPEX by the library spectralexplain: the sparse Fourier series of boosted trees, a target at a time.

    As the library comes it has leaves of 20 rows and no constant term, which suits thousands of subsets; here leaves
    hold `leaf` rows, and outcomes are centred.

    Parameters
    ----------
    outcomes : Outcomes
    max_order : int
        Most tasks in one term.
    leaf : int
        Least rows of a leaf.

    References
    ----------
    Butler et al. (2025), ProxySPEX: inference-efficient interpretability via sparse feature interactions.
    """

    name, title, has_pairs = "proxyspex", "ProxySPEX", True

    def __init__(self, outcomes: Outcomes, *, max_order: int = 5, leaf: int = 5) -> None:
        super().__init__(outcomes)
        self.max_order, self.leaf = check_whole("max_order", max_order), check_whole("leaf", leaf)
        self._series: list[tuple[NDArray[np.float64], NDArray[np.float64], float]] = []

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {"max_order": self.max_order, "leaf": self.leaf}

    def cost(self) -> MethodCost:
        """The library's search takes about 17 s a target of the digits with 400 subsets."""
        return MethodCost(0, 17.0 * self.outcomes.q * self.outcomes.m / 400, 100 * 2**20)

    def _fit(self, store: Store | None, report: Report) -> None:
        if self._series:
            return
        columns = [np.ascontiguousarray(column) for column in self.outcomes.values.T]
        keys = [(self.outcomes.masks, column, self.max_order, self.leaf) for column in columns]
        work = ChunkedWork(lambda: Task(self._one), SERIES_CHUNKS, self.title)
        self._series = computed_chunks(work, keys, columns, store, report)

    def _one(self, column: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Terms (T, K) of 0 and 1, their coefficients and the constant."""
        with needed_by(self.name):
            from lightgbm import LGBMRegressor
            from spectralexplain import utils

        def small_leaves(**settings: Any) -> Any:
            return LGBMRegressor(**{**settings, "n_jobs": 1, "min_child_samples": self.leaf, "verbose": -1})

        mean = float(column.mean())
        library, utils.lgb = utils.lgb, SimpleNamespace(LGBMRegressor=small_leaves)
        try:
            series = utils.proxy_spex((self.outcomes.masks.astype(float), column - mean), max_order=self.max_order)
        finally:
            utils.lgb = library
        terms = np.array(list(series), dtype=np.float64).reshape(-1, self.outcomes.K)
        return terms, np.array(list(series.values()), dtype=np.float64), mean

    def _values(self, masks: Masks) -> Array:
        inside = masks.astype(np.float64)
        columns = [
            mean + (1 - 2 * (np.rint(inside @ terms.T) % 2)) @ coefficients
            for terms, coefficients, mean in self._series
        ]
        return np.asarray(np.stack(columns, axis=1))
