"""Scores of attribution methods: by hand on small tables, paired with the default, and the sentence of who wins."""

import numpy as np
import pytest
from scipy.stats import t as student

from kernelsm import InputError, lds
from kernelsm.evaluation.leave_one_out_agreement import leave_one_out_agreement
from kernelsm.evaluation.method_scores import (
    MethodAnswer,
    correlation_gain,
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


def test_agreement_with_leave_one_out_is_told_by_target_in_their_mean_and_of_the_mean_target():
    found = answer(0.5, 3)
    agreement = score_methods({"default": found}, TRUTH, EFFECTS)[0].agreement
    per_target = [np.corrcoef(EFFECTS[:, j], found.effects[:, j])[0, 1] for j in range(3)]
    assert agreement.per_target == pytest.approx(per_target)
    assert agreement.least == int(np.argmin(per_target))
    assert agreement.of_mean == pytest.approx(np.corrcoef(EFFECTS.mean(axis=1), found.effects.mean(axis=1))[0, 1])
    assert agreement.low < agreement.mean < agreement.high <= 1
    # the jackknife by hand
    left = [leave_one_out_agreement(np.delete(EFFECTS, k, 0), np.delete(found.effects, k, 0)).mean for k in range(12)]
    spread = np.sqrt(11 / 12 * np.square(np.array(left) - np.mean(left)).sum())
    assert agreement.mean - agreement.low == pytest.approx(student.ppf(0.95, 11) * spread)


def test_agreement_of_few_tasks_has_no_interval_and_flat_targets_do_not_count():
    flat = EFFECTS[:3].copy()
    flat[:, 1] = 0.5
    agreement = leave_one_out_agreement(flat, EFFECTS[:3])
    assert np.isnan(agreement.per_target[1])
    assert agreement.mean == pytest.approx(1.0)
    assert agreement.to_json()["low"] is None
    assert agreement.to_json()["per_target"][1] is None
    nothing = leave_one_out_agreement(np.ones((5, 2)), np.ones((5, 2)))
    assert nothing.least is None
    assert nothing.to_json()["mean"] is None


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
    assert verdict(worse).startswith("On held-out subsets the default surrogate predicts best")
    better = score_methods({"default": answer(2.0, 2), "magic": answer(0.1, 1, "MAGIC")}, TRUTH)
    assert verdict(better).startswith("On held-out subsets, MAGIC predicts better than the default surrogate")
    tied = score_methods({"default": default, "rbf": answer(0.3, 4, "tuned RBF surrogate")}, TRUTH)
    assert "tuned RBF surrogate cannot be told from it" in verdict(tied)
    alone = score_methods({"default": default, "default_banzhaf": default}, TRUTH)
    assert "nothing beside it" in verdict(alone)


def test_what_a_method_cannot_say():
    assert answer(0.1, 1).cannot_say == "pairs and how sure it is"
    assert answer(0.1, 1, has_pairs=True, has_intervals=True).cannot_say == ""
