"""AutoSurrogate, the default: it makes every choice on the fitted subsets alone."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.utils.validation import check_is_fitted

from kernelsm.outcomes.rank_correlation import rank_correlation
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import NEAR, mean_ranks, varies
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.kernel_choice import CandidateKernels
from kernelsm.surrogates.measured_rows import distinct_rows
from kernelsm.surrogates.outcome_scales import POSITIVE_ONLY, SCALES, ScoreToOutcome, transformed_back
from kernelsm.surrogates.shared import SharedSurrogate, Sharing
from kernelsm.surrogates.subset_distributions import Array, Indices, SubsetDistribution
from kernelsm.surrogates.tuning import tuning_rows

# how sharply better scales are preferred: weight = (1 - leave-one-out rank correlation)^-4
_SHARPNESS = 4
_PERFECT, _WORST = 0.9999, -0.5
# by so many standard errors, of values and ranks together, all scales must predict better than the own one alone
_TOLD_APART, _TOLD_CLEARLY = 2.5, 4.0
# attributes that a fit takes from its table beside the numbers
_TABLE_ATTRIBUTES = (
    "task_names_", "target_names_", "higher_is_better_", "outcomes_hash_", "is_binary_", "n_features_in_",
    "feature_names_in_", "_single_target", "measured_rows_",
)  # fmt: skip
_LEAST_RANK_CORRELATION, _LEAST_EXPLAINED_SHARE = 0.2, 0.25


class AutoSurrogate(Surrogate):
    """Surrogates of the outcomes on several scales, averaged by how well each predicts left-out subsets.

    On every scale (the outcome's own, its root, its logarithm, its ranks) a `SharedSurrogate` chooses kernels,
    ridges and shared components; which targets share, which tasks matter and which act together is found on the own
    scale. A score is the average over scales, for each target weighted by the rank correlation of its leave-one-out
    predictions with the outcomes; the first scale that ranks all of them correctly is used alone. The prediction is
    the score, mapped to the outcome's own scale by an increasing curve (`ScoreToOutcome`) - or, unless that is told
    to predict left-out subsets better, the prediction on the own scale alone.

    Readouts are differences of F and belong on F's own scale: they are those of the surrogate fitted there
    (`effects_`), exact and with intervals. Outcomes without noise are interpolated, and outcomes far from everything
    else are set aside and named (`outlier_rows_`).

    Parameters
    ----------
    scales : sequence of {"identity", "sqrt", "log", "rank"}
        Scales tried; "identity" is always among them. The root and the logarithm are left out where an outcome is
        not above 0.
    sharing : {"auto", "components", "targets"}
        See `SharedSurrogate`.
    tuning_rows : int, optional
        At most this many subsets, drawn at random, make the choices; the fit takes all. None takes all.

    Attributes
    ----------
    effects_ : SharedSurrogate
        Fitted on the outcome's own scale.
    weights_ : dict of str to ndarray, shape (q,)
        Weight of each scale in each target's prediction.
    own_scale_only_ : ndarray of bool, shape (q,)
        Targets for which the other scales are left out, because they do not predict left-out subsets better.
    outlier_rows_ : ndarray of int
        Rows with an outcome far from everything else. The fit takes their left-out predictions instead.
    outliers_ : ndarray of bool, shape (m, q)
        Which outcomes these are; without noise, of each subset once.
    ranks_only_ : ndarray of bool, shape (q,)
        Targets whose predictions order left-out subsets (rank correlation ρ above 0.2) but explain less than ρ²/4 of
        the variance, as with a few outliers: only the ranks of their predictions mean something.

    Notes
    -----
    Leave-one-out predictions of shared components are slightly optimistic, because the components were computed with
    the row left out; the weights, `ranks_only_` and `noise_variance_` rest on them.

    On the outcomes published with the paper (200 prompts, 869 queries, 80 prompts to fit) its LDS is 0.63 against
    0.52 of RBF ridge regression with the authors' fixed parameters (`benchmarks/coin_flip.py`).

    Examples
    --------
    >>> from kernelsm import AutoSurrogate, load_example, load_truth, lds
    >>> g = AutoSurrogate().fit_outcomes(load_example("planted"))
    >>> sorted(g.weights_)
    ['identity', 'log', 'rank', 'sqrt']
    >>> truth = load_truth("planted")
    >>> lds(truth.values, g.predict(truth.masks)) > 0.9
    True
    """

    def __init__(
        self,
        *,
        scales: Sequence[str] = ("identity", "sqrt", "log", "rank"),
        sharing: Sharing = "auto",
        tuning_rows: int | None = 1000,
    ) -> None:
        self.scales = scales
        self.sharing = sharing
        self.tuning_rows = tuning_rows

    def _fit(self, X: Array, values: Array) -> None:
        if unknown := [scale for scale in self.scales if scale not in SCALES]:
            raise InputError("scales", repr(unknown[0]), ", ".join(map(repr, SCALES)), "Choose among these.")
        masks = X
        if self._sees_no_noise(X, values):
            self.measured_rows_ = distinct_rows(X, values)
            X, values = self.measured_rows_.masks, self.measured_rows_.values
        rows = tuning_rows(len(X), self.tuning_rows)
        candidates = CandidateKernels(X[rows])
        own = self._fit_scale("identity", candidates, X, values)
        self.outliers_ = self._find_outliers(own, candidates, values, rows)
        if self.outliers_.any():
            cleaned = values.copy()
            for j in map(int, np.flatnonzero(self.outliers_.any(axis=0))):
                far = self.outliers_[rows, j]
                cleaned[self.outliers_[:, j], j] = self._replacement[j][far]
            values = cleaned
            if self.measured_rows_ is not None:
                self.measured_rows_ = replace(self.measured_rows_, outliers=True)
            own = self._fit_scale("identity", candidates, X, values)
        self._scaled = {"identity": own}
        positive = bool((values > 0).all())
        for scale in dict.fromkeys(self.scales):
            if scale != "identity" and (positive or scale not in POSITIVE_ONLY):
                self._scaled[scale] = self._fit_scale(scale, candidates, X, values, own)
        for part in self._scaled.values():
            part.composites_ = {j: composite.without_rows() for j, composite in part.composites_.items()}
        self.effects_ = own
        self._set_rows_aside(masks)
        self.degrees_of_freedom_ = self.effects_.degrees_of_freedom_
        self._weigh(values, values[rows])

    def _fit_scale(
        self, scale: str, candidates: CandidateKernels, X: Array, values: Array, own: SharedSurrogate | None = None
    ) -> SharedSurrogate:
        """Fit to the outcomes on one scale; sharing, relevance and terms are those of the outcome's own."""
        surrogate = SharedSurrogate(
            sharing=self.sharing if own is None else own.sharing_, tuning_rows=self.tuning_rows
        )
        surrogate._like = None if own is None else own.composites_
        surrogate.tuning_rows_ = tuning_rows(len(X), self.tuning_rows)
        scaled = SCALES[scale](values)
        noise = _rescaled(self._noise, values, scaled)
        surrogate._fit_with(candidates, X, scaled, noise, noisy=self.measured_rows_ is None)
        return surrogate

    def _find_outliers(
        self, own: SharedSurrogate, candidates: CandidateKernels, values: Array, rows: slice | Indices
    ) -> NDArray[np.bool_]:
        """Say which outcomes are far from everything else, on the own scale and, where all are above 0, the log one.

        On one scale alone they are the long tail of another.
        """
        noisy = self.measured_rows_ is None
        outliers = np.zeros(values.shape, dtype=bool)
        self._replacement: dict[int, Array] = {}
        places = np.arange(len(values))[rows]
        for j, composite in own.composites_.items():
            column = values[rows, j]
            search = candidates.composites(values.shape[1])
            scale = own._weight[j] * own.composite_unit_[j]
            far, cleaned = search.outlying_rows((column - own._mean[j]) / scale, composite, noisy=noisy)
            if len(far) and (values[:, j] > 0).all():
                logarithm = np.log(column)
                logarithm = (logarithm - logarithm.mean()) / logarithm.std()
                like = search.refit(logarithm, composite)
                far = np.intersect1d(far, search.outlying_rows(logarithm, like, noisy=noisy)[0])
            if len(far):
                replaced = cleaned * scale + own._mean[j]
                # a prediction may leave the range of the outcomes, and with it the scales on which they make sense
                others = np.delete(column, far)
                self._replacement[j] = np.clip(replaced, others.min(), others.max())
                outliers[places[far], j] = True
        return outliers

    def _set_rows_aside(self, masks: Array) -> None:
        """Name the rows of the table with an outlying outcome."""
        far = self.outliers_.any(axis=1)
        if self.measured_rows_ is None or not far.any():
            self.outlier_rows_ = np.flatnonzero(far)
            return
        found = [(masks == mask).all(axis=1) for mask in self.measured_rows_.masks[far]]
        self.outlier_rows_ = np.flatnonzero(np.any(found, axis=0))

    def _weigh(self, values: Array, observed: Array) -> None:
        """Weigh the scales by leave-one-out predictions of the tuning rows; fit the curve back to the outcome's."""
        self._centre = {name: part.left_out_.mean(axis=0) for name, part in self._scaled.items()}
        scaled = {name: SCALES[name](values) for name in self._scaled}
        self._spread = {name: np.where(varies(table), table.std(axis=0), 1.0) for name, table in scaled.items()}
        ranks = np.nan_to_num([rank_correlation(observed, part.left_out_) for part in self._scaled.values()])
        raw = (1 - np.clip(ranks, _WORST, _PERFECT)) ** -_SHARPNESS
        perfect = ranks >= _PERFECT
        raw = np.where(perfect.any(axis=0), perfect & (np.cumsum(perfect, axis=0) == 1), raw)
        self.weights_ = dict(zip(self._scaled, raw / raw.sum(axis=0), strict=True))
        left_out = self._average({name: part.left_out_ for name, part in self._scaled.items()})
        self._score_to_outcome = ScoreToOutcome(tuple(self._scaled), left_out, observed, self._guide(observed))
        std = self._average_std({name: np.sqrt(part.left_out_variance_)[None] for name, part in self._scaled.items()})
        predicted = self._score_to_outcome(left_out)
        missed = ((observed - predicted) ** 2).mean(axis=0)
        latent = (self._score_to_outcome.spread(left_out, std) ** 2).mean(axis=0)
        known = 0.0 if self._noise is None else (self._noise**2).sum(axis=0)
        own = self.effects_.left_out_
        self.own_scale_only_ = ~_predicted_better(predicted, own, observed)
        self.weights_["identity"] = np.where(self.own_scale_only_, 1.0, self.weights_["identity"])
        for name in set(self.weights_) - {"identity"}:
            self.weights_[name] = np.where(self.own_scale_only_, 0.0, self.weights_[name])
        self.noise_variance_ = np.where(
            self.own_scale_only_, self.effects_.noise_variance_, np.maximum(missed - latent, known)
        )
        if self.measured_rows_ is not None:
            self.noise_variance_ = np.zeros(values.shape[1])
        ranked = np.nan_to_num(rank_correlation(observed, np.where(self.own_scale_only_, own, left_out)))
        missed = ((observed - np.where(self.own_scale_only_, own, predicted)) ** 2).mean(axis=0)
        explained = 1 - missed / np.where(observed.var(axis=0) > 0, observed.var(axis=0), np.inf)
        self.ranks_only_ = (ranked > _LEAST_RANK_CORRELATION) & (explained < _LEAST_EXPLAINED_SHARE * ranked**2)

    def _guide(self, observed: Array) -> Array:
        """Left-out predictions of every scale, each transformed back, in the mixture of the least squared error."""
        back = np.array(
            [
                transformed_back(scale, part.left_out_, np.sort(observed, axis=0))
                for scale, part in self._scaled.items()
            ]
        )
        guide = np.empty_like(observed)
        for j in range(observed.shape[1]):
            means, mean = back[:, :, j].mean(axis=1), observed[:, j].mean()
            weights, _ = nnls((back[:, :, j] - means[:, None]).T, observed[:, j] - mean)
            guide[:, j] = mean + weights @ (back[:, :, j] - means[:, None])
        return guide

    def _average(self, tables: dict[str, Array]) -> Array:
        """Weighted mean over scales, each about its centre in units of its own spread."""
        return np.asarray(
            sum(
                self.weights_[name] * (table - self._centre[name]) / self._spread[name]
                for name, table in tables.items()
            )
        )

    def _average_std(self, stds: dict[str, Array]) -> Array:
        """Standard deviation of that mean, for fully correlated errors: all scales see the same outcomes."""
        return np.asarray(sum(self.weights_[name] * std / self._spread[name] for name, std in stds.items()))

    def _predict(self, X: Array) -> Array:
        own = self.effects_._predict(X)
        if self.own_scale_only_.all():
            return own
        return np.where(self.own_scale_only_, own, self._score_to_outcome(self._score(X)))

    def _predict_variance(self, X: Array) -> Array:
        own = self.effects_._predict_variance(X)
        if self.own_scale_only_.all():
            return own
        std = self._average_std({name: np.sqrt(part._predict_variance(X)) for name, part in self._scaled.items()})
        variance = self._score_to_outcome.spread(self._score(X), std) ** 2
        # where no scale predicts anything, the prediction is the mean, which is uncertain too
        return np.where(self.own_scale_only_ | self._score_to_outcome.flat, own, variance)

    def _score(self, X: Array) -> Array:
        return self._average({name: part._predict(X) for name, part in self._scaled.items()})

    def on_own_scale(self) -> SharedSurrogate:
        """Return the surrogate on the outcome's own scale, from which all readouts come, as an independent one.

        Examples
        --------
        >>> from kernelsm import AutoSurrogate, load_example
        >>> g = AutoSurrogate().fit_outcomes(load_example("planted"))
        >>> bool((g.on_own_scale().attribution().values == g.attribution().values).all())
        True
        """
        check_is_fitted(self)
        own = copy(self.effects_)
        for name in _TABLE_ATTRIBUTES:
            if hasattr(self, name):  # features have names only where they came in a data frame
                setattr(own, name, getattr(self, name))
        return own

    def _change(self, X: Array, reference: Array) -> tuple[Array, Array]:
        return self.effects_._change(X, reference)

    def _attribution(self, distribution: SubsetDistribution) -> tuple[Array, Array]:
        return self.effects_._attribution(distribution)

    def _interactions(self, distribution: SubsetDistribution) -> Array:
        return self.effects_._interactions(distribution)

    def _pair_means(self, distribution: SubsetDistribution, j: int, k: int) -> Array:
        return self.effects_._pair_means(distribution, j, k)

    def _pair_variance(self, distribution: SubsetDistribution, first: Indices, second: Indices) -> Array:
        return self.effects_._pair_variance(distribution, first, second)


def _rescaled(noise: Array | None, values: Array, scaled: Array) -> Array | None:
    """Known noise on another scale: the same share of the spread there as on the outcome's own scale."""
    if noise is None:
        return None
    spread = np.where(varies(values), values.std(axis=0), 1.0)
    return np.asarray(noise * scaled.std(axis=0) / spread)


def _predicted_better(predicted: Array, own: Array, observed: Array) -> NDArray[np.bool_]:
    """Targets, shape (q,), whose left-out predictions of all scales are told from those of the own one.

    Judged are the squared errors of values and of ranks that the others save, in standard errors over the rows: their
    mean over targets, as tables share the choice and a single target's rows say little, or a target's own where it
    speaks clearly.
    """
    varied = varies(observed)
    if not varied.any():
        return np.zeros(len(varied), dtype=bool)
    together, alone = 0.0, np.zeros(int(varied.sum()))
    for table in (lambda values: values, mean_ranks):
        truth = table(observed[:, varied])
        spread = np.maximum(truth.std(axis=0), 1e-300)
        errors = [((table(part[:, varied]) - truth) / spread) ** 2 for part in (own, predicted)]
        saved = errors[0] - errors[1]
        together += float(_standard_errors(saved.mean(axis=1, keepdims=True))[0])
        alone += _standard_errors(saved)
    told = varied.copy()
    told[varied] = (together > _TOLD_APART) | (alone > _TOLD_CLEARLY)
    return told


def _standard_errors(saved: Array) -> Array:
    """Mean over the rows in units of its standard error; what only rounds counts as nothing."""
    return np.asarray(saved.mean(axis=0) / np.maximum(saved.std(axis=0) / np.sqrt(len(saved)), NEAR))


def default_surrogate() -> AutoSurrogate:
    """Return the surrogate that the dashboard offers first, not fitted yet.

    Examples
    --------
    >>> from kernelsm import default_surrogate, load_example
    >>> g = default_surrogate().fit_outcomes(load_example("planted"))
    >>> g.attribution().top(1)["words"][0]
    'Including ... lowers the loss by ...: it helps.'
    """
    return AutoSurrogate()
