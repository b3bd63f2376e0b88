"""Two views: which tasks and subsets they share, what their difference is and how sure, and what is said of it."""

import numpy as np
import pytest

from kernelsm import InputError, Outcomes, load_example
from kernelsm.evaluation.rank_agreement import rank_agreement
from kernelsm.evaluation.two_views import How, compare_views
from kernelsm.evaluation.two_views_words import how_sentence, pairs_sentence, two_views_sentence
from kernelsm.evaluation.views import View, matched_tasks, rows_in_common
from kernelsm.surrogates.contrasts import left_out_effects
from kernelsm.surrogates.wording import Verdict

NAMES = ["a", "b", "c", "d"]
EFFECTS = np.array([1.0, -0.5, 0.25, 0.0])


def table(seed=0, m=60, effects=EFFECTS, names=NAMES, noise=0.1, **more):
    rng = np.random.default_rng(seed)
    masks = rng.random((m, len(names))) < 0.5
    values = np.column_stack([masks @ effects, masks @ (0.5 * effects)]) + noise * rng.normal(size=(m, 2))
    more = {"target_names": ["whole", "half"], **more}
    return Outcomes(masks, values, task_names=names, **more)


def rbf(outcomes, **more):
    return View(outcomes, **{"target": "whole", "kernel": "rbf", "gamma": 0.05, "ridge": 0.05, **more})


def test_tasks_are_matched_by_name_and_those_of_one_side_alone_are_named():
    one, other = rbf(table()), rbf(table(names=["d", "a", "x", "y"]))
    tasks = matched_tasks(one, other)
    assert tasks.names == ("a", "d")
    assert tasks.first.tolist() == [0, 3]
    assert tasks.second.tolist() == [1, 0]
    assert tasks.only_first == ("b", "c")
    assert tasks.only_second == ("x", "y")
    found = compare_views(one, other)
    assert found.how is How.APART
    effects = one.reading.attribution.values[[0, 3], 0], other.reading.attribution.values[[1, 0], 0]
    assert found.differences.values == pytest.approx(effects[0] - effects[1])
    with pytest.raises(InputError, match="at least one task of the same name"):
        matched_tasks(one, rbf(table(names=["p", "q", "r", "s"])))


def test_tables_of_the_same_subsets_are_paired_whatever_their_order():
    outcomes = table()
    outcomes = outcomes.take(np.unique(outcomes.masks, axis=0, return_index=True)[1])
    turned, columns = np.random.default_rng(1).permutation(outcomes.m), [2, 0, 3, 1]
    again = Outcomes(
        outcomes.masks[turned][:, columns], outcomes.values[turned] + 1.0, task_names=[NAMES[k] for k in columns],
        target_names=outcomes.target_names,
    )  # fmt: skip
    one, other = rbf(outcomes), rbf(again)
    tasks = matched_tasks(one, other)
    rows = rows_in_common(one, other, tasks)
    masks = again.masks[rows[1]][:, tasks.second]
    assert (outcomes.masks[rows[0]] == masks).all()
    found = compare_views(one, other)
    assert found.how is How.DIFFERENCES
    # outcomes that differ by a constant have the same effects, and no doubt is left
    assert np.abs(found.differences.values).max() < 1e-9
    assert np.abs(found.differences.margin).max() < 1e-9
    assert rows_in_common(one, rbf(table(seed=3)), tasks) is None


@pytest.mark.parametrize("kernel", ["rbf", "poly", "linear"])
def test_the_difference_of_two_targets_is_the_first_less_the_second_and_surer_than_either(kernel):
    rng = np.random.default_rng(2)
    outcomes = table(noise=0.0)
    shared = 0.3 * rng.normal(size=(outcomes.m, 1))  # the noise of a subset, whatever is measured
    outcomes = Outcomes(
        outcomes.masks, outcomes.values + shared + 0.01 * rng.normal(size=outcomes.values.shape), task_names=NAMES,
        target_names=["whole", "half"],
    )  # fmt: skip
    found = compare_views(*(rbf(outcomes, target=name, kernel=kernel) for name in ("whole", "half")))
    assert found.how is How.DIFFERENCES
    assert found.differences.values == pytest.approx(found.effects[0] - found.effects[1], abs=1e-9)
    assert (found.differences.margin < 0.2 * np.hypot(*found.margins)).all()
    assert "fitted as an outcome of its own" in how_sentence(found)


