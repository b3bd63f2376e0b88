"""Few answers after a prompt tell its others: how well, on which scale, and with what doubt."""

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.prompts.answer_factors import AnswerFactors, AnswerScale

MARGIN = AnswerScale("margin")


def moved_together(prompts, queries, noise, seed=0):
    """Losses whose margins are pushed towards one label or the other, and towards certainty."""
    rng = np.random.default_rng(seed)
    label = np.where(rng.random(queries) < 0.5, 1.0, -1.0)
    base = rng.normal(1.0, 0.5, queries)
    push, sure = rng.normal(0, 1.0, (prompts, 1)), rng.normal(0, 0.3, (prompts, 1))
    return np.logaddexp(0, -(base * (1 + sure) + push * label + noise * rng.normal(size=(prompts, queries))))


def hidden(losses, kept, first, seed=1):
    """All but some answers of the prompts from the first one on become unknown."""
    rng, seen = np.random.default_rng(seed), losses.copy()
    for row in range(first, len(losses)):
        seen[row, rng.permutation(losses.shape[1])[kept:]] = np.nan
    return seen


def test_ten_answers_tell_the_mean_of_a_hundred_several_times_better_than_their_own_mean():
    losses = moved_together(60, 100, noise=0.3)
    seen = hidden(losses, 10, first=8)
    mean, std = AnswerFactors(MARGIN).fit(seen).complete(seen)
    errors = (mean - losses.mean(axis=1))[8:]
    plain = (np.nanmean(seen, axis=1) - losses.mean(axis=1))[8:]
    assert np.sqrt((errors**2).mean()) < 0.4 * np.sqrt((plain**2).mean())
    assert (std[:8] == 0).all()  # nothing is left to guess of those that were asked all
    assert (std[8:] > 0).all()
    # the doubt is of the size of the errors, though that of the loadings is left out
    assert 0.5 < np.sqrt((errors**2 / std[8:] ** 2).mean()) < 3


def test_what_was_asked_counts_as_it_was_answered():
    losses = moved_together(20, 30, noise=1.0)
    mean, _ = AnswerFactors(MARGIN).fit(losses).complete(losses)
    np.testing.assert_allclose(mean, losses.mean(axis=1))


@pytest.mark.parametrize("scale", [MARGIN, AnswerScale("log"), AnswerScale("plain"), AnswerScale("margin", True)])
def test_expected_outcomes_are_those_of_draws(scale):
    means, variances = np.array([-3.0, -0.4, 0.3, 2.0]), np.array([0.5, 0.1, 0.4, 0.2])
    x = means + np.sqrt(variances) * np.random.default_rng(0).normal(size=(200_000, 4))
    read = {"log": np.exp, "plain": lambda values: values}.get(scale.name, lambda values: np.logaddexp(0, -values))
    losses = read(x)
    np.testing.assert_allclose(scale.expected(means, variances), scale.outcome(losses).mean(axis=0), atol=0.01)
    np.testing.assert_allclose(scale.free(losses), x, atol=1e-6)


def test_answers_that_are_certain_or_missing_stay_finite():
    losses = moved_together(12, 20, noise=0.2)
    losses[0] = 0.0
    losses[1] = 80.0
    losses[2, 5:] = np.nan
    mean, std = AnswerFactors(MARGIN).fit(losses).complete(losses)
    assert np.isfinite(mean).all()
    assert np.isfinite(std).all()


def test_a_query_that_was_never_asked_is_named():
    losses = np.ones((9, 4))
    losses[:, 2] = np.nan
    with pytest.raises(InputError, match="query 3 without an answer"):
        AnswerFactors(MARGIN).fit(losses)
    with pytest.raises(InputError, match="scale"):
        AnswerScale("cubic")
