"""Searching for a better prompt with a budget of questions to the model.

First a few random prompts are asked about all queries. From then on a new prompt is asked about a few queries only,
which tell what it would answer to the others (`AnswerFactors`); what all answers say of all prompts
(`PromptPosterior`) decides what is asked next. Prompts that stay promising are asked about more and more queries, the
others are dropped: a race. Where the surrogate sees nothing more to gain, random prompts put it to the test before
the search ends: it knows only what is like the prompts that were asked. Every choice is made by draws of a seed and
the answers alone, so that a search that was stopped goes the same way again over the answers that were kept.

References
----------
Srinivas et al. (2010), Gaussian process optimization in the bandit setting; Maron and Moore (1994), Hoeffding races;
Efron (1983), Estimating the error rate of a prediction rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from kernelsm.prompts.answer_factors import AnswerFactors, AnswerScale
from kernelsm.prompts.neighbours import near_and_drawn
from kernelsm.prompts.order_kernel import PromptOrders
from kernelsm.prompts.prompt_posterior import PromptPosterior
from kernelsm.runtime.checks import check_whole
from kernelsm.runtime.near_ties import first_least

Array = NDArray[np.float64]
Order = tuple[int, ...]
FULL_STARTS = 8
"""Prompts that are asked about all queries at first."""
_FIRST, _GROWTH = 8, 2.0
_AT_ONCE = 4
_DRAWN, _PARENTS = 1500, 8
_FINALISTS = 3
_BOOTSTRAPS = 100
_LITTLE, _PATIENCE = 0.002, 25  # of what is sought: expected of the next prompt, so many times on end
_REFIT = 1.15
_NORMAL_90 = 1.645


@dataclass(frozen=True)
class Question:
    """A prompt that the model is to be asked about some queries with.

    Parameters
    ----------
    order : tuple of int
        Candidates as they stand in the prompt.
    queries : tuple of int
        Numbers of queries, rising.
    """

    order: Order
    queries: tuple[int, ...]


@dataclass(frozen=True)
class FoundPrompt:
    """A prompt with what is known of its mean outcome over queries like these.

    Parameters
    ----------
    order : tuple of int
    mean, low, high : float
        Expected outcome, and the 90% interval.
    asked, queries : int
        Queries that it was asked about, of all.
    measured : float
        Mean outcome of those, NaN where none.
    spread : float
        Standard deviation of the outcomes of single queries.
    most : float, optional
        Highest outcome that there is: 1 of shares; losses have none.
    """

    order: Order
    mean: float
    low: float
    high: float
    asked: int
    queries: int
    measured: float
    spread: float
    most: float | None = None

    def on_fresh(self, count: int) -> tuple[float, float]:
        """Return the 90% interval of the mean over so many other queries, within what there is.

        Both sets of queries were drawn: the interval of the mean is widened by what the draws leave to chance.
        """
        drawn = self.spread**2 * (1 / self.queries + 1 / count) * _NORMAL_90**2
        below, above = (float(np.sqrt(side**2 + drawn)) for side in (self.mean - self.low, self.high - self.mean))
        high = self.mean + above
        return max(self.mean - below, 0.0), high if self.most is None else min(high, self.most)


class PromptSearch:
    """Propose questions, take answers, and say which prompt is best.

    Parameters
    ----------
    K : int
        Number of candidates.
    k : int
        Demonstrations in a prompt.
    query_groups : sequence of int
        A group of each query, its label, so that few queries are of all labels; all 0 without.
    classes : sequence of int, optional
        The class of each candidate; None where labels do not repeat.
    budget : int
        Most calls: a call is one query after one prompt.
    scale : AnswerScale
        How answers are written; its outcome is what is sought to be least (a loss), or highest (accuracy).
    seed : int

    Examples
    --------
    A model that likes candidate 3 in the last slot is found out.

    >>> import numpy as np
    >>> from kernelsm.prompts.answer_factors import AnswerScale
    >>> from kernelsm.prompts.prompt_search import PromptSearch
    >>> search = PromptSearch(6, 2, [0, 1] * 10, budget=400, scale=AnswerScale("log"))
    >>> while questions := search.propose():
    ...     for question in questions:
    ...         search.tell(question, [1.0 - 0.5 * (question.order[-1] == 3)] * len(question.queries))
    >>> search.best().order[-1]
    3
    """

    def __init__(
        self,
        K: int,
        k: int,
        query_groups: Sequence[int],
        *,
        classes: Sequence[int] | None = None,
        budget: int,
        scale: AnswerScale,
        seed: int = 0,
    ) -> None:
        check_whole("budget", budget, 1)
        self.K, self.k, self.budget, self.seed, self.scale = K, k, budget, seed, scale
        self.groups = np.asarray(query_groups, dtype=np.intp)
        self.q = len(self.groups)
        self.classes = None if classes is None else np.asarray(classes, dtype=np.intp)
        self.calls = 0
        self._rng = np.random.default_rng([seed, 1])
        self._rows: dict[Order, int] = {}
        self._answers = np.empty((0, self.q))
        self._filled = self._answers
        self._turns: dict[Order, NDArray[np.intp]] = {}
        self._parameters: Array | None = None
        self._fitted_rows = 0
        self._posterior: PromptPosterior | None = None
        self._stale = True
        self._without_hope = 0

    @property
    def nothing_left(self) -> bool:
        """Whether the search has ended because no other prompt promises more, and not by its budget."""
        return self._without_hope >= _PATIENCE

    @property
    def orders(self) -> PromptOrders:
        """All prompts that were asked, shape (n, k)."""
        return np.array(list(self._rows), dtype=np.intp).reshape(-1, self.k)

    @property
    def answers(self) -> Array:
        """Their answers as losses, shape (n, q); NaN where a query was not asked."""
        return self._answers

    def tell(self, question: Question, losses: Sequence[float] | Array) -> None:
        """Take the answers to a question: losses in the order of its queries."""
        row = self._rows.setdefault(question.order, len(self._rows))
        if row == len(self._answers):
            self._answers = np.concatenate([self._answers, np.full((1, self.q), np.nan)])
        new = np.isnan(self._answers[row, list(question.queries)]).sum()
        self._answers[row, list(question.queries)] = np.asarray(losses, dtype=float)
        self.calls += int(new)
        self._stale = True

    def propose(self) -> list[Question]:
        """Return what to ask next; nothing once the budget is spent or there is no other prompt."""
        left = self.budget - self.calls
        if left <= 0 or self.nothing_left:
            return []
        missing = FULL_STARTS - len(self._rows)
        if missing > 0:
            starts = [Question(order, tuple(range(self.q))) for order in self._random_orders(missing)]
            return self._within(starts, left)
        questions = self._race()
        if not questions:
            self._without_hope = _PATIENCE  # all there are were asked
        return self._within(questions, left)

    def best(self) -> FoundPrompt:
        """Return the prompt that is expected to be best, of those that were asked.

        Raises
        ------
        InputError
            Fewer than 2 were asked.
        """
        return self.ranked(1)[0]

    def ranked(self, count: int) -> list[FoundPrompt]:
        """Return the best of the prompts that were asked, the best first."""
        mean, std = self._known()
        chosen = self._chosen(mean, std)[:count]
        shift = self._optimism()
        return [self._found(row, mean[row] + shift, std[row]) for row in chosen]

    @property
    def _sign(self) -> float:
        return -1.0 if self.scale.accuracy else 1.0

    @property
    def _in_logarithms(self) -> bool:
        return not self.scale.accuracy and self.scale.name != "plain"

    def _written(self, outcome: Array) -> Array:
        return np.log(np.maximum(outcome, 1e-6)) if self._in_logarithms else outcome

    def _read(self, value: float) -> float:
        return float(np.exp(value)) if self._in_logarithms else value

    def _fit(self) -> PromptPosterior:
        if self._stale or self._posterior is None:
            factors = AnswerFactors(self.scale).fit(self._answers)
            mean, std = factors.complete(self._answers)
            self._filled = factors.filled(self._answers)
            written = self._written(mean)
            variances = (std / np.maximum(mean, 1e-6)) ** 2 if self._in_logarithms else std**2
            posterior = PromptPosterior(self.K, self.classes)
            old = self._parameters if len(mean) < _REFIT * self._fitted_rows else None
            # the rest of its noise: what these queries say of a prompt is not what others would
            posterior.fit(self.orders, written, variances + self._by_chance(), parameters=old)
            if old is None:
                self._parameters, self._fitted_rows = posterior.parameters_, len(mean)
            self._posterior, self._stale = posterior, False
        return self._posterior

    def _by_chance(self) -> Array:
        """Variance with which the mean over these queries differs from that over all like them, on the scale.

        Of what each prompt does to single queries beyond what the others do to them: what is common to all prompts
        changes none of their differences.
        """
        outcome = self.scale.outcome(self._answers)
        known = ~np.isnan(outcome)
        whole = known.all(axis=1)
        if whole.sum() < 3:
            return np.zeros(len(outcome))
        table = outcome[whole]
        rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
        if self._in_logarithms:
            rest /= np.maximum(table.mean(axis=1, keepdims=True), 1e-6)
        return np.full(len(outcome), (rest**2).sum() / max((len(table) - 1) * (self.q - 1), 1) / self.q)

    def _known(self) -> tuple[Array, Array]:
        return self._fit().combined()

    def _chosen(self, mean: Array, std: Array) -> NDArray[np.intp]:
        """Rows of prompts, the best first; of equally good ones those that are known better."""
        return np.argsort(self._sign * mean + 0.5 * std, kind="stable")

    def _optimism(self) -> float:
        """How much the best prompt looks better on the queries that chose it than on others, on the scale.

        By the bootstrap over queries (Efron 1983): a prompt is chosen by queries drawn again from these, and what
        they say of it is set against what all of them say. What was not asked is filled in as it is expected.
        """
        posterior = self._fit()
        mean, std = posterior.combined()
        rng = np.random.default_rng([self.seed, 3])
        drawn = rng.multinomial(self.q, np.full(self.q, 1 / self.q), size=_BOOTSTRAPS) / self.q
        again = posterior.combined_means(self._written(self._filled @ drawn.T))
        best = [self._chosen(column, std)[0] for column in again.T]
        return float(np.mean([mean[row] - column[row] for row, column in zip(best, again.T, strict=True)]))

    def _race(self) -> list[Question]:
        """A few questions: of the best that is not known well, and of what may be better still."""
        posterior = self._fit()
        mean, std = posterior.combined()
        asked = (~np.isnan(self._answers)).sum(axis=1)
        unfinished = asked < self.q
        questions: list[Question] = []
        known = list(self._rows)
        # the best so far are to be known
        ranking = np.argsort(self._sign * mean + 0.25 * std, kind="stable")[:_FINALISTS]
        for row in ranking:
            if unfinished[row]:
                questions.append(self._next_block(known[row], int(asked[row])))
                break
        pool = self._pool()
        pool_mean, pool_std = posterior.posterior(pool)
        values = self._sign * np.concatenate([mean, pool_mean])
        doubts = np.concatenate([std, pool_std])
        closed = np.concatenate([~unfinished, np.zeros(len(pool), dtype=bool)])
        for question in questions:
            closed[self._rows[question.order]] = True
        hope = _expected_gain(values, doubts, float(values[ranking[0]]))[~closed]
        unit = 1.0 if self._in_logarithms else max(abs(float(mean.mean())), 1e-6)
        hopeless = not questions and (not hope.size or hope.max() < _LITTLE * unit)
        self._without_hope = self._without_hope + 1 if hopeless else 0
        if hopeless:  # the surrogate knows what is like the prompts that were asked: others put it to the test
            return [self._next_block(order, 0) for order in self._random_orders(_AT_ONCE)]
        for daring in np.abs(self._rng.normal(size=_AT_ONCE)):
            optimistic = np.where(closed, np.inf, values - daring * doubts)
            pick = first_least(optimistic)
            if not np.isfinite(optimistic[pick]):
                break
            closed[pick] = True
            order = known[pick] if pick < len(known) else tuple(int(i) for i in pool[pick - len(known)])
            questions.append(self._next_block(order, int(asked[pick]) if pick < len(known) else 0))
        return questions

    def _next_block(self, order: Order, asked: int) -> Question:
        """The next queries of a prompt: as many again as were asked, at first 8."""
        size = min(max(_FIRST, round(asked * (_GROWTH - 1))), self.q - asked)
        if self.q - asked - size < _FIRST // 2:
            size = self.q - asked
        turns = self._turns.setdefault(order, self._mixed(order))
        row = self._rows.get(order)
        open_ones = turns if row is None else turns[np.isnan(self._answers[row, turns])]
        return Question(order, tuple(sorted(int(j) for j in open_ones[:size])))

    def _mixed(self, order: Order) -> NDArray[np.intp]:
        """All queries at random, the groups taking turns."""
        rng = np.random.default_rng([self.seed, 2, *order])
        drawn = rng.permutation(self.q)
        place = np.empty(self.q, dtype=np.intp)
        for group in np.unique(self.groups):
            members = drawn[self.groups[drawn] == group]
            place[members] = np.arange(len(members))
        return drawn[np.argsort(place[drawn], kind="stable")]

    def _pool(self) -> PromptOrders:
        """Prompts that were not asked: drawn at random, and those that differ little from the best."""
        mean, std = self._known()
        parents = self.orders[np.argsort(self._sign * mean - 0.5 * std, kind="stable")[:_PARENTS]]
        pool = near_and_drawn(parents, self.K, _DRAWN, self._rng)
        known = set(self._rows)
        return pool[[tuple(int(i) for i in order) not in known for order in pool]]

    def _random_orders(self, count: int) -> list[Order]:
        """So many prompts that were not asked, or fewer where there are not as many."""
        drawn: dict[Order, None] = {}
        for _ in range(200 * count):
            order = tuple(int(i) for i in self._rng.permutation(self.K)[: self.k])
            if order not in self._rows:
                drawn[order] = None
            if len(drawn) == count:
                break
        return list(drawn)

    def _within(self, questions: list[Question], left: int) -> list[Question]:
        kept = []
        for question in questions:
            if not question.queries:
                continue
            kept.append(Question(question.order, question.queries[:left]))
            left -= len(kept[-1].queries)
            if left <= 0:
                break
        return kept

    def _found(self, row: int, mean: float, std: float) -> FoundPrompt:
        answers = self.scale.outcome(self._answers[row])
        asked = int((~np.isnan(answers)).sum())
        most = None if self._in_logarithms else 1.0
        middle, low, high = (self._read(mean + side * _NORMAL_90 * std) for side in (0, -1, 1))
        if most is not None:  # a normal law reaches beyond shares near 0 or 1
            middle, low, high = (min(max(value, 0.0), most) for value in (middle, low, high))
        return FoundPrompt(
            tuple(int(i) for i in self.orders[row]), middle, low, high, asked, self.q,
            float(np.nanmean(answers)), float(np.nanstd(answers, ddof=1)) if asked > 1 else 0.0, most,
        )  # fmt: skip


def _expected_gain(values: Array, doubts: Array, best: float) -> Array:
    """How far each is expected to be below the best, where it is above counting as 0 (Jones et al. 1998)."""
    z = (best - values) / np.maximum(doubts, 1e-12)
    return np.asarray((best - values) * norm.cdf(z) + doubts * norm.pdf(z))
