"""Whatever a table holds and is said to mean, it becomes a whole suite or is refused."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from suite_columns import lengths

from kernelsm import InputError, TaskSuite
from kernelsm.samples.samples import Samples
from kernelsm.tasks.build import build_suite
from kernelsm.tasks.mapping import TARGET_LABEL, TARGET_TASK, SampleMapping, TaskRule
from kernelsm.tasks.mapping_guess import guess_mapping

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
