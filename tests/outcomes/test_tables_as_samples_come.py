"""Tables of outcomes in the formats of samples: workbooks, gzip'd text, JSON lines and lists of rows."""

import gzip
import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from kernelsm import InputError, Outcomes

TABLE = Outcomes(
    [[1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1]], [[0.1, 2.0], [1 / 3, -1.0], [1e-300, 4.0], [7.0, 0.0]],
    task_names=("a", "b, c", "é"), target_names=("u", "v"),
)  # fmt: skip
FRAME = TABLE.to_frame()
ROWS = FRAME.to_dict(orient="records")
LINES = "\n".join(map(json.dumps, ROWS)).encode()
CSV = FRAME.to_csv(index=False).encode()
OWN = json.dumps({
    "masks": TABLE.masks.tolist(), "values": TABLE.values.tolist(), "task_names": TABLE.task_names,
    "target_names": TABLE.target_names,
}).encode()  # fmt: skip


def workbook(frame, **options):
    file = io.BytesIO()
    frame.to_excel(file, index=False, **options)
    return file.getvalue()


FILES = {
    "t.xlsx": workbook(FRAME), "T.XLSX": workbook(FRAME.astype(object)), "t.csv.gz": gzip.compress(CSV),
    "t.tsv": FRAME.to_csv(index=False, sep="\t").encode(), "t.jsonl": LINES, "t.ndjson.gz": gzip.compress(LINES),
    "t.json": json.dumps(ROWS, indent=1).encode(), "rows.json.gz": gzip.compress(json.dumps(ROWS).encode()),
    "own.json": OWN, "own.json.gz": gzip.compress(OWN), "marked.json": b"\xef\xbb\xbf \n" + json.dumps(ROWS).encode(),
}  # fmt: skip


def refused(data, name):
    with pytest.raises(InputError) as caught:
        Outcomes.from_bytes(data, name)
    assert caught.value.place.startswith(name)
    return caught.value


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_table(name, tmp_path):
    (tmp_path / name).write_bytes(FILES[name])
    for read in (Outcomes.from_bytes(FILES[name], name), Outcomes.load(tmp_path / name)):
        assert (read.task_names, read.target_names) == (TABLE.task_names, TABLE.target_names)
        np.testing.assert_array_equal(read.masks, TABLE.masks)
        np.testing.assert_allclose(read.values, TABLE.values, rtol=1e-15, atol=0)
        assert read.meta == {"source": name}


def test_what_was_done_to_a_file_is_told():
    file = io.BytesIO()
    with pd.ExcelWriter(file) as book:
        FRAME.to_excel(book, sheet_name="runs", index=False)
        FRAME.to_excel(book, sheet_name="more", index=False)
    read = Outcomes.from_bytes(file.getvalue(), "t.xlsx")
    assert read.meta["notes"] == ["The sheet “runs” is read; 1 other is not."]
    text = json.dumps(ROWS, ensure_ascii=False).encode("utf-16")
    assert "UTF-16" in Outcomes.from_bytes(text, "t.json").meta["notes"][0]
    assert "UTF-16" in Outcomes.from_bytes(OWN.decode().encode("utf-16"), "t.json").meta["notes"][0]


def test_the_two_published_lists_may_be_packed():
    ids, values = gzip.compress(b"[[0], [1], [0, 1]]"), b"[1.0, 2.0, 3.0]"
    read = Outcomes.from_files([(values, "values.json"), (ids, "ids.json.gz")])
    assert read.masks.tolist() == [[True, False], [False, True], [True, True]]
    assert read.values[:, 0].tolist() == [1.0, 2.0, 3.0]


def test_a_wrong_cell_is_named():
    frame = FRAME.astype(object)
    frame.iloc[2, 0] = "maybe"
    assert refused(workbook(frame), "t.xlsx").place == "t.xlsx, row 3, column 'task:a'"
    short = [*ROWS[:3], {key: value for key, value in ROWS[3].items() if key != "target:u"}]
    assert refused(json.dumps(short).encode(), "t.json").place == "t.json, row 4, column 'target:u'"
    lists = [{**row, "target:u": [1.0, 2.0]} for row in ROWS]
    assert refused(json.dumps(lists).encode(), "t.json").found == "lists"
    nested = [{**row, "target:u": {"loss": 1.0}} for row in ROWS]
    assert refused("\n".join(map(json.dumps, nested)).encode(), "t.jsonl").found == "a nested object"
    assert refused(b"[[1, 0], [0, 1]]", "t.json").found == "a list alone"
    assert "objects" in refused(b'[{"task:a": 1}, 5]', "t.json").expected


def test_hostile_files_are_refused(monkeypatch):
    monkeypatch.setenv("KERNELSM_MAX_MEGABYTES", "8")
    monkeypatch.setenv("KERNELSM_MAX_UNPACKED_MEGABYTES", "8")
    bomb = gzip.compress(CSV + b" " * 30 * 2**20)
    assert len(bomb) < 100_000
    assert "MiB when unpacked" in refused(bomb, "t.csv.gz").found
    assert "MiB when unpacked" in refused(gzip.compress(OWN + b" " * 30 * 2**20), "t.json.gz").found
    assert "damaged gzip" in refused(gzip.compress(CSV)[:-9], "t.csv.gz").found
    book = workbook(FRAME)
    attack = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(attack, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith("sheet1.xml"):
                content = content.replace(b"<worksheet", b'<!DOCTYPE x [<!ENTITY a "ha">]><worksheet', 1)
            new.writestr(entry.filename, content)
    assert "entities" in refused(attack.getvalue(), "t.xlsx").found
    assert refused(CSV, "t.xlsx").expected == "an Excel workbook (.xlsx)"
