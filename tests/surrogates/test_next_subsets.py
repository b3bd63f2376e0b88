"""The next subsets to measure: the promised variance is that of really measuring them, and less than by chance."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from kernelsm import InputError, KernelSurrogate, KernelSurrogateCV, LinearSurrogate
from kernelsm.surrogates.next_subsets import candidate_masks, next_subsets

K = 6
SURROGATES = [
    KernelSurrogate(gamma=0.3),
    KernelSurrogate(gamma=0.3, fit_intercept=False),
    KernelSurrogate(kernel="linear"),
    KernelSurrogate(kernel="poly", coef0=1.0, degree=3),
    KernelSurrogate(gamma=0.1, ridge=1e-6),
]
READOUTS = [
    {}, {"at": [1, 0, 0, 1, 1, 0]}, {"kind": "inclusion", "p": 0.2}, {"kind": "inclusion", "size": 2},
    {"kind": "shapley"},
]  # fmt: skip


def measured(m=15, tasks=K, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((m, tasks)) < 0.5).astype(float), rng.normal(size=(m, 2))


def variance(g, readout):
    """Total variance of the attribution in units of the prior's."""
    std = g.attribution(**readout).std[:, 0]
    return (std**2).sum() / g.scale_[0]


def after(g, masks, readout, seed=5):
    """The same once `masks` have been measured too, with outcomes out of the blue, as a share of now."""
    outcomes = np.random.default_rng(seed).normal(7.0, 3.0, (len(g.masks_) + len(masks), 1))
    return variance(clone(g).fit(np.vstack([g.masks_, masks]), outcomes), readout) / variance(g, readout)


@pytest.mark.parametrize("readout", READOUTS, ids=str)
@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
def test_the_variance_left_is_that_of_a_real_refit_with_any_outcomes(surrogate, readout):
    g = surrogate.fit(*measured())
    found = next_subsets(g, 5, **readout)
    assert found.masks.shape == (5, K)
    assert found.masks.dtype == bool
    for count in range(1, 6):
        for seed in (1, 2):
            expected = after(g, found.masks[:count], readout, seed)
            # a linear g with little ridge is certain long before: its rest is rounding
            assert found.variance_left[count - 1] == pytest.approx(expected, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("readout", READOUTS, ids=str)
def test_the_first_choice_is_the_best_of_all_candidates(readout):
    g = SURROGATES[0].fit(*measured())
    pool = candidate_masks(g.masks_, seed=3)
    left = [after(g, pool[i : i + 1], readout) for i in range(len(pool))]
    found = next_subsets(g, 1, candidates=pool, **readout)
    assert found.variance_left[0] == pytest.approx(min(left), rel=1e-9)
    assert after(g, found.masks, readout) == pytest.approx(min(left), rel=1e-9)


@pytest.mark.parametrize("readout", READOUTS, ids=str)
def test_each_choice_is_the_best_after_those_before(readout):
    g = SURROGATES[0].fit(*measured())
    pool = candidate_masks(g.masks_, seed=3)
    found = next_subsets(g, 3, candidates=pool, **readout)
    for count in (1, 2):
        before = found.masks[:count]
        left = [after(g, np.vstack([before, pool[i : i + 1]]), readout) for i in range(len(pool))]
        # no candidate is taken twice
        free = [not (pool[i] == before).all(axis=1).any() for i in range(len(pool))]
        assert found.variance_left[count] == pytest.approx(np.array(left)[free].min(), rel=1e-6)


@pytest.mark.parametrize("readout", READOUTS, ids=str)
def test_chosen_subsets_beat_random_ones(readout):
    g = SURROGATES[0].fit(*measured(m=20, tasks=K))
    found = next_subsets(g, 8, **readout)
    rng = np.random.default_rng(9)
    by_chance = [after(g, rng.random((8, K)) < 0.5, readout) for _ in range(30)]
    assert found.variance_left[-1] < min(by_chance)
    assert (np.diff(found.variance_left) < 0).all()
    assert 0 < found.variance_left[-1] < found.variance_left[0] < 1


def test_for_leave_one_out_the_full_set_and_its_neighbours_are_measured():
    g = SURROGATES[0].fit(*measured())
    assert (next_subsets(g, K + 1).masks.sum(axis=1) >= K - 1).all()
    # and for an anchor what is near the anchor
    at = np.array([1, 0, 0, 1, 1, 0])
    distance = (next_subsets(g, 3, at=at).masks != at).sum(axis=1)
    assert (distance <= 1).all()


def test_data_of_one_size_get_candidates_of_that_size():
    rng = np.random.default_rng(1)
    X = (rng.random((20, 9)).argsort(axis=1) < 3).astype(float)
    g = KernelSurrogate().fit(X, rng.normal(size=20))
    assert (next_subsets(g, 6, "inclusion", size=3).masks.sum(axis=1) == 3).all()
    pool = candidate_masks(X)
    assert len(pool) == 84  # 3 of 9
    assert len(np.unique(pool, axis=0)) == 84


def test_other_data_get_candidates_of_all_sizes():
    pool = candidate_masks(measured(tasks=12)[0])
    sizes = pool.sum(axis=1)
    assert set(sizes) == set(range(13))
    assert (sizes == 11).sum() == 12  # every way to leave one out
    assert np.isin(pool, (0.0, 1.0)).all()
    assert len(np.unique(pool, axis=0)) == len(pool)
    # all sizes alike, not half the tasks every time: 1,000 draws over 13 sizes, those that can differ
    assert (sizes == 4).sum() > 40
    assert not np.array_equal(pool[:50], candidate_masks(measured(tasks=12)[0], seed=1)[:50])


def test_choices_are_candidates_each_taken_once_and_repeatable():
    g = SURROGATES[0].fit(*measured())
    pool = np.array([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1], [1, 1, 1, 1, 1, 0]])
    found = next_subsets(g, 4, candidates=pool)
    assert {tuple(row) for row in found.masks.astype(int)} == {tuple(row) for row in pool}
    again = next_subsets(g, 4, candidates=pool.astype(bool))
    assert np.array_equal(found.masks, again.masks)
    assert np.array_equal(next_subsets(g, 5, seed=4).masks, next_subsets(g, 5, seed=4).masks)


