"""Samples: columns of one length, their kinds, values, gaps and distinct values."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from kernelsm import InputError
from kernelsm.samples.samples import Samples

NAN = float("nan")


def chunked(*chunks, kind=None):
    return pa.chunked_array([pa.array(chunk, kind) for chunk in chunks], kind)


COLUMNS = {
    "whole": chunked([3, 1], [2]),
    "whole with a gap": chunked([3, None], [2]),
    "number": chunked([0.5, None], [NAN]),
    "boolean": chunked([True, False], [True]),
    "boolean with a gap": chunked([True, None], [False]),
    "text": chunked(["b", None], ["a"]),
    "words": chunked(["b", "a"], [None], kind=pa.dictionary(pa.int32(), pa.string())),
    "nothing": chunked([None, None], [None], kind=pa.null()),
    "only gaps": chunked([None, None], [None], kind=pa.float64()),
    "small": np.array([3, 1, 2], dtype=np.uint8),
    "half": np.array([0.5, NAN, 1.5], dtype=np.float16),
    "yes": np.array([True, False, True]),
    "names": np.array(["b", "a", "c"]),
    "pictures": np.arange(3 * 28 * 28, dtype=np.uint8).reshape(3, 28, 28),
    "tokens": np.array([[1, 2, 3]] * 3),
}
SAMPLES = Samples(COLUMNS, "t.npz")


def test_rows_and_names_are_those_of_the_file():
    assert SAMPLES.rows == 3
    assert SAMPLES.names == tuple(COLUMNS)


@pytest.mark.parametrize(
    ("column", "kind", "values", "missing", "distinct"),
    [
        ("whole", "whole", [3, 1, 2], 0, [1, 2, 3]),
        ("whole with a gap", "whole", [3.0, NAN, 2.0], 1, [2, 3]),
        ("number", "number", [0.5, NAN, NAN], 2, [0.5]),
        ("boolean", "boolean", [True, False, True], 0, [False, True]),
        ("boolean with a gap", "boolean", [1.0, NAN, 0.0], 1, [False, True]),
        ("text", "text", ["b", None, "a"], 1, ["a", "b"]),
        ("words", "text", ["b", "a", None], 1, ["a", "b"]),
        ("nothing", "empty", [None, None, None], 3, []),
        ("only gaps", "empty", [NAN, NAN, NAN], 3, []),
        ("small", "whole", [3, 1, 2], 0, [1, 2, 3]),
        ("half", "number", [0.5, NAN, 1.5], 1, [0.5, 1.5]),
        ("yes", "boolean", [True, False, True], 0, [False, True]),
        ("names", "text", ["b", "a", "c"], 0, ["a", "b", "c"]),
    ],
)
def test_a_column_tells_its_kind_values_gaps_and_distinct_values(column, kind, values, missing, distinct):
    assert SAMPLES.kind(column) == kind
    found = SAMPLES.values(column)
    np.testing.assert_array_equal(found, np.array(values, dtype=found.dtype))
    assert found.dtype in (np.float64, np.int64, np.bool_, object)
    assert (found.dtype == object) == (kind == "text" or column == "nothing")
    assert SAMPLES.missing(column) == missing
    assert SAMPLES.distinct(column) == distinct
    assert [type(value) for value in SAMPLES.distinct(column)] == [type(value) for value in distinct]


def test_arrays_stay_as_they_are():
    assert SAMPLES.kind("pictures") == SAMPLES.kind("tokens") == "array"
    assert SAMPLES.values("pictures") is COLUMNS["pictures"]
    with pytest.raises(InputError, match="array per sample"):
        SAMPLES.distinct("pictures")


def test_at_most_so_many_distinct_values_are_listed_the_smallest_first():
    samples = Samples({"x": np.arange(5000)[::-1], "y": chunked([str(i) for i in range(5000)])}, "t.csv")
    assert samples.distinct("x", 3) == [0, 1, 2]
    assert samples.distinct("y", 3) == ["0", "1", "10"]
    assert len(samples.distinct("x")) == 1001


def test_taken_rows_come_in_the_order_asked_for():
    taken = SAMPLES.take(np.array([2, 0]))
    assert taken.rows == 2
    assert taken.name == "t.npz"
    for column in SAMPLES.names:
        np.testing.assert_array_equal(taken.values(column), SAMPLES.values(column)[[2, 0]])
    assert SAMPLES.take(np.array([], dtype=np.int64)).rows == 0


def test_the_screen_sees_the_first_rows_and_the_size_of_arrays():
    frame = SAMPLES.frame(2)
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == 2
    assert frame["pictures"].tolist() == ["28 x 28 numbers"] * 2
    assert frame["tokens"].tolist() == ["3 numbers"] * 2
    assert frame["whole"].tolist() == [3, 1]
    assert len(SAMPLES.frame()) == 3


def test_a_long_text_that_repeats_is_held_once():
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, dtype=np.int32)), pa.array(["long " * 100_000]))
    values = Samples({"x": pa.chunked_array([words])}, "t.parquet").values("x")
    assert values[0] is values[-1]


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({}, "no column"),
        ({"a": np.arange(3), "b": np.arange(2)}, "2 entries"),
        ({"a": np.arange(3), "b": chunked([1])}, "1 entries"),
        ({"a": np.array(5)}, "single value"),
        ({"a": np.array([object()])}, "object"),
        ({"a": np.array([1j])}, "complex"),
        ({"a": np.array([b"x"])}, "S1"),
        ({"a": np.array(["2030-01-01"], dtype="M8[D]")}, "datetime64"),
        ({"a": np.array([["x", "y"]])}, "<U1"),
        ({"a": chunked([b"x"])}, "binary"),
        ({"a": chunked([[1, 2]])}, "list"),
        ({"a": chunked([{"x": 1}])}, "struct"),
        ({"a": chunked([1], kind=pa.timestamp("s"))}, "timestamp"),
    ],
)
def test_columns_that_no_one_could_use_are_refused(columns, found):
    with pytest.raises(InputError) as caught:
        Samples(columns, "t.npz")
    assert caught.value.place.startswith("t.npz")
    assert found in caught.value.found


def test_an_unknown_column_is_refused_with_those_there_are():
    for ask in (SAMPLES.kind, SAMPLES.values, SAMPLES.missing, SAMPLES.distinct):
        with pytest.raises(InputError, match="'whole'") as caught:
            ask("wohle")
        assert "'wohle'" in caught.value.place


def test_whole_numbers_beyond_64_bits_are_refused_not_wrapped():
    samples = Samples({"a": np.array([2**63], dtype=np.uint64), "b": chunked([2**63], kind=pa.uint64())}, "t.npz")
    for column in "ab":
        with pytest.raises(InputError, match=str(2**63)):
            samples.values(column)


def test_reading_loads_none_of_the_heavy_libraries():
    statement = "import sys, kernelsm.samples.reader as _"
    check = "print([m for m in ('torch', 'transformers', 'streamlit', 'sklearn', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", f"{statement}; {check}"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
