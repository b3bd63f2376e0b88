"""The default surrogate on tables that hold too little, or odd things."""

import warnings

import numpy as np
import pytest

from kernelsm import AutoSurrogate, SharedSurrogate


def draw(m, K, seed=0):
    return np.random.default_rng([seed, 7]).random((m, K)) < 0.5


def degenerate():
    rng = np.random.default_rng(1)
    masks = draw(30, 4)
    cases = {
        f"m={m}{word}": (draw(m, 4), transform(rng.normal(size=(m, 3))))
        for m in (2, 3, 4)
        for word, transform in (("", lambda x: x), (", above zero", np.exp))
    }
    for scale in (1e-100, 1e-12, 1e12, 1e100):
        cases[f"{scale} above zero"] = masks, scale * (3 + masks @ np.ones(4) + 0.1 * rng.normal(size=30))
        cases[f"{scale} of both signs"] = masks, scale * rng.normal(size=(30, 2))
    return cases | {
        "one constant among others": (masks, np.column_stack([rng.random(30) + 1, np.full(30, 0.1), rng.random(30)])),
        "all constant": (masks, np.full((30, 2), 0.1)),
        "all zero": (masks, np.zeros(30)),
        "duplicates": (np.repeat(draw(5, 4), 6, axis=0), rng.normal(size=(30, 2))),
        "duplicates without noise": (np.repeat(draw(5, 4), 6, axis=0), np.repeat(rng.random((5, 2)), 6, axis=0)),
        "all masks full": (np.ones((30, 4)), rng.normal(size=(30, 2))),
        "all masks empty": (np.zeros((30, 4)), rng.random((30, 2))),
        "one task": (draw(30, 1), rng.random((30, 2))),
        "one task, two rows": (np.array([[0], [1]]), np.array([1.0, 2.0])),
        "one task, no noise": (draw(30, 1), draw(30, 1) + 1.0),
        "two distinct values": (masks, (rng.random((30, 2)) < 0.5) + 1.0),
        "a single row differs": (masks, np.eye(30)[:, :1]),
        "more tasks than rows": (draw(10, 50), rng.normal(size=(10, 20))),
        "over 50 powers of ten": (masks, np.exp(masks @ np.array([30.0, 40.0, -50.0, 20.0]))),
    }


@pytest.mark.parametrize("case", list(degenerate()))
@pytest.mark.parametrize("sharing", ["auto", "components"])
@pytest.mark.parametrize("kind", [SharedSurrogate, AutoSurrogate])
def test_degenerate_tables_give_finite_results_without_warnings(kind, sharing, case):
    masks, F = degenerate()[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        g = kind(sharing=sharing).fit(masks, F)
        mean, std = g.predict(masks, return_std=True)
        results = [mean, std, g.noise_variance_]
        for attribution in ("leave_one_out", "inclusion", "shapley"):
            results += [g.attribution(attribution).values, g.attribution(attribution).std]
        results += [g.interactions().values, g.interactions("shapley").std]
    assert all(np.isfinite(result).all() for result in results)
    assert mean.shape == std.shape == F.shape
    constant = np.ptp(F, axis=0) == 0
    np.testing.assert_allclose(mean[..., constant], F[..., constant], rtol=1e-9)
    # a prediction does not leave the range of what was seen by more than its width
    width = np.ptp(F, axis=0) + 1e-9 * np.abs(F).max(axis=0)
    assert (mean <= F.max(axis=0) + width).all()
    assert (mean >= F.min(axis=0) - width).all()


@pytest.mark.parametrize("kind", [SharedSurrogate, AutoSurrogate])
def test_a_single_subset_predicts_its_own_outcome_and_knows_no_spread(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        g = kind().fit([[1, 0, 1]], [[2.0, -3.0]])
        mean, std = g.predict([[1, 1, 1], [0, 0, 0]], return_std=True)
    np.testing.assert_allclose(mean, [[2.0, -3.0]] * 2)
    assert np.isnan(std).all()
    assert not g.attribution().values.any()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("surrogate", [SharedSurrogate(), AutoSurrogate()], ids=str)
def test_outcomes_that_are_no_numbers_are_refused(surrogate, wrong):
    masks, F = draw(30, 4), np.random.default_rng(2).random((30, 4))
    F[3, 1] = wrong
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        surrogate.fit(masks, F)
