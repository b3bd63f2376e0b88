"""Labels that are no classes: what is guessed, read, standardised and refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.samples.reader import read_samples
from kernelsm.samples.samples import Samples
from kernelsm.tasks.build import build_suite, group_sizes
from kernelsm.tasks.label_guess import guess_label
from kernelsm.tasks.mapping import TARGET_LABEL, SampleMapping, TaskRule
from kernelsm.tasks.mapping_guess import guess_mapping
from kernelsm.tasks.suite import CLASSIFICATION, REGRESSION, SEVERAL_LABELS
from kernelsm.tasks.suite_files import load_suite, save_suite

DIABETES = Path(__file__).resolve().parents[1] / "own_data" / "diabetes.csv"
RNG = np.random.default_rng(0)
N = 120
GROUPS = np.array([f"group {i % 3}" for i in range(N)])
BY_GROUP = TaskRule("column", ("group",))


def samples(**columns):
    return Samples({"a": RNG.normal(size=N), "b": RNG.normal(size=N), **columns, "group": GROUPS}, "mine.csv")


@pytest.mark.parametrize(
    ("values", "objective", "reason"),
    [
        (np.arange(N) % 3, CLASSIFICATION, "3 different whole numbers"),
        (np.arange(N) % 50, CLASSIFICATION, "50 different whole numbers"),
        (np.arange(N) % 51, REGRESSION, "51 different whole numbers"),
        ((np.arange(N) % 51).astype(float), REGRESSION, "51 different whole numbers"),
        (np.arange(N) % 3 + 0.5, REGRESSION, "some with fractions"),
        (np.array(["yes", "no"] * 60), CLASSIFICATION, "words"),
        (np.arange(N) % 2 == 0, CLASSIFICATION, "true and false"),
        (RNG.normal(size=(N, 3)), REGRESSION, "3 numbers for each sample"),
        ((RNG.normal(size=(N, 3)) > 0).astype(int), SEVERAL_LABELS, "all of them 0 or 1"),
    ],
)
def test_what_a_label_is_follows_from_its_values_with_the_reason(values, objective, reason):
    found = guess_label(samples(target=values), "target")
    assert (found.objective, reason in found.reason) == (objective, True), found


def test_many_whole_numbers_are_classes_where_the_name_says_so():
    found = guess_label(samples(label=np.arange(N) % 60), "label")
    assert found.objective == CLASSIFICATION
    assert "its name says" in found.reason
    assert guess_label(samples(label=np.arange(N) % 60 + 0.5), "label").objective == REGRESSION
    assert guess_label(samples(label=np.arange(N)), "label").objective == REGRESSION  # no two samples share one


def test_the_diabetes_file_is_a_regression():
    mine = read_samples(DIABETES, "diabetes.csv")
    mapping = guess_mapping(mine)
    assert (mapping.label, mapping.objective, mapping.tasks.columns) == ("target", REGRESSION, ("source",))
    suite = build_suite(mine, mapping)
    values = np.asarray(mine.values("target"))
    settings = suite.objective_settings
    assert (suite.K, suite.classes, settings["names"]) == (6, 0, ["target"])
    back = np.concatenate([suite.labels, suite.test_labels]) * settings["scale"][0] + settings["centre"][0]
    np.testing.assert_allclose(np.sort(back), np.sort(values), rtol=1e-5)
    assert suite.labels.mean() == pytest.approx(0, abs=1e-5)
    assert suite.labels.std() == pytest.approx(1, abs=1e-5)
    tasks, targets = group_sizes(mine, mapping)
    assert tasks.sizes == suite.tasks.sizes
    assert targets.sizes == suite.targets.sizes


def test_a_label_with_too_many_values_for_classes_is_found_by_its_name():
    assert guess_mapping(samples(outcome=RNG.normal(size=N))).label == "outcome"


def test_two_columns_of_labels_are_several_labels():
    marks = {name: (RNG.normal(size=N) > 0).astype(int) for name in ("label_sport", "label_politics")}
    mine = samples(**marks)
    mapping = guess_mapping(mine)
    assert mapping.objective == SEVERAL_LABELS
    assert set(mapping.labels) == set(marks)
    assert mapping.inputs == ("a", "b")
    suite = build_suite(mine, mapping)
    assert suite.labels.shape[1] == 2
    assert suite.objective_settings == {"names": list(mapping.labels)}
    found = np.concatenate([suite.labels, suite.test_labels]).sum(axis=0)
    np.testing.assert_array_equal(found, [marks[name].sum() for name in mapping.labels])


def test_words_and_truth_values_are_marks_too():
    yes = np.array(["Yes", "no "] * 60)
    mapping = SampleMapping("p", ("a",), "tabular", BY_GROUP, objective=SEVERAL_LABELS, more_labels=("q",))
    suite = build_suite(samples(p=yes, q=np.arange(N) % 2 == 0), mapping)
    assert (suite.labels[:, 0] == suite.labels[:, 1]).all()


def test_several_quantities_keep_their_own_units_and_arrays_are_taken_apart():
    y = np.stack([RNG.normal(size=N) * 1000 + 5, RNG.normal(size=N) / 1000], axis=1)
    for columns, mapping in (
        ({"y": y}, SampleMapping("y", ("a",), "tabular", BY_GROUP, objective=REGRESSION)),
        (
            {"p": y[:, 0], "q": y[:, 1]},
            SampleMapping("p", ("a",), "tabular", BY_GROUP, objective=REGRESSION, more_labels=("q",)),
        ),
    ):
        suite = build_suite(samples(**columns), mapping)
        assert suite.labels.shape[1:] == (2,)
        np.testing.assert_allclose(suite.labels.std(axis=0), 1, atol=1e-4)
        assert suite.objective_settings["scale"] == pytest.approx([1000, 0.001], rel=0.3)
        assert suite.objective_settings["names"] in (["y 1", "y 2"], ["p", "q"])


def test_a_suite_of_quantities_is_the_same_after_saving(tmp_path):
    mine = read_samples(DIABETES, "diabetes.csv")
    suite = build_suite(mine, guess_mapping(mine))
    save_suite(suite, tmp_path / "suite.npz")
    assert load_suite(tmp_path / "suite.npz").content_hash == suite.content_hash


def test_mappings_written_before_there_were_other_labels_mean_classes():
    plain = SampleMapping("label", ("a",), "tabular", BY_GROUP)
    assert set(plain.to_dict()) & {"objective", "more_labels"} == set()
    assert SampleMapping.from_dict(plain.to_dict()) == plain
    other = replace(plain, objective=REGRESSION, more_labels=("b",))
    assert SampleMapping.from_dict(other.to_dict()) == other


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"objective": "ranking"}, "objective"),
        ({"more_labels": ("b",)}, "more_labels"),
        ({"objective": REGRESSION, "more_labels": ("target",)}, "more_labels"),
        ({"objective": REGRESSION, "more_labels": ("a",)}, "inputs"),
        ({"objective": REGRESSION, "tasks": TaskRule("label")}, "tasks"),
        ({"objective": SEVERAL_LABELS, "target": TARGET_LABEL}, "target"),
    ],
)
def test_mappings_that_contradict_themselves_are_refused(changes, place):
    with pytest.raises(InputError) as caught:
        replace(SampleMapping("target", ("a",), "tabular", BY_GROUP), **changes)
    assert caught.value.place == place


def with_hole():
    values = RNG.normal(size=N)
    values[7] = np.nan
    return values


@pytest.mark.parametrize(
    ("values", "objective", "place", "found"),
    [
        (with_hole(), REGRESSION, "mine.csv, row 8, column 'target'", "no label"),
        (np.full(N, 3.5), REGRESSION, "mine.csv, column 'target'", "3.5 on every training sample"),
        (np.array(["tall", "low"] * 60), REGRESSION, "mine.csv, column 'target'", "'low'"),
        (np.where(np.arange(N) == 11, np.inf, np.arange(N) / 7), REGRESSION, "mine.csv, row 12, column 'target'",
         "an infinite number"),
        (np.arange(N) % 3, SEVERAL_LABELS, "mine.csv, row 3, column 'target'", "2"),
        (np.array(["yes", "perhaps"] * 60), SEVERAL_LABELS, "mine.csv, row 2, column 'target'", "'perhaps'"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_used_are_refused_with_their_row(values, objective, place, found):
    mapping = SampleMapping("target", ("a", "b"), "tabular", BY_GROUP, objective=objective)
    split = samples(target=values, split=np.array(["train"] * 100 + ["test"] * 20))
    with pytest.raises(InputError) as caught:
        build_suite(split, replace(mapping, split="split"))
    assert (caught.value.place, caught.value.found) == (place, found)


@pytest.mark.parametrize("count", [3, 60, 200])
def test_texts_that_were_chosen_as_several_labels_may_hold_any_number_of_them(count):
    mapping = SampleMapping("target", ("a", "b"), "tabular", BY_GROUP, objective=SEVERAL_LABELS)
    texts = [f"l{row % count}; l{(row + 1) % count}" for row in range(N)]
    if count > N:
        texts[-1] += "".join(f";l{number}" for number in range(N, count))
    suite = build_suite(samples(target=np.array(texts)), mapping)
    assert suite.objective_settings["names"] == [f"l{number}" for number in range(count)]
    assert np.concatenate([suite.labels, suite.test_labels]).sum() == sum(
        len(set(text.replace(" ", "").split(";"))) for text in texts
    )


def test_more_labels_than_are_allowed_are_refused_before_they_are_written_out():
    mapping = SampleMapping("target", ("a", "b"), "tabular", BY_GROUP, objective=SEVERAL_LABELS)
    texts = [",".join(f"l{row}x{number}" for number in range(10)) for row in range(N)]
    with pytest.raises(InputError) as caught:
        build_suite(samples(target=np.array(texts)), mapping)
    assert (caught.value.place, caught.value.found) == ("mine.csv, column 'target'", "1,200 labels")


def test_quantities_read_as_classes_name_the_way_on():
    mapping = SampleMapping("target", ("a",), "tabular", BY_GROUP)
    with pytest.raises(InputError, match="Say that the label is a quantity"):
        build_suite(samples(target=np.arange(N) / 7), mapping)