@pytest.mark.parametrize("surrogate", SURROGATES[:4], ids=str)
def test_of_equally_good_subsets_the_first_are_chosen_whatever_rounding_says(surrogate):
    # all subsets of two tasks were measured once: those of three are all alike, and stay so in pairs
    masks = np.array([np.isin(np.arange(K), pair) for pair in combinations(range(K), 2)], dtype=float)
    pool = np.array([np.isin(np.arange(K), three) for three in combinations(range(K), 3)], dtype=float)
    found = set()
    for seed in range(8):
        rows = np.random.default_rng(seed).permutation(len(masks))
        g = clone(surrogate).fit(masks[rows], np.arange(15.0)[rows])
        found.add(next_subsets(g, 4, "inclusion", size=2, candidates=pool).masks.tobytes())
    assert len(found) == 1
    assert np.array_equal(np.frombuffer(found.pop(), dtype=bool)[:K], pool[0])


def test_without_a_ridge_a_measured_subset_has_nothing_left_to_tell():
    masks = np.unique(measured(m=25)[0], axis=0)
    g = KernelSurrogate(gamma=0.3, ridge=0.0).fit(masks, np.arange(len(masks), dtype=float))
    new = np.array([1.0, 1, 1, 1, 1, 0])
    assert not (masks == new).all(axis=1).any()
    found = next_subsets(g, 1, candidates=np.vstack([masks, new]))
    assert np.array_equal(found.masks[0], new.astype(bool))
    repeat = next_subsets(g, 1, candidates=masks[:1])
    assert repeat.variance_left[0] == pytest.approx(1.0, abs=1e-6)


def test_a_tuned_surrogate_keeps_its_parameters_for_the_next_subsets():
    X, values = measured(m=40)
    g = KernelSurrogateCV(gammas=(0.1, 0.5), ridges=(0.01, 0.1)).fit(X, values)
    by_hand = KernelSurrogate(gamma=g.gamma_, ridge=g.ridge_).fit(X, values)
    assert np.array_equal(next_subsets(g, 4).masks, next_subsets(by_hand, 4).masks)


def test_more_than_there_are_are_refused():
    g = SURROGATES[0].fit(*measured())
    for count in (0, -1, 3):
        with pytest.raises(InputError, match="1 to the 2 candidates") as caught:
            next_subsets(g, count, candidates=np.eye(K)[:2])
        assert caught.value.place == "count"


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"kind": "banzaf"}, "kind"),
        ({"p": 0.5}, "readout"),
        ({"kind": "inclusion", "size": K}, "size"),
        ({"at": [1]}, "at"),
    ],
)
def test_impossible_readouts_are_refused(arguments, place):
    with pytest.raises(InputError) as caught:
        next_subsets(SURROGATES[0].fit(*measured()), 2, **arguments)
    assert caught.value.place == place


@pytest.mark.parametrize(
    "candidates",
    [np.full((3, K), 0.5), np.full((3, K), 2.0), np.ones((3, K - 1)), np.ones(K), np.full((3, K), np.nan)],
    ids=["halves", "twos", "too few tasks", "one row", "nan"],
)
def test_candidates_that_are_no_subsets_are_refused(candidates):
    with pytest.raises(InputError) as caught:
        next_subsets(SURROGATES[0].fit(*measured()), 1, candidates=candidates)
    assert "candidates" in caught.value.place


def test_a_surrogate_that_cannot_be_asked_is_refused():
    with pytest.raises(NotFittedError):
        next_subsets(KernelSurrogate(), 1)
    with pytest.raises(InputError, match="not 0/1"):
        next_subsets(KernelSurrogate().fit(np.arange(8.0).reshape(4, 2), np.arange(4.0)), 1)
    # the docstring sends linear surrogates to KernelSurrogate(kernel="linear")
    with pytest.raises((InputError, TypeError), match="KernelSurrogate"):
        next_subsets(LinearSurrogate().fit(*measured()), 1)
