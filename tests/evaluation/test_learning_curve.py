"""Are there enough subsets? Held-out errors that shrink as they must, and a law that is found again."""

import numpy as np
import pytest

from kernelsm import InputError, KernelSurrogate, LinearSurrogate, Outcomes, load_example
from kernelsm.evaluation.learning_curve import FEWEST, LearningCurve, _fitted_curve, learning_curve


def table(m, K=6, noise=0.0, seed=0):
    """An additive game."""
    rng = np.random.default_rng(seed)
    masks = rng.random((m, K)) < 0.5
    return Outcomes(masks, masks @ rng.normal(size=K) + noise * rng.normal(size=m) + 3.0)


def curve(floor, slope, power, m=100):
    return LearningCurve(np.array([10, 50]), np.ones((2, 1)), m, floor, slope, power)


@pytest.mark.parametrize("power", [0.5, 0.75, 1.0, 1.5, 2.0])
@pytest.mark.parametrize(("floor", "slope"), [(0.0, 2.0), (0.1, 3.0), (0.5, 1.0)])
def test_the_law_is_found_again(floor, slope, power):
    sizes = np.array([10, 20, 40, 80, 160, 320])
    found = _fitted_curve(sizes, floor + slope / sizes**power)
    np.testing.assert_allclose(found, [floor, slope, power], atol=1e-9)


def test_errors_that_rise_are_a_floor_without_a_slope():
    floor, slope, _ = _fitted_curve(np.array([10, 20, 40]), np.array([1.0, 1.1, 1.2]))
    assert slope == 0.0
    assert 1.0 <= floor <= 1.2


def test_an_error_of_exactly_zero_is_a_law_too():
    assert _fitted_curve(np.array([10, 20, 40]), np.array([0.5, 0.0, 0.0]))[:2] == (0.0, 0.0)


def test_the_expected_error_and_what_doubling_gains_follow_the_law():
    law = curve(floor=0.1, slope=20.0, power=1.0)
    np.testing.assert_allclose(law.expected(np.array([100.0, 200.0])), [0.3, 0.2])
    assert law.gain_of_doubling == pytest.approx(1 / 3)
    assert curve(0.2, 0.0, 1.0).gain_of_doubling == 0.0
    assert curve(0.0, 0.0, 1.0).gain_of_doubling == 0.0
    assert curve(0.0, 5.0, 0.5).gain_of_doubling == pytest.approx(1 - np.sqrt(0.5))


@pytest.mark.parametrize(
    ("floor", "slope", "power", "recommended"),
    [
        (0.5, 5.0, 1.0, 100),  # within a tenth of the floor: 5 / n = 0.05
        (0.0, 1.0, 1.0, 50),  # below 2 %: 1 / n = 0.02
        (0.01, 1.0, 1.0, 100),  # 2 % is reached first
        (0.0, 0.2, 0.5, 100),
        (0.5, 50.0, 1.0, 1000),
        (0.0, 1e6, 0.5, 1000),  # at most ten times as many as there are
    ],
)
def test_the_recommendation_is_where_the_law_gets_near_its_floor(floor, slope, power, recommended):
    law = curve(floor, slope, power)
    assert law.recommended == pytest.approx(recommended, abs=1)
    assert law.is_enough == (recommended <= 100)
    if recommended < 1000:
        assert law.expected(law.recommended) <= max(1.1 * floor, 0.02) + 1e-12


def test_clean_additive_outcomes_are_enough_for_a_linear_surrogate():
    found = learning_curve(table(80), LinearSurrogate(ridge=1e-6))
    assert found.errors[-1].max() < 1e-6
    assert found.is_enough
    assert found.m == 80
    assert found.recommended <= 80


def test_few_noisy_outcomes_are_not_enough_and_more_bring_the_error_down():
    noisy = table(30, K=20, noise=0.3)
    found = learning_curve(noisy, LinearSurrogate(ridge=0.1), repeats=8)
    assert not found.is_enough
    assert found.recommended > 30
    assert found.gain_of_doubling > 0.02
    mean = found.errors.mean(axis=1)
    assert mean[-1] < mean[0]


