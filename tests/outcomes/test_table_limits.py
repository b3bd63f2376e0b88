"""Tables of outcomes obey the limits that the environment sets, whatever the format they come in."""

import io
import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernelsm import InputError, Outcomes

ROWS, TASKS, TARGETS = 6, 3, 2
MASKS = (np.arange(ROWS)[:, None] >> np.arange(TASKS)) % 2
VALUES = np.arange(ROWS * TARGETS, dtype=float).reshape(ROWS, TARGETS)
FRAME = pd.DataFrame(
    np.column_stack([MASKS, VALUES]),
    columns=[f"task:{k}" for k in range(TASKS)] + [f"target:{j}" for j in range(TARGETS)],
)


def parquet():
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(FRAME), buffer)
    return buffer.getvalue()


def npz():
    buffer = io.BytesIO()
    np.savez_compressed(buffer, masks=MASKS, values=VALUES)
    return buffer.getvalue()


IDS = [np.flatnonzero(mask).tolist() for mask in MASKS]
FILES = {
    "t.csv": [(FRAME.to_csv(index=False).encode(), "t.csv")],
    "t.parquet": [(parquet(), "t.parquet")],
    "t.npz": [(npz(), "t.npz")],
    "t.json": [(json.dumps({"masks": MASKS.tolist(), "values": VALUES.tolist()}).encode(), "t.json")],
    "ids": [(json.dumps({"ids": IDS, "values": VALUES.tolist()}).encode(), "t.json")],
    "lists": [(json.dumps(IDS).encode(), "t ids.json"), (json.dumps(VALUES.tolist()).encode(), "t values.json")],
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(("name", "most"), [("ROWS", ROWS), ("TASKS", TASKS), ("TARGETS", TARGETS)])
def test_each_format_obeys_each_limit(kind, name, most, monkeypatch):
    whole = Outcomes.from_files(FILES[kind])
    assert (whole.m, whole.K, whole.q) == (ROWS, TASKS, TARGETS)
    monkeypatch.setenv(f"KERNELSM_MAX_{name}", str(most))
    assert Outcomes.from_files(FILES[kind]).content_hash == whole.content_hash
    monkeypatch.setenv(f"KERNELSM_MAX_{name}", str(most - 1))
    with pytest.raises(InputError) as caught:
        Outcomes.from_files(FILES[kind])
    assert caught.value.place.startswith("t")
    assert re.search(rf"(at most|1 to) {most - 1}\b", str(caught.value))


@pytest.mark.parametrize("kind", ["t.csv", "t.parquet"])
def test_columns_are_counted_before_rows_are_read(kind, monkeypatch):
    monkeypatch.setenv("KERNELSM_MAX_COLUMNS", "4")
    with pytest.raises(InputError, match="5 columns; expected at most 4"):
        Outcomes.from_files(FILES[kind])


@pytest.mark.parametrize("kind", FILES)
def test_the_size_of_a_file_is_limited(kind, monkeypatch):
    monkeypatch.setenv("KERNELSM_MAX_MEGABYTES", "1")
    Outcomes.from_files(FILES[kind])
    files = [(data + b" " * 2**20, name) for data, name in FILES[kind]]
    with pytest.raises(InputError, match="2 MiB; expected at most 1 MiB"):
        Outcomes.from_files(files)


def test_a_table_that_would_not_fit_into_memory_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setenv("KERNELSM_MAX_UNPACKED_MEGABYTES", "1")
    rows = 50_000
    small = io.BytesIO()
    columns = {"task:a": np.arange(rows) % 2 == 0, "task:b": np.ones(rows, dtype=bool), "target:x": np.zeros(rows)}
    pq.write_table(pa.table(columns), small)
    assert len(small.getvalue()) < 2**15
    with pytest.raises(InputError, match="2 MiB in memory; expected at most 1 MiB"):
        Outcomes.from_bytes(small.getvalue(), "t.parquet")
    numbers = json.dumps({"masks": [[1, 0]] * 5_000, "values": [0.5] * 5_000}).encode()
    with pytest.raises(InputError, match="times ','; expected at most"):
        Outcomes.from_bytes(numbers, "t.json")
    with pytest.raises(InputError, match="in memory"):
        Outcomes.from_frame(pd.DataFrame(columns))


def test_frames_made_by_hand_obey_the_limits_too(monkeypatch):
    monkeypatch.setenv("KERNELSM_MAX_ROWS", "5")
    with pytest.raises(InputError, match="more than 5 rows"):
        Outcomes.from_frame(FRAME)
