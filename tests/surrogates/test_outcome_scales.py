"""The way back from a score to the outcome's own scale."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelsm.surrogates.outcome_scales import SCALES, ScoreToOutcome

columns = st.integers(4, 25).flatmap(
    lambda m: st.tuples(
        *(st.lists(st.floats(low, 50.0), min_size=m, max_size=m) for low in (-50.0, 0.01)), st.just(m)
    )
)


@settings(max_examples=60)
@given(columns, st.sampled_from([*((name,) for name in SCALES), tuple(SCALES)]))
def test_the_way_back_rises(drawn, scales):
    scores, observed = (np.array(column)[:, None] for column in drawn[:2])
    back = ScoreToOutcome(scales, scores, observed)
    grid = np.sort(np.concatenate([scores[:, 0], np.linspace(-80, 80, 60)]))[:, None]
    values = back(grid)
    assert np.isfinite(values).all()
    assert (np.diff(values[:, 0]) >= -1e-9 * np.abs(values).max()).all()
    assert (back.spread(grid, np.ones_like(grid)) >= 0).all()


@pytest.mark.parametrize("scale", list(SCALES))
def test_the_way_back_inverts_what_is_exactly_monotone(scale):
    observed = np.random.default_rng(0).lognormal(size=(40, 2))
    scores = 3.0 * SCALES[scale](observed) - 7.0
    for scales in ((scale,), tuple(SCALES)):
        np.testing.assert_allclose(ScoreToOutcome(scales, scores, observed)(scores), observed, rtol=1e-6)


def test_scores_that_fall_with_the_outcomes_go_back_to_their_mean():
    observed = np.linspace(1.0, 2.0, 20)[:, None]
    back = ScoreToOutcome(("identity",), -observed, observed)
    np.testing.assert_allclose(back(-observed), 1.5)
