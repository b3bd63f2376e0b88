"""LDS and relative error, by hand."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from kernelsm import InputError, lds, relative_error
from kernelsm.evaluation.metrics import spearman_per_target


def test_lds_is_the_mean_rank_correlation_over_targets():
    truth = [[1, 1], [2, 2], [3, 3], [4, 4]]
    # first target in order; second: ranks 2 1 4 3, sum of squared differences 4, 1 - 6*4/(4*15) = 0.6
    predicted = [[10, 2], [20, 1], [30, 9], [99, 5]]
    np.testing.assert_allclose(spearman_per_target(truth, predicted), [1.0, 0.6])
    assert lds(truth, predicted) == pytest.approx(0.8)


def test_only_ranks_count():
    truth = np.random.default_rng(0).normal(size=(20, 3))
    predicted = np.random.default_rng(1).normal(size=(20, 3))
    assert lds(np.exp(truth), predicted**3) == pytest.approx(lds(truth, predicted))
    assert lds(truth, -predicted) == pytest.approx(-lds(truth, predicted))
    assert lds(truth, truth) == pytest.approx(1.0)


def test_ties_share_their_rank():
    # ranks 1.5 1.5 3 4 against 1 2 3 4: covariance 4.5, variances 4.5 and 5
    assert lds([1, 1, 2, 3], [1, 2, 3, 4]) == pytest.approx(4.5 / np.sqrt(4.5 * 5))
    rng = np.random.default_rng(2)
    truth, predicted = rng.integers(0, 5, (30, 4)), rng.integers(0, 5, (30, 4))
    expected = [spearmanr(truth[:, j], predicted[:, j]).statistic for j in range(4)]
    np.testing.assert_allclose(spearman_per_target(truth, predicted), expected)


def test_predictions_that_differ_by_rounding_share_their_rank():
    rng = np.random.default_rng(3)
    truth, predicted = rng.normal(size=(30, 4)), rng.integers(0, 5, (30, 4)) / 7 - 0.3
    expected = lds(truth, predicted)
    for _ in range(20):
        assert lds(truth, predicted * (1 + 1e-15 * rng.uniform(-1, 1, predicted.shape))) == expected
    # and nothing but rounding is no prediction
    flat = 0.3 * (1 + 1e-15 * rng.uniform(-1, 1, truth.shape))
    assert lds(truth, flat) == 0.0
    assert np.isnan(lds(flat, truth))


def test_a_constant_truth_is_left_out_and_a_constant_prediction_counts_as_nothing():
    truth = [[1, 5], [2, 5], [3, 5]]
    assert lds(truth, [[1, 1], [2, 2], [3, 3]]) == pytest.approx(1.0)
    assert lds([[1, 1], [2, 2], [3, 3]], [[1, 7], [2, 7], [3, 7]]) == pytest.approx(0.5)
    assert np.isnan(lds([4, 4, 4], [1, 2, 3]))
    assert np.isnan(spearman_per_target([4, 4, 4], [1, 2, 3])).all()


def test_one_subset_has_no_ranks():
    assert np.isnan(lds([[1.0, 2.0]], [[3.0, 4.0]]))


def test_relative_error_is_mean_absolute_error_over_mean_absolute_truth():
    # |errors| 1 + 0 + 2 + 1 = 4; |truth| 1 + 2 + 3 + 4 = 10
    assert relative_error([[1, -2], [3, 4]], [[2, -2], [1, 3]]) == pytest.approx(0.4)
    assert relative_error([2.0, 2.0], [1.0, 2.0]) == pytest.approx(0.25)
    assert np.isnan(relative_error([0.0, 0.0], [1.0, 2.0]))


@pytest.mark.parametrize("metric", [lds, relative_error, spearman_per_target])
@pytest.mark.parametrize(("truth", "predicted"), [([1, 2], [1, 2, 3]), ([[1], [2]], [1, 2]), ([], []), (1.0, 1.0)])
def test_shapes_that_do_not_match_are_refused(metric, truth, predicted):
    with pytest.raises(InputError):
        metric(truth, predicted)
