"""Designs: which subsets to try so that the table itself holds the answers, and what of that can be afforded.

Leave-one-out compares all tasks together with all but one, a second difference also with all but two. Where outcomes
cost little, a table that holds these subsets answers both without a guess, and the rest of it is random. Tables of
few tasks may hold every subset there is.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kernelsm.outcomes.samplers import bernoulli_masks, fixed_size_masks, masks_of_size
from kernelsm.runtime.checks import check_choice, check_counts, check_number, check_probability, check_whole

Design = Literal["random", "distinct", "leave_outs", "all"]
DESIGNS: tuple[Design, ...] = get_args(Design)
MOST_TASKS_FOR_ALL = 14
"""Tasks of which all subsets are drawn: 2^14 = 16,384."""
MOST_TASKS_AFFORDED = 12
"""Tasks of which all subsets are taken without being asked for: surrogates and pages stay quick with 2^12 rows."""
AFFORDED_SECONDS = 120.0
"""More subsets than were asked for are afforded where all of them together take at most this long."""
_MOST_AFFORDED = 1_500  # rows with which pages draw everything at once
_SHARE = 2, 3  # at most two thirds of the rows leave out at most two tasks by design; the rest is random


def possible_subsets(K: int, size: int | None = None) -> int:
    """Return how many different subsets of `K` tasks there are: 2^K, or C(K, size) of one size.

    Examples
    --------
    >>> possible_subsets(8), possible_subsets(50, 4)
    (256, 230300)
    """
    return 2**K if size is None else math.comb(K, size)


def all_masks(K: int) -> NDArray[np.bool_]:
    """Return every subset of `K` tasks, all tasks together first and none last.

    Returns
    -------
    ndarray of bool, shape (2^K, K)

    Raises
    ------
    InputError
        K below 1 or above 14.

    Examples
    --------
    >>> all_masks(2).astype(int).tolist()
    [[1, 1], [0, 1], [1, 0], [0, 0]]
    """
    fix = 'Take design="leave_outs": all tasks together, all but one, all but two, and random subsets.'
    check_whole("K", K, 1, MOST_TASKS_FOR_ALL, fix=fix)
    return leave_out_masks(K, K)


def leave_out_masks(K: int, most_out: int = 2) -> NDArray[np.bool_]:
    """Return all tasks together, then every subset without one task, and so on up to `most_out` tasks left out.

    Parameters
    ----------
    K : int
    most_out : int
        With more than K, all subsets.

    Returns
    -------
    ndarray of bool, shape (1 + K + K(K-1)/2 + ..., K)

    Examples
    --------
    >>> len(leave_out_masks(20)), len(leave_out_masks(20, 1))
    (211, 21)
    """
    return np.vstack([masks_of_size(K, K - out) for out in range(min(most_out, K) + 1)])


def most_out_by_design(K: int, m: int) -> int:
    """Return up to how many tasks at a time, 0 to 2, "leave_outs" leaves out in every way among `m` subsets."""
    rows = _SHARE[0] * m // _SHARE[1]
    return 2 if 1 + K + math.comb(K, 2) <= rows else 1 if rows >= 1 + K else 0


def subsets_for_pairs(K: int) -> int:
    """Return the fewest subsets among which "leave_outs" takes all those without two tasks.

    Examples
    --------
    >>> subsets_for_pairs(20)  # the 211 are two thirds of it
    317
    """
    return -(-(1 + K + math.comb(K, 2)) * _SHARE[1] // _SHARE[0])


def design_masks(
    K: int, m: int, design: str = "leave_outs", *, p: float = 0.5, size: int | None = None, seed: int = 0
) -> NDArray[np.bool_]:
    """Draw `m` subsets of `K` tasks by a design.

    Parameters
    ----------
    K : int
    m : int
        Rows; with "all" it means nothing.
    design : {"leave_outs", "distinct", "all", "random"}
        "leave_outs" begins with all tasks together; then come all K subsets without one task, and all K(K-1)/2
        subsets without two, each kind where everything up to it takes at most two thirds of the rows. The rest are
        distinct random subsets. "distinct" takes these alone. "all" is every subset. "random" takes random subsets
        as they are drawn, repeated ones too.
    p : float
        Probability with which a task is in a random subset.
    size : int, optional
        Tasks in a random subset, instead of `p`.
    seed : int
        Seed of the random subsets.

    Returns
    -------
    ndarray of bool, shape (m, K)
        Without repeated rows (but for "random"), so there are fewer rows where there are not enough subsets.

    Raises
    ------
    InputError
        An unknown design, K < 1, m < 1, p outside (0, 1), size outside 1..K, or "all" of more than 14 tasks.

    Examples
    --------
    >>> from kernelsm import design_masks
    >>> masks = design_masks(K=20, m=400)
    >>> int((masks.sum(axis=1) >= 18).sum())  # all tasks, 20 without one, 190 without two
    211
    >>> len(design_masks(K=4, m=400)), len(design_masks(K=8, m=1, design="all"))  # there are no more
    (16, 256)
    """
    check_choice("design", design, DESIGNS)
    check_counts(K=K, m=m)
    check_probability("p", p)
    if size is not None:
        check_whole("size", size, 1, K, fix="A subset holds some of the tasks.")
    if design == "all":
        return all_masks(K)
    if design != "leave_outs":
        return _random(K, m, p, size, seed, distinct=design == "distinct")
    head = leave_out_masks(K, most_out_by_design(K, m))
    known = {mask.tobytes() for mask in head}
    drawn = _random(K, m, p, size, seed, distinct=True)  # enough, even if all of `head` are among them
    rest = [mask for mask in drawn if mask.tobytes() not in known]
    return np.vstack([head, *rest])[:m]


def _random(K: int, m: int, p: float, size: int | None, seed: int, *, distinct: bool) -> NDArray[np.bool_]:
    if size is not None:
        return fixed_size_masks(K, m, size=size, seed=seed, distinct=distinct)
    return bernoulli_masks(K, m, p=p, seed=seed, distinct=distinct)


def affordable_number(m: int, seconds: float) -> float:
    """Return how many subsets are afforded where `m` were asked for and each takes so many seconds.

    So many as were asked for, or as many as take two minutes. Seconds that are infinite were not timed.

    Examples
    --------
    >>> affordable_number(400, 0.1), affordable_number(400, 10.0)
    (1200.0, 400)
    """
    check_counts(m=m)
    if seconds != math.inf:
        check_number("seconds", seconds, least=0)
    return max(m, AFFORDED_SECONDS / seconds if seconds else math.inf)


def affordable_design(K: int, m: int, seconds: float) -> tuple[Design, int]:
    """Choose a design for `m` subsets of which each takes so many seconds.

    As many subsets are afforded as were asked for, or as take two minutes all together. All subsets of up to 12 tasks
    are taken where they are afforded. Otherwise "leave_outs" is taken: with more rows than asked for, up to 1,500,
    where these are afforded and bring in all subsets without two tasks.

    Parameters
    ----------
    K : int
    m : int
        Subsets asked for.
    seconds : float
        What one subset takes, measured; at least 0.

    Returns
    -------
    design : {"all", "leave_outs"}
    m : int
        Rows of it.

    Examples
    --------
    >>> affordable_design(8, 100, 0.005)  # 256 subsets in 1.3 seconds
    ('all', 256)
    >>> affordable_design(20, 400, 0.005)  # 211 subsets without at most two tasks are within two thirds of 400
    ('leave_outs', 400)
    >>> affordable_design(30, 400, 0.005)  # 466 are not: 699 subsets take 3.5 seconds
    ('leave_outs', 699)
    >>> affordable_design(30, 400, 5.0)  # 699 subsets would take an hour: the 31 without at most one task fit
    ('leave_outs', 400)
    """
    check_counts(K=K)
    afforded = affordable_number(m, seconds)
    if K <= MOST_TASKS_AFFORDED and possible_subsets(K) <= afforded:
        return "all", possible_subsets(K)
    enough = subsets_for_pairs(K)
    return "leave_outs", max(m, enough) if enough <= min(afforded, _MOST_AFFORDED) else m
