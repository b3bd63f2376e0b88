"""Whatever the bytes, reading a table ends in Outcomes or in InputError."""

import io

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


def outcome_or_refusal(data, name):
    try:
        result = Outcomes.from_bytes(data, name)
    except InputError as error:
        result = error
    assert isinstance(result, Outcomes) or result.place.startswith(name)


@pytest.mark.parametrize("name", ["any.csv", "any.parquet"])
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


def _spoil(good, data):
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    return bytes(bad)