def test_one_fit_read_off_twice_is_surer_than_two():
    found = compare_views(rbf(table(noise=0.5)), rbf(table(noise=0.5), readout="shapley"))
    assert found.how is How.ONE_FIT
    assert (found.differences.std < 0.7 * np.hypot(*found.margins) / 1.67).all()
    assert "one fit" in how_sentence(found)


def test_one_and_the_same_view_differs_in_nothing():
    outcomes = table()
    found = compare_views(rbf(outcomes), rbf(outcomes, readout="leave_one_out"))
    assert found.identical
    assert not found.differences.values.any()
    assert not found.differences.margin.any()
    assert two_views_sentence(found) == "Both sides are one and the same view: nothing differs."
    # γ = 1/K by another name
    assert compare_views(rbf(outcomes, gamma=None), rbf(outcomes, gamma=0.25)).identical


def test_two_surrogates_of_one_table_leave_rows_out_of_both():
    outcomes = table()
    found = compare_views(rbf(outcomes), rbf(outcomes, kernel="linear"))
    assert found.how is How.ROWS_LEFT_OUT
    rows = []
    for row in range(outcomes.m):
        kept = outcomes.take(np.arange(outcomes.m) != row)
        rows.append([
            view.reading.attribution.values[:, 0] for view in (rbf(kept), rbf(kept, kernel="linear"))
        ])  # fmt: skip
    changes = np.array(rows)
    expected = np.sqrt((outcomes.m - 1) * (changes[:, 0] - changes[:, 1]).var(axis=0))
    assert found.differences.std == pytest.approx(expected, rel=1e-6)
    assert "due to the surrogates" in how_sentence(found)
    assert found.pairs is None  # a linear surrogate has none


def test_of_the_default_surrogate_the_intervals_are_combined_by_how_both_move_together():
    outcomes = table(m=48, noise=0.3)
    found = compare_views(View(outcomes, "whole"), rbf(outcomes))
    assert found.how is How.ROWS_LEFT_OUT
    assert found.chooses
    assert "how far both move together" in how_sentence(found)
    changes = [left_out_effects(view.surrogate, outcomes.masks, view.of_tasks)[:, :, 0] for view in found.views]
    for task in range(4):
        rho = np.corrcoef(changes[0][:, task], changes[1][:, task])[0, 1]
        v, w = (
            max(view.reading.attribution.std[task, 0] ** 2, 47 * change[:, task].var())
            for view, change in zip(found.views, changes, strict=True)
        )
        assert found.differences.std[task] == pytest.approx(np.sqrt(v + w - 2 * rho * np.sqrt(v * w)))
    # what both share is no doubt
    assert (found.differences.std < np.hypot(*(view.reading.attribution.std[:, 0] for view in found.views))).all()
    assert np.isfinite(found.pairs.found.std).all()


def test_the_first_subsets_of_a_table_are_left_out_of_both_and_the_others_of_one():
    outcomes = table(m=50)
    found = compare_views(rbf(outcomes), rbf(outcomes.take(range(30))))
    assert found.how is How.ROWS_LEFT_OUT
    assert "One was fitted to the first subsets of the other" in how_sentence(found)

    def difference(kept):
        few = np.array([row for row in kept if row < 30])
        sides = rbf(outcomes.take(np.array(kept))), rbf(outcomes.take(few))
        return np.subtract(*(side.reading.attribution.values[:, 0] for side in sides))

    without = np.array([difference([other for other in range(50) if other != row]) for row in range(50)])
    expected = 29 * without[:30].var(axis=0) + 19 * without[30:].var(axis=0)
    assert found.differences.std == pytest.approx(np.sqrt(expected), rel=1e-6)
    assert found.differences.degrees_of_freedom == 48
    # more subsets leave less doubt than two tables that share none would
    assert (found.differences.std < np.hypot(*found.margins)).all()


