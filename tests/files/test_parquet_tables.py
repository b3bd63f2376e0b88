"""Parquet and Arrow files: what is read, what is counted before it fills the memory, and what is refused.

What samples and outcomes make of them is tested with these.
"""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernelsm import InputError
from kernelsm.files.limits import Limits
from kernelsm.files.parquet_tables import read_arrow_table, read_parquet_table

SMALL = Limits(rows=5_000, columns=3, unpacked_megabytes=1)


def parquet(table):
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def refused(data):
    with pytest.raises(InputError) as caught:
        read_parquet_table(data, "t.parquet", SMALL)
    assert caught.value.place.startswith("t.parquet")
    return caught.value


def test_files_and_bytes_are_read_alike_with_what_stands_beside_the_columns(tmp_path):
    table = pa.table({"a": np.arange(3_000), "b": ["x", None, "é"] * 1_000}).replace_schema_metadata({"mine": "1"})
    (tmp_path / "t").write_bytes(parquet(table))
    for source in (tmp_path / "t", parquet(table)):
        found, rows = read_parquet_table(source, "t.parquet", SMALL)
        assert rows == 3_000
        assert found.equals(table)
        assert found.schema.metadata[b"mine"] == b"1"
    first, rows = read_parquet_table(tmp_path / "t", "t.parquet", SMALL, 2)
    assert (first["a"].to_pylist(), rows) == ([0, 1], 3_000)


@pytest.mark.parametrize(
    ("table", "place", "found"),
    [
        (pa.table([[1], [2]], names=["a", "a"]), "t.parquet, header, column 2", "'a' again (as column 1)"),
        (pa.table({str(i): [1] for i in range(4)}), "t.parquet, header", "4 columns"),
        (pa.table({"a": np.arange(5_001)}), "t.parquet", "more than 5,000 rows"),
        (pa.table({"a": ["long" * 10_000] * 400}), "t.parquet", "at least 16 MiB in memory"),
        (pa.table({"a": pa.array([], pa.int64())}), "t.parquet", "no row"),
    ],
)
def test_what_is_too_much_or_unclear_is_refused(table, place, found):
    error = refused(parquet(table))
    assert error.place == place
    assert error.found == found or "MiB" in error.found


@pytest.mark.parametrize("data", [b"PAR1", b"a,b\n1,2\n", parquet(pa.table({"a": [1, 2]}))[:-9]])
def test_damage_is_told(data, tmp_path):
    assert "damaged" in refused(data).found
    (tmp_path / "t").write_bytes(data)
    with pytest.raises(InputError, match="a whole Arrow stream"):
        read_arrow_table(tmp_path / "t", "t.arrow", SMALL)


def test_an_arrow_stream_is_read_up_to_the_rows_that_are_asked_for(tmp_path):
    table = pa.table({"a": np.arange(10)})
    with pa.OSFile(str(tmp_path / "t"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table, max_chunksize=4)
    assert read_arrow_table(tmp_path / "t", "t.arrow", SMALL).equals(table)
    assert read_arrow_table(tmp_path / "t", "t.arrow", SMALL, 5)["a"].to_pylist() == [0, 1, 2, 3, 4]
