"""SampleMapping: its checks, its JSON form and the first guess."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelsm import InputError
from kernelsm.samples.samples import Samples
from kernelsm.tasks.mapping import TARGET_ALL, TARGET_LABEL, TARGET_TASK, SampleMapping, TaskRule
from kernelsm.tasks.mapping_guess import guess_mapping

ROWS = 60
RNG = np.random.default_rng(0)
SENTENCES = [f"The film number {i} was long and I left before it had come to an end" for i in range(ROWS)]
PLAIN = SampleMapping("label", ("age", "income"), "tabular", TaskRule("column", ("source",)))
TOLD = PLAIN.to_dict()


def column(values):
    """A column as a reader makes it: arrays as they are, everything else of pyarrow."""
    if isinstance(values, np.ndarray) and (values.ndim > 1 or values.dtype.kind == "U"):
        return values
    return pa.chunked_array([pa.array(values)])


def guess(**columns):
    return guess_mapping(Samples({name: column(values) for name, values in columns.items()}, "file.csv"))


def cycle(*values):
    return [values[i % len(values)] for i in range(ROWS)]


NUMBERS = RNG.normal(size=ROWS)


@pytest.mark.parametrize(
    "mapping",
    [
        PLAIN,
        replace(PLAIN, kind="text", inputs=("title", "body"), split="split", target=TARGET_TASK, seed=2**32 - 1),
        replace(PLAIN, tasks=TaskRule("clusters", ("x",), 7, 3), test_fraction=0.5, target=TARGET_LABEL),
        replace(PLAIN, tasks=TaskRule("slices", (), 500), label="", inputs=()),
        replace(PLAIN, tasks=TaskRule("column", ("a", "<b>مهمة</b> 🙂")), target="group"),
        replace(PLAIN, task_weighting="by_size"),
        replace(PLAIN, target_weighting="by_size"),
    ],
)
def test_a_mapping_survives_json(mapping):
    assert SampleMapping.from_dict(json.loads(json.dumps(mapping.to_dict()))) == mapping


def test_fields_that_are_left_out_stand_at_their_defaults():
    told = {"label": "y", "inputs": ["x"], "kind": "tabular", "tasks": {"kind": "label"}}
    assert SampleMapping.from_dict(told) == SampleMapping("y", ("x",), "tabular", TaskRule("label"))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"lable": "y"}, "mapping"),
        ({3: "y"}, "mapping"),
        ({"label": 3}, "label"),
        ({"label": None}, "label"),
        ({"split": ["a"]}, "split"),
        ({"target": 1.5}, "target"),
        ({"inputs": "age"}, "inputs"),
        ({"inputs": None}, "inputs"),
        ({"inputs": {"age": 1}}, "inputs"),
        ({"inputs": ["age", 1]}, "inputs"),
        ({"inputs": ["age", ""]}, "inputs"),
        ({"inputs": ["age", "age"]}, "inputs"),
        ({"inputs": ["age", "label"]}, "inputs"),
        ({"inputs": ["age", "part"], "split": "part"}, "inputs"),
        ({"kind": "video"}, "kind"),
        ({"kind": None}, "kind"),
        ({"kind": ["text"]}, "kind"),
        ({"test_fraction": 0}, "test_fraction"),
        ({"test_fraction": 1}, "test_fraction"),
        ({"test_fraction": -0.5}, "test_fraction"),
        ({"test_fraction": True}, "test_fraction"),
        ({"test_fraction": float("nan")}, "test_fraction"),
        ({"test_fraction": "0.25"}, "test_fraction"),
        ({"task_weighting": "by size"}, "task_weighting"),
        ({"target_weighting": None}, "target_weighting"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"seed": 1.0}, "seed"),
        ({"seed": True}, "seed"),
        ({"tasks": None}, "tasks"),
        ({"tasks": "label"}, "tasks"),
        ({"tasks": {}}, "tasks"),
        ({"tasks": {"kind": "columns"}}, "tasks, kind"),
        ({"tasks": {"kind": "column"}}, "tasks, columns"),
        ({"tasks": {"kind": "column", "columns": "source"}}, "tasks, columns"),
        ({"tasks": {"kind": "column", "columns": [1]}}, "tasks, columns"),
        ({"tasks": {"kind": "column", "columns": ["a", "a"]}}, "tasks, columns"),
        ({"tasks": {"kind": "label", "columns": ["a"]}}, "tasks, columns"),
        ({"tasks": {"kind": "slices", "columns": ["a"]}}, "tasks, columns"),
        ({"tasks": {"kind": "slices", "count": 1}}, "tasks, count"),
        ({"tasks": {"kind": "slices", "count": 2.0}}, "tasks, count"),
        ({"tasks": {"kind": "slices", "count": None}}, "tasks, count"),
        ({"tasks": {"kind": "clusters", "seed": -1}}, "tasks, seed"),
        ({"tasks": {"kind": "clusters", "size": 3}}, "tasks"),
    ],
)
def test_what_is_no_mapping_is_refused_by_field(change, place):
    with pytest.raises(InputError) as caught:
        SampleMapping.from_dict(TOLD | change)
    assert caught.value.place == place


@pytest.mark.parametrize("field", ["label", "inputs", "kind", "tasks"])
def test_a_missing_field_is_named(field):
    with pytest.raises(InputError, match=f"no field '{field}'"):
        SampleMapping.from_dict({name: value for name, value in TOLD.items() if name != field})


@pytest.mark.parametrize("told", [None, [], "label", 3, [("label", "y")]])
def test_only_a_dict_is_a_mapping(told):
    with pytest.raises(InputError) as caught:
        SampleMapping.from_dict(told)
    assert caught.value.place == "mapping"


@pytest.mark.parametrize("inputs", [["age"], "age", {"age"}])
def test_inputs_are_a_tuple_so_that_a_mapping_cannot_change(inputs):
    with pytest.raises(InputError):
        replace(PLAIN, inputs=inputs)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@given(change=st.dictionaries(st.sampled_from([*TOLD, "x"]), JSON), rule=st.dictionaries(st.sampled_from(
    [*TOLD["tasks"], "x"]), JSON))  # fmt: skip
def test_any_json_is_a_mapping_or_refused(change, rule):
    told = TOLD | change
    if rule:
        told["tasks"] = TOLD["tasks"] | rule
    try:
        mapping = SampleMapping.from_dict(told)
    except InputError:
        return
    assert SampleMapping.from_dict(json.loads(json.dumps(mapping.to_dict()))) == mapping


def test_the_columns_of_a_mapping_are_told_by_field():
    mapping = replace(PLAIN, split="part", target="group")
    assert list(mapping.columns()) == [
        ("label", "label"), ("inputs", "age"), ("inputs", "income"), ("tasks", "source"), ("split", "part"),
        ("target", "group"),
    ]  # fmt: skip
    for word in (TARGET_ALL, TARGET_TASK, TARGET_LABEL):
        assert "target" not in dict(replace(PLAIN, target=word).columns())


# ---- guesses


def test_a_table_of_sentences_is_guessed_whole():
    mapping = guess(
        id=list(range(ROWS)),
        text=SENTENCES,
        sentiment=cycle("good", "bad"),
        source=cycle("film", "tweet", "news"),
        split=cycle("train", "train", "train", "test"),
    )
    by_task = TaskRule("column", ("source",))
    weighed = {"task_weighting": "by_size", "target_weighting": "by_size"}
    assert mapping == SampleMapping("sentiment", ("text",), "text", by_task, "split", target=TARGET_TASK, **weighed)


@pytest.mark.parametrize(
    ("columns", "label"),
    [
        ({"label": cycle(0, 1), "z": cycle("a", "b")}, "label"),
        ({"Class": cycle("u", "v"), "z": cycle("a", "b")}, "Class"),
        ({"y": cycle(True, False), "z": cycle("a", "b")}, "y"),
        ({"y": cycle(0.0, 1.0), "z": cycle("a", "b")}, "y"),
        ({"x": NUMBERS, "a": cycle(1, 2, 3), "b": cycle("u", "v", "w")}, "b"),
        ({"label_text": cycle("no", "yes"), "label": cycle(0, 1), "x": NUMBERS}, "label"),
        ({"target": cycle(0, 1, 2), "x": NUMBERS}, "target"),
        # numbers to be predicted: the user is told so rather than given another column
        ({"y": NUMBERS, "sex": cycle("f", "m")}, "y"),
        ({"x": NUMBERS, "u": NUMBERS + 1}, ""),
        ({"x": NUMBERS, "same": cycle("a")}, ""),
        ({"y": np.zeros((ROWS, 1), dtype=np.int64), "x": NUMBERS}, "y"),
    ],
)
def test_the_label_is_guessed_by_name_then_by_values(columns, label):
    mapping = guess(**columns)
    assert mapping.label == label
    assert label not in mapping.inputs


@pytest.mark.parametrize(
    ("columns", "kind", "inputs"),
    [
        ({"images": np.zeros((ROWS, 8, 8))}, "image", ("images",)),
        ({"x": np.zeros((ROWS, 3, 8, 8), dtype=np.uint8), "n": NUMBERS}, "image", ("x",)),
        ({"x": np.zeros((ROWS, 8, 8, 1)), "text": SENTENCES}, "image", ("x",)),
        ({"input_ids": np.zeros((ROWS, 9), dtype=np.int64)}, "tokens", ("input_ids",)),
        ({"tokens": np.zeros((ROWS, 9), dtype=np.uint16)}, "tokens", ("tokens",)),
        ({"tokens": np.zeros((ROWS, 9))}, "tabular", ("tokens",)),
        ({"embedding": np.zeros((ROWS, 9)), "age": NUMBERS}, "tabular", ("embedding", "age")),
        ({"colour": cycle("red", "blue"), "age": NUMBERS}, "tabular", ("colour", "age")),
        ({"note": SENTENCES}, "text", ("note",)),
        ({"premise": SENTENCES, "hypothesis": SENTENCES}, "text", ("premise", "hypothesis")),
        ({"url": [f"http://long.example/and/longer/still/{i:050}" for i in range(ROWS)], "text": SENTENCES},
         "text", ("text",)),
        ({"name": [f"n{i}" for i in range(ROWS)], "age": NUMBERS}, "tabular", ("age",)),
        ({"age": NUMBERS, "holes": [None if i == 7 else 1.0 * i for i in range(ROWS)]}, "tabular", ("age",)),
        ({"age": NUMBERS, "nothing": [None] * ROWS}, "tabular", ("age",)),
        ({"age": NUMBERS, "id": list(range(ROWS))}, "tabular", ("age",)),
        ({"age": NUMBERS, "Row Index": list(range(ROWS))}, "tabular", ("age",)),
        ({"age": NUMBERS, "uuid": [f"{i:032x}" for i in range(ROWS)]}, "tabular", ("age",)),
        ({"age": NUMBERS, "label_text": cycle("no", "yes")}, "tabular", ("age",)),
        ({"holes": [None if i == 7 else 1.0 * i for i in range(ROWS)]}, "tabular", ("holes",)),
        ({}, "tabular", ()),
    ],
)  # fmt: skip
def test_inputs_and_their_kind_are_guessed(columns, kind, inputs):
    mapping = guess(**columns, label=cycle(0, 1))
    assert (mapping.kind, mapping.inputs) == (kind, inputs)


@pytest.mark.parametrize(
    ("columns", "rule", "target"),
    [
        ({"task": cycle("a", "b", "c")}, TaskRule("column", ("task",)), TARGET_TASK),
        ({"data_source": cycle(1, 2, 3)}, TaskRule("column", ("data_source",)), TARGET_TASK),
        ({"domain": cycle("a", "b"), "test_group": cycle("u", "v")}, TaskRule("column", ("domain",)), "test_group"),
        ({"domain": cycle("a", "b", None)}, TaskRule("column", ("domain",)), TARGET_ALL),
        ({"domain": cycle("a")}, TaskRule("clusters", (), 3), TARGET_ALL),
        ({"source": [f"s{i}" for i in range(ROWS)]}, TaskRule("clusters", (), 3), TARGET_ALL),
        ({"label": cycle(*range(6))}, TaskRule("label"), TARGET_ALL),
        ({"target": cycle("old", "new")}, TaskRule("clusters", (), 3), "target"),
    ],
)
def test_tasks_and_targets_are_guessed(columns, rule, target):
    mapping = guess(**{"x": NUMBERS, "label": cycle(0, 1)} | columns)
    assert (mapping.tasks, mapping.target) == (rule, target)
    assert not set(columns) & set(mapping.inputs) - {"domain", "source"}


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("split", cycle("train", "test"), True),
        ("anything", cycle("Train ", "VALIDATION"), True),
        ("fold", cycle("training", "dev", "held-out", None), True),
        ("split", cycle("train"), False),
        ("split", cycle("test", "valid"), False),
        ("split", cycle("train", "test", "other"), False),
        ("split", cycle(0, 1), False),
    ],
)
def test_the_split_is_guessed_by_its_values(name, values, found):
    mapping = guess(**{"x": NUMBERS, "label": cycle(0, 1), name: values})
    assert mapping.split == (name if found else "")


def test_the_last_rows_of_a_long_file_are_guessed_from_as_well():
    count = 20_000
    late = ["train" if i < 15_000 else "test" for i in range(count)]
    mapping = guess(x=np.arange(count) * 0.5, label=[int(i > 10_000) for i in range(count)], part=late)
    assert (mapping.split, mapping.label) == ("part", "label")


NAMES = st.sampled_from(
    ["label", "y", "target", "text", "task", "source", "split", "id", "tokens", "images", " ", "label_text", "(task)"]
)
VALUES = st.one_of(
    st.lists(st.none() | st.text(max_size=3), min_size=4, max_size=4),
    st.lists(st.none() | st.floats(), min_size=4, max_size=4),
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=4, max_size=4),
    st.lists(st.none() | st.booleans(), min_size=4, max_size=4),
    st.sampled_from([np.zeros((4, *shape)) for shape in ((2, 2), (0,), (1, 0, 3), (2, 2, 2, 2))]),
    st.sampled_from([np.zeros((4, 3), np.uint8), np.array(["a b c d", "", "e", "train"]), np.array(["\ud800"] * 4)]),
)


@given(st.dictionaries(NAMES, VALUES, min_size=1))
def test_a_guess_never_fails_and_takes_no_column_twice(columns):
    mapping = guess(**columns)
    used = [name for _, name in mapping.columns() if name]
    assert set(used) <= set(columns)
    assert len(used) == len(set(used))
    assert SampleMapping.from_dict(mapping.to_dict()) == mapping


def test_a_file_without_rows_is_guessed_from_its_names():
    samples = Samples({"x": pa.chunked_array([pa.array([], pa.float64())]), "label": np.zeros(0, np.int64)}, "f.csv")
    assert guess_mapping(samples).inputs == ()
