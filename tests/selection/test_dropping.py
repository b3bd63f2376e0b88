"""Which tasks are worth dropping: planted ones are found, nothing else is, and what is promised is kept."""

import re

import numpy as np
import pytest

from kernelsm import InputError, LinearSurrogate, Outcomes, SharedSurrogate, bernoulli_masks, best_drop, load_example
from kernelsm.examples.planted.game import PlantedGame, planted_game
from kernelsm.selection import dropping

MAIN = {0: -0.4, 1: 0.3, 2: -0.2, 3: 0.25, 4: -0.3, 5: 0.0, 6: -0.1, 7: 0.0}


def game(main=None, pairs=None, xor=None, noise=0.02, K=8):
    return PlantedGame(tuple(f"task {k}" for k in range(K)), 2.0, MAIN if main is None else main, pairs or {},
                       xor or {}, noise)  # fmt: skip


def played(planted, m=150, seed=0, p=0.5, higher_is_better=False):
    masks = bernoulli_masks(planted.K, m, p=p, seed=seed)
    values = planted.play(masks, seed=seed + 1)
    return Outcomes(
        masks, -values if higher_is_better else values, task_names=planted.task_names,
        higher_is_better=higher_is_better,
    )  # fmt: skip


def true_change(planted, drop):
    with_all, kept = planted.truth(np.array([np.ones(planted.K, dtype=bool), drop.kept]))
    return kept - with_all


@pytest.mark.parametrize("higher_is_better", [False, True])
def test_the_tasks_that_hurt_are_dropped_and_those_that_do_nothing_stay(higher_is_better):
    found = best_drop(played(game(), higher_is_better=higher_is_better))
    assert found.tasks == (1, 3)
    assert found.is_worth_it
    true = true_change(game(), found)
    assert abs(found.change - (-true if higher_is_better else true)) <= found.margin
    assert found.gain == pytest.approx(abs(found.change))
    assert np.flatnonzero(~found.kept).tolist() == [1, 3]


def test_the_effects_are_those_with_the_others_as_chosen():
    pairs = {(0, 1): -0.3}  # task 1 spoils, but less beside task 0
    found = best_drop(played(game(pairs=pairs), m=250))
    assert set(found.tasks) - {5, 7} == {3}  # two tasks do nothing: to drop them costs nothing
    values, margin = found.effects.values[:, 0], found.effects.margin()[:, 0]
    assert values[1] == pytest.approx(0.0, abs=0.05)
    assert values[3] == pytest.approx(0.25, abs=0.05)
    assert (np.abs(values[[3, 4]]) > margin[[3, 4]]).all()


def test_where_no_task_hurts_hardly_ever_one_is_worth_dropping_and_the_sentence_says_so():
    harmless = game(main={k: -0.1 * (k < 5) for k in range(8)}, noise=0.1)
    wrong = 0
    for seed in range(20):
        found = best_drop(played(harmless, m=80, seed=seed))
        wrong += found.is_worth_it
        if not found.is_worth_it:
            assert re.match("No task is (surely )?worth dropping", found.sentence())
            assert abs(found.change) <= found.margin or not found.tasks
    assert wrong <= 2


def test_of_two_that_are_missed_only_without_each_other_both_stay():
    # without one of them the other hurts, without both nothing is lost
    found = best_drop(played(game(xor={(5, 7): 0.3}), m=250))
    assert found.tasks == (1, 3)


def test_one_of_two_copies_is_dropped_only_for_its_price():
    copies = game(main={0: -0.5, 1: -0.5, 2: -0.3}, pairs={(0, 1): 0.5}, K=4)
    outcomes = played(copies, m=200)
    assert not best_drop(outcomes).is_worth_it
    paid = best_drop(outcomes, price=0.1)
    assert paid.is_worth_it
    assert len({0, 1} & set(paid.tasks)) == 1
    assert 3 in paid.tasks
    assert 2 not in paid.tasks
    assert paid.saved == 2.0


def test_costs_decide_what_is_worth_its_price():
    outcomes = played(game())
    costs = np.array([100.0, 1, 1, 1, 1, 1, 1, 0])
    found = best_drop(outcomes, costs=costs, price=0.01)
    assert found.tasks == (0, 1, 3, 5)  # task 0 helps by 0.4 and costs 1; 7 does nothing and costs nothing
    assert found.saved == 103.0
    assert found.gain == pytest.approx(-found.change + 1.03)
    assert best_drop(outcomes, costs=costs).saved == 0.0


def test_the_prediction_of_the_chosen_is_corrected_towards_no_gain_and_its_interval_is_wider():
    found = best_drop(played(game(), m=60))
    assert found.predicted < found.change < 0
    assert found.change - found.predicted == pytest.approx(dropping.OPTIMISM * found.predicted_margin)
    assert found.margin == pytest.approx(dropping.WIDER * found.predicted_margin)
    better = best_drop(played(game(), m=60, higher_is_better=True))
    assert better.predicted > better.change > 0


