"""Choosing the subset of a given size whose outcome a surrogate predicts to be best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, islice, product
from math import comb
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from kernelsm.runtime.checks import check_choice, check_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import NEAR, first_least, rising, tolerance_of
from kernelsm.surrogates.base import Surrogate

Method = Literal["top", "greedy", "swap", "exhaustive"]
Masks = NDArray[np.bool_]
Values = NDArray[np.float64]

MOST_SUBSETS = 250_000
"""Subsets that an exhaustive search predicts."""
_ROWS_AT_ONCE = 8192
_DRAWN_STARTS = 6


@dataclass(frozen=True)
class Selection:
    """A chosen subset and what the surrogate says about it.

    Parameters
    ----------
    demonstrations : tuple of int
        Indices of the chosen tasks, rising.
    predicted : float
        Outcome, in its own unit (nats for a loss), mean over targets.
    std : float
        Posterior standard deviation of that; with several targets the mean of theirs, an upper bound. It does
        not know that the best of many predictions was picked: the real outcome tends to be worse.
    method : str
        How it was searched.
    """

    demonstrations: tuple[int, ...]
    predicted: float
    std: float
    method: str


def choose(
    surrogate: Surrogate,
    size: int,
    method: Method = "swap",
    labels: Sequence[str] | None = None,
    balance: bool = False,
) -> Selection:
    """Choose the `size` tasks with the best predicted outcome: the lowest loss, or highest score.

    Parameters
    ----------
    surrogate : Surrogate
        Fitted on masks; with several targets their mean counts. With hundreds a fit on `outcomes.mean_target()` is
        far faster and knows the standard deviation of the mean.
    size : int
        Tasks to choose, 1..K.
    method : {"swap", "greedy", "top", "exhaustive"}
        "top" takes those whose inclusion in subsets of this size helps most on average; it sees no pairs. "greedy"
        starts with none and adds what helps most, step by step. It asks for subsets smaller than `size`, of which a
        surrogate that was fitted on one size knows little. "swap" starts from both of these and a few drawn ones
        (the same each time), exchanges one task for another while that helps, each time the best exchange, and takes
        the best end. "exhaustive" predicts every subset, of at most 250,000.
    labels : sequence of str, length K, optional
        Label of each task, for `balance`.
    balance : bool
        Allow only subsets in which no two labels' counts differ by more than one.

    Returns
    -------
    Selection
        The same at every call; where steps are equally good, the one with tasks that come first.

    Raises
    ------
    InputError
        Unknown method, size out of range, a fit on other inputs than masks, labels that are missing or too few for
        the balance, or more subsets than an exhaustive search may take.
    sklearn.exceptions.NotFittedError
        The surrogate is not fitted.
    """
    check_is_fitted(surrogate)
    if not surrogate.is_binary_:
        found = "a fit on inputs that are not 0/1"
        raise InputError("surrogate", found, "a fit on masks", "Fit it on the masks of subsets.")
    check_choice("method", method, get_args(Method))
    K = len(surrogate.task_names_)
    rule = Balance.of(K, size, labels, balance)
    if method == "exhaustive":
        chosen = _exhaustive(surrogate, K, rule)
    elif method == "top":
        chosen = _top(surrogate, K, rule)
    elif method == "greedy":
        chosen = _greedy(surrogate, K, rule)
    else:
        rng = np.random.default_rng(0)
        drawn = [rule.first_allowed(rng.permutation(K)) for _ in range(_DRAWN_STARTS)]
        ends = _swapped(surrogate, np.array([_top(surrogate, K, rule), _greedy(surrogate, K, rule), *drawn]), rule)
        chosen = ends[first_least(_cost(surrogate, ends))]
    predicted, std = surrogate.predict(chosen[None], return_std=True)
    return Selection(tuple(np.flatnonzero(chosen).tolist()), float(predicted.mean()), float(std.mean()), method)


@dataclass(frozen=True, eq=False)
class Balance:
    """Which subsets are allowed: every label `base` times, and `extra` of the labels once more.

    Without balance all tasks are of one label.

    Parameters
    ----------
    label_of : ndarray of int, shape (K,)
        Label of each task, 0..L-1.
    size : int
        Tasks to choose.
    """

    label_of: NDArray[np.intp]
    size: int

    @classmethod
    def of(cls, K: int, size: int, labels: Sequence[str] | None, balance: bool) -> Balance:
        """Check the arguments of a choice.

        Raises
        ------
        InputError
            Size outside 1..K, labels that are not K, balance without labels, or too few tasks of a label.
        """
        check_whole("size", size, 1, K, fix="A subset holds some of the tasks.")
        if labels is not None and len(labels) != K:
            raise InputError("labels", f"{len(labels)}", f"{K}, one per task", "Give the label of every task.")
        if not balance:
            return cls(np.zeros(K, dtype=np.intp), size)
        if labels is None:
            raise InputError("labels", "none", "one per task", "Give them, or choose without balance.")
        names = list(dict.fromkeys(labels))
        rule = cls(np.array([names.index(label) for label in labels], dtype=np.intp), size)
        available = np.bincount(rule.label_of)
        if short := [name for name, count in zip(names, available, strict=True) if count < rule.base]:
            found = f"{labels.count(short[0])} of label {short[0]!r}"
            raise InputError("labels", found, f"at least {rule.base}", "Choose fewer, or without balance.")
        if (available > rule.base).sum() < rule.extra:
            found = f"{(available > rule.base).sum()} of the labels with {rule.base + 1} tasks or more"
            raise InputError("labels", found, f"at least {rule.extra}", "Choose fewer, or without balance.")
        return rule

    @property
    def base(self) -> int:
        """Times that every label is in."""
        return self.size // self.label_count

    @property
    def extra(self) -> int:
        """Labels that are in once more."""
        return self.size % self.label_count

    @property
    def label_count(self) -> int:
        """Number of labels L."""
        return int(self.label_of.max()) + 1

    def allows(self, mask: Masks) -> bool:
        """Whether a subset is of the size and in balance."""
        counts = np.bincount(self.label_of[mask], minlength=self.label_count)
        return int(counts.sum()) == self.size and int(np.ptp(counts)) <= 1

    def addable(self, mask: Masks) -> NDArray[np.intp]:
        """Tasks that may be added to an allowed part of a subset; any of them leaves a way to a whole one."""
        counts = np.bincount(self.label_of[mask], minlength=self.label_count)
        full = self.base + int((counts > self.base).sum() < self.extra)
        return np.flatnonzero(~mask & (counts[self.label_of] < full))

    def swaps(self, mask: Masks) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Pairs of a task in an allowed subset and one outside that may take its place."""
        inside, outside = np.flatnonzero(mask), np.flatnonzero(~mask)
        out, into = np.repeat(inside, len(outside)), np.tile(outside, len(inside))
        counts = np.bincount(self.label_of[mask], minlength=self.label_count)
        same = self.label_of[out] == self.label_of[into]
        trade = (counts[self.label_of[out]] > self.base) & (counts[self.label_of[into]] == self.base)
        return out[same | trade], into[same | trade]

    def first_allowed(self, order: NDArray[np.intp]) -> Masks:
        """The subset that takes each task in this order as far as it is allowed."""
        mask = np.zeros(len(self.label_of), dtype=np.bool_)
        while mask.sum() < self.size:
            allowed = np.isin(order, self.addable(mask))
            mask[order[np.argmax(allowed)]] = True
        return mask

    def count(self) -> int:
        """Number of allowed subsets."""
        ways = [1] + [0] * self.extra  # by how many labels so far are in once more
        for available in np.bincount(self.label_of).tolist():
            fewer, more = comb(available, self.base), comb(available, self.base + 1)
            ways = [fewer * now + more * before for now, before in zip(ways, [0, *ways], strict=False)]
        return ways[self.extra]

    def subsets(self) -> Iterator[tuple[int, ...]]:
        """Every allowed subset."""
        groups = [np.flatnonzero(self.label_of == label).tolist() for label in range(self.label_count)]
        for more in combinations(range(self.label_count), self.extra):
            parts = [combinations(group, self.base + (label in more)) for label, group in enumerate(groups)]
            yield from (tuple(chain.from_iterable(chosen)) for chosen in product(*parts))


