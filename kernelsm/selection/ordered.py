"""Choosing a prompt, with its order or for all orders: what a position-aware surrogate predicts to be best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from kernelsm.outcomes.prompt_orders import OrderedOutcomes
from kernelsm.selection.search import Balance
from kernelsm.surrogates.positions import PositionSurrogate
from kernelsm.surrogates.results import interval_quantile

Prompt = tuple[int, ...]

_DRAWN_STARTS = 20
_DRAWN_SETS = 6
_TIE = 1e-9


def best_order(
    surrogate: PositionSurrogate, picked: Sequence[int], *, higher_is_better: bool = False
) -> tuple[int, ...]:
    """Return the same demonstrations in the order of the best predicted outcome, of at most six all tried.

    Parameters
    ----------
    surrogate : PositionSurrogate
        Fitted; of several targets their mean counts.
    picked : sequence of int
        As many as in the prompts of the fit.
    higher_is_better : bool
        False for a loss.
    """
    orders = list(permutations(sorted(picked)))
    return orders[int(np.argmin(_badness(surrogate, orders, higher_is_better)))]


def choose_ordered(
    surrogate: PositionSurrogate,
    *,
    caution: float = 0.0,
    seen: Sequence[Sequence[int]] = (),
    labels: Sequence[str] | None = None,
    balance: bool = False,
    higher_is_better: bool = False,
) -> tuple[tuple[int, ...], float]:
    """Choose demonstrations and their order: from twenty drawn prompts on, the best exchange while one helps.

    An exchange puts another candidate into a slot, or swaps the contents of two slots. The best of many predictions
    is picked, so the real outcome tends to be worse; with caution what the surrogate doubts must promise more.

    Parameters
    ----------
    surrogate : PositionSurrogate
        Fitted; of several targets their mean counts.
    caution : float
        Posterior standard deviations that a prediction is made worse by.
    seen : sequence of sequences of int
        Prompts to start from too.
    labels, balance
        As of `choose`.
    higher_is_better : bool
        False for a loss.

    Returns
    -------
    (tuple of int, float)
        The prompt, and its predicted outcome, made worse by the caution.

    Raises
    ------
    InputError
        What `choose` refuses of labels and balance.
    """
    rule = Balance.of(surrogate.K_, surrogate.k_, labels, balance)
    starts = []
    for drawn in _drawn(surrogate.K_, _DRAWN_STARTS):
        inside = rule.first(drawn)
        starts.append(tuple(int(k) for k in drawn if inside[k]))
    starts += [
        tuple(int(k) for k in prompt) for prompt in seen if rule.allows(np.isin(np.arange(surrogate.K_), prompt))
    ]
    value, prompt = _best_end(
        starts, lambda now: _exchanged(now, rule) + _reordered(now),
        lambda prompts: _badness(surrogate, prompts, higher_is_better, caution),
    )  # fmt: skip
    return prompt, -value if higher_is_better else value


def choose_cautiously(
    surrogate: PositionSurrogate,
    seen: OrderedOutcomes,
    *,
    labels: Sequence[str] | None = None,
    balance: bool = False,
    higher_is_better: bool = False,
) -> tuple[tuple[int, ...], float]:
    """Choose demonstrations and their order by the worse end of the 90% interval of their predicted outcome.

    The search starts from the twenty best measured prompts too. A measured prompt is in little doubt, so another one
    is chosen only where even the worse end promises more.

    Parameters
    ----------
    surrogate : PositionSurrogate
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
    values = seen.values.mean(axis=1)
    best = np.argsort(-values if higher_is_better else values, kind="stable")[:_DRAWN_STARTS]
    return choose_ordered(
        surrogate, caution=interval_quantile(surrogate.surrogate_.degrees_of_freedom_),
        seen=seen.orders[best].tolist(), labels=labels, balance=balance, higher_is_better=higher_is_better,
    )  # fmt: skip


def choose_set(
    surrogate: PositionSurrogate,
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
    surrogate : PositionSurrogate
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
    K = surrogate.K_
    rule = Balance.of(K, surrogate.k_, labels, balance)

    def badness(sets: list[Prompt]) -> NDArray[np.float64]:
        masks = np.zeros((len(sets), K), dtype=np.bool_)
        masks[np.arange(len(sets))[:, None], np.array(sets)] = True
        predicted = np.asarray(surrogate.predict_subsets(masks).mean(axis=1))
        return -predicted if higher_is_better else predicted

    starts = [tuple(np.flatnonzero(rule.first(drawn)).tolist()) for drawn in _drawn(K, _DRAWN_SETS)]
    value, chosen = _best_end(starts, lambda now: [tuple(sorted(one)) for one in _exchanged(now, rule)], badness)
    return chosen, -value if higher_is_better else value


def _drawn(K: int, count: int) -> list[NDArray[np.intp]]:
    """Random orders of all candidates, the same each time."""
    rng = np.random.default_rng(0)
    return [rng.permutation(K) for _ in range(count)]


def _best_end(
    starts: list[Prompt],
    neighbours: Callable[[Prompt], list[Prompt]],
    badness: Callable[[list[Prompt]], NDArray[np.float64]],
) -> tuple[float, Prompt]:
    """Go from every start to the best neighbour until none is better; the least value reached, and where."""
    ends: list[tuple[float, Prompt]] = []
    for start in starts:
        now, value = start, float(badness([start])[0])
        while steps := neighbours(now):
            values = badness(steps)
            best = int(np.argmin(values))
            if not values[best] < value - _TIE * abs(value):
                break
            now, value = steps[best], float(values[best])
        ends.append((value, now))
    return min(ends)


def _exchanged(prompt: Prompt, rule: Balance) -> list[Prompt]:
    """All prompts with another candidate in one of the slots."""
    inside = np.isin(np.arange(len(rule.label_of)), prompt)
    return [
        tuple(int(into) if k == out else k for k in prompt) for out, into in zip(*rule.swaps(inside), strict=True)
    ]


def _reordered(prompt: Prompt) -> list[Prompt]:
    """All prompts with the contents of two slots swapped."""
    found = []
    for one, other in combinations(range(len(prompt)), 2):
        swapped = list(prompt)
        swapped[one], swapped[other] = swapped[other], swapped[one]
        found.append(tuple(swapped))
    return found


def _badness(
    surrogate: PositionSurrogate, orders: Sequence[Sequence[int]], higher_is_better: bool, caution: float = 0.0
) -> NDArray[np.float64]:
    predicted = np.asarray(surrogate.predict(orders).mean(axis=1))
    badness = -predicted if higher_is_better else predicted
    return badness + caution * surrogate.predict_std(orders).mean(axis=1) if caution else badness
