"""What single demonstrations do, and which pairs help each other or clash, by the page's own prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from kernelsm.prompts.order_kernel import PromptOrders
from kernelsm.prompts.prompt_prediction import PromptPrediction
from kernelsm.surrogates.results import Attribution
from kernelsm.surrogates.verdicts import told_from_zero

_PROMPTS, _FEWEST, _ALTOGETHER = 160, 40, 12_000
"""Random prompts that an effect is a mean over: so many, but fewer of each where there are many candidates."""


@dataclass(frozen=True)
class PairEffect:
    """What two demonstrations do together beyond the sum of both: of a loss negative helps.

    `clear` says whether it can be told from zero, with all pairs in mind that it was looked at with.
    """

    first: int
    second: int
    value: float
    std: float
    clear: bool


def candidate_effects(prediction: PromptPrediction, names: Sequence[str], target: str, unit: str) -> Attribution:
    """Return the mean outcome of random prompts with each candidate, minus that with another one in its place.

    Parameters
    ----------
    prediction : PromptPrediction
        Of more candidates than a prompt holds.
    names : sequence of str, length K
    target : str
        What was predicted.
    unit : str
        Of the outcome, in one word.
    """
    measured = prediction.measured
    count = max(_FEWEST, min(_PROMPTS, _ALTOGETHER // measured.K))
    found = []
    for k in range(measured.K):
        others, slot = _drawn(measured.K, measured.k, (k,), count, 1)
        found.append(_contrast(prediction, [(_placed(others, slot, (k,)), 1.0), (others, -1.0)]))
    return Attribution(
        np.array([value for value, _ in found])[:, None], tuple(names), (target,), measured.higher_is_better,
        meta={"readout": "inclusion", "size": measured.k, "measure": unit},
        degrees_of_freedom=prediction.surrogate.degrees_of_freedom_,
        std=np.array([std for _, std in found])[:, None],
    )  # fmt: skip


def pair_effects(prediction: PromptPrediction, picked: Sequence[int]) -> list[PairEffect]:
    """Return what each picked pair does beyond the sum of both, in the mean over random prompts and orders.

    None where a prompt has no room for two, or there are too few candidates to leave both out.
    """
    measured = prediction.measured
    if measured.k < 2 or measured.k + 2 > measured.K:
        return []
    pairs = list(combinations(sorted(picked), 2))
    found = []
    for j, k in pairs:
        others, slots = _drawn(measured.K, measured.k, (j, k), _PROMPTS, 2)
        with_first, with_second = (_placed(others, slots[:, [i]], ((j, k)[i],)) for i in (0, 1))
        both = _placed(others, slots, (j, k))
        found.append(_contrast(prediction, [(both, 1.0), (others, 1.0), (with_first, -1.0), (with_second, -1.0)]))
    values, std = (np.array([one[i] for one in found]) for i in (0, 1))
    clear = told_from_zero(values, std, prediction.surrogate.degrees_of_freedom_)
    return [
        PairEffect(j, k, value, deviation, bool(told))
        for (j, k), (value, deviation), told in zip(pairs, found, clear, strict=True)
    ]


def _contrast(prediction: PromptPrediction, parts: list[tuple[PromptOrders, float]]) -> tuple[float, float]:
    prompts = np.concatenate([orders for orders, _ in parts])
    weights = np.concatenate([np.full(len(orders), sign / len(orders)) for orders, sign in parts])
    value, std = prediction.contrast(prompts, weights)
    # the prompts are drawn, so that another draw would say something else too
    drawn = sum(sign * prediction.values(orders) for orders, sign in parts)
    return value, float(np.hypot(std, np.std(drawn, ddof=1) / np.sqrt(len(parts[0][0]))))


def _drawn(K: int, k: int, left_out: tuple[int, ...], count: int, places: int) -> tuple[PromptOrders, PromptOrders]:
    """Random prompts without some candidates, and `places` different slots of each, every slot as often.

    They come from the same keys whatever is left out: two effects differ by their candidates, not by the draw.
    """
    rng = np.random.default_rng(0)
    keys = rng.random((count, K))
    keys[:, list(left_out)] = np.inf
    prompts = keys.argsort(axis=1)[:, :k].astype(np.intp)
    first = np.arange(count) % k
    slots = [first, (first + 1 + rng.integers(0, max(k - 1, 1), count)) % k][:places]
    return prompts, np.stack(slots, axis=1)


def _placed(prompts: PromptOrders, slots: PromptOrders, candidates: tuple[int, ...]) -> PromptOrders:
    """The prompts with candidates in these slots."""
    placed = prompts.copy()
    for column, candidate in zip(slots.T, candidates, strict=True):
        placed[np.arange(len(placed)), column] = candidate
    return placed
