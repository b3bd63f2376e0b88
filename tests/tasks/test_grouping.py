"""Who belongs where: groups by value, splits, tasks and targets."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelsm import InputError
from kernelsm.outcomes.names import check_names
from kernelsm.samples.samples import Samples
from kernelsm.tasks.grouping import (
    Groups,
    cluster,
    crossed_groups,
    draw_split,
    numbered,
    split_by_column,
    value_groups,
)


def samples(**columns):
    arrow = {n: v if isinstance(v, np.ndarray) else pa.chunked_array([pa.array(v)]) for n, v in columns.items()}
    return Samples(arrow, "file.csv")


def grouped(values, rows=None):
    rows = np.arange(len(values)) if rows is None else np.asarray(rows)
    groups = value_groups(samples(c=values), "c", rows, "task")
    return [groups.name(group) for group in range(groups.count)], groups.of.tolist()


CHUNKED = pa.chunked_array([["b", "a"], ["c", "b"]])
DICTIONARY = pa.chunked_array([pa.array(["b", "a"]).dictionary_encode(), pa.array(["c", "b"]).dictionary_encode()])


@pytest.mark.parametrize(
    ("values", "names", "of"),
    [
        (["b", "a", "b"], ["a", "b"], [1, 0, 1]),
        ([10, 9, 10], ["9", "10"], [1, 0, 1]),
        (["10", "9", "10"], ["9", "10"], [1, 0, 1]),
        (["site_10", "site_2", "Site_1"], ["Site_1", "site_2", "site_10"], [2, 1, 0]),
        ([2.0, -1.0, 0.5], ["-1", "0.5", "2"], [2, 0, 1]),
        ([0.0, -0.0, 1.0], ["0", "1"], [0, 0, 1]),
        ([True, False, True], ["False", "True"], [1, 0, 1]),
        # blanks around a name are nobody's intention
        ([" a", "a ", "a\u00a0", "b"], ["a", "b"], [0, 0, 0, 1]),
        (["<b>", "**x**", "🙂", "مهمة"], ["**x**", "<b>", "مهمة", "🙂"], [1, 0, 3, 2]),
        (np.array(["b", "a", "b"]), ["a", "b"], [1, 0, 1]),
        (np.array([[3], [1], [3]]), ["1", "3"], [1, 0, 1]),
        (np.array([3, 1, 3], dtype=np.uint8), ["1", "3"], [1, 0, 1]),
        (np.array([np.inf, 1.0]), ["1", "inf"], [1, 0]),
    ],
)
def test_values_are_groups_in_their_own_order(values, names, of):
    assert grouped(values) == (names, of)


@pytest.mark.parametrize("held", [CHUNKED, DICTIONARY, CHUNKED.cast(pa.large_string())])
def test_text_groups_do_not_depend_on_how_it_is_stored(held):
    groups = value_groups(Samples({"c": held}, "f"), "c", np.arange(4), "task")
    assert groups.of.tolist() == [1, 0, 2, 1]
    assert [groups.name(i) for i in range(groups.count)] == ["a", "b", "c"]


def test_only_the_given_rows_are_grouped():
    assert grouped(["x", "b", None, "a"], rows=[3, 1]) == (["a", "b"], [0, 1])
    assert grouped([True, None, False, True], rows=[3, 2]) == (["False", "True"], [1, 0])


@pytest.mark.parametrize(
    ("values", "row"),
    [
        (["a", None, None], 2),
        (["a", "b", "  "], 3),
        (["a", ""], 2),
        ([1, None], 2),
        ([1.0, float("nan")], 2),
        ([True, None], 2),
        (np.array([1.0, np.nan, np.nan]), 2),
        ([None, None], 1),
    ],
)
def test_a_row_without_a_value_is_named(values, row):
    with pytest.raises(InputError) as caught:
        grouped(values)
    assert caught.value.place == f"file.csv, row {row}, column 'c'"
    assert (caught.value.found, caught.value.expected) == ("no value", "a task")


@pytest.mark.parametrize("shape", [(3, 2), (3, 1, 1), (3, 0)])
def test_a_column_of_arrays_is_no_group(shape):
    with pytest.raises(InputError, match="numbers per sample"):
        grouped(np.zeros(shape))


def test_columns_are_crossed():
    table = samples(a=["x", "x", "y", "y"], b=[2, 10, 10, 2], c=[True, True, True, False])
    groups = crossed_groups(table, ("a", "b", "c"), np.arange(4), "task")
    names = [groups.name(group) for group in groups.of]
    assert names == ["x · 2 · True", "x · 10 · True", "y · 10 · True", "y · 2 · False"]
    assert groups.of.tolist() == [0, 1, 3, 2]


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=12))
def test_crossed_groups_are_the_combinations(rows):
    table = samples(**{name: list(values) for name, values in zip("abc", zip(*rows, strict=True), strict=True)})
    groups = crossed_groups(table, ("a", "b", "c"), np.arange(len(rows)), "task")
    assert [groups.name(g) for g in groups.of] == [" · ".join(map(str, row)) for row in rows]
    assert groups.of.tolist() == [sorted(set(rows)).index(row) for row in rows]


def test_many_columns_of_many_values_are_crossed_without_overflow():
    values = np.arange(5_000)
    table = Samples({f"c{i}": values for i in range(10)}, "f")
    assert crossed_groups(table, table.names, values, "task").of.tolist() == values.tolist()


# ---- names


def names_of(*names):
    groups = Groups(np.arange(len(names)), len(names), lambda group: names[group])
    return numbered(groups, "here", "task", 10)


@pytest.mark.parametrize(
    "name", ["x" * 120, "<script>alert(1)</script>", "# `x`", "👩‍🔬", "שלום", "a,b\"c'd", "\u200bx"]
)
def test_names_that_tables_of_outcomes_take_are_kept(name):
    _, names = names_of(name, "b")
    assert names == (name, "b") == check_names("task_names", names, 2, "task")


@pytest.mark.parametrize(
    ("name", "found"),
    [("x" * 121, "121 characters"), ("a\nb", "control"), ("a\0b", "control"), ("a\u2028b", "line break"),
     ("a\ud800b", "control"), ("b", "two tasks named 'b'")],
)  # fmt: skip
def test_names_that_tables_of_outcomes_refuse_are_refused(name, found):
    with pytest.raises(InputError) as caught:
        names_of(name, "b")
    assert found in caught.value.found
    assert str(caught.value).encode()


def test_combinations_of_the_same_name_are_refused():
    table = samples(a=["x", "x · y"], b=["y · z", "z"])
    with pytest.raises(InputError, match="unique names"):
        numbered(crossed_groups(table, ("a", "b"), np.arange(2), "task"), "here", "task", 10)


def test_groups_that_do_not_occur_are_not_numbered():
    of, names = numbered(Groups(np.array([4, 2, 4]), 6, "abcdef".__getitem__), "here", "task", 2)
    assert (of.tolist(), names) == ([1, 0, 1], ("c", "e"))


def test_too_many_groups_are_counted():
    with pytest.raises(InputError) as caught:
        numbered(Groups(np.arange(10_000), 10_000, str), "f.csv, column 'source'", "task", 500)
    assert str(caught.value) == (
        "f.csv, column 'source': found 10,000 different tasks; expected at most 500. "
        "Choose a column with fewer values, or let clusters or slices be the tasks."
    )


# ---- splits


@pytest.mark.parametrize(
    ("values", "train", "test", "left_out"),
    [
        (["train", "test", "train"], [0, 2], [1], 0),
        ([" Training", "TEST", "fit"], [0, 2], [1], 0),
        (["train", "val", "test"], [0], [2], 1),
        (["train", "val", "dev"], [0], [1, 2], 0),
        (["train", "held-out", "eval", "holdout"], [0], [1, 2, 3], 0),
        (np.array(["train", "valid"]), [0], [1], 0),
    ],
)
def test_a_column_says_who_is_tested(values, train, test, left_out):
    split = split_by_column(samples(s=values), "s")
    assert (split.train.tolist(), split.test.tolist(), split.left_out) == (train, test, left_out)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["train", "train"], "only 'train'"),
        (["test", "test"], "only 'test'"),
        (["val", "test"], "only 'test', 'val'"),
        (["train", "test", "other", "odd"], "'odd', 'other'"),
        ([0, 1], "'0', '1'"),
        ([True, False], "'False', 'True'"),
        (["train", "test", None], "no value"),
        ([f"{i}" for i in range(5_000)], "..."),
    ],
)
def test_a_split_column_that_says_something_else_is_refused(values, found):
    with pytest.raises(InputError) as caught:
        split_by_column(samples(s=values), "s")
    assert found in caught.value.found
    assert len(str(caught.value)) < 400


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=40),
    st.floats(0.01, 0.99),
    st.integers(0, 2**32 - 1),
)
def test_each_task_of_two_samples_keeps_one_on_either_side(strata, fraction, seed):
    strata = np.unique(strata, return_inverse=True)[1]
    sizes = np.bincount(strata)
    draw = lambda: draw_split(strata, np.zeros(len(strata), dtype=np.int64), fraction, seed, "f")  # noqa: E731
    if sizes.max() == 1:
        with pytest.raises(InputError, match="test samples"):
            draw()
        return
    split = draw()
    assert sorted([*split.train, *split.test]) == list(range(len(strata)))
    tested = np.bincount(strata[split.test], minlength=len(sizes))
    assert (tested < sizes).all()
    assert (tested[sizes > 1] >= 1).all()
    assert (np.abs(tested - fraction * sizes) <= 1)[sizes > 1].all()
    again = draw()
    np.testing.assert_array_equal(split.test, again.test)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=3, max_size=25), st.integers(0, 99))
def test_a_class_that_is_tested_is_trained_on(rows, seed):
    strata, labels = (np.unique(values, return_inverse=True)[1] for values in zip(*rows, strict=True))
    try:
        split = draw_split(strata, labels, 0.5, seed, "f")
    except InputError:
        return
    assert set(labels[split.test]) <= set(labels[split.train])
    assert set(strata[split.train]) == set(strata)


def test_the_seed_draws_another_split():
    strata = np.zeros(100, dtype=np.int64)
    drawn = [draw_split(strata, strata, 0.3, seed, "f").test.tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == len(drawn[2]) == 30


# ---- clusters


def test_clusters_find_what_lies_together():
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [9, 0], [0, 9]])
    true = np.repeat([0, 1, 2], [50, 30, 10])
    points = (centres[true] + rng.normal(size=(90, 2))).astype(np.float32)
    of = cluster(points, centres.astype(np.float32), 3, seed=0)
    # the largest comes first, and a test sample is in the cluster of its neighbours
    assert of.tolist() == [*true, 0, 1, 2]
    np.testing.assert_array_equal(of, cluster(points, centres.astype(np.float32), 3, seed=0))


def test_clusters_of_one_size_are_numbered_by_their_first_samples():
    corners = np.array([[9, 9], [0, 0], [9, 0], [0, 9]], dtype=np.float32)
    points = (corners + np.array([[0.1], [0.0], [-0.1]])[:, None] * [1, -1]).reshape(-1, 2).astype(np.float32)
    for seed in range(10):
        assert cluster(points, corners, 4, seed=seed).tolist() == [0, 1, 2, 3] * 4


@pytest.mark.parametrize("scale", [1.0, 1 / 3, 0.7e-5, 1e7])
def test_a_sample_between_two_centres_joins_the_first_whatever_rounding_says(scale):
    # the largest cluster is in the middle, and the last sample between it and one of the others
    train = np.repeat([[0.1, 0.3], [9.1, 9.3], [-8.9, -8.7]], [5, 3, 3], axis=0)
    between = np.array([[4.6, 4.8], [-4.4, -4.2]])
    for seed in range(5):
        turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(2, 2)))[0] * scale
        # single precision moves the middle itself
        of = cluster(train @ turn, between @ turn, 3, seed=0)
        assert of.tolist() == [0] * 5 + [1] * 3 + [2] * 3 + [0, 0]


def test_clusters_of_many_samples_are_fitted_to_some_of_them():
    points = np.random.default_rng(0).normal(size=(25_000, 2)).astype(np.float32)
    points[:24_000] += 20
    of = cluster(points, points[:0], 2, seed=0)
    assert of[:24_000].max() == 0
    assert of[24_000:].min() == 1


def test_more_clusters_than_different_samples_are_refused():
    points = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    with pytest.raises(InputError, match="found 3 groups of training samples that differ; expected 4 clusters"):
        cluster(points, points, 4, seed=0)


def test_grouping_needs_scikit_learn_only_for_clusters():
    code = "import sys, kernelsm.tasks.build, kernelsm.tasks.suite_files; print([m for m in " \
        "('sklearn', 'torch', 'transformers', 'streamlit') if m in sys.modules])"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