def _cost(surrogate: Surrogate, masks: Masks) -> Values:
    """Predicted outcome, mean over targets, so that less is better; shape (m,)."""
    blocks = [masks[start : start + _ROWS_AT_ONCE] for start in range(0, len(masks), _ROWS_AT_ONCE)]
    predicted = np.concatenate([surrogate.predict(block).reshape(len(block), -1).mean(axis=1) for block in blocks])
    return -predicted if surrogate.higher_is_better_ else predicted


def _top(surrogate: Surrogate, K: int, rule: Balance) -> Masks:
    if rule.size == K:
        return np.ones(K, dtype=np.bool_)
    effect = surrogate.attribution("inclusion", size=rule.size).values.mean(axis=1)
    effect = -effect if surrogate.higher_is_better_ else effect
    # effects are differences of outcomes: those below the rounding of the outcomes themselves are equal
    outcome = _cost(surrogate, np.zeros((1, K), dtype=np.bool_))
    return rule.first_allowed(rising(effect, tolerance=tolerance_of(np.concatenate([effect, outcome]))))


def _greedy(surrogate: Surrogate, K: int, rule: Balance) -> Masks:
    mask = np.zeros(K, dtype=np.bool_)
    for _ in range(rule.size):
        added = rule.addable(mask)
        steps = np.repeat(mask[None], len(added), axis=0)
        steps[np.arange(len(added)), added] = True
        mask = steps[first_least(_cost(surrogate, steps))]
    return mask


