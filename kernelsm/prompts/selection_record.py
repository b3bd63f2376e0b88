"""How good are choices of demonstrations? Every way to choose, asked of the real model on fresh queries."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from kernelsm.evaluation.comparison import paired_gain
from kernelsm.evaluation.metrics import spearman_per_target
from kernelsm.outcomes.table import Outcomes
from kernelsm.prompts.order_gain import order_gain
from kernelsm.prompts.order_search import best_order_seen, choose_cautiously, choose_ordered, choose_set
from kernelsm.prompts.order_surrogate import PositionSurrogate
from kernelsm.prompts.orders import OrderedOutcomes
from kernelsm.selection.search import choose
from kernelsm.selection.simple_choices import best_seen, most_alike, random_prompts, top_by_linear
from kernelsm.surrogates.auto import AutoSurrogate
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.kernel import KernelSurrogateCV
from kernelsm.surrogates.linear import LinearSurrogate, LinearSurrogateCV
from kernelsm.surrogates.shared import SharedSurrogate

Losses = Callable[[tuple[int, ...], int | None], NDArray[np.float64]]
"""From a prompt to the loss of each fresh query, shape (q,): mean over so many random orders; None: in its own."""
ORDERED, PAIRWISE, RANDOM = "order-aware", "pairwise-aware", "random"
CAUTIOUS, SEEN_ORDER = "order-aware, cautious", "best prompt seen, in its order"
OWN_ORDER = (SEEN_ORDER, CAUTIOUS, ORDERED)
"""Ways that choose an order too, in which the prompt is asked."""
DEFAULT = "pairwise-aware, default surrogate"
SEEDS, FRACTION, FOLDS = 5, 0.8, 5


@dataclass(frozen=True)
class ChoiceRecord:
    """How one way to choose does on fresh queries.

    Parameters
    ----------
    name : str
    loss, margin : float
        Mean over seeds and queries in nats, and half of its 90% interval over queries.
    worse, worse_margin : float
        The same of its loss minus that of the order-aware choice (without caution), query by query: above 0, the
        latter is better.
    prompts : list of lists of int
        The choice of each seed.
    """

    name: str
    loss: float
    margin: float
    worse: float
    worse_margin: float
    prompts: list[list[int]]


@dataclass(frozen=True)
class FitRecord:
    """How well a surrogate ranks prompts that it has not seen.

    Parameters
    ----------
    name : str
    lds : float
        Mean over queries of the rank correlation, cross-validated.
    low, high : float
        90% interval of its LDS minus that of the tuned ridge.
    overall : float
        Rank correlation of the mean over queries.
    """

    name: str
    lds: float
    low: float
    high: float
    overall: float


@dataclass(frozen=True)
class OrderRecord:
    """What knowing the order gains on single prompts that were held out: see `OrderGain`.

    Parameters
    ----------
    subsets, orders : int
        How many subsets, and orders of each.
    lds, lds_alone : float
        Of a surrogate of (s, order), and of the same that sees s alone.
    low, high : float
        90% interval of their difference, over subsets.
    error, error_alone : float
        Relative errors of both.
    """

    subsets: int
    orders: int
    lds: float
    lds_alone: float
    low: float
    high: float
    error: float
    error_alone: float


@dataclass(frozen=True)
class SelectionRecord:
    """What was measured for a prompt task.

    Parameters
    ----------
    prompts, queries, fresh, orders : int
        Prompts measured to fit; queries to fit by and to check with; orders of each checked prompt.
    random_prompts, random_orders : int
        Random prompts whose mean the choices are compared with, and orders of each.
    choices : list of ChoiceRecord
    fits : list of FitRecord
    order : OrderRecord
    """

    prompts: int
    queries: int
    fresh: int
    orders: int
    random_prompts: int
    random_orders: int
    choices: list[ChoiceRecord]
    fits: list[FitRecord]
    order: OrderRecord

    @property
    def gain(self) -> float:
        """Fraction by which the cautious order-aware choice is below the mean random prompt."""
        loss = {choice.name: choice.loss for choice in self.choices}
        return 1 - loss[CAUTIOUS] / loss[RANDOM]

    def to_json(self) -> str:
        """Return the record as JSON."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> SelectionRecord:
        """Return the record of `to_json`, read."""
        choices = [ChoiceRecord(**record) for record in content["choices"]]
        known = [FitRecord(**record) for record in content["fits"]]
        return cls(**{**content, "choices": choices, "fits": known, "order": OrderRecord(**content["order"])})