def test_intervals_hold_the_truth_of_what_was_chosen_and_little_is_dropped_for_nothing():
    held, wrong, rng = [], 0, np.random.default_rng(0)
    for seed in range(20):
        main = dict(enumerate(rng.normal(-0.1, 0.15, 10)))
        pairs = {tuple(rng.choice(10, 2, replace=False).tolist()): rng.normal(0, 0.15) for _ in range(4)}
        planted = game(main=main, pairs=pairs, noise=0.08, K=10)
        found = best_drop(played(planted, m=100, seed=seed))
        true = true_change(planted, found)
        held.append(abs(found.change - true) <= found.margin)
        wrong += found.is_worth_it and true > 0
    assert np.mean(held) >= 0.8
    assert wrong <= 1


def test_a_complete_table_without_noise_is_answered_exactly():
    masks = (np.arange(2**6)[:, None] >> np.arange(6)) & 1 == 1
    planted = game(main={0: -0.3, 1: 0.2, 2: -0.1, 3: 0.05}, pairs={(1, 2): 0.1}, noise=0.0, K=6)
    found = best_drop(Outcomes(masks, planted.truth(masks)))
    assert found.tasks == (1, 3)
    assert found.change == pytest.approx(-0.35, abs=0.02)


def test_the_sentence_names_tasks_change_and_saving():
    found = best_drop(played(game()), price=1e-6, costs=np.full(8, 5.0))
    words = found.sentence("nats", names=tuple("abcdefgh"))
    assert words.startswith("Drop b and d: expected loss lower by 0.5")
    assert words.endswith("nats, and a cost of 10 is saved.")
    assert "score higher by" in best_drop(played(game(), higher_is_better=True)).sentence()


def test_a_fitted_surrogate_is_taken_as_it_is():
    outcomes = played(game(pairs={(0, 4): 0.4}))
    linear = LinearSurrogate(ridge=0.01).fit_outcomes(outcomes)
    found = best_drop(outcomes, linear)
    assert found.predicted == pytest.approx(
        float(linear.predict_change(found.kept[None].astype(float), np.ones(8))[0].item())
    )


def test_several_targets_are_their_mean():
    outcomes = load_example("digits")
    found = best_drop(outcomes)
    single = best_drop(outcomes.mean_target(), SharedSurrogate().fit_outcomes(outcomes.mean_target()))
    assert found.tasks == single.tasks
    assert found.change == pytest.approx(single.change)
    names = {outcomes.task_names[k] for k in found.tasks}
    assert "digit 3B (labelled 8)" in names
    assert not any("A" in name for name in names)


def test_the_teaching_example_drops_its_spam():
    found = best_drop(load_example("planted"))
    assert [found.task_names[k] for k in found.tasks] == ["spam (hurts)"]
    assert abs(found.change - true_change(planted_game(), found)) <= found.margin


def test_few_subsets_and_constant_outcomes_advise_nothing():
    for outcomes in (
        Outcomes([[1, 0], [1, 1]], [1.0, 2.0]), Outcomes([[1]], [1.0]), Outcomes([[0, 0, 0], [1, 0, 1]], [1.0, 1.0]),
        Outcomes(bernoulli_masks(4, 30), np.full(30, 2.0)),
    ):  # fmt: skip
        found = best_drop(outcomes)
        assert not found.is_worth_it
        assert re.match("No task is (surely )?worth dropping", found.sentence())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"costs": [1.0, 2.0]}, r"costs: found shape \(2,\)"),
        ({"costs": [1.0] * 7 + [-1.0]}, "costs, 'task 7': found -1.0"),
        ({"costs": [1.0] * 7 + [np.nan]}, "costs, 'task 7': found nan"),
        ({"price": -0.1}, "price: found -0.1"),
        ({"price": np.inf}, "price: found inf"),
    ],
)
def test_costs_and_prices_that_mean_nothing_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        best_drop(played(game(), m=30), **arguments)


def test_a_surrogate_of_other_tasks_or_of_several_targets_is_refused():
    outcomes = played(game(), m=30)
    other = SharedSurrogate().fit(outcomes.masks, outcomes.values)
    with pytest.raises(InputError, match="surrogate: found 8 tasks and 1 targets"):
        best_drop(outcomes, other)
    digits = load_example("digits")
    with pytest.raises(InputError, match="20 tasks and 10 targets"):
        best_drop(digits, LinearSurrogate().fit_outcomes(digits))


def test_subsets_of_one_size_cannot_say_what_a_smaller_one_does():
    with pytest.raises(InputError, match="all hold 4 tasks"):
        best_drop(load_example("movie-reviews"))
