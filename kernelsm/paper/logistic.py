"""Logistic regressions of many weightings of the same samples, all fitted at once: retraining that takes seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.errors import ConvergenceError

Array = NDArray[np.float64]
_AT_ONCE = 512
_MOST_STEPS = 200
_SUFFICIENT = 1e-4


@dataclass(frozen=True)
class BinaryData:
    """Standardised samples of two classes, cut into training and test samples.

    Parameters
    ----------
    x, test_x : ndarray, shape (n, d) and (tested, d)
        The last column is 1.
    y, test_y : ndarray, shape (n,) and (tested,)
        -1 or 1.
    """

    x: Array
    y: Array
    test_x: Array
    test_y: Array


def breast_cancer(seed: int, trained: int = 455) -> BinaryData:
    """Return scikit-learn's 569 breast cancer samples, standardised by the training samples' mean and deviation.

    Parameters
    ----------
    seed : int
        Of the split.
    trained : int
        Training samples; the rest is for testing. 455 leave 114, as in the paper.

    Examples
    --------
    >>> breast_cancer(0).x.shape, breast_cancer(0).test_x.shape
    ((455, 31), (114, 31))
    """
    from sklearn.datasets import load_breast_cancer

    features, labels = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    train, test = order[:trained], order[trained:]
    centre, scale = features[train].mean(axis=0), features[train].std(axis=0)
    x = np.column_stack([(features - centre) / scale, np.ones(len(labels))])
    y = 2.0 * labels - 1.0
    return BinaryData(x[train], y[train], x[test], y[test])


def losses(x: Array, y: Array, fitted: Array) -> Array:
    """Return the loss in nats of every sample by every regression, shape (m, n)."""
    return np.asarray(np.logaddexp(0.0, -(fitted @ x.T) * y))


def fit_logistic(x: Array, y: Array, weights: Array, ridge: float, *, start: Array | None = None) -> Array:
    """Minimise Σ_i weight_i log(1 + exp(-y_i <w, x_i>)) + ridge/2 ‖w‖² for every row of weights, to convergence.

    Newton's method with step halving, on all rows together.

    Parameters
    ----------
    x : ndarray, shape (n, d)
    y : ndarray, shape (n,)
        -1 or 1.
    weights : ndarray, shape (m, n)
        At least 0; a row of zeros gives w = 0.
    ridge : float
        Above 0, so that the minimum is one point.
    start : ndarray, shape (d,), optional

    Returns
    -------
    ndarray, shape (m, d)

    Raises
    ------
    ConvergenceError
        The gradient does not vanish.

    Examples
    --------
    >>> x, y = np.array([[1.0, 1.0], [-1.0, 1.0]]), np.array([1.0, -1.0])
    >>> w = fit_logistic(x, y, np.array([[0.5, 0.5]]), ridge=0.01)
    >>> gradient = 0.01 * w - (0.5 * y / (1 + np.exp(y * (x @ w[0])))) @ x
    >>> bool(np.abs(gradient).max() < 1e-9)
    True
    """
    first = np.zeros(x.shape[1]) if start is None else start
    parts = [_newton(x, y, weights[at : at + _AT_ONCE], ridge, first) for at in range(0, len(weights), _AT_ONCE)]
    return np.vstack(parts)


def hessians(x: Array, y: Array, weights: Array, ridge: float, fitted: Array) -> Array:
    """Return the second derivatives of what `fit_logistic` minimises, shape (m, d, d)."""
    d = x.shape[1]
    chance = 1.0 / (1.0 + np.exp(-np.clip(fitted @ x.T * y, -700, 700)))
    products = (x[:, :, None] * x[:, None, :]).reshape(len(x), d * d)
    return np.asarray((weights * chance * (1 - chance)) @ products).reshape(-1, d, d) + ridge * np.eye(d)


def _newton(x: Array, y: Array, weights: Array, ridge: float, start: Array) -> Array:
    fitted = np.tile(start, (len(weights), 1))
    tolerance = 1e-11 * max(1.0, float(weights.sum(axis=1).max()))
    active = np.arange(len(weights))
    for _ in range(_MOST_STEPS):
        w, part = fitted[active], weights[active]
        slope = 1.0 / (1.0 + np.exp(np.clip(w @ x.T * y, -700, 700)))
        gradient = ridge * w - (part * slope * y) @ x
        moving = np.abs(gradient).max(axis=1) > tolerance
        if not moving.any():
            return fitted
        active, w, part, gradient = active[moving], w[moving], part[moving], gradient[moving]
        step = np.linalg.solve(hessians(x, y, part, ridge, w), gradient[:, :, None])[:, :, 0]
        fitted[active] = w - _lengths(x, y, part, ridge, w, step, gradient)[:, None] * step
    raise ConvergenceError(
        "logistic regression", f"{len(active)} of {len(weights)} with a gradient above it", f"{tolerance:.0e}",
        "Raise the ridge.",
    )  # fmt: skip


def _lengths(x: Array, y: Array, weights: Array, ridge: float, w: Array, step: Array, gradient: Array) -> Array:
    """Return the first of 1, ½, ¼ ... by which each objective falls enough."""

    def objective(at: Array) -> Array:
        return np.asarray((weights * losses(x, y, at)).sum(axis=1) + ridge / 2 * (at**2).sum(axis=1))

    before, promised = objective(w), (gradient * step).sum(axis=1)
    length = np.ones(len(w))
    slack = 1e-13 * np.maximum(np.abs(before), 1.0)  # rounding
    for _ in range(40):
        bad = objective(w - length[:, None] * step) > before - _SUFFICIENT * length * promised + slack
        if not bad.any():
            break
        length[bad] /= 2
    return length
