"""A TaskSuite from the columns of a file."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernelsm import InputError, TaskSuite
from kernelsm.files.limits import Limits
from kernelsm.samples.samples import Samples
from kernelsm.tasks.build import build_suite
from kernelsm.tasks.mapping import TARGET_ALL, TARGET_LABEL, TARGET_TASK, SampleMapping, TaskRule, guess_mapping

# the task of each row; the last four rows are for testing
SOURCE = ["a", "a", "a", "b", "b", "b", "c", "c", "a", "b", "d", "d"]
SPLIT = ["train"] * 8 + ["test"] * 4
LABEL = ["cat", "dog", "cat", "dog", "cat", "dog", "cat", "dog", "cat", "dog", "cat", "dog"]
AGE = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]
N, TRAINED = 12, 8
BASE = {"source": SOURCE, "split": SPLIT, "label": LABEL, "age": AGE}
MAPPING = SampleMapping("label", ("age",), "tabular", TaskRule("column", ("source",)), "split")
RNG = np.random.default_rng(0)


def samples(**columns):
    def held(values):
        return values if isinstance(values, np.ndarray) else pa.chunked_array([pa.array(values)])

    return Samples({name: held(values) for name, values in (BASE | columns).items()}, "file.csv")


def build(mapping=MAPPING, *, embed=None, limits=None, columns=None, **changes):
    return build_suite(samples(**(columns or {})), replace(mapping, **changes), embed=embed, limits=limits)


def refused(**arguments):
    with pytest.raises(InputError) as caught:
        build(**arguments)
    assert all((caught.value.place, caught.value.found, caught.value.expected, caught.value.fix))
    return caught.value


def of(values):
    """Values of the rows that make one column of a table."""
    return {"columns": {"x": values}, "inputs": ("x",)}


def lengths(texts):
    return np.array([[len(text), text.count("e")] for text in texts], dtype=np.float64)


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
        (["10", "9"] * 6, ["10", "9"]),
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


# ---- tables


def test_numbers_truth_and_text_of_few_values_are_features():
    columns = {
        "whole": list(range(100, 112)),
        "truth": [True, False, False] * 4,
        "colour": ["red", "blue", " red", "blue"] * 2 + ["green", "red", "red", "blue"],
        "vector": np.arange(24, dtype=np.uint8).reshape(12, 2),
        "picture": RNG.normal(size=(12, 2, 2)),
    }
    suite = build(columns=columns, inputs=tuple(columns))
    assert suite.inputs.shape == (8, 1 + 1 + 2 + 2 + 4)
    scaled = suite.inputs[:, [0, 1, 4, 5, 6, 7, 8, 9]]
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-5)
    np.testing.assert_array_equal(suite.inputs[:, 2:4], [[0, 1], [1, 0]] * 4)
    # a colour that no training sample has is none of the known ones
    np.testing.assert_array_equal(suite.test_inputs[:, 2:4], [[0, 0], [0, 1], [0, 1], [1, 0]])
    assert suite.meta["feature_names"][-4:] == [f"picture[{i}]" for i in range(4)]


@pytest.mark.parametrize(
    "values",
    [
        [0.1] * 8 + [7.0] * 4,
        [1e300] * 12,
        [-5] * 12,
        [False] * 12,
        ["red"] * 8 + ["blue"] * 4,
        np.full((12, 3), 1 / 3, dtype=np.float32),
    ],
)
def test_features_that_are_the_same_for_all_training_samples_are_dropped(values):
    suite = build(columns={"x": values}, inputs=("x", "age"))
    assert suite.inputs.shape == (8, 1)
    assert suite.meta["dropped_count"] == len(suite.meta["dropped"]) == np.size(values) // N
    assert refused(**of(values)).found == "the same values in every training sample"


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300])
def test_the_unit_of_a_number_does_not_matter(scale):
    suite = build(**of([value * scale for value in AGE]))
    np.testing.assert_allclose(suite.inputs, build().inputs, rtol=1e-5)


def with_value(value, row=4):
    return [*AGE[:row], value, *AGE[row + 1 :]]


@pytest.mark.parametrize(
    ("values", "place", "found"),
    [
        (with_value(None), "file.csv, row 5, column 'x'", "no number (an empty cell or NaN)"),
        (with_value(float("nan"), 11), "file.csv, row 12, column 'x'", "no number (an empty cell or NaN)"),
        (with_value(-float("inf")), "file.csv, row 5, column 'x'", "an infinite number"),
        (np.where(np.eye(12, 3) > 0, np.nan, 1.0), "file.csv, row 1, column 'x'", "no number (an empty cell or NaN)"),
        ([None, *range(11)], "file.csv, row 1, column 'x'", "no number (an empty cell or NaN)"),
        ([None, True] * 6, "file.csv, row 1, column 'x'", "no number (an empty cell or NaN)"),
        ([None, "red"] * 6, "file.csv, row 1, column 'x'", "no value"),
        ([None] * 12, "file.csv, column 'x'", "no value at all"),
        (np.zeros((12, 0)), "file.csv, column 'x'", "arrays without numbers"),
        (with_value(1e300, 10), "file.csv, row 11, column 'x'", "a number far beyond those of the training samples"),
    ],
)
def test_inputs_that_no_model_can_take_are_refused_with_their_row(values, place, found):
    error = refused(**of(values))
    assert (error.place, error.found) == (place, found)


def test_the_message_counts_the_rows_that_are_missing():
    assert "5 rows of this column" in refused(**of([None, 1.0, 2.0, None] * 2 + [None, 1.0, 2.0, 3.0])).fix


def many(words):
    """Hundreds of rows in two tasks, with one word each in column x."""
    count = len(words)
    return {
        "source": ["a", "b"] * (count // 2), "label": ["cat", "dog", "dog", "cat"] * (count // 4),
        "split": ["train"] * (count - 4) + ["test"] * 4, "age": [1.0] * count, "x": words,
    }  # fmt: skip


def test_text_of_many_values_is_no_feature():
    assert build(columns=many([f"w{i % 50}" for i in range(200)]), inputs=("x",)).inputs.shape == (196, 50)
    error = refused(columns=many([f"w{i % 51}" for i in range(200)]), inputs=("x",))
    assert (error.place, error.found) == ("file.csv, column 'x'", "text with 51 different values")


def test_the_word_that_makes_text_of_a_column_of_numbers_is_named():
    words = [f"{i}.5" for i in range(200)]
    words[70] = words[90] = "n/a"
    error = refused(columns=many(words), inputs=("x",))
    assert error.place == "file.csv, row 71, column 'x'"
    assert error.found == "'n/a' in a column of numbers"


def test_features_that_would_not_fit_into_memory_are_refused():
    error = refused(**of(np.zeros((12, 100_000), dtype=np.uint8) + np.arange(12, dtype=np.uint8)[:, None]),
                    limits=Limits(unpacked_megabytes=4))  # fmt: skip
    assert (error.found, error.expected) == ("5 MiB in memory", "at most 4 MiB")


# ---- images


def images(*shape, high=255):
    return RNG.integers(0, high + 1, (N, *shape)).astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "layout", "axes"),
    [
        ((5, 6), "grey", None),
        ((5, 6, 3), "channels last", (0, 3, 1, 2)),
        ((5, 6, 1), "channels last", (0, 3, 1, 2)),
        ((4, 5, 6), "channels first", (0, 1, 2, 3)),
        ((3, 6, 3), "channels last, though", (0, 3, 1, 2)),
    ],
)
def test_images_have_their_channels_first(shape, layout, axes):
    raw = images(*shape)
    suite = build(**of(raw), kind="image")
    expected = raw[:, None] if axes is None else raw.transpose(axes)
    got = np.concatenate([suite.inputs, suite.test_inputs])
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected / 255, rtol=1e-6)
    assert suite.meta["layout"].startswith(layout)
    assert suite.meta["scaling"] == "divided by 255"


def test_numbers_between_0_and_1_are_pixels_as_they_are():
    raw = RNG.random((N, 4, 4))
    suite = build(**of(raw), kind="image")
    np.testing.assert_array_equal(suite.inputs[:, 0], raw[:8].astype(np.float32))
    assert suite.meta["scaling"] == "as they are"


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.float64])
def test_other_pixels_are_standardised_per_channel(kind):
    raw = (RNG.integers(-9, 90, (N, 4, 5, 3)) * [1, 2, 3]).astype(kind)
    suite = build(**of(raw), kind="image")
    np.testing.assert_allclose(suite.inputs.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(suite.inputs.std(axis=(0, 2, 3)), 1, rtol=1e-5)
    flat = raw[:8].reshape(-1, 3).astype(np.float64)
    expected = (raw[8:] - flat.mean(axis=0)) / flat.std(axis=0)
    np.testing.assert_allclose(suite.test_inputs, expected.transpose(0, 3, 1, 2), rtol=1e-4, atol=1e-5)
    assert suite.meta["scaling"].startswith("standardised per channel")


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (AGE, "single values"),
        (np.zeros((12, 64)), "64 numbers per sample"),
        (np.zeros((12, 5, 6, 7)), "5 x 6 x 7 numbers per sample"),
        (np.zeros((12, 0, 3)), "0 x 3 numbers per sample"),
        (np.zeros((12, 2, 2, 2, 2)), "2 x 2 x 2 x 2 numbers per sample"),
        (np.ones((12, 4, 4)), "1.0 in every pixel"),
        (LABEL, "text"),
        (np.where(np.eye(12)[:, :, None] > 0, np.nan, 1.0), "no number (an empty cell or NaN)"),
        (np.where(np.arange(12)[:, None, None] == 11, 1e300, RNG.normal(size=(12, 3, 3))),
         "a number far beyond those of the training samples"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(values, found):
    assert refused(**of(values), kind="image").found == found


def test_images_stand_in_one_column():
    assert refused(inputs=("age", "source"), kind="image").found == "2 columns"


# ---- text


TEXTS = [f"text number {i}" * (i + 1) for i in range(N)]


def test_texts_are_embedded_training_samples_first():
    seen = []

    def embed(texts):
        seen.append(texts)
        return lengths(texts)

    split = ["test", "train", "train"] * 4
    labels = ["cat", "dog", "dog", "cat", "cat", "cat"] * 2
    suite = build(columns={"x": TEXTS, "split": split, "label": labels}, inputs=("x",), kind="text", embed=embed)
    assert len(seen) == 1
    assert seen[0] == [TEXTS[i] for i in (1, 2, 4, 5, 7, 8, 10, 11, 0, 3, 6, 9)]
    assert suite.inputs.dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([suite.inputs, suite.test_inputs]), lengths(seen[0]))


def test_several_columns_of_text_are_read_one_after_the_other():
    columns = {"title": ["T", None, "", "T"] * 3, "body": TEXTS}
    seen = []
    build(columns=columns, inputs=("title", "body"), kind="text", embed=lambda t: seen.extend(t) or lengths(t))
    assert seen[:3] == [f"T\n{TEXTS[0]}", TEXTS[1], TEXTS[2]]


@pytest.mark.parametrize(
    ("change", "place", "found"),
    [
        ({"x": [*TEXTS[:3], None, *TEXTS[4:]]}, "file.csv, row 4, column 'x'", "no text"),
        ({"x": [*TEXTS[:3], " \n", *TEXTS[4:]]}, "file.csv, row 4, column 'x'", "no text"),
        ({"x": AGE}, "file.csv, column 'x'", "numbers"),
        ({"x": np.zeros((12, 2))}, "file.csv, column 'x'", "arrays"),
        ({"x": [None] * 12}, "file.csv, column 'x'", "no value at all"),
    ],
)
def test_what_is_no_text_is_refused(change, place, found):
    error = refused(columns=change, inputs=("x",), kind="text", embed=lengths)
    assert (error.place, error.found) == (place, found)


def test_text_needs_an_encoder():
    assert refused(**of(TEXTS), kind="text").found == "text without an encoder"


@pytest.mark.parametrize(
    "embed",
    [
        lambda texts: lengths(texts)[1:],
        lambda texts: lengths(texts)[:, 0],
        lambda texts: lengths(texts)[:, :0],
        lambda texts: np.array(texts)[:, None],
        lambda texts: lengths(texts) * np.nan,
        lambda texts: lengths(texts) * 1e300,
    ],
)
def test_an_encoder_that_makes_no_numbers_is_refused(embed):
    assert refused(**of(TEXTS), kind="text", embed=embed).place == "encoder"


# ---- tokens


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.float64])
def test_tokens_stay_whole_numbers(kind):
    raw = RNG.integers(0, 50, (N, 7)).astype(kind)
    suite = build(**of(raw), kind="tokens")
    assert suite.inputs.dtype == suite.test_inputs.dtype == np.int64
    np.testing.assert_array_equal(np.concatenate([suite.inputs, suite.test_inputs]), raw)
    assert suite.meta["largest_token"] == raw.max()


def test_columns_of_whole_numbers_are_tokens_in_their_order():
    suite = build(columns={"a": list(range(12)), "op": [50] * 12}, inputs=("op", "a"), kind="tokens")
    np.testing.assert_array_equal(suite.inputs, [[50, i] for i in range(8)])


@pytest.mark.parametrize(
    ("values", "place", "found"),
    [
        (np.where(np.eye(12, 3) > 0, -1, 5), "file.csv, row 1, column 'x'", "-1"),
        (np.where(np.eye(12, 3)[::-1] > 0, 10**9, 5), "file.csv, row 10, column 'x'", "1000000000"),
        ([0.5] * 12, "file.csv, row 1, column 'x'", "0.5"),
        (LABEL, "file.csv, column 'x'", "text"),
        (np.zeros((12, 2, 2), dtype=int), "file.csv, column 'x'", "2 x 2 numbers per sample"),
        (np.zeros((12, 0), dtype=int), "file.csv, column 'x'", "0 numbers per sample"),
        ([None, 1] * 6, "file.csv, row 1, column 'x'", "no number (an empty cell or NaN)"),
    ],
)
def test_what_is_no_token_is_refused(values, place, found):
    error = refused(**of(values), kind="tokens")
    assert (error.place, error.found) == (place, found)


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


# ---- anything


CLEAN = {
    "text": ["a", "b", "a ", "1.5"],
    "split": ["train", "test", "Train"],
    "number": [0.0, 1.0, -1.0, 3.0],
    "large": [2.5, 1e308, -1e308, 5e-324],
    "whole": [0, 1, 2],
    "truth": [True, False],
}
ODD = {
    "text": [None, "", "x\ny", "é" * 130],
    "split": [None, "val", "other"],
    "number": [None, float("nan"), float("inf"), 0.5],
    "large": [None, 0.0],
    "whole": [None, -1, 2**63 - 1, -(2**63)],
    "truth": [None],
}
SHAPES = st.sampled_from([(), (1,), (2,), (0,), (3, 3), (3, 4, 1), (2, 2, 2), (2, 1, 1, 2)])
DTYPES = st.sampled_from([np.float16, np.float32, np.float64, np.uint8, np.int64, np.uint64, np.bool_])


@st.composite
def tables(draw):
    rows = draw(st.sampled_from([0, 1, 4, 8, 12, 16]))
    odd = draw(st.sampled_from(["", "", "", "a", "b", "c", "d", "abcd"]))
    columns = {}
    for name in ("a", "b", "c", "d"):
        kind = draw(st.sampled_from([*CLEAN, "array"]))
        if kind == "array":
            shape, seed = (rows, *draw(SHAPES)), draw(st.integers(0, 5))
            raw = np.random.default_rng(seed).integers(0, 3, shape).astype(draw(DTYPES))
            if name in odd and raw.size and raw.dtype.kind == "f":
                raw.flat[0] = draw(st.sampled_from([np.nan, np.inf, 6e4]))
            columns[name] = raw
        else:
            cells = st.sampled_from(CLEAN[kind] + (ODD[kind] if name in odd else []))
            columns[name] = pa.chunked_array([pa.array(draw(st.lists(cells, min_size=rows, max_size=rows)))])
    return Samples(columns, "any.csv")


NAME = st.sampled_from(["a", "b", "c", "d"])
RULES = st.one_of(
    st.builds(TaskRule, st.just("column"), st.sampled_from([("a",), ("b",), ("c", "d")])),
    st.just(TaskRule("label")),
    st.builds(TaskRule, st.just("slices"), st.just(()), st.integers(2, 4)),
    st.just(TaskRule("clusters", (), 2)),
    st.just(TaskRule("clusters", ("c",), 2)),
)


def suite_or_refusal(held, mapping):
    """Any mapping of any table ends in a whole suite or in a message."""
    try:
        suite = build_suite(held, mapping, embed=lengths)
    except InputError:
        return
    assert isinstance(suite, TaskSuite)
    assert suite.K >= 2
    assert len(suite.test_inputs) >= 1
    assert suite.inputs.shape[1:] == suite.test_inputs.shape[1:]
    assert suite.inputs.dtype == suite.test_inputs.dtype == (np.int64 if mapping.kind == "tokens" else np.float32)
    assert np.isfinite(suite.inputs).all()
    assert np.isfinite(suite.test_inputs).all()
    assert set(suite.labels) == set(range(suite.classes))
    json.dumps(suite.meta, allow_nan=False)


@pytest.mark.filterwarnings("error")
@settings(max_examples=400)
@given(
    tables(), NAME, st.lists(NAME, unique=True, min_size=1, max_size=2),
    st.sampled_from(["tabular", "text", "image", "tokens"]), RULES, st.sampled_from(["", "", "a", "b"]),
    st.sampled_from(["", TARGET_TASK, TARGET_LABEL, "a", "d"]),
)  # fmt: skip
@example(
    Samples({"a": np.array([0, 1, 0, 1]), "b": np.zeros((4, 3)), "c": np.ones(4), "d": np.ones(4)}, "f"),
    "a", ["b"], "tabular", TaskRule("clusters", (), 2), "", "",
)  # fmt: skip
def test_any_table_is_built_or_refused(held, label, inputs, kind, rule, split, target):
    try:
        mapping = SampleMapping(label, tuple(inputs), kind, rule, split, 0.4, target)
    except InputError:
        return
    suite_or_refusal(held, mapping)


@pytest.mark.filterwarnings("error")
@settings(max_examples=200)
@given(tables())
def test_what_is_guessed_of_any_table_is_built_or_refused(held):
    suite_or_refusal(held, guess_mapping(held))
