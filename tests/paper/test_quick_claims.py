"""What stands behind the claims that are run within seconds."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from kernelsm import load_example
from kernelsm.paper.boundary import CANDIDATES, draw_plane, train_networks
from kernelsm.paper.influence import sample_effects
from kernelsm.paper.kernels import paper_kernels, residuals
from kernelsm.paper.logistic import BinaryData, breast_cancer, fit_logistic, losses
from kernelsm.paper.proposition import Expansion, random_polynomial, regression_on_tasks


@pytest.fixture(scope="module")
def small():
    """A split of few samples, so that leaving one out is quick."""
    data = breast_cancer(0)
    return BinaryData(data.x[:60, -5:], data.y[:60], data.test_x[:20, -5:], data.test_y[:20])


@pytest.fixture(scope="module")
def expansion():
    return Expansion(regression_on_tasks(0, tasks=6), tasks=6)


def test_the_regressions_are_those_of_scikit_learn(small):
    weights = np.vstack([np.ones(60), np.r_[np.ones(30), np.zeros(30)]]) / [[60], [30]]
    found = fit_logistic(small.x, small.y, weights, ridge=0.01)
    for w, weight in zip(found, weights, strict=True):
        rival = LogisticRegression(C=100.0, fit_intercept=False, tol=1e-10, max_iter=10_000)
        rival.fit(small.x, small.y, sample_weight=weight)
        np.testing.assert_allclose(w, rival.coef_[0], rtol=1e-4, atol=1e-5)


def test_leave_one_out_is_a_refit_without_the_sample_and_has_the_sign_of_the_house(small):
    effects = sample_effects_of_few(small)
    everything = np.full((1, 60), 1 / 60)
    without = np.where(np.arange(60) == 7, 0, 1 / 59)[None]
    fitted = fit_logistic(small.x, small.y, np.vstack([everything, without]), ridge=0.01)
    full, less = losses(small.test_x, small.test_y, fitted)
    np.testing.assert_allclose(effects.leave_one_out[7], full - less, atol=1e-9)


def sample_effects_of_few(data):
    from kernelsm.paper import influence

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(influence, "SUBSET_SIZE", 55)
        patch.setattr(influence, "SUBSETS", 300)
        return sample_effects(data)


def test_influence_functions_and_the_surrogate_follow_leave_one_out(small):
    correlations = sample_effects_of_few(small).correlations().mean(axis=1)
    assert correlations.min() > 0.8


@pytest.mark.parametrize("p", [0.3, 0.5, 0.9])
def test_coefficients_over_all_subsets_are_banzhaf_values_of_any_outcome(expansion, p):
    found = expansion.coefficients(p)
    assert found.error(found.banzhaf) < 1e-10
    noise = Expansion(lambda weights: np.random.default_rng(0).normal(size=len(weights)), tasks=6)
    found = noise.coefficients(p)
    assert found.error(found.banzhaf) < 1e-10


def test_the_formula_of_the_paper_is_exact_for_a_quadratic_polynomial_alone(expansion):
    polynomial = Expansion(random_polynomial(tasks=6), tasks=6).coefficients(0.7)
    assert polynomial.error(polynomial.paper) < 1e-6
    real = expansion.coefficients(0.9)
    assert real.error(real.paper) > 2 * real.error(real.discrete)


def test_the_error_of_differences_falls_with_the_square_of_what_is_left_out(expansion):
    coarse, fine = (expansion.coefficients(p) for p in (0.95, 0.975))
    assert coarse.error(coarse.discrete) / fine.error(fine.discrete) == pytest.approx(4, rel=0.1)


def test_derivatives_are_those_of_the_polynomial():
    game = random_polynomial(tasks=5)
    gradient, hessian = Expansion(game, tasks=5).derivatives
    np.testing.assert_allclose(hessian, game.second, atol=1e-6)
    np.testing.assert_allclose(gradient, game.linear + game.second.sum(axis=1), atol=1e-6)


def test_networks_of_equal_subsets_are_equal_and_candidates_pull_to_their_class():
    plane = draw_plane(0)
    masks = np.array([[False] * CANDIDATES, [True] * CANDIDATES, [True] * CANDIDATES])
    none, every, again = train_networks(plane, masks, plane.candidates)
    np.testing.assert_allclose(every, again, atol=1e-6)
    assert every.mean() > none.mean() + 0.1


def test_residuals_of_standardised_outcomes_are_1_for_who_knows_nothing():
    outcomes = load_example("planted")
    shuffled = np.random.default_rng(0).permutation(outcomes.values)
    from dataclasses import replace

    found = residuals(replace(outcomes, values=shuffled), paper_kernels())
    assert 0.8 < found.errors["RBF"].mean() < 1.5
    known = residuals(outcomes, paper_kernels())
    assert known.errors["RBF"].mean() < 0.2 < known.errors["linear"].mean()
    assert known.scores["RBF"].mean() > known.scores["linear"].mean()