def choices(
    outcomes: Outcomes, ordered: OrderedOutcomes, labels: NDArray[np.integer], likeness: list[float], seed: int
) -> dict[str, tuple[int, ...]]:
    """Choose a prompt in every way from a random four fifths of the measured prompts.

    Parameters
    ----------
    outcomes : Outcomes
        Prompts of one size.
    ordered : OrderedOutcomes
        Their single orders.
    labels : ndarray of int, shape (K,)
        Class of each candidate.
    likeness : list of float, length K
        Of each candidate to the queries.
    seed : int
        Of the draw of four fifths.

    Returns
    -------
    dict
        Name of the way -> candidates; those of `OWN_ORDER` in their order, others rising.
    """
    size = int(outcomes.masks[0].sum())
    train = outcomes.split(FRACTION, seed=seed)[0].mean_target()
    surrogate = SharedSurrogate().fit_outcomes(train)
    rows = ordered.of(train.masks)
    positions = PositionSurrogate().fit(rows.orders, rows.values.mean(axis=1)[:, None], outcomes.K, labels)
    return {
        ORDERED: choose_ordered(positions)[0],
        CAUTIOUS: choose_cautiously(positions, rows)[0],
        SEEN_ORDER: best_order_seen(rows, outcomes.K),
        PAIRWISE: choose_set(positions)[0],
        DEFAULT: choose(surrogate, size, "swap").demonstrations,
        "top by attribution": choose(surrogate, size, "top").demonstrations,
        "top by linear surrogate": top_by_linear(train, size).demonstrations,
        "nearest to the queries": most_alike(likeness, size),
        "best prompt seen": best_seen(train, size),
    }


def fits(outcomes: Outcomes) -> list[FitRecord]:
    """Compare surrogates by five-fold cross-validation over prompts, all queries as targets."""
    makers: dict[str, Callable[[], Surrogate]] = {
        "ridge": LinearSurrogateCV,
        "linear": lambda: LinearSurrogate(ridge=1e-9),
        "kernel": KernelSurrogateCV,
        "default": AutoSurrogate,
    }
    folds = np.random.default_rng(0).permutation(outcomes.m) % FOLDS
    found: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for name, make in makers.items():
        predicted, overall = np.zeros_like(outcomes.values), np.zeros(outcomes.m)
        for fold in range(FOLDS):
            inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            train, masks = outcomes.take(inside), outcomes.masks[outside]
            predicted[outside] = make().fit_outcomes(train).predict(masks).reshape(len(masks), -1)
            overall[outside] = make().fit_outcomes(train.mean_target()).predict(masks).reshape(-1)
        found[name] = predicted, overall
    records = []
    for name, (predicted, overall) in found.items():
        gain = paired_gain(outcomes.values, predicted, found["ridge"][0])
        ranks = float(spearman_per_target(outcomes.values.mean(axis=1), overall)[0])
        records.append(FitRecord(name, gain.first, gain.low, gain.high, ranks))
    return records


def order_record(ordered: OrderedOutcomes, K: int, labels: NDArray[np.integer]) -> OrderRecord:
    """Compare surrogates with and without the order by five-fold cross-validation over subsets."""
    gain = order_gain(ordered.orders, ordered.values, K, labels, folds=FOLDS)
    lds, error = gain.lds, gain.relative_error
    return OrderRecord(
        gain.subsets, gain.orders, lds.first, lds.second, lds.low, lds.high, error.first, error.second
    )  # fmt: skip


def selection_record(
    outcomes: Outcomes,
    ordered: OrderedOutcomes,
    labels: NDArray[np.integer],
    likeness: list[float],
    losses: Losses,
    *,
    orders: int,
    random_orders: int,
    random_count: int,
    random_seed: int,
) -> SelectionRecord:
    """Choose in every way and with every seed, and have each prompt asked about the fresh queries.

    Parameters
    ----------
    outcomes : Outcomes
        Measured prompts of one size, fit queries as targets.
    ordered, labels, likeness
        As of `choices`.
    losses : callable
    orders, random_orders : int
        Of a chosen prompt, but for those of `OWN_ORDER`, and of a random one.
    random_count, random_seed : int
        Random prompts to compare with.
    """
    size = int(outcomes.masks[0].sum())
    drawn = random_prompts(outcomes.K, size, random_count, seed=random_seed)
    random_losses = [losses(tuple(np.flatnonzero(mask).tolist()), random_orders) for mask in drawn]
    by_name: dict[str, list[tuple[int, ...]]] = {}
    for seed in range(SEEDS):
        for name, prompt in choices(outcomes, ordered, labels, likeness, seed).items():
            by_name.setdefault(name, []).append(prompt)
    means = {
        name: np.mean([losses(prompt, None if name in OWN_ORDER else orders) for prompt in prompts], axis=0)
        for name, prompts in by_name.items()
    }
    means[RANDOM] = np.mean(random_losses, axis=0)
    records = []
    for name, mean in means.items():
        worse = mean - means[ORDERED]
        prompts = [list(prompt) for prompt in by_name.get(name, [])]
        records.append(
            ChoiceRecord(name, float(mean.mean()), _margin(mean), float(worse.mean()), _margin(worse), prompts)
        )
    return SelectionRecord(
        outcomes.m, outcomes.q, len(means[RANDOM]), orders, random_count, random_orders, records, fits(outcomes),
        order_record(ordered, outcomes.K, labels),
    )  # fmt: skip


def _margin(by_query: NDArray[np.float64]) -> float:
    """Half of the 90% interval of a mean over queries."""
    q = len(by_query)
    return float(t.ppf(0.95, q - 1) * by_query.std(ddof=1) / np.sqrt(q)) if q > 1 else float("nan")
