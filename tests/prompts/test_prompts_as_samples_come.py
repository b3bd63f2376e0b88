"""Demonstrations and queries in the formats of samples: workbooks, gzip'd text and lists of rows."""

import gzip
import io
import json
import zipfile

import pandas as pd
import pytest

from kernelsm import InputError
from kernelsm.prompts.task_files import read_labelled, read_prompt_task

ROWS = [
    ("Great fun.", "positive"), ('She said "no", twice; a \\"bore\\"', "negative"), ("one\ntwo\n\nthree", "positive"),
    ("größe 007", "negative"), ("Hm", "positive"),
]  # fmt: skip
FRAME = pd.DataFrame(ROWS, columns=["text", "label"])
OBJECTS = [{"id": 7, "text": f" {text} ", "label": label, "more": [1]} for text, label in ROWS]
LINES = "\n".join(map(json.dumps, OBJECTS)).encode()


def workbook(frame, **options):
    file = io.BytesIO()
    frame.to_excel(file, **{"index": False, **options})
    return file.getvalue()


FILES = {
    "a.xlsx": workbook(FRAME), "index.xlsx": workbook(FRAME, index=True), "b.json": json.dumps(OBJECTS).encode(),
    "Capitals.XLSX": workbook(FRAME.rename(columns={"text": "Text", "label": " LABEL"})),
    "indented.json": b"\xef\xbb\xbf\n" + json.dumps(OBJECTS, indent=2).encode(),
    "b.json.gz": gzip.compress(json.dumps(OBJECTS).encode()), "b.jsonl.gz": gzip.compress(LINES),
    "a.csv.gz": gzip.compress(FRAME.drop(index=1).to_csv(index=False).encode()),
    "a.tsv.GZ": gzip.compress(FRAME.drop(index=1).to_csv(index=False, sep="\t").encode()),
}  # fmt: skip


def refused(data, name):
    with pytest.raises(InputError) as caught:
        read_labelled(data, name)
    assert caught.value.place.startswith(name)
    return caught.value


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_texts(name):
    expected = ROWS if name.lower().endswith((".xlsx", ".json", ".json.gz", ".jsonl.gz")) else [ROWS[0], *ROWS[2:]]
    assert [(one.text, one.label) for one in read_labelled(FILES[name], name)] == expected


def test_labels_that_are_numbers_are_words():
    frame = pd.DataFrame({"text": ["a", "b"], "label": [1, 0]})
    assert [one.label for one in read_labelled(workbook(frame), "a.xlsx")] == ["1", "0"]
    assert [one.label for one in read_labelled(frame.to_json(orient="records").encode(), "a.json")] == ["1", "0"]


def test_what_was_done_is_told_and_the_task_has_the_bare_name():
    file = io.BytesIO()
    with pd.ExcelWriter(file) as book:
        FRAME.to_excel(book, sheet_name="mine", index=False)
        FRAME.to_excel(book, sheet_name="more", index=False)
    shown = gzip.compress(FRAME.drop(index=1).to_csv(index=False).encode("utf-16"))
    read = read_prompt_task((shown, "shown.csv.gz"), (file.getvalue(), "asked.xlsx"))
    assert read.task.name == "shown"
    assert read.notes[0].startswith("shown.csv.gz: Its text is read as UTF-16")
    assert read.notes[1] == "asked.xlsx: The sheet “mine” is read; 1 other is not."


def test_what_is_wrong_is_named_with_its_place():
    gap = FRAME.astype(object)
    gap.iloc[3, 1] = None
    assert refused(workbook(gap), "a.xlsx").place == "a.xlsx, row 4, column 'label'"
    assert refused(workbook(FRAME.drop(columns="label")), "a.xlsx").found == "no column of answers among 'text'"
    assert refused(b'[{"text": "a", "label": "b"}, {"text": "c"}]', "a.json").place == "a.json, row 2"
    assert refused(b'[{"text": "a", "label": "b"}, 5]', "a.json").found == "no object"
    assert refused(b'{"text": "a", "label": "b"}', "a.json").found == "a JSON object"
    assert refused(b"text,label\na,b\n", "a.xlsx").expected == "an Excel workbook (.xlsx)"
    assert "damaged gzip" in refused(FILES["a.csv.gz"][:-9], "a.csv.gz").found


def test_hostile_files_are_refused():
    rows = FRAME.drop(index=1).to_csv(index=False).encode()
    bomb = gzip.compress(rows + b" " * 30 * 2**20)
    assert len(bomb) < 100_000
    assert "MiB when unpacked" in refused(bomb, "a.csv.gz").found
    assert "MiB when unpacked" in refused(gzip.compress(b"[" + b" " * 30 * 2**20 + b"]"), "a.json.gz").found
    for filler in (b"{},", b'{"a":[' + b"[]," * 5_000_000 + b"0]},"):
        small = (b"[" + filler * (13_000_000 // len(filler) + 1))[:-1] + b"]"  # less than a file may have
        assert "times" in refused(small, "a.json").found
    attack = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(FILES["a.xlsx"])) as old, zipfile.ZipFile(attack, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith("sheet1.xml"):
                content = content.replace(b"<worksheet", b'<!DOCTYPE x [<!ENTITY a "ha">]><worksheet', 1)
            new.writestr(entry.filename, content)
    assert "entities" in refused(attack.getvalue(), "a.xlsx").found
