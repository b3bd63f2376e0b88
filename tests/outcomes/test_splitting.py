"""Equal subsets come to one side of every split."""

import numpy as np
import pytest

from kernelsm import LinearSurrogate, Outcomes, fixed_size_masks, lds
from kernelsm.outcomes.splitting import random_parts
from kernelsm.surrogates.kernel_choice import CandidateKernels


@pytest.mark.parametrize("ends", [[80], [1], [99], [34, 67]])
@pytest.mark.parametrize("seed", range(3))
def test_where_all_rows_differ_it_is_a_permutation_that_is_cut(ends, seed):
    masks = fixed_size_masks(20, 100, size=5, distinct=True)
    want = np.split(np.random.default_rng(seed).permutation(100), ends)
    for found, part in zip(random_parts(masks, ends, seed), want, strict=True):
        np.testing.assert_array_equal(found, part)


@pytest.mark.parametrize("seed", range(5))
def test_equal_rows_are_in_one_part_and_the_parts_about_as_large_as_asked(seed):
    masks = fixed_size_masks(6, 200, size=3)
    parts = random_parts(masks, [100, 160], seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(200))
    kinds = [{mask.tobytes() for mask in masks[part]} for part in parts]
    assert len(set.union(*kinds)) == sum(map(len, kinds)) == 20
    # cut at the nearest end of a subset's rows
    most = np.unique(masks, axis=0, return_counts=True)[1].max()
    assert abs(len(parts[0]) - 100) <= most / 2
    assert abs(len(parts[2]) - 40) <= most / 2


def test_two_subsets_are_told_apart_and_one_is_cut_anyway():
    masks = np.array([[True, False]] * 9 + [[False, True]])
    for seed in range(4):
        assert sorted(map(len, Outcomes(masks, np.ones(10)).split(0.5, seed=seed))) == [1, 9]
    assert list(map(len, Outcomes(masks[:9], np.ones(9)).split(0.8))) == [7, 2]


def test_pure_noise_that_repeats_with_its_subset_cannot_be_predicted():
    scores = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        masks = fixed_size_masks(6, 200, size=3, seed=seed)
        noise = {mask.tobytes(): rng.normal() for mask in np.unique(masks, axis=0)}
        outcomes = Outcomes(masks, [noise[mask.tobytes()] for mask in masks])
        train, test = outcomes.split(0.7, seed=seed)
        scores.append(lds(test.values, LinearSurrogate(ridge=1e-3).fit_outcomes(train).predict(test.masks)))
    assert np.mean(scores) < 0.3


@pytest.mark.parametrize("rows", [fixed_size_masks(6, 200, size=3), np.eye(4, dtype=bool)[[0] * 9 + [1] * 9]])
def test_folds_predict_subsets_that_they_have_not_seen(rows):
    X = rows.astype(float)
    folds = CandidateKernels(X).folds
    assert sorted(np.concatenate([left for _, left, _ in folds]).tolist()) == list(range(len(X)))
    for fitted, left, _ in folds:
        assert not {x.tobytes() for x in X[fitted]} & {x.tobytes() for x in X[left]}
        assert len(fitted) + len(left) == len(X)
        assert len(fitted)
        assert len(left)
