"""Agreement of predicted with true outcomes: rank correlation per target (LDS) and relative error."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernelsm.outcomes.rank_correlation import rank_correlation
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import varies


def spearman_per_target(truth: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Spearman correlation over subsets for each target, shape (q,); NaN where either side is constant.

    Values that are equal but for rounding share a rank.
    """
    return rank_correlation(*_columns(truth, predicted))


def lds(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Linear datamodelling score: mean over targets of the Spearman correlation on held-out subsets.

    Parameters
    ----------
    truth, predicted : array-like, shape (m, q) or (m,)
        F(s) and its prediction for the same held-out subsets.

    Returns
    -------
    float
        Between -1 and 1. A target whose truth is constant has no ranks and is left out; a constant prediction of a
        target that varies counts as 0. NaN where no target is left.

    References
    ----------
    Ilyas et al. (2022), Datamodels; the paper's section 4.1.

    Examples
    --------
    >>> from kernelsm import lds
    >>> truth = [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
    >>> predicted = [[10.0, 5.0], [20.0, 4.0], [50.0, 3.0]]  # right order of one target, reverse of the other
    >>> round(abs(lds(truth, predicted)), 6)
    0.0
    """
    true, _ = _columns(truth, predicted)
    scores = spearman_per_target(truth, predicted)
    varied = varies(true)
    return float(np.nan_to_num(scores[varied]).mean()) if varied.any() else float("nan")


def relative_error(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Mean absolute error over all subsets and targets, as a fraction of the mean absolute truth.

    Examples
    --------
    >>> from kernelsm import relative_error
    >>> round(relative_error([1.0, 2.0], [1.1, 2.2]), 6)
    0.1
    """
    true, guess = _columns(truth, predicted)
    scale = np.abs(true).mean()
    return float(np.abs(guess - true).mean() / scale) if scale > 0 else float("nan")


def _columns(truth: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    true, guess = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if true.shape != guess.shape or true.ndim not in (1, 2) or not len(true):
        raise InputError(
            "predicted", f"shape {guess.shape}", f"{true.shape}, as the truth", "Predict the same subsets."
        )
    return true.reshape(len(true), -1), guess.reshape(len(guess), -1)
