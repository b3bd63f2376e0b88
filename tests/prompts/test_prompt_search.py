"""The search for a prompt: its budget, its questions, and that it finds better ones than asking at random."""

import numpy as np
import pytest

from kernelsm.prompts.answer_factors import AnswerScale
from kernelsm.prompts.prompt_search import FULL_STARTS, FoundPrompt, PromptSearch

K, SLOTS, Q = 16, 3, 40
CLASSES = np.arange(K) % 2
GROUPS = np.arange(Q) % 2


class Model:
    """Answers that lean to the label of the last demonstrations; a good one makes all of them surer."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.good, self.seed = rng.normal(0, 0.4, K), seed
        self.base = rng.normal(1.0, 0.6, 2 * Q)
        self.slots = np.array([0.3, 0.6, 1.2])
        self.lean = rng.normal(0, 0.5)

    def losses(self, order, rows):
        order = np.array(order)
        bias = self.lean + (self.slots * (2 * CLASSES[order] - 1)).sum()
        x = self.base + self.good[order].sum() + bias * np.where(np.arange(2 * Q) % 2, 1.0, -1.0)
        noise = np.random.default_rng([self.seed, *order.tolist()]).normal(0, 0.4, 2 * Q)
        return np.logaddexp(0, -(x + noise))[rows]


def searched(model, budget, seed=0, scale=None, most=None):
    search = PromptSearch(
        K, SLOTS, GROUPS.tolist(), classes=CLASSES.tolist(), budget=budget, scale=scale or AnswerScale("margin"),
        seed=seed,
    )  # fmt: skip
    asked = []
    while (questions := search.propose()) and (most is None or len(asked) < most):
        for question in questions:
            asked.append(question)
            search.tell(question, model.losses(question.order, list(question.queries)))
    return search, asked


def test_no_call_is_spent_twice_or_beyond_the_budget():
    search, asked = searched(Model(0), 900)
    calls = [(question.order, query) for question in asked for query in question.queries]
    assert len(calls) == len(set(calls)) == search.calls == 900
    assert all(len(set(question.order)) == SLOTS for question in asked)
    assert np.isnan(search.answers).sum() == search.answers.size - 900
    few = [question for question in asked if len(question.queries) == 8]
    assert all(sum(GROUPS[list(question.queries)]) == 4 for question in few)  # of both labels alike
    assert len(search.orders) > 900 / Q  # more prompts than whole ones would be


def test_the_same_answers_lead_the_same_way():
    first, second = (searched(Model(1), 700, seed=5)[1] for _ in range(2))
    assert first == second
    assert searched(Model(1), 700, seed=6)[1] != first


def test_it_finds_better_prompts_than_asking_at_random_with_as_many_calls():
    differences = []
    for seed in range(8):
        model, rng = Model(seed), np.random.default_rng(seed)
        drawn = [tuple(rng.permutation(K)[:SLOTS].tolist()) for _ in range(25)]
        at_random = min(drawn, key=lambda order: model.losses(order, slice(0, Q)).mean())
        found = searched(model, 25 * Q, seed)[0].best().order
        fresh = [model.losses(order, slice(Q, 2 * Q)).mean() for order in (found, at_random)]
        differences.append(fresh[0] - fresh[1])
    assert np.mean(differences) + 2 * np.std(differences) / np.sqrt(8) < 0


def test_nine_of_ten_intervals_of_what_it_found_hold_on_fresh_queries():
    inside = []
    for seed in range(20):
        model = Model(seed + 50)
        found = searched(model, 15 * Q, seed)[0].best()
        low, high = found.on_fresh(Q)
        inside.append(low <= model.losses(found.order, slice(Q, 2 * Q)).mean() <= high)
    assert np.mean(inside) >= 0.8


def test_it_stops_where_no_prompt_is_better_than_another():
    class Flat(Model):
        def losses(self, order, rows):
            return np.full(2 * Q, 0.7)[rows]

    search, _ = searched(Flat(0), 100_000)
    assert search.nothing_left
    assert search.calls < 20_000
    assert search.best().mean == pytest.approx(0.7, rel=0.02)


def test_where_all_prompts_were_asked_nothing_is_left():
    search = PromptSearch(4, 2, [0, 1] * 4, budget=10_000, scale=AnswerScale("log"))
    rng = np.random.default_rng(0)
    while questions := search.propose():
        for question in questions:
            search.tell(question, rng.uniform(0.5, 1.5, len(question.queries)))
    assert search.calls == 12 * 8
    assert search.nothing_left


def test_before_it_stops_random_prompts_put_its_doubts_to_the_test():
    class Rare(Model):
        """One prompt in twenty is good, and nothing in it says so."""

        def losses(self, order, rows):
            good = np.random.default_rng([self.seed, *order]).random() < 0.05
            return np.full(2 * Q, 0.3 if good else 0.7)[rows]

    for seed in range(5):
        search, _ = searched(Rare(seed), 5_000, seed)
        assert search.best().measured == pytest.approx(0.3)


def test_accuracy_is_sought_to_be_high_and_right_or_wrong_is_enough():
    model = Model(3)
    found = searched(model, 1000, scale=AnswerScale("margin", accuracy=True))[0].best()
    right = (model.losses(found.order, slice(0, Q)) < np.log(2)).mean()
    rng = np.random.default_rng(0)
    others = [(model.losses(rng.permutation(K)[:SLOTS], slice(0, Q)) < np.log(2)).mean() for _ in range(50)]
    assert right > np.mean(others)
    assert 0 <= found.low <= found.mean <= found.high

    class Graded(Model):
        def losses(self, order, rows):
            return (super().losses(order, rows) > np.log(2)).astype(float)

    graded = searched(Graded(3), 1000, scale=AnswerScale("plain"))[0].best()
    assert (model.losses(graded.order, slice(0, Q)) < np.log(2)).mean() > np.mean(others)


def test_where_there_are_few_prompts_all_are_asked_and_it_ends():
    search = PromptSearch(4, 2, [0] * 10, budget=10_000, scale=AnswerScale("log"))
    while questions := search.propose():
        for question in questions:
            search.tell(question, 1 + 0.1 * np.arange(10)[list(question.queries)] / (1 + question.order[0]))
    assert len(search.orders) <= 12
    assert search.best().order[0] == 3
    assert len({found.order for found in search.ranked(4)}) == 4


def test_a_budget_that_ends_with_the_random_prompts_still_has_a_best():
    search, asked = searched(Model(0), FULL_STARTS * Q)
    assert len(asked) == FULL_STARTS
    assert search.best().asked == Q


def test_no_interval_of_a_loss_on_fresh_queries_is_below_zero():
    found = FoundPrompt((0, 1), mean=0.1, low=0.05, high=0.2, asked=8, queries=40, measured=0.1, spread=0.8)
    low, high = found.on_fresh(10)
    assert low == 0.0
    assert high > 0.2


def test_no_interval_of_a_share_leaves_nought_to_one():
    class Right(Model):
        def losses(self, order, rows):
            return (super().losses(order, rows) > 2.0).astype(float)  # nearly always right

    for found in searched(Right(5), 700, scale=AnswerScale("plain"))[0].ranked(4):
        assert 0 <= found.low <= found.mean <= found.high <= 1
        assert found.on_fresh(5)[1] <= 1
