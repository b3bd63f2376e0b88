"""The paper's published coin-flip outcomes: 200 prompts of 4 of 50 demonstrations, 869 queries."""

import json
from pathlib import Path

import numpy as np
import pytest

from kernelsm import KernelSurrogate, LinearSurrogate, Outcomes, default_surrogate, lds

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "coin_flip"


@pytest.fixture(scope="module")
def coin_flip():
    if not FOLDER.is_dir():
        pytest.skip("the published coin-flip outcomes are not beside this checkout (../shared/data/coin_flip)")
    losses = np.array(json.loads((FOLDER / "coin_flip_subset_scores_loss.json").read_text()))
    prompts = json.loads((FOLDER / "coin_flip_train_ids_list.json").read_text())
    masks = np.zeros((len(prompts), 50), dtype=bool)
    for row, demonstrations in zip(masks, prompts, strict=True):
        row[demonstrations] = True
    return Outcomes(masks, losses)


def test_the_table_holds_what_was_published(coin_flip):
    assert (coin_flip.m, coin_flip.K, coin_flip.q) == (200, 50, 869)
    assert set(coin_flip.masks.sum(axis=1)) == {4}


def test_eighty_prompts_rank_the_other_hundred_and_twenty(coin_flip):
    train, test = coin_flip.split(0.4, seed=0)
    assert (train.m, test.m) == (80, 120)
    kernel = KernelSurrogate(ridge=0.1, fit_intercept=False).fit_outcomes(train)
    assert lds(test.values, kernel.predict(test.masks)) > 0.4


def test_much_of_the_gain_is_regularisation(coin_flip):
    # a regularised linear surrogate comes close to the kernel; an unregularised one does not
    train, test = coin_flip.split(0.4, seed=0)
    score = {
        ridge: lds(test.values, LinearSurrogate(ridge=ridge).fit_outcomes(train).predict(test.masks))
        for ridge in (0.0, 1.0)
    }
    kernel = lds(test.values, KernelSurrogate(ridge=0.1).fit_outcomes(train).predict(test.masks))
    assert score[1.0] > score[0.0] + 0.02
    assert abs(kernel - score[1.0]) < 0.05


def test_inclusion_of_size_four_is_read_off_all_targets_at_once(coin_flip):
    g = KernelSurrogate().fit_outcomes(coin_flip)
    effect = g.attribution("inclusion", size=4).values
    assert effect.shape == (50, 869)
    # the readout is an average of g: adding the exact effects of all members of size-4 sets cancels
    np.testing.assert_allclose(effect.sum(axis=0), 0.0, atol=1e-9)


def test_the_default_surrogate_ranks_better_than_the_authors_setting(coin_flip):
    scores = []
    for seed in range(3):
        train, test = coin_flip.split(0.4, seed=seed)
        authors = KernelSurrogate(ridge=0.1, fit_intercept=False)
        scores.append(
            [lds(test.values, g.fit_outcomes(train).predict(test.masks)) for g in (default_surrogate(), authors)]
        )
    default, authors = np.mean(scores, axis=0)
    assert default > 0.60
    assert default > authors + 0.05