def test_unlike_measures_are_compared_by_ranks_of_what_helps():
    outcomes = table()
    accuracy = Outcomes(
        outcomes.masks, -outcomes.values, task_names=NAMES, target_names=outcomes.target_names, higher_is_better=True
    )
    found = compare_views(rbf(outcomes), rbf(accuracy))
    assert found.differences is None
    assert found.pairs is None
    assert found.ranks[0].tolist() == found.ranks[1].tolist()
    assert found.ranks[0][1] == 1  # the negative effect on a loss helps most
    assert found.agreement.correlation == pytest.approx(1.0)
    said = two_views_sentence(found)
    assert "loss and score" in said
    assert "only ranks are compared" in said


def test_pairs_are_compared_where_both_have_them():
    outcomes = load_example("planted")
    one, other = (View(outcomes, kernel="rbf", gamma=gamma, ridge=0.01) for gamma in (0.02, 0.3))
    pairs = compare_views(one, other).pairs
    assert pairs.total == len(pairs.j) == 45
    each = [view.reading.interactions.values[pairs.j, pairs.k, 0] for view in (one, other)]
    assert pairs.found.values == pytest.approx(each[0] - each[1])
    assert (pairs.found.std > 0).all()
    assert "pairs" in pairs_sentence(compare_views(one, other), pairs)
    targets = table(noise=0.05)
    two = compare_views(rbf(targets), rbf(targets, target="half"))
    assert two.pairs.found.values == pytest.approx(two.pairs.found.first - two.pairs.found.second, abs=1e-9)
    apart = compare_views(rbf(targets), rbf(table(seed=5)))
    deviations = [view.reading.interactions.std_of(apart.pairs.j, apart.pairs.k)[:, 0] for view in apart.views]
    assert apart.pairs.found.std == pytest.approx(np.hypot(*deviations))


def test_outcomes_without_noise_on_both_sides_leave_their_difference_without_any():
    rng = np.random.default_rng(3)
    masks = np.array([[a, b, c, d] for a in (0, 1) for b in (0, 1) for c in (0, 1) for d in (0, 1)])
    exact = {"estimator": "retraining"}
    tables = [Outcomes(masks, rng.normal(size=16), task_names=NAMES, meta=exact) for _ in range(2)]
    found = compare_views(*(View(one, kernel="rbf") for one in tables))
    assert found.how is How.DIFFERENCES
    assert not found.differences.margin.any()
    assert found.differences.values == pytest.approx(found.effects[0] - found.effects[1])
    # one of them alone: the noise of the other is not known, and is estimated
    noisy = Outcomes(masks, tables[1].values, task_names=NAMES, noise=None)
    assert compare_views(View(tables[0], kernel="rbf"), View(noisy, kernel="rbf")).differences.margin.any()


def test_the_sentence_counts_what_differs_and_what_cannot_be_told():
    outcomes = table(noise=0.01)
    said = two_views_sentence(compare_views(rbf(outcomes), rbf(outcomes, target="half")))
    assert said.startswith("3 of 4 tasks differ, most a by +0.4")
    assert "Of the other differences, 1 is smaller than would matter." in said
    assert "The ranks of tasks correlate by" in said
    noisy = compare_views(rbf(table(noise=3.0)), rbf(table(seed=9, noise=3.0)))
    assert not (noisy.differences.verdicts == Verdict.CLEAR).any()
    assert (
        "None of the 4 differences of tasks can be told from zero: all are not measured well enough yet."
        in two_views_sentence(noisy)
    )


def test_an_unknown_target_kernel_or_readout_is_refused():
    with pytest.raises(InputError, match="'whole', 'half'"):
        rbf(table(), target="third")
    with pytest.raises(InputError, match="kernel"):
        rbf(table(), kernel="cubic")
    with pytest.raises(InputError, match="readout"):
        rbf(table(), readout="lime")


def test_rank_agreement_of_equal_reversed_and_constant_lists():
    rising = np.arange(8.0)
    equal = rank_agreement(rising, 2 * rising)
    assert equal.correlation == pytest.approx(1.0)
    assert 0.8 < equal.low < 1.0
    assert equal.high == pytest.approx(1.0)
    assert rank_agreement(rising, -rising).correlation == pytest.approx(-1.0)
    assert np.isnan(rank_agreement(rising, np.ones(8)).correlation)
    assert np.isnan(rank_agreement(rising[:3], rising[:3]).low)
    with pytest.raises(InputError, match="one length"):
        rank_agreement(rising, rising[:4])
