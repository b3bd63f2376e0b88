"""Choosing a prompt, with its order or for all orders: what a position-aware surrogate predicts to be best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, islice, permutations
from math import factorial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kernelsm.prompts.order_kernel import PromptOrders
from kernelsm.prompts.orders import OrderedOutcomes
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import NEAR, first_least, rising
from kernelsm.selection.completion import MOST_FILLINGS, completed
from kernelsm.selection.search import Balance
from kernelsm.surrogates.results import interval_quantile

Values = NDArray[np.float64]

_DRAWN_STARTS = 20
_DRAWN_SETS = 6
_SEEN_STARTS = 20
_DOUBTED = 200  # neighbours whose doubt is asked, those of the best predictions


class OrderSurrogate(Protocol):
    """What a search asks of a surrogate of ordered prompts: `PositionSurrogate` and `PromptPosterior` are such."""

    K_: int
    k_: int

    @property
    def degrees_of_freedom_(self) -> int:
        """Of its standard deviations."""

    def predict(self, orders: Sequence[Sequence[int]] | PromptOrders) -> Values:
        """Predict outcomes, shape (rows, q)."""

    def predict_std(self, orders: Sequence[Sequence[int]] | PromptOrders) -> Values:
        """Return standard deviations of predictions, shape (rows, q)."""

    def predict_mean(self, orders: Sequence[Sequence[int]] | PromptOrders) -> tuple[Values, Values]:
        """Predict the mean over prompts and its standard deviation, shape (q,) each."""

    def predict_exchanges(self, prompt: Sequence[int], *, over_orders: bool = False) -> Values:
        """Predict a prompt with each candidate in each slot, shape (k, K, q)."""


def best_order(
    surrogate: OrderSurrogate, picked: Sequence[int], *, higher_is_better: bool = False
) -> tuple[int, ...]:
    """Return the same demonstrations in the order of the best predicted outcome, of at most six all tried.

    Of equally good orders the one with the first candidates first is returned.

    Parameters
    ----------
    surrogate : PositionSurrogate or PromptPosterior
        Fitted; of several targets their mean counts.
    picked : sequence of int
        As many as in the prompts of the fit.
    higher_is_better : bool
        False for a loss.
    """
    orders = list(permutations(sorted(picked)))
    return orders[first_least(_badness(surrogate, orders, higher_is_better))]


def best_order_seen(
    ordered: OrderedOutcomes,
    K: int,
    *,
    labels: Sequence[str] | None = None,
    balance: bool = False,
    higher_is_better: bool = False,
) -> tuple[int, ...]:
    """Return the measured prompt with the best mean outcome, in the order in which it was measured.

    Parameters
    ----------
    ordered : OrderedOutcomes
    K : int
        Number of candidates.
    labels, balance
        As of `choose`: only prompts that are balanced count.
    higher_is_better : bool
        False for a loss.

    Returns
    -------
    tuple of int
        In its order; of equally good prompts the first.

    Raises
    ------
    InputError
        No such prompt was measured; labels as of `choose`.
    """
    rule = Balance.of(K, ordered.orders.shape[1], labels, balance)
    values = ordered.values.mean(axis=1)
    for row in rising(-values if higher_is_better else values):
        prompt = ordered.orders[row]
        if rule.allows(np.isin(np.arange(K), prompt)):
            return tuple(int(k) for k in prompt)
    raise InputError("outcomes", "no balanced prompt", "at least one", "Measure some, or choose another size.")


def expected_over_orders(surrogate: OrderSurrogate, chosen: tuple[int, ...]) -> tuple[float, float]:
    """Return the mean predicted outcome with the empty slots filled at random, in the mean over orders too.

    Parameters
    ----------
    surrogate : PositionSurrogate or PromptPosterior
        Fitted, of one target.
    chosen : tuple of int
        Tasks in the slots so far, at most as many as in a prompt of the fit.

    Returns
    -------
    (float, float)
        In the outcome's unit. The standard deviation is that of the mean itself. Where ways to fill the slots and
        orders are more than two thousand together, as many are drawn at random (the same each time).
    """
    k = surrogate.k_
    members = np.nonzero(completed(chosen, k, surrogate.K_))[1].reshape(-1, k)
    each = max(1, MOST_FILLINGS // len(members))
    if factorial(k) <= each:
        permuted = np.array(list(permutations(range(k))))
        orders = members[:, permuted].reshape(-1, k)
    else:
        drawn = np.random.default_rng(0).random((len(members), each, k)).argsort(axis=2)
        orders = np.take_along_axis(members[:, None], drawn, axis=2).reshape(-1, k)
    value, std = surrogate.predict_mean(orders)
    return float(value[0]), float(std[0])


def choose_ordered(
    surrogate: OrderSurrogate,
    *,
    labels: Sequence[str] | None = None,
    balance: bool = False,
    higher_is_better: bool = False,
) -> tuple[tuple[int, ...], float]:
    """Choose demonstrations and their order: from twenty drawn prompts on, the best exchange while one helps.

    An exchange puts another candidate into a slot, or swaps the contents of two slots.

    Parameters
    ----------
    surrogate : PositionSurrogate or PromptPosterior
        Fitted; of several targets their mean counts.
    labels, balance
        As of `choose`.
    higher_is_better : bool
        False for a loss.

    Returns
    -------
    (tuple of int, float)
        The prompt, and its predicted outcome. The best of many predictions is picked: the real one tends to be worse.

    Raises
    ------
    InputError
        What `choose` refuses of labels and balance.
    """
    rule = Balance.of(surrogate.K_, surrogate.k_, labels, balance)
    starts = []
    for drawn in _drawn(surrogate.K_, _DRAWN_STARTS):
        inside = rule.first_allowed(drawn)
        starts.append(drawn[inside[drawn]])
    value, end = _search(surrogate, starts, rule, higher_is_better)
    return end, -value if higher_is_better else value


def choose_cautiously(
    surrogate: OrderSurrogate,
    seen: OrderedOutcomes,
    *,
    labels: Sequence[str] | None = None,
    balance: bool = False,
    higher_is_better: bool = False,
) -> tuple[tuple[int, ...], float]:
    """Choose demonstrations and their order by the worse end of the 90% interval of their predicted outcome.

    The search starts from the twenty best measured prompts and from what `choose_ordered` chooses. A measured prompt
    is in little doubt, so another one is chosen only where even the worse end promises more.

    Parameters
    ----------
    surrogate : PositionSurrogate or PromptPosterior
        Fitted to `seen`; of several targets their mean counts.
    seen : OrderedOutcomes
    labels, balance, higher_is_better
        As of `choose_ordered`.

    Returns
    -------
    (tuple of int, float)
        The prompt, and the worse end of its interval.

    Raises
    ------
    InputError
        What `choose` refuses of labels and balance.
    """
    rule = Balance.of(surrogate.K_, surrogate.k_, labels, balance)
    values = seen.values.mean(axis=1)
    best = seen.orders[rising(-values if higher_is_better else values)]
    allowed = (order for order in best if rule.allows(np.isin(np.arange(surrogate.K_), order)))
    bold, _ = choose_ordered(surrogate, labels=labels, balance=balance, higher_is_better=higher_is_better)
    starts = [np.array(bold), *islice(allowed, _SEEN_STARTS)]
    caution = interval_quantile(surrogate.degrees_of_freedom_)
    value, end = _search(surrogate, starts, rule, higher_is_better, caution)
    return end, -value if higher_is_better else value


def choose_set(
    surrogate: OrderSurrogate,
    *,
    labels: Sequence[str] | None = None,
    balance: bool = False,
    higher_is_better: bool = False,
) -> tuple[tuple[int, ...], float]:
    """Choose demonstrations by their mean over all orders: from six drawn sets on, the best exchange while one helps.

    The surrogate knows pairs of demonstrations and how many of each label are in; what the order does is averaged
    out of it, where a fit to means over a few orders takes it for noise.

    Parameters
    ----------
    surrogate : PositionSurrogate or PromptPosterior
        Fitted to prompts of at most six demonstrations; of several targets their mean counts.
    labels, balance
        As of `choose`.
    higher_is_better : bool
        False for a loss.

    Returns
    -------
    (tuple of int, float)
        The demonstrations, rising, and their predicted outcome.

    Raises
    ------
    InputError
        Prompts of more than six demonstrations, or what `choose` refuses of labels and balance.
    """
    rule = Balance.of(surrogate.K_, surrogate.k_, labels, balance)
    starts = [np.flatnonzero(rule.first_allowed(drawn)) for drawn in _drawn(surrogate.K_, _DRAWN_SETS)]

    def around(prompt: PromptOrders) -> tuple[float, PromptOrders, Values]:
        value, steps, values = _exchanged(surrogate, prompt, rule, higher_is_better, over_orders=True)
        return value, np.sort(steps, axis=1), values

    value, chosen = _best_end(starts, around)
    return chosen, -value if higher_is_better else value


def _drawn(K: int, count: int) -> list[NDArray[np.intp]]:
    """Random orders of all candidates, the same each time."""
    rng = np.random.default_rng(0)
    return [rng.permutation(K) for _ in range(count)]


def _search(
    surrogate: OrderSurrogate,
    starts: list[PromptOrders],
    rule: Balance,
    higher_is_better: bool,
    caution: float = 0.0,
) -> tuple[float, tuple[int, ...]]:
    """The least value reached, and the prompt there; `caution` standard deviations make a value worse."""

    def around(prompt: PromptOrders) -> tuple[float, PromptOrders, Values]:
        value, steps, values = _exchanged(surrogate, prompt, rule, higher_is_better, over_orders=False)
        reordered = _reordered(prompt)
        if len(reordered):
            steps = np.concatenate([steps, reordered])
            values = np.concatenate([values, _badness(surrogate, reordered, higher_is_better)])
        if not caution:
            return value, steps, values
        value += caution * float(surrogate.predict_std(prompt[None]).mean())
        # doubt makes none better, so that only what is predicted to be better needs it
        promising = rising(values)[:_DOUBTED]
        promising = promising[values[promising] < value]
        steps, values = steps[promising], values[promising]
        if len(steps):
            values = values + caution * surrogate.predict_std(steps).mean(axis=1)
        return value, steps, values

    return _best_end(starts, around)


def _best_end(
    starts: list[PromptOrders], around: Callable[[PromptOrders], tuple[float, PromptOrders, Values]]
) -> tuple[float, tuple[int, ...]]:
    """Go from every start to the best neighbour until none is better; the least value reached, and where.

    `around` returns the value of a prompt, its neighbours, and theirs.
    """
    ends: list[tuple[float, tuple[int, ...]]] = []
    for prompt in starts:
        value, steps, values = around(prompt)
        while len(steps):
            best = first_least(values)
            if not values[best] < value - NEAR * abs(value):
                break
            prompt = steps[best]
            value, steps, values = around(prompt)
        ends.append((value, tuple(prompt.tolist())))
    # where the order of equal labels does not count, ends are equally good: the one with the first candidates wins
    ends.sort(key=lambda end: end[1])
    return ends[first_least([value for value, _ in ends])]


def _exchanged(
    surrogate: OrderSurrogate, prompt: PromptOrders, rule: Balance, higher_is_better: bool, *, over_orders: bool
) -> tuple[float, PromptOrders, Values]:
    """The value of a prompt, all prompts with another candidate in one of the slots, and their values."""
    predicted = surrogate.predict_exchanges(prompt.tolist(), over_orders=over_orders).mean(axis=2)
    badness = -predicted if higher_is_better else predicted
    inside = np.isin(np.arange(len(rule.label_of)), prompt)
    removed, added = rule.swaps(inside)
    slot = np.argsort(prompt)[np.searchsorted(np.sort(prompt), removed)]
    steps = np.tile(prompt, (len(removed), 1))
    steps[np.arange(len(removed)), slot] = added
    return float(badness[0, prompt[0]]), steps, badness[slot, added]


def _reordered(prompt: PromptOrders) -> PromptOrders:
    """All prompts with the contents of two slots swapped."""
    pairs = np.array(list(combinations(range(len(prompt)), 2)), dtype=np.intp).reshape(-1, 2)
    reordered = np.tile(prompt, (len(pairs), 1))
    reordered[np.arange(len(pairs))[:, None], pairs] = prompt[pairs[:, ::-1]]
    return reordered


def _badness(
    surrogate: OrderSurrogate, orders: Sequence[Sequence[int]] | PromptOrders, higher_is_better: bool
) -> Values:
    predicted = np.asarray(surrogate.predict(orders).mean(axis=1))
    return -predicted if higher_is_better else predicted
