"""A TaskSuite from the columns of a file: its labels, its split, its tasks and targets."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from suite_columns import BASE, LABEL, MAPPING, RNG, SOURCE, TEXTS, N, build, images, lengths, of, refused

from kernelsm import InputError
from kernelsm.files.limits import Limits
from kernelsm.samples.samples import Samples
from kernelsm.tasks.build import build_suite
from kernelsm.tasks.mapping import TARGET_ALL, TARGET_LABEL, TARGET_TASK, SampleMapping, TaskRule


def test_a_table_becomes_a_suite():
    suite = build()
    assert suite.inputs.dtype == np.float32
    np.testing.assert_allclose(suite.inputs[:, 0], (np.arange(1, 9) - 4.5) / np.std(np.arange(8)), rtol=1e-6)
    np.testing.assert_allclose(suite.test_inputs[:, 0], (np.arange(9, 13) - 4.5) / np.std(np.arange(8)), rtol=1e-6)
    assert suite.labels.tolist() == [0, 1] * 4
    assert suite.test_labels.tolist() == [0, 1] * 2
    # d has test samples only: it is no task
    assert suite.task_names == ("a", "b", "c")
    assert suite.task_of.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert (suite.target_names, suite.target_of.tolist()) == (("all",), [0] * 4)
    assert suite.classes == 2
    assert suite.content_hash == build().content_hash


def test_meta_tells_what_was_made_of_the_file_in_json():
    told = {"constant": [1] * 8 + [2] * 4, "colour": ["red", "blue"] * 6}
    suite = build(columns=told, inputs=("age", "constant", "colour"))
    meta = json.loads(json.dumps(suite.meta))
    assert meta == suite.meta
    assert SampleMapping.from_dict(meta["mapping"]).inputs == ("age", "constant", "colour")
    assert (meta["source"], meta["training"], meta["test"], meta["left_out"]) == ("file.csv", 8, 4, 0)
    assert meta["classes"] == ["cat", "dog"]
    assert meta["feature_names"] == ["age", "colour = blue", "colour = red"]
    assert meta["dropped"] == ["constant"]
    assert meta["standardisation"]["mean"][0] == pytest.approx(4.5)


# ---- labels


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([10, 9] * 6, ["9", "10"]),
        ([2.0, -1.0] * 6, ["-1", "2"]),
        ([True, False] * 6, ["False", "True"]),
        (["10", "9"] * 6, ["9", "10"]),
        ([" yes", "no"] * 6, ["no", "yes"]),
        (np.array([[3], [5], [7]] * 4, dtype=np.uint8), ["3", "5", "7"]),
        (["<i>", "🙂"] * 6, ["<i>", "🙂"]),
    ],
)
def test_classes_are_the_distinct_labels_in_their_own_order(labels, classes):
    suite = build(columns={"label": labels})
    assert suite.meta["classes"] == classes
    rows = [str(np.ravel(value)[0]).strip().removesuffix(".0") for value in labels]
    assert [classes[k] for k in [*suite.labels, *suite.test_labels]] == rows


@pytest.mark.parametrize(
    ("labels", "place", "found"),
    [
        ([*LABEL[:4], None, *LABEL[5:]], "file.csv, row 5, column 'label'", "no value"),
        ([*LABEL[:10], " ", " "], "file.csv, row 11, column 'label'", "no value"),
        ([1.0, float("nan")] * 6, "file.csv, row 2, column 'label'", "no value"),
        ([1.0, 2.5] * 6, "file.csv, row 2, column 'label'", "2.5"),
        ([1.0, float("inf")] * 6, "file.csv, row 2, column 'label'", "inf"),
        (["cat"] * 12, "file.csv, column 'label'", "one class only, 'cat'"),
        (list(range(12)), "file.csv, column 'label'", "12 different labels on 12 samples"),
        ([f"t{i}" for i in range(7)] + ["t0"] * 5, "file.csv, column 'label'", "7 different labels on 12 samples"),
        ([*LABEL[:11], "cow"], "file.csv, row 12, column 'label'", "label 'cow' on a test sample"),
        (np.eye(12)[:, :2], "file.csv, column 'label'", "2 numbers per sample"),
        ([None] * 12, "file.csv, row 1, column 'label'", "no value"),
    ],
)
def test_what_is_no_label_is_refused_with_its_row(labels, place, found):
    error = refused(columns={"label": labels})
    assert (error.place, error.found) == (place, found)


def test_labels_of_samples_that_are_left_out_do_not_matter():
    split = ["train"] * 8 + ["val", "val", "test", "test"]
    suite = build(columns={"split": split, "label": [*LABEL[:8], None, "cow", "cat", "dog"]})
    assert suite.meta["classes"] == ["cat", "dog"]
    assert (suite.meta["left_out"], len(suite.test_labels)) == (2, 2)


def test_more_classes_than_the_limit_are_refused():
    labels = [f"class {i // 2}" for i in range(N)]
    error = refused(columns={"label": labels}, split="", limits=Limits(classes=5))
    assert (error.found, error.expected) == ("6 classes", "at most 5")


# ---- columns


@pytest.mark.parametrize(
    ("change", "place", "expected"),
    [
        ({"label": "lable"}, "file.csv, label", "'label'"),
        ({"inputs": ("age", "sauce")}, "file.csv, inputs", "'source'"),
        ({"split": "spilt"}, "file.csv, split", "'split'"),
        ({"target": "ages"}, "file.csv, target", "'age'"),
        ({"tasks": TaskRule("column", ("zz",))}, "file.csv, tasks", "'source' or 'split' or 'label' or 'age'"),
        ({"label": ""}, "file.csv, label", "the column of the labels"),
        ({"inputs": ()}, "file.csv, inputs", "one or more"),
    ],
)  # fmt: skip
def test_columns_that_are_not_there_are_named_with_close_ones(change, place, expected):
    error = refused(**change)
    assert (error.place, error.expected) == (place, expected)


def test_a_file_without_rows_or_with_too_many_is_refused():
    empty = Samples({name: pa.chunked_array([pa.array([], pa.string())]) for name in BASE}, "empty.csv")
    with pytest.raises(InputError, match=r"empty\.csv: found no row"):
        build_suite(empty, MAPPING)
    assert refused(limits=Limits(rows=11)).found == "12 rows"


def test_limits_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("KERNELSM_MAX_TASKS", "2")
    assert refused().found == "3 different tasks"


# ---- split


def test_without_a_split_column_each_task_keeps_a_share_for_testing():
    columns = {name: list(np.repeat(values, 10)) for name, values in BASE.items()}
    columns["age"] = list(np.arange(120.0))
    suites = [build(columns=columns, split="", target=TARGET_TASK, test_fraction=0.2, seed=s) for s in (0, 0, 1)]
    assert suites[0].content_hash == suites[1].content_hash != suites[2].content_hash
    assert np.bincount(suites[0].task_of).tolist() == [32, 32, 16, 16]
    assert np.bincount(suites[0].target_of).tolist() == [8, 8, 4, 4]


@pytest.mark.parametrize("rule", [TaskRule("clusters", (), 3), TaskRule("slices", (), 3), TaskRule("label")])
def test_without_a_split_column_each_label_keeps_a_share_where_no_column_names_tasks(rule):
    suite = build(split="", tasks=rule, test_fraction=1 / 3)
    assert np.bincount(suite.test_labels).tolist() == [2, 2]


def test_samples_that_are_all_alone_cannot_be_tested():
    error = refused(split="", columns={"source": [f"s{i}" for i in range(12)]})
    assert error.place == "file.csv, test samples"


# ---- tasks and targets


@pytest.mark.parametrize(
    ("rule", "names", "task_of"),
    [
        (TaskRule("column", ("source",)), ("a", "b", "c"), [0, 0, 0, 1, 1, 1, 2, 2]),
        (TaskRule("label"), ("cat", "dog"), [0, 1] * 4),
        (
            TaskRule("column", ("label", "source")),
            ("cat · a", "cat · b", "cat · c", "dog · a", "dog · b", "dog · c"),
            [0, 3, 0, 4, 1, 4, 2, 5],
        ),
    ],
)
def test_tasks_are_values_of_training_samples(rule, names, task_of):
    suite = build(tasks=rule)
    assert (suite.task_names, suite.task_of.tolist()) == (names, task_of)


def test_slices_are_of_one_size_and_drawn_by_their_seed():
    suites = [build(tasks=TaskRule("slices", (), 3, seed)) for seed in (0, 0, 1)]
    assert suites[0].task_names == ("slice 1", "slice 2", "slice 3")
    assert sorted(np.bincount(suites[0].task_of)) == [2, 3, 3]
    assert suites[0].content_hash == suites[1].content_hash != suites[2].content_hash


def test_clusters_are_of_the_inputs_or_of_other_columns():
    columns = {"far": [0.0, 9.0] * 6}
    by_age = build(columns=columns, tasks=TaskRule("clusters", (), 2))
    assert by_age.task_of.tolist() in ([0] * 4 + [1] * 4, [1] * 4 + [0] * 4)
    by_far = build(columns=columns, tasks=TaskRule("clusters", ("far",), 2))
    assert by_far.task_of.tolist() in ([0, 1] * 4, [1, 0] * 4)
    assert by_far.task_names == ("cluster 1", "cluster 2")
    np.testing.assert_array_equal(by_far.inputs, by_age.inputs)


@pytest.mark.parametrize(
    ("change", "embed"),
    [
        (of(TEXTS) | {"kind": "text"}, lengths),
        (of(images(4, 4, 3)) | {"kind": "image"}, None),
        (of(images(5)) | {"kind": "tokens", "tasks": TaskRule("clusters", ("age",), 2)}, None),
    ],
)
def test_all_kinds_of_inputs_can_be_clustered(change, embed):
    suite = build(**{"tasks": TaskRule("clusters", (), 2), "target": TARGET_TASK} | change, embed=embed)
    assert suite.K == 2
    assert set(suite.target_names) <= set(suite.task_names)


def test_tokens_are_no_numbers_to_cluster_by():
    assert refused(**of(images(5)), kind="tokens", tasks=TaskRule("clusters", (), 2)).place == "tasks"


@pytest.mark.parametrize(
    ("change", "place", "found"),
    [
        ({"columns": {"source": ["a"] * 12}}, "file.csv, column 'source'", "one task only, 'a'"),
        ({"columns": {"source": ["a"] * 8 + ["b"] * 4}}, "file.csv, column 'source'", "one task only, 'a'"),
        ({"columns": {"source": [None, *SOURCE[1:]]}}, "file.csv, row 1, column 'source'", "no value"),
        ({"columns": {"source": ["a\tb", *SOURCE[1:]]}}, "file.csv, column 'source'", "a line break or control "
         "character in 'a\\tb'"),
        ({"columns": {"source": ["x" * 121, *SOURCE[1:]]}}, "file.csv, column 'source'",
         f"the name '{'x' * 37}...' of 121 characters"),
        ({"columns": {"source": np.zeros((12, 2))}}, "file.csv, column 'source'", "2 numbers per sample"),
        ({"limits": Limits(tasks=2)}, "file.csv, column 'source'", "3 different tasks"),
        ({"tasks": TaskRule("column", ("source", "label")), "limits": Limits(tasks=5)},
         "file.csv, columns 'source', 'label'", "6 different tasks"),
        ({"tasks": TaskRule("slices", (), 9)}, "tasks, count", "9 slices for 8 training samples"),
        ({"tasks": TaskRule("clusters", (), 9)}, "tasks, count", "9 clusters for 8 training samples"),
        ({"tasks": TaskRule("slices", (), 6), "limits": Limits(tasks=5)}, "tasks, count", "6 slices"),
        ({"tasks": TaskRule("slices", (), 2), "target": TARGET_TASK}, "target", "the task of each test sample"),
        ({"target": TARGET_TASK, "columns": {"source": [*SOURCE[:-1], None]}}, "file.csv, row 12, column 'source'",
         "no value"),
        ({"target": "x", "columns": {"x": [None] * 11 + ["g"]}}, "file.csv, row 9, column 'x'", "no value"),
        ({"target": "age", "limits": Limits(targets=3)}, "file.csv, column 'age'", "4 different targets"),
        ({"target": TARGET_TASK, "limits": Limits(targets=2)}, "file.csv, column 'source'", "3 different targets"),
        ({"target": TARGET_LABEL, "limits": Limits(targets=1)}, "file.csv, column 'label'", "2 different targets"),
    ],
)  # fmt: skip
def test_tasks_and_targets_that_cannot_be_are_refused(change, place, found):
    error = refused(**change)
    assert (error.place, error.found) == (place, found)


@pytest.mark.parametrize(
    ("target", "names", "target_of"),
    [
        (TARGET_ALL, ("all",), [0, 0, 0, 0]),
        # a source that is tested but not trained on is a target
        (TARGET_TASK, ("a", "b", "d"), [0, 1, 2, 2]),
        (TARGET_LABEL, ("cat", "dog"), [0, 1, 0, 1]),
        ("age", ("9", "10", "11", "12"), [0, 1, 2, 3]),
    ],
)
def test_targets_are_groups_of_test_samples(target, names, target_of):
    suite = build(target=target)
    assert (suite.target_names, suite.target_of.tolist()) == (names, target_of)


def test_a_test_sample_needs_no_task_where_none_is_asked_for():
    columns = {"source": [*SOURCE[:8], None, None, None, None]}
    assert build(columns=columns).content_hash == build().content_hash


def test_ten_thousand_tasks_are_counted_before_anything_is_embedded():
    count = 20_000
    table = {"x": ["text"] * count, "label": [0, 1] * (count // 2), "id": [i // 2 for i in range(count)]}
    held = Samples({name: pa.chunked_array([values]) for name, values in table.items()}, "file.csv")
    with pytest.raises(InputError, match="10,000 different tasks"):
        build_suite(held, SampleMapping("label", ("x",), "text", TaskRule("column", ("id",))), embed=pytest.fail)


def test_columns_do_not_depend_on_the_order_of_the_file_or_its_chunks():
    chunked = Samples({name: pa.chunked_array([values[:5], values[5:]]) for name, values in BASE.items()}, "file.csv")
    assert build_suite(chunked, MAPPING).content_hash == build().content_hash
    arrays = Samples({name: np.array(values) for name, values in reversed(BASE.items())}, "file.csv")
    assert build_suite(arrays, MAPPING).content_hash == build().content_hash


def test_a_large_table_is_built_piece_by_piece_like_a_small_one():
    count = 40_000
    table = {
        "x": RNG.normal(3, 2, (count, 40)).astype(np.float32), "label": np.arange(count) % 2,
        "source": np.arange(count) % 5, "split": np.where(np.arange(count) % 4, "train", "test"),
    }  # fmt: skip
    suite = build_suite(Samples(table, "f"), replace(MAPPING, inputs=("x",)))
    train = table["x"][np.arange(count) % 4 > 0].astype(np.float64)
    np.testing.assert_allclose(suite.inputs, (train - train.mean(axis=0)) / train.std(axis=0), atol=1e-5)