def _swapped(surrogate: Surrogate, starts: Masks, rule: Balance) -> Masks:
    """Exchange one task for another in each subset, each time the best, until none helps."""
    masks = np.unique(starts, axis=0)[::-1]  # those with the first tasks stand first
    for mask, value in zip(masks, _cost(surrogate, masks), strict=True):
        now = value
        while True:
            out, into = rule.swaps(mask)
            # the subset itself comes first: where nothing is better, it stays
            reached = np.concatenate([[now], _exchanged(surrogate, mask, out, into)])
            best = first_least(reached)
            if not reached[best] < now - NEAR * abs(now):
                break
            mask[out[best - 1]], mask[into[best - 1]] = False, True
            now = reached[best]
    return masks


def _exchanged(surrogate: Surrogate, mask: Masks, out: NDArray[np.intp], into: NDArray[np.intp]) -> Values:
    """Predicted outcome of a subset after each of some exchanges, so that less is better."""
    predicted = surrogate.predict_exchanges(mask).mean(axis=2)
    rows = np.searchsorted(np.flatnonzero(mask), out)
    values = predicted[rows, np.searchsorted(np.flatnonzero(~mask), into)]
    return np.asarray(-values if surrogate.higher_is_better_ else values)


def _exhaustive(surrogate: Surrogate, K: int, rule: Balance) -> Masks:
    if rule.count() > MOST_SUBSETS:
        fix = "Choose by swap, or with balance or fewer tasks."
        raise InputError("method", f"exhaustive over {rule.count():,} subsets", f"at most {MOST_SUBSETS:,}", fix)
    found, least = np.zeros(K, dtype=np.bool_), np.inf
    subsets = rule.subsets()
    while block := list(islice(subsets, _ROWS_AT_ONCE)):
        masks = np.zeros((len(block), K), dtype=np.bool_)
        masks[np.arange(len(block))[:, None], np.array(block)] = True
        values = _cost(surrogate, masks)
        best = first_least(values)
        if values[best] < least - NEAR * abs(values[best]):
            found, least = masks[best], float(values[best])
    return found
