"""Choosing demonstrations: every search against brute force, planted games, balance, ties, and the baselines."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from kernelsm import (
    InputError,
    KernelSurrogate,
    KernelSurrogateCV,
    LinearSurrogate,
    LinearSurrogateCV,
    Outcomes,
    SharedSurrogate,
    default_surrogate,
    fixed_size_masks,
)
from kernelsm.examples.planted.game import PlantedGame
from kernelsm.selection.search import Balance, choose
from kernelsm.selection.simple_choices import best_seen, nearest_to_queries, random_prompts, top_by_linear

METHODS = ("top", "greedy", "swap", "exhaustive")
SURROGATES = [
    KernelSurrogate(gamma=0.3), KernelSurrogate(kernel="poly", coef0=1.0), KernelSurrogateCV(), LinearSurrogate(),
    LinearSurrogateCV(), SharedSurrogate(), default_surrogate(),
]  # fmt: skip


def masks_of(subsets, K):
    masks = np.zeros((len(subsets), K), dtype=bool)
    for mask, subset in zip(masks, subsets, strict=True):
        mask[list(subset)] = True
    return masks


def is_balanced(subset, labels):
    counts = [sum(labels[k] == label for k in subset) for label in set(labels)]
    return max(counts) - min(counts) <= 1


def noisy(K=9, size=3, m=40, q=1, seed=0, gamma=0.3):
    """A surrogate of outcomes without any structure: the hardest to search."""
    values = np.random.default_rng(seed).normal(size=(m, q))
    return KernelSurrogate(gamma=gamma).fit(fixed_size_masks(K, m, size=size, seed=seed), values)


def game(K, *, main=None, pairs=None, noise=0.0):
    return PlantedGame(tuple(f"task {k}" for k in range(K)), 2.0, main or {}, pairs or {}, {}, noise)


def brute(value, K, size, labels=None):
    subsets = [s for s in combinations(range(K), size) if labels is None or is_balanced(s, labels)]
    return subsets[int(np.argmin(value(masks_of(subsets, K))))]


@pytest.mark.parametrize("labels", [None, list("ababababa"), list("aaabbbccc"), list("aaaaaabbc")])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_the_exhaustive_search_finds_what_brute_force_finds(size, labels):
    g = noisy(size=size)
    found = choose(g, size, "exhaustive", labels, balance=labels is not None)
    assert found.demonstrations == brute(lambda masks: g.predict(masks)[:, 0], 9, size, labels)


@pytest.mark.parametrize("seed", range(5))
def test_no_single_exchange_is_better_than_the_end_of_a_swap_search(seed):
    g = noisy(K=14, size=4, m=80, seed=seed, gamma=1.0)
    found = choose(g, 4, "swap")
    inside = set(found.demonstrations)
    near = [sorted(inside - {out} | {into}) for out in inside for into in set(range(14)) - inside]
    assert g.predict(masks_of(near, 14)).min() >= found.predicted - 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_greedy_adds_the_best_next_task_every_time(seed):
    g = noisy(K=12, size=4, m=60, seed=seed)
    chosen = []
    for _ in range(4):
        rest = [k for k in range(12) if k not in chosen]
        chosen.append(rest[int(np.argmin(g.predict(masks_of([[*chosen, k] for k in rest], 12))[:, 0]))])
    assert choose(g, 4, "greedy").demonstrations == tuple(sorted(chosen))


def test_top_takes_the_best_attributions_at_that_size():
    g = noisy(K=12, size=4, m=60)
    effect = g.attribution("inclusion", size=4).values[:, 0]
    assert choose(g, 4, "top").demonstrations == tuple(sorted(np.argsort(effect)[:4].tolist()))


@pytest.mark.parametrize("seed", range(8))
def test_each_search_is_at_least_as_good_as_the_simpler_one(seed):
    g = noisy(K=12, size=4, m=60, seed=seed)
    predicted = {method: choose(g, 4, method).predicted for method in METHODS}
    assert predicted["exhaustive"] <= predicted["swap"] + 1e-9
    assert predicted["swap"] <= min(predicted["top"], predicted["greedy"]) + 1e-9


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
def test_every_surrogate_finds_the_plain_helpers(surrogate, method):
    helping = game(10, main={2: -0.5, 5: -0.4, 7: -0.6, 1: 0.3}, noise=0.02)
    masks = fixed_size_masks(10, 80, size=3, seed=1)
    g = surrogate.fit(masks, helping.play(masks, seed=2))  # 1-D: one target
    found = choose(g, 3, method)
    assert found.demonstrations == (2, 5, 7)
    predicted, std = g.predict(masks_of([(2, 5, 7)], 10), return_std=True)
    assert (found.predicted, found.std) == pytest.approx((predicted[0], std[0]))
    assert found.method == method
    assert found.predicted == pytest.approx(0.5, abs=0.25)


LOCK = {"main": {0: 0.2, 1: 0.2, 2: -0.4, 3: -0.15, 4: -0.1}, "pairs": {(0, 1): -1.2}}
COPIES = {
    "main": {0: -0.6, 1: -0.58, 2: -0.56, 3: -0.4, 4: -0.3}, "pairs": {(0, 1): 0.5, (0, 2): 0.5, (1, 2): 0.5}
}  # fmt: skip


@pytest.mark.parametrize(("effects", "best"), [(LOCK, (0, 1, 2)), (COPIES, (0, 3, 4))], ids=["lock", "copies"])
@pytest.mark.parametrize("surrogate", [KernelSurrogateCV(), default_surrogate()], ids=str)
def test_a_search_that_sees_pairs_beats_the_best_single_tasks(surrogate, effects, best):
    planted = game(12, noise=0.01, **effects)
    masks = fixed_size_masks(12, 160, size=3, seed=0)
    outcomes = Outcomes(masks, planted.play(masks, seed=1))
    assert best == brute(planted.truth, 12, 3)

    def truth(demonstrations):
        return planted.truth(masks_of([demonstrations], 12))[0]

    g = surrogate.fit_outcomes(outcomes)
    # two prompts whose losses differ by no more than two measurements do are as good
    assert truth(choose(g, 3, "swap").demonstrations) < truth(best) + 0.03
    assert truth(choose(g, 3, "exhaustive").demonstrations) < truth(best) + 0.03
    assert truth(top_by_linear(outcomes, 3).demonstrations) > truth(best) + 0.05
    assert truth(choose(g, 3, "top").demonstrations) > truth(best) + 0.05


def test_four_of_fifty_are_found_from_two_hundred_prompts():
    planted = game(50, main=dict.fromkeys((3, 11, 24, 49), -0.2), pairs={(3, 49): -0.4}, noise=0.05)
    masks = fixed_size_masks(50, 200, size=4, seed=0)
    g = KernelSurrogateCV().fit(masks, planted.play(masks, seed=1))
    found = choose(g, 4)
    assert (found.demonstrations, found.method) == ((3, 11, 24, 49), "swap")
    assert planted.truth(random_prompts(50, 4, 200)).mean() > planted.truth(masks_of([(3, 11, 24, 49)], 50))[0] + 0.8


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest.mark.parametrize("labels", [list("aabbccaabbcc"), list("aaaaaaaaabbb"), list("abcdabcdabcd")], ids="".join)
def test_balance_is_kept_by_every_search(labels, size, method):
    g = noisy(K=12, size=size, m=60)
    found = choose(g, size, method, labels, balance=True)
    assert len(found.demonstrations) == size
    assert is_balanced(found.demonstrations, labels)


def test_labels_without_balance_change_nothing():
    g = noisy()
    assert choose(g, 3, labels=list("aaaabbbbb")) == choose(g, 3)


@pytest.mark.parametrize("labels", ["aabbccaabbcc", "aaaaaaaaabbb", "abcdefghijkl", "aaabbcdddddd"])
@pytest.mark.parametrize("size", range(1, 13))
def test_allowed_subsets_are_counted_and_enumerated(size, labels):
    expected = {s for s in combinations(range(12), size) if is_balanced(s, labels)}
    if not expected:
        with pytest.raises(InputError, match="labels"):
            Balance.of(12, size, labels, True)
        return
    rule = Balance.of(12, size, labels, True)
    found = [tuple(sorted(subset)) for subset in rule.subsets()]
    assert rule.count() == len(found)
    assert set(found) == expected
    assert all(rule.allows(mask) for mask in masks_of(found, 12))


def test_balanced_subsets_are_counted_without_enumerating_them():
    rule = Balance.of(200, 100, [str(k) for k in range(200)], True)
    assert rule.count() > 10**50


@pytest.mark.parametrize("method", METHODS)
def test_for_a_score_the_highest_is_best(method):
    masks = fixed_size_masks(9, 40, size=3, seed=0)
    values = np.random.default_rng(0).normal(size=40)
    loss = KernelSurrogate(gamma=0.3).fit(masks, values)
    score = KernelSurrogate(gamma=0.3).fit(masks, -values, higher_is_better=True)
    assert choose(score, 3, method).demonstrations == choose(loss, 3, method).demonstrations
    assert choose(score, 3, method).predicted == pytest.approx(-choose(loss, 3, method).predicted)


@pytest.mark.parametrize("method", METHODS)
def test_with_several_targets_their_mean_is_what_counts(method):
    masks = fixed_size_masks(9, 40, size=3, seed=0)
    values = np.random.default_rng(0).normal(size=(40, 5))
    many = choose(KernelSurrogate(gamma=0.3).fit(masks, values), 3, method)
    mean = choose(KernelSurrogate(gamma=0.3).fit(masks, values.mean(axis=1)), 3, method)
    assert many.demonstrations == mean.demonstrations
    assert many.predicted == pytest.approx(mean.predicted)
    assert many.std > mean.std  # a bound: the errors of targets are not known to be the same


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("surrogate", [KernelSurrogate(), LinearSurrogate(), default_surrogate()], ids=str)
def test_ties_go_to_the_first_tasks(surrogate, method):
    masks = fixed_size_masks(8, 30, size=3, seed=0)
    constant = surrogate.fit(masks, np.full(30, 1.7))
    assert choose(constant, 3, method).demonstrations == (0, 1, 2)
    labels = list("aaaabbbb")
    assert choose(constant, 4, method, labels, balance=True).demonstrations == (0, 1, 4, 5)


@pytest.mark.parametrize("method", METHODS)
def test_twins_are_a_tie_whatever_rounding_says(method):
    # every task k has a twin k + 5: exact in mathematics, not in floating point
    half = fixed_size_masks(5, 40, size=2, seed=0)
    none = np.zeros_like(half)
    masks = np.vstack([np.hstack([half, none]), np.hstack([none, half])])
    values = np.random.default_rng(1).normal(size=40)
    found = set()
    for seed in range(6):
        rows = np.random.default_rng(seed).permutation(len(masks))
        g = KernelSurrogate(gamma=0.2).fit(masks[rows], np.concatenate([values, values])[rows])
        assert choose(g, 1, method).demonstrations[0] < 5
        # of two tasks and their twins there are four choices, as good in pairs
        found.add((choose(g, 2, method).demonstrations, choose(g, 3, method).demonstrations))
    assert len(found) == 1


@pytest.mark.parametrize("method", METHODS)
def test_a_choice_is_repeatable(method):
    assert choose(noisy(K=12, size=4, m=60), 4, method) == choose(noisy(K=12, size=4, m=60), 4, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
def test_a_single_candidate_and_all_candidates_leave_no_choice(surrogate, method):
    one = surrogate.fit(np.array([[0], [1], [1], [0]], dtype=bool), np.array([1.0, 0.5, 0.6, 1.1]))
    assert choose(one, 1, method).demonstrations == (0,)
    masks = fixed_size_masks(5, 20, size=3, seed=0)
    g = surrogate.fit(masks, np.random.default_rng(0).random(20))
    assert choose(g, 5, method).demonstrations == (0, 1, 2, 3, 4)
    assert choose(g, 5, method, list("aabba"), balance=True).demonstrations == (0, 1, 2, 3, 4)


def test_too_many_subsets_for_an_exhaustive_search_are_refused():
    g = noisy(K=52, size=4, m=40)
    with pytest.raises(InputError, match=r"270,725 subsets; expected at most 250,000") as caught:
        choose(g, 4, "exhaustive")
    assert "swap" in caught.value.fix


@pytest.mark.parametrize(
    ("arguments", "place", "found"),
    [
        ({"size": 0}, "size", "0"),
        ({"size": -1}, "size", "-1"),
        ({"size": 10}, "size", "10"),
        ({"method": "magic"}, "method", "'magic'"),
        ({"balance": True}, "labels", "none"),
        ({"labels": list("ab")}, "labels", "2"),
        ({"labels": list("ab"), "balance": True}, "labels", "2"),
        ({"size": 4, "labels": list("aaaaaaaab"), "balance": True}, "labels", "1 of label 'b'"),
        ({"size": 5, "labels": list("abcdefffg"), "balance": True}, "", ""),
        ({"size": 8, "labels": list("abcdefggg"), "balance": True}, "", ""),
        ({"size": 9, "labels": list("abcdefggg"), "balance": True}, "labels", "1 of the labels with 2 tasks or more"),
    ],
)
@pytest.mark.parametrize("method", ["swap", "top"])
def test_impossible_choices_are_refused(method, arguments, place, found):
    given = {"size": 3, "method": method, **arguments}
    if not place:
        assert len(choose(noisy(), **given).demonstrations) == given["size"]
        return
    with pytest.raises(InputError) as caught:
        choose(noisy(), **given)
    assert (caught.value.place, caught.value.found) == (place, found)
    assert caught.value.fix


def test_a_surrogate_that_cannot_be_asked_is_refused():
    with pytest.raises(NotFittedError):
        choose(KernelSurrogate(), 1)
    with pytest.raises(InputError, match="not 0/1"):
        choose(KernelSurrogate().fit(np.arange(8.0).reshape(4, 2), np.arange(4.0)), 1)


# baselines


@pytest.mark.parametrize("balance", [False, True])
def test_random_prompts_are_of_the_size_and_repeatable(balance):
    labels = list("aab") * 4
    drawn = random_prompts(12, 5, 100, labels=labels, balance=balance, seed=3)
    assert drawn.shape == (100, 12)
    assert drawn.dtype == bool
    assert set(drawn.sum(axis=1)) == {5}
    assert all(is_balanced(np.flatnonzero(mask), labels) for mask in drawn) == balance
    assert drawn.any(axis=0).all()
    assert np.array_equal(drawn[:20], random_prompts(12, 5, 20, labels=labels, balance=balance, seed=3))
    assert not np.array_equal(drawn, random_prompts(12, 5, 100, labels=labels, balance=balance, seed=4))


def test_balanced_random_prompts_take_tasks_of_a_label_alike():
    share = random_prompts(8, 4, 1000, labels=list("aaaabbbb"), balance=True).mean(axis=0)
    assert share == pytest.approx(np.full(8, 0.5), abs=0.06)


def test_the_nearest_demonstrations_point_where_the_queries_do():
    queries = np.array([[1.0, 0.1], [1.0, -0.1]])
    candidates = np.array([[0.0, 1.0], [50.0, 1.0], [-1.0, 0.0], [1.0, 0.5], [0.9, 0.0]])
    assert nearest_to_queries(candidates, queries, 2) == (1, 4)  # length does not count
    assert nearest_to_queries(candidates, queries * 7, 3) == (1, 3, 4)
    assert nearest_to_queries(candidates, queries, 2, labels=list("abaab"), balance=True) == (3, 4)
    assert nearest_to_queries(np.ones((4, 2)), queries, 2) == (0, 1)
    # as near but for rounding: the same directions, of other lengths
    directions = np.random.default_rng(0).normal(size=7)
    for scale in (1.0, 1 / 3, 0.7):
        same = directions * np.array([1.0, scale, 3.0, 0.1 * scale])[:, None]
        assert nearest_to_queries(same, np.random.default_rng(1).normal(size=(9, 7)), 2) == (0, 1)


@pytest.mark.parametrize(
    ("candidates", "queries", "place"),
    [
        (np.ones((3, 2)), np.ones((2, 3)), "queries"),
        (np.ones(3), np.ones((2, 3)), "candidates"),
        (np.ones((3, 2)), np.ones((0, 2)), "queries"),
        (np.full((3, 2), np.nan), np.ones((2, 2)), "candidates"),
        (np.array([[1, 1], [0, 0], [1, 1]]), np.ones((2, 2)), "candidates, row 1"),
        ([[1, 2], [3]], np.ones((2, 2)), "candidates"),
        ([["a", "b"]], np.ones((2, 2)), "candidates"),
        (np.ones((1, 2)), np.ones((2, 2)), "size"),
    ],
)
def test_embeddings_that_cannot_be_compared_are_refused(candidates, queries, place):
    with pytest.raises(InputError) as caught:
        nearest_to_queries(candidates, queries, 2)
    assert caught.value.place == place


def test_the_linear_baseline_takes_the_least_coefficients():
    masks = fixed_size_masks(10, 60, size=3, seed=0)
    outcomes = Outcomes(masks, np.random.default_rng(0).normal(size=(60, 4)))
    coefficients = LinearSurrogateCV().fit(masks, outcomes.values.mean(axis=1)).coef_[:, 0]
    assert top_by_linear(outcomes, 3).demonstrations == tuple(sorted(np.argsort(coefficients)[:3].tolist()))
    better = Outcomes(masks, -outcomes.values, higher_is_better=True)
    assert top_by_linear(better, 3).demonstrations == top_by_linear(outcomes, 3).demonstrations


def test_the_best_prompt_seen_is_of_the_size_and_counts_repeats_with_their_mean():
    masks = masks_of([(0, 1), (2, 3), (2, 3), (1, 2), (0,)], 4)
    values = np.array([[1.0, 1.2], [0.1, 0.3], [2.5, 2.5], [0.9, 0.9], [0.0, 0.0]])
    outcomes = Outcomes(masks, values)
    assert best_seen(outcomes, 2) == (1, 2)
    assert best_seen(outcomes, 1) == (0,)
    assert best_seen(outcomes, 2, labels=list("aabb"), balance=True) == (1, 2)
    assert best_seen(outcomes, 2, labels=list("abba"), balance=True) == (0, 1)
    assert best_seen(Outcomes(masks, values, higher_is_better=True), 2) == (2, 3)


def test_a_prompt_that_was_not_measured_is_not_the_best_seen():
    outcomes = Outcomes(masks_of([(0, 1), (1, 0)], 4), np.ones(2))
    with pytest.raises(InputError, match="no prompt of 3"):
        best_seen(outcomes, 3)
    with pytest.raises(InputError, match="no balanced prompt of 2"):
        best_seen(outcomes, 2, labels=list("aabb"), balance=True)


@pytest.mark.parametrize("size", [0, 5])
def test_baselines_refuse_sizes_that_cannot_be(size):
    outcomes = Outcomes(masks_of([(0, 1)], 4), np.ones(1))
    for call in (
        lambda: random_prompts(4, size, 3),
        lambda: nearest_to_queries(np.eye(4), np.eye(4), size),
        lambda: top_by_linear(outcomes, size),
        lambda: best_seen(outcomes, size),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.place == "size"


@pytest.mark.parametrize("balance", [False, True])
def test_no_random_prompt_is_refused(balance):
    with pytest.raises(InputError):
        random_prompts(4, 2, 0, labels=list("aabb"), balance=balance)


@pytest.mark.parametrize("q", [1, 3])
@pytest.mark.parametrize(
    "surrogate",
    [KernelSurrogate(), KernelSurrogate(kernel="poly", gamma=0.5, coef0=1.0), KernelSurrogate(gamma=40.0),
     LinearSurrogate(), SharedSurrogate(), default_surrogate()],
)  # fmt: skip
def test_exchanges_are_predicted_as_one_by_one(surrogate, q):
    rng = np.random.default_rng(0)
    masks = rng.random((60, 9)) < 0.4
    values = masks @ rng.normal(size=(9, q)) + masks[:, :1] * masks[:, 1:2] + 0.1 * rng.normal(size=(60, q))
    surrogate.fit(masks, values)
    at = np.isin(np.arange(9), (1, 4, 6))
    found = surrogate.predict_exchanges(at)
    assert found.shape == (3, 6, q)
    for row, out in enumerate((1, 4, 6)):
        for column, into in enumerate((0, 2, 3, 5, 7, 8)):
            step = at.copy()
            step[[out, into]] = False, True
            np.testing.assert_allclose(found[row, column], surrogate.predict(step[None])[0], atol=1e-9)
    assert surrogate.predict_exchanges(np.ones(9)).shape == (9, 0, q)
