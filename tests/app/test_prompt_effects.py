"""Effects of demonstrations and of pairs, read off predictions, are those of games whose effects are known."""

from __future__ import annotations

import numpy as np
import pytest
from app_harness import open_app, texts

from kernelsm.prompts.measured_prompts import MeasuredPrompts
from kernelsm.prompts.prompt_effects import candidate_effects, pair_effects
from kernelsm.prompts.prompt_prediction import PromptPrediction

K, SIZE = 12, 3


def game(pair: float, seed: int = 0) -> tuple[PromptPrediction, np.ndarray]:
    """Prompts whose outcome is a sum of effects, and `pair` more where both 0 and 1 are in."""
    rng = np.random.default_rng(seed)
    alone = rng.normal(0, 0.3, K)
    orders = np.array([rng.permutation(K)[:SIZE] for _ in range(200)])
    both = np.isin(0, orders) & (orders == 0).any(axis=1) & (orders == 1).any(axis=1)
    values = alone[orders].sum(axis=1) + pair * both + rng.normal(0, 0.02, len(orders))
    return PromptPrediction(MeasuredPrompts(orders, values, K, np.zeros(K, dtype=np.intp))), alone


@pytest.mark.parametrize("seed", [0, 1])
def test_effects_of_an_additive_game_are_recovered_within_their_intervals(seed: int) -> None:
    prediction, alone = game(0.0, seed)
    found = candidate_effects(prediction, [str(k) for k in range(K)], "mean", "loss")
    # with it, minus with another one in its place
    want = alone - (alone.sum() - alone) / (K - 1)
    assert np.abs(found.values[:, 0] - want).max() < 0.15
    assert np.corrcoef(found.values[:, 0], want)[0, 1] > 0.98
    assert (np.abs(found.values[:, 0] - want) <= found.margin()[:, 0]).mean() >= 0.75


def test_a_pair_that_clashes_is_found_and_no_other() -> None:
    prediction, _ = game(1.5)
    found = {(one.first, one.second): one for one in pair_effects(prediction, (5, 1, 0, 7))}
    assert len(found) == 6
    assert found[0, 1].clear
    assert found[0, 1].value == pytest.approx(1.5, abs=0.4)
    assert max(abs(one.value) for pair, one in found.items() if pair != (0, 1)) < 0.4


@pytest.mark.parametrize("page", ["subsets", "fit", "explore"])
def test_pages_whose_surrogate_knows_no_order_say_which_number_counts(page: str) -> None:
    assert "These subsets are prompts." in texts(open_app(page, run="movie-reviews"))
    assert "These subsets are prompts." not in texts(open_app(page, run="planted"))