def test_the_prediction_for_twice_as_many_comes_true():
    part, whole = table(150, K=15, noise=1.0), table(2000, K=15, noise=1.0)
    law = learning_curve(part, LinearSurrogate(ridge=0.1), repeats=8)
    fitted, fresh = whole.take(np.arange(300)), whole.take(np.arange(300, 2000))
    g = LinearSurrogate(ridge=0.1).fit(fitted.masks, fitted.values)
    error = float(((g.predict(fresh.masks) - fresh.values) ** 2).mean() / fresh.values.var())
    assert float(law.expected(300)) == pytest.approx(error, rel=0.25)


def test_the_planted_example_says_its_interactions_need_a_kernel():
    outcomes = load_example("planted")
    linear, kernel = (
        learning_curve(outcomes, g, repeats=3) for g in (LinearSurrogate(), KernelSurrogate(gamma=0.03, ridge=1e-4))
    )
    # the XOR and its like are a floor that no number of subsets takes from a linear surrogate
    assert linear.floor > 3 * kernel.expected(300)
    assert linear.floor > 0.1


def test_sizes_grow_from_a_tenth_to_four_fifths():
    found = learning_curve(table(200), LinearSurrogate(), points=5, repeats=2)
    assert found.sizes[0] == 20
    assert found.sizes[-1] == 160
    assert (np.diff(found.sizes) > 0).all()
    assert found.errors.shape == (5, 2)
    least = learning_curve(table(FEWEST), LinearSurrogate())
    assert least.sizes[0] == 8
    assert least.sizes[-1] == 16


def test_an_error_is_the_share_of_variance_left():
    # a surrogate that knows only the mean leaves about all of it, in any unit
    outcomes = table(100, noise=0.5)
    for unit in (1.0, 1e-6):
        scaled = Outcomes(outcomes.masks, unit * outcomes.values)
        found = learning_curve(scaled, LinearSurrogate(ridge=1e12), repeats=10)
        assert found.errors.mean() == pytest.approx(1.0, abs=0.15)
        assert found.gain_of_doubling < 0.05


def test_targets_that_do_not_vary_have_no_say():
    outcomes = table(60, noise=0.3)
    beside = Outcomes(outcomes.masks, np.column_stack([np.full(60, 0.1), outcomes.values]))
    found, alone = (learning_curve(t, LinearSurrogate()) for t in (beside, outcomes))
    np.testing.assert_allclose(found.errors, alone.errors, rtol=1e-9)


def test_the_same_seed_gives_the_same_curve_and_leaves_the_surrogate_alone():
    g = LinearSurrogate()
    first, again, other = (learning_curve(table(50, noise=1.0), g, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.errors, again.errors)
    assert not np.array_equal(first.errors, other.errors)
    assert not hasattr(g, "coef_")


def test_too_few_subsets_are_refused():
    with pytest.raises(InputError, match="19 subsets; expected at least 20"):
        learning_curve(table(19), LinearSurrogate())


def test_outcomes_that_do_not_vary_are_refused():
    masks = np.random.default_rng(0).random((30, 3)) < 0.5
    with pytest.raises(InputError, match="do not vary"):
        learning_curve(Outcomes(masks, np.full((30, 2), 0.1)), LinearSurrogate())


@pytest.mark.parametrize(
    ("left", "slope", "recommended", "takes_all"),
    [
        (None, 5.0, 250, False), (151, 5.0, 250, False), (150, 5.0, 250, True), (149, 5.0, 249, True),
        (0, 5.0, 100, False), (3, 1.0, 50, False),
    ],
)  # fmt: skip
def test_the_recommendation_ends_with_what_is_left(left, slope, recommended, takes_all):
    law = LearningCurve(np.array([10, 50]), np.ones((2, 1)), 100, 0.0, slope, 1.0, left)
    assert (law.recommended, law.takes_all) == (recommended, takes_all)
    assert law.doubled == 100 + min(100, 100 if left is None else left)
    assert law.gain_of_doubling == pytest.approx(1 - 100 / law.doubled)


def test_a_table_knows_how_many_subsets_it_lacks():
    few = table(60, K=5)
    found = learning_curve(few, LinearSurrogate(ridge=1e-6), repeats=2)
    different = len(np.unique(few.masks, axis=0))
    assert found.left == 32 - different
    assert found.recommended <= 60 + found.left
    assert learning_curve(load_example("digits"), LinearSurrogate(), points=2, repeats=1).left == 2**20 - 400
