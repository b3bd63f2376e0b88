"""Task grouping (the paper's Table 4): which tasks to train a target's policy with, by several ways of choosing."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.checks import check_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import first_least, rising
from kernelsm.surrogates.auto import AutoSurrogate
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.linear import LinearSurrogateCV

WAYS = ("attribution", "pairwise-aware", "linear", "cosine", "random")
"""Ways of choosing, as `groups` names them."""


def groups(
    outcomes: Outcomes, target: str, cosines: ArrayLike, *, helpers: int = 3, draws: int = 3, seed: int = 0
) -> dict[str, list[tuple[int, ...]]]:
    """Choose the tasks that a target is trained together with.

    The target's own task is in every group: what is chosen are its helpers.

    Parameters
    ----------
    outcomes : Outcomes
        Of subsets of the tasks, measured or estimated. A task and a target of one name belong together.
    target : str
        One of its targets, which is a task too.
    cosines : array-like, shape (K,)
        Cosine of each task's gradient with the target's, at W0.
    helpers : int
        Tasks to choose, 1..K-1.
    draws : int
        Random groups.
    seed : int
        Of these.

    Returns
    -------
    dict
        Way -> its groups, each with rising indices: `draws` of them by chance, one by the other ways. "attribution"
        takes the tasks with the best effects in the default surrogate, "linear" those with the best coefficients of
        the tuned linear one, "pairwise-aware" the group that the default surrogate predicts to be best as a whole,
        and "cosine" the tasks whose gradients point most in the target's direction.

    Raises
    ------
    InputError
        A target that is no task, or a number out of its range.

    Examples
    --------
    >>> from kernelsm import load_example, Outcomes
    >>> game = load_example("planted")
    >>> named = Outcomes(game.masks, game.values, task_names=game.task_names, target_names=game.task_names[:1])
    >>> found = groups(named, game.task_names[0], range(10), helpers=2)
    >>> found["cosine"]
    [(0, 8, 9)]
    """
    K = outcomes.K
    check_whole("helpers", helpers, 1, K - 1)
    if target not in outcomes.task_names or target not in outcomes.target_names:
        raise InputError("target", repr(target)[:80], "the name of a task and a target", "Choose one of the tasks.")
    own, table = outcomes.task_names.index(target), outcomes.target(target)
    sign = -1.0 if outcomes.higher_is_better else 1.0
    default, linear = AutoSurrogate().fit_outcomes(table), LinearSurrogateCV().fit_outcomes(table)
    rng = np.random.default_rng([seed, own])
    others = np.delete(np.arange(K), own)
    random = [rng.choice(others, helpers, replace=False) for _ in range(draws)]
    return {
        "attribution": [_with_best(sign * _effects(default, table), own, helpers)],
        "pairwise-aware": [_best_group(default, own, helpers, K, sign)],
        "linear": [_with_best(sign * _effects(linear, table), own, helpers)],
        "cosine": [_with_best(-np.asarray(cosines, dtype=np.float64), own, helpers)],
        "random": [_group(own, drawn) for drawn in random],
    }


def _effects(surrogate: Surrogate, table: Outcomes) -> NDArray[np.float64]:
    """Effect of including each task among subsets like those of the table, shape (K,)."""
    sizes = table.masks.sum(axis=1)
    one_size = sizes.min() == sizes.max() and 0 < sizes[0] < table.K
    found = surrogate.attribution("inclusion", size=int(sizes[0])) if one_size else surrogate.attribution("banzhaf")
    return np.asarray(found.values[:, 0])


def _with_best(cost: NDArray[np.float64], own: int, helpers: int) -> tuple[int, ...]:
    order = rising(cost)
    return _group(own, order[order != own][:helpers])


def _best_group(surrogate: Surrogate, own: int, helpers: int, K: int, sign: float) -> tuple[int, ...]:
    chosen = list(combinations([task for task in range(K) if task != own], helpers))
    masks = np.zeros((len(chosen), K), dtype=np.bool_)
    masks[:, own] = True
    masks[np.arange(len(chosen))[:, None], np.array(chosen)] = True
    best = first_least(sign * np.asarray(surrogate.predict(masks)).reshape(len(masks)))
    return _group(own, np.array(chosen[best]))


def _group(own: int, others: NDArray[np.intp] | NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(sorted([own, *map(int, others)]))
