"""Whatever the bytes, reading a table ends in Outcomes or in InputError."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernelsm import InputError, Outcomes


def _parquet():
    buffer = io.BytesIO()
    columns = {"task:a": [1, 0, 1], "task:é": [True, False, True], "target:x": [0.5, 0.25, 1.0]}
    pq.write_table(pa.table(columns).replace_schema_metadata({"kernelsm": '{"meta": {}}'}), buffer)
    return buffer.getvalue()


CSV = "task:a,task:é,target:x\n1,True,0.5\n0,False,0.25\n1,True,1e3\n".encode()
PARQUET = _parquet()


def _npz(save):
    buffer = io.BytesIO()
    save(
        buffer, masks=[[1, 0], [0, 1], [1, 1]], values=[0.5, 0.25, 1.0], task_names=["a", "é"], higher_is_better=True
    )
    return buffer.getvalue()


ARRAYS = {"stored": _npz(np.savez), "deflated": _npz(np.savez_compressed)}
JSON = json.dumps(
    {"masks": [[1, 0], [0, 1], [True, 1]], "values": [[0.5], [0.25], [1e3]], "task_names": ["a", "é"]}
).encode()
LISTS = [b"[[0, 1], [1], []]", b"[[0.5, 1], [0.25, 2], [1e3, 3]]"]


def outcome_or_refusal(data, name):
    outcome_or_refusal_of([(data, name)])


def outcome_or_refusal_of(files):
    try:
        result = Outcomes.from_files(files)
    except InputError as error:
        result = error
    assert isinstance(result, Outcomes) or any(result.place.startswith(name) for _, name in files)


@pytest.mark.parametrize(
    "name", ["any.csv", "any.tsv.gz", "any.xlsx", "any.jsonl", "any.parquet", "any.npz", "any.json"]
)
@given(data=st.binary(max_size=300))
def test_arbitrary_bytes_never_crash_the_reader(name, data):
    outcome_or_refusal(data, name)


# cells that tables really hold, in an order that they do not
CELLS = st.sampled_from(
    ["task:a", "task:b", "target:x", "1", "0", "2", "True", "", " ", "nan", "1e400", "9" * 320, "-", '"', "'", "\r",
     "\t", ";", "\x1c", "\u2028", "é", "#", "1_0", "0x1", "inf", "2020-01-01", "1+2j"]
)  # fmt: skip


@settings(max_examples=300)
@given(rows=st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=5))
@example(rows=[["task:a", "target:x\r1"], ["2\r0", "1"]])
def test_rows_of_odd_cells_never_crash_the_reader(rows):
    outcome_or_refusal("\n".join(",".join(row) for row in rows).encode(), "any.csv")


@settings(max_examples=300)
@given(st.data())
def test_a_csv_with_changed_bytes_never_crashes_the_reader(data):
    outcome_or_refusal(_spoil(CSV, data), "any.csv")


@settings(max_examples=300)
@given(st.data())
def test_a_parquet_file_with_changed_bytes_never_crashes_the_reader(data):
    outcome_or_refusal(_spoil(PARQUET, data), "any.parquet")


@pytest.mark.parametrize("kind", ARRAYS)
@settings(max_examples=400)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_archive_with_changed_bytes_never_crashes_the_reader(kind, data):
    bad = _spoil(ARRAYS[kind], data)
    outcome_or_refusal(bad[: data.draw(st.sampled_from([len(bad), len(bad) // 2]))], "any.npz")


# what stands in JSON in a place where it should not
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | st.text(max_size=3) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=12,
)
FIELDS = st.sampled_from(["masks", "ids", "values", "task_names", "target_names", "higher_is_better", "meta"])


@settings(max_examples=200)
@given(content=st.dictionaries(FIELDS, ODD) | ODD)
@example(content={"masks": [[1], [0]], "values": [[[]], [[]]]})
@example(content={"ids": [[], [0]], "values": [True, False], "task_names": [""]})
def test_odd_json_never_crashes_the_reader(content):
    outcome_or_refusal(json.dumps(content).encode(), "any.json")


@settings(max_examples=300)
@given(st.data())
def test_json_with_changed_bytes_never_crashes_the_reader(data):
    outcome_or_refusal(_spoil(JSON, data), "any.json")


@settings(max_examples=300)
@given(st.data())
def test_two_lists_with_changed_bytes_never_crash_the_reader(data):
    files = [(_spoil(part, data), f"any{number}.json") for number, part in enumerate(LISTS)]
    outcome_or_refusal_of(files)


@settings(max_examples=200)
@given(first=ODD, second=ODD)
def test_two_odd_lists_never_crash_the_reader(first, second):
    files = [(json.dumps(part).encode(), f"any{number}.json") for number, part in enumerate((first, second))]
    outcome_or_refusal_of(files)


def _spoil(good, data):
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    return bytes(bad)
