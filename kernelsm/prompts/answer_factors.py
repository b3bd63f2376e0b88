"""What few answers after a prompt say about its answers to all other queries.

A prompt moves the answers to all queries together: towards a label, or towards certainty. So on a scale without
bounds the answers of many prompts to many queries are, but for noise, a table of low rank,

    x_pj = μ_j + u_p · v_j + ε_pj,    u_p ~ N(0, 1),    ε_pj ~ N(0, σ_j²),

which is probabilistic principal component analysis with entries missing (Tipping and Bishop 1999). Once some prompts
have been asked about all queries, a handful of answers tells u of another prompt, and with it all its answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from kernelsm.runtime.checks import check_choice, check_whole
from kernelsm.runtime.errors import InputError

Array = NDArray[np.float64]
SCALES = ("margin", "log", "plain")
_ITERATIONS = 30
_LARGEST = 15.0  # of a margin: e**-15 of a loss is far below what anything here tells apart
_PSEUDO = 5.0  # answers for which the noise of all queries stands in that of one
_FEWEST = 1e-6  # of a loss, in nats
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True)
class AnswerScale:
    """How outcomes of single queries are written without bounds.

    Parameters
    ----------
    name : {"margin", "log", "plain"}
        "margin": x = log p / (1 - p) of a loss -log p; "log": the logarithm of a positive outcome; "plain": the
        outcome itself, 0 or 1 where an answer is right or wrong.
    accuracy : bool
        Of "margin": the outcome is 1 where x > 0 and else 0, and answers are given as losses all the same.
    """

    name: str
    accuracy: bool = False

    def __post_init__(self) -> None:
        check_choice("scale", self.name, SCALES)

    def free(self, losses: Array) -> Array:
        """Write answers on the scale; NaN stays."""
        if self.name == "plain":
            return losses
        positive = np.maximum(losses, _FEWEST)
        if self.name == "log":
            return np.asarray(np.log(positive))
        return np.asarray(np.clip(-positive - np.log(-np.expm1(-positive)), -_LARGEST, _LARGEST))

    def expected(self, mean: Array, variance: Array) -> Array:
        """Return the mean outcome where x is normal with this mean and variance (they broadcast)."""
        if self.name == "plain":
            return np.asarray(mean + 0 * variance)
        if self.name == "log":
            return np.asarray(np.exp(np.clip(mean + variance / 2, -50, 50)))
        spread = np.sqrt(variance)
        if self.accuracy:
            return np.asarray(norm.cdf(mean / np.maximum(spread, 1e-9)))
        total = np.zeros(np.broadcast(mean, variance).shape)
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            x = mean + spread * node
            total += weight * np.logaddexp(0.0, -x)
        return total

    def outcome(self, losses: Array) -> Array:
        """Return the outcomes of answers that are given as losses; NaN stays."""
        if not self.accuracy:
            return losses
        return np.where(np.isnan(losses), np.nan, (self.free(np.nan_to_num(losses, nan=1.0)) > 0).astype(float))


class AnswerFactors:
    """The table of low rank, fitted to answers some of which are missing.

    Parameters
    ----------
    scale : AnswerScale
    rank : int
        Numbers u of a prompt.

    Attributes
    ----------
    means_ : ndarray, shape (q,)
        μ.
    loadings_ : ndarray, shape (q, rank)
        v.
    noise_ : ndarray, shape (q,)
        σ².

    References
    ----------
    Tipping and Bishop (1999), Probabilistic principal component analysis.

    Examples
    --------
    Answers of 30 prompts to 40 queries move together; of the last one five answers are known.

    >>> import numpy as np
    >>> from kernelsm.prompts.answer_factors import AnswerFactors, AnswerScale
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(30, 1)) * np.where(rng.random(40) < 0.5, 1.0, -1.0) + 0.1 * rng.normal(size=(30, 40))
    >>> losses = np.logaddexp(0, -x)
    >>> seen = losses.copy()
    >>> seen[-1, 5:] = np.nan
    >>> factors = AnswerFactors(AnswerScale("margin"), rank=1).fit(seen)
    >>> mean, std = factors.complete(seen[-1:])
    >>> abs(mean[0] - losses[-1].mean()) < 0.03
    np.True_
    """

    means_: Array
    loadings_: Array
    noise_: Array

    def __init__(self, scale: AnswerScale, *, rank: int = 2) -> None:
        self.scale, self.rank = scale, check_whole("rank", rank, 1, 10)

    def fit(self, losses: Array) -> Self:
        """Fit by expectation maximisation.

        Parameters
        ----------
        losses : ndarray, shape (n, q)
            Answers, NaN where a query was not asked; every query at least once.

        Raises
        ------
        InputError
            A query that was never asked.
        """
        known = ~np.isnan(losses)
        if not known.any(axis=0).all():
            found = f"query {int(np.argmin(known.any(axis=0))) + 1} without an answer"
            raise InputError("answers", found, "each query asked once or more", "Ask one prompt about all queries.")
        x = np.where(known, self.scale.free(np.where(known, losses, 1.0)), 0.0)
        n, q = x.shape
        rank = min(self.rank, n, q)
        mu = x.sum(axis=0) / known.sum(axis=0)
        centred = np.where(known, x - mu, 0.0)
        total = float((centred**2).sum() / known.sum()) + 1e-9
        _, singular, axes = np.linalg.svd(centred, full_matrices=False)
        loadings = (axes[:rank] * singular[:rank, None] / np.sqrt(max(n - 1, 1))).T
        loadings *= np.where(loadings.sum(axis=0) < 0, -1.0, 1.0)  # signs are the same on every machine
        noise = np.full(q, 0.1 * total)
        for _ in range(_ITERATIONS):
            u, covariance = _scores(x, known, mu, loadings, noise)
            design = np.concatenate([u, np.ones((n, 1))], axis=1)
            second = design[:, :, None] * design[:, None, :]
            second[:, :rank, :rank] += covariance
            # a query that was seldom asked has loadings near 0
            gram = np.tensordot(known.T.astype(float), second, axes=1) + np.diag([1e-2] * rank + [1e-6])
            solved = np.linalg.solve(gram, (x.T @ design)[..., None])[..., 0]
            loadings, mu = solved[:, :rank], solved[:, rank]
            explained = np.einsum("irs,jr,js->ij", covariance, loadings, loadings)
            squares = np.where(known, (x - mu - u @ loadings.T) ** 2 + explained, 0.0)
            pooled = squares.sum() / known.sum()
            noise = (squares.sum(axis=0) + _PSEUDO * pooled) / (known.sum(axis=0) + _PSEUDO) + 1e-9 * total
        self.means_, self.loadings_, self.noise_ = mu, loadings, noise
        return self

    def complete(self, losses: Array) -> tuple[Array, Array]:
        """Estimate the mean outcome of prompts over all queries from the answers that are known.

        Parameters
        ----------
        losses : ndarray, shape (n, q)
            NaN where a query was not asked.

        Returns
        -------
        (ndarray, ndarray), shape (n,) each
            The mean of the answers that are known and those expected, and the standard deviation that is left: of u,
            and of the noise of queries that were not asked. 0 where all were asked.
        """
        expected, u, covariance = self.expected(losses)
        known = ~np.isnan(losses)
        filled = np.where(known, self.scale.outcome(losses), expected)
        # how the mean moves with u, by a small step to each side
        q = losses.shape[1]
        variance = np.zeros(len(losses))
        step = 1e-3
        slopes = np.zeros((len(losses), u.shape[1]))
        for r in range(u.shape[1]):
            moved = [
                self._curve(u + sign * step * np.eye(u.shape[1])[r], np.zeros_like(covariance)) for sign in (1, -1)
            ]
            slopes[:, r] = np.where(known, 0.0, moved[0] - moved[1]).sum(axis=1) / (2 * step * q)
        variance += np.einsum("ir,irs,is->i", slopes, covariance, slopes)
        spread = self._spread(u)
        variance += np.where(known, 0.0, spread).sum(axis=1) / q**2
        return np.asarray(filled.mean(axis=1)), np.asarray(np.sqrt(variance))

    def filled(self, losses: Array) -> Array:
        """Return the outcomes that are known, and the expected ones in place of the others, shape (n, q)."""
        return np.where(np.isnan(losses), self.expected(losses)[0], self.scale.outcome(losses))

    def expected(self, losses: Array) -> tuple[Array, Array, Array]:
        """Return the expected outcome of every query, shape (n, q), and u with its covariance of every prompt."""
        known = ~np.isnan(losses)
        x = np.where(known, self.scale.free(np.where(known, losses, 1.0)), 0.0)
        u, covariance = _scores(x, known, self.means_, self.loadings_, self.noise_)
        return self._curve(u, covariance), u, covariance

    def _curve(self, u: Array, covariance: Array) -> Array:
        doubt = np.einsum("jr,irs,js->ij", self.loadings_, covariance, self.loadings_)
        return self.scale.expected(self.means_ + u @ self.loadings_.T, self.noise_ + doubt)

    def _spread(self, u: Array) -> Array:
        """Variance that the noise alone gives the outcome of each query, shape (n, q)."""
        centre = self.means_ + u @ self.loadings_.T
        if self.scale.name == "plain":
            return np.broadcast_to(self.noise_, centre.shape).copy()
        mean = self.scale.expected(centre, self.noise_)
        if self.scale.accuracy:
            return mean * (1 - mean)
        if self.scale.name == "log":
            return np.asarray(mean**2 * np.expm1(np.minimum(self.noise_, 50)))
        square = np.zeros_like(centre)
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            square += weight * np.logaddexp(0.0, -(centre + np.sqrt(self.noise_) * node)) ** 2
        return np.maximum(square - mean**2, 0.0)


def _scores(x: Array, known: NDArray[np.bool_], mu: Array, loadings: Array, noise: Array) -> tuple[Array, Array]:
    """Posterior mean (n, rank) and covariance (n, rank, rank) of u."""
    rank = loadings.shape[1]
    weighted = loadings / noise[:, None]
    outer = (weighted[:, :, None] * loadings[:, None, :]).reshape(len(loadings), -1)
    precision = (known.astype(float) @ outer).reshape(-1, rank, rank) + np.eye(rank)
    covariance = np.linalg.inv(precision)
    right = np.where(known, x - mu, 0.0) @ weighted
    return np.einsum("irs,is->ir", covariance, right), np.asarray(covariance)
