"""Scores of attribution methods: by hand on small tables, paired with the default, and the sentence of who wins."""

import numpy as np
import pytest

from kernelsm import InputError, lds
from kernelsm.evaluation.method_scores import (
    MethodAnswer,
    correlation_gain,
    correlations,
    overlap_gain,
    score_methods,
    top_overlaps,
    verdict,
)

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=(60, 3))
EFFECTS = RNG.normal(size=(12, 3))


def answer(noise, seed, title="some method", **named):
    rng = np.random.default_rng(seed)
    return MethodAnswer(
        title,
        EFFECTS + noise * rng.normal(size=EFFECTS.shape),
        TRUTH + noise * rng.normal(size=TRUTH.shape),
        1.5,
        **named,
    )


def test_scores_are_those_of_the_metrics():
    answers = {"default": answer(0.2, 1, "default surrogate"), "linear": answer(1.0, 2, "tuned linear surrogate")}
    best, second = score_methods(answers, TRUTH, EFFECTS)
    assert (best.name, second.name) == ("default", "linear")
    assert second.lds == pytest.approx(lds(TRUTH, answers["linear"].predicted))
    per_target = [np.corrcoef(EFFECTS[:, j], answers["linear"].effects[:, j])[0, 1] for j in range(3)]
    assert second.leave_one_out == pytest.approx(np.mean(per_target))
    assert best.lds_gain is None
    assert second.lds_gain.gain == pytest.approx(second.lds - best.lds)
    assert second.lds_gain.high < 0
    assert second.leave_one_out_gain.gain == pytest.approx(second.leave_one_out - best.leave_one_out)


def test_without_leave_one_out_there_is_no_agreement_with_it():
    score = score_methods({"default": answer(0.2, 1)}, TRUTH)[0]
    assert score.leave_one_out is None
    assert score.top5 is None
    assert score.to_json()["leave_one_out"] is None


def test_unknown_time_is_none_in_json():
    found = MethodAnswer("a", EFFECTS, TRUTH, float("nan"))
    assert score_methods({"default": found}, TRUTH)[0].to_json()["seconds"] is None


def test_the_default_must_be_there_and_tasks_must_agree():
    with pytest.raises(InputError, match="default"):
        score_methods({"linear": answer(0.2, 1)}, TRUTH)
    with pytest.raises(InputError, match="shape"):
        score_methods({"default": answer(0.2, 1)}, TRUTH, EFFECTS[:5])


def test_correlation_of_constant_effects_is_zero_and_of_constant_truth_unknown():
    truth = np.array([[1.0, 2.0], [2.0, 2.0], [4.0, 2.0]])
    found = correlations(truth, np.array([[5.0, 1.0], [5.0, 2.0], [5.0, 3.0]]))
    assert found[0] == 0.0
    assert np.isnan(found[1])


def test_overlap_counts_the_strongest_by_magnitude():
    truth = np.array([[-9.0], [8.0], [-7.0], [6.0], [5.0], [1.0], [0.5]])
    assert top_overlaps(truth, -truth).tolist() == [1.0]
    found = truth.copy()
    found[0], found[6] = 0.0, 9.0
    assert top_overlaps(truth, found).tolist() == [0.8]


def test_intervals_hold_the_gain_and_shrink_where_methods_agree():
    rng = np.random.default_rng(3)
    near, far = (EFFECTS + size * rng.normal(size=EFFECTS.shape) for size in (0.1, 2.0))
    gain = correlation_gain(EFFECTS, near, far)
    assert gain.low > 0
    same = correlation_gain(EFFECTS, near, near)
    assert (same.low, same.gain, same.high) == (0.0, 0.0, 0.0)
    assert np.isnan(correlation_gain(EFFECTS[:3], near[:3], far[:3]).low)
    overlap = overlap_gain(EFFECTS, near, far)
    assert overlap.low <= overlap.gain <= overlap.high
    assert np.isnan(overlap_gain(EFFECTS[:, :2], near[:, :2], far[:, :2]).low)


def test_the_verdict_says_who_wins():
    default = answer(0.3, 1, "default surrogate")
    worse = score_methods({"default": default, "linear": answer(2.0, 2, "tuned linear surrogate")}, TRUTH)
    assert verdict(worse).startswith("The default surrogate predicts held-out subsets best")
    better = score_methods({"default": answer(2.0, 2), "magic": answer(0.1, 1, "MAGIC")}, TRUTH)
    assert verdict(better).startswith("MAGIC predicts held-out subsets better than the default surrogate")
    tied = score_methods({"default": default, "rbf": answer(0.3, 4, "tuned RBF surrogate")}, TRUTH)
    assert "tuned RBF surrogate cannot be told from it" in verdict(tied)
    alone = score_methods({"default": default, "default_banzhaf": default}, TRUTH)
    assert "nothing beside it" in verdict(alone)


def test_what_a_method_cannot_say():
    assert answer(0.1, 1).cannot_say == "pairs and how sure it is"
    assert answer(0.1, 1, has_pairs=True, has_intervals=True).cannot_say == ""
