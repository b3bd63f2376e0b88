"""Gzip'd text and JSON lists of rows hold what their plain twins hold."""

import gzip
import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from kernelsm import InputError
from kernelsm.files.limits import Limits
from kernelsm.samples.reader import preview_samples, read_samples

FRAME = pd.DataFrame({"x": np.arange(40.0) / 4, "label": ["a", "b"] * 20})
TEXTS = {
    ".csv": FRAME.to_csv(index=False),
    ".tsv": FRAME.to_csv(index=False, sep="\t"),
    ".jsonl": FRAME.to_json(orient="records", lines=True),
    ".json": FRAME.to_json(orient="records"),
}


def same(path, name=None):
    samples = read_samples(path, name)
    preview = preview_samples(path, name)
    assert (samples.names, samples.rows, preview.rows) == (("x", "label"), 40, 40)
    assert samples.values("x").tolist() == FRAME["x"].tolist()
    assert samples.values("label").tolist() == FRAME["label"].tolist()


@pytest.mark.parametrize("ending", TEXTS)
@pytest.mark.parametrize("packed", [False, True])
def test_every_format_of_text_may_be_packed(tmp_path, ending, packed):
    name = f"t{ending}.gz" if packed else f"t{ending}"
    content = TEXTS[ending].encode()
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(content) if packed else content)
    same(path, name)


@pytest.mark.parametrize("ending", TEXTS)
@pytest.mark.parametrize("packed", [".gz", ".GZ"])
def test_packed_files_in_a_folder(tmp_path, ending, packed):
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for part in ("train", "test"):
            archive.writestr(f"data/{part}{ending}{packed}", gzip.compress(TEXTS[ending].encode()))
    samples = read_samples(tmp_path / "d.zip")
    assert (samples.rows, samples.distinct("split")) == (80, ["test", "train"])


@pytest.mark.parametrize(
    ("name", "data", "place", "found"),
    [
        ("t.csv.gz", b"x,y\n1,2\n", "t.csv.gz", "no sign of"),
        ("t.parquet.gz", gzip.compress(b"PAR1"), "t.parquet.gz", "the ending '.gz'"),
        ("t.csv.gz", gzip.compress(b"x,y\n1,2\n")[:-9], "t.csv.gz", "gzip"),
        ("t.csv.gz", gzip.compress(b"x\n" + b"1\n" * 2**20), "t.csv.gz", "at least 2 MiB when unpacked"),
        ("t.json", b'{"x": [1, 2]}', "t.json", "a JSON object"),
        ("t.json", b"[1, 2]", "t.json, row 1", "no object"),
        ("t.json", b'[{"x": 1}, {"x": {"y": 2}}]', "t.json, row 2, field 'x'", "a nested object"),
        ("t.json", b"[]", "t.json", "no row"),
        ("t.json", b"[{}]", "t.json", "without a field"),
        ("t.json", b'[{"x": 1', "t.json", "no JSON"),
        ("t.json", json.dumps([{"x": 1}] * 200_000).encode(), "t.json", "MiB"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, name, data, place, found):
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_samples(path, name, Limits(megabytes=1))
    assert caught.value.place.startswith(place)
    assert found in caught.value.found
