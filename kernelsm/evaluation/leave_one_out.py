"""Leave-one-out as it was measured: what each task does to all the others together (paper definition 2.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import varies
from kernelsm.surrogates.results import Attribution


def leave_one_out_effects(outcomes: Outcomes) -> Attribution:
    """Return F(all tasks) - F(all but k) of each task, read from a table that holds these subsets.

    Parameters
    ----------
    outcomes : Outcomes
        Rows in any order, others too. Of a subset that is there several times, the mean counts.

    Returns
    -------
    Attribution
        `values` (K, q) in the outcome's unit, for a loss negative helps; `std` is None, as nothing is estimated.

    Raises
    ------
    InputError
        A subset that is needed is not in the table.

    Examples
    --------
    >>> from kernelsm import load_leave_one_out
    >>> from kernelsm.evaluation.leave_one_out import leave_one_out_effects
    >>> effects = leave_one_out_effects(load_leave_one_out("digits"))
    >>> effects.values.shape, bool(effects.measured.all())
    ((20, 10), True)
    """
    K = outcomes.K
    full = _mean_of(outcomes, np.ones(K, dtype=np.bool_), "all tasks together")
    values = np.empty((K, outcomes.q))
    for k, name in enumerate(outcomes.task_names):
        without = np.ones(K, dtype=np.bool_)
        without[k] = False
        values[k] = full - _mean_of(outcomes, without, f"all tasks but {name!r}")
    return Attribution(
        values=values,
        task_names=outcomes.task_names,
        target_names=outcomes.target_names,
        higher_is_better=outcomes.higher_is_better,
        meta={"readout": "leave_one_out", "outcomes": outcomes.meta},
        measured=np.ones(K, dtype=np.bool_),
    )


def effect_correlations(truth: ArrayLike, found: ArrayLike) -> NDArray[np.float64]:
    """Return the Pearson correlation over tasks of effects with the true ones, target by target.

    Parameters
    ----------
    truth, found : array-like, shape (K, q)
        F(with) - F(without) of K tasks.

    Returns
    -------
    ndarray, shape (q,)
        Between -1 and 1; 0 where all found effects of a target are equal, NaN where all true ones are.

    Examples
    --------
    >>> effect_correlations([[1.0], [2.0], [4.0]], [[2.0], [3.0], [5.0]]).round(6).tolist()
    [1.0]
    """
    true, guess = (np.asarray(side, dtype=np.float64) for side in (truth, found))
    if true.shape != guess.shape or true.ndim != 2:
        raise InputError("found", f"shape {guess.shape}", f"{true.shape}, as the truth", "Give (K, q) of both.")
    a, b = true - true.mean(axis=0), guess - guess.mean(axis=0)
    size = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    same = np.where(varies(guess), (a * b).sum(axis=0) / np.where(size > 0, size, 1.0), 0.0)
    return np.asarray(np.where(varies(true), same, np.nan))


def _mean_of(outcomes: Outcomes, mask: NDArray[np.bool_], words: str) -> NDArray[np.float64]:
    rows = (outcomes.masks == mask).all(axis=1)
    if not rows.any():
        fix = 'Measure it: design_masks(K, m, "leave_outs") begins with these subsets.'
        raise InputError("outcomes", f"no row with {words}", "all tasks together and all but each one", fix)
    return np.asarray(outcomes.values[rows].mean(axis=0))
