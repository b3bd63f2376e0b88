"""What the command line says of a file is what the page knows of it."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kernelsm.__main__ import main
from kernelsm.pipelines.inspect_samples import inspect_samples
from kernelsm.tasks.mapping import SampleMapping

FILES = Path(__file__).resolve().parents[1] / "own_data"


def inspected(capsys, path):
    assert main(["inspect", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    return json.loads(lines[-1]), lines[:-1]


@pytest.mark.parametrize(
    "name", [path.name for path in sorted(FILES.iterdir()) if path.name not in ("breast_all256.csv",)]
)
def test_every_case_is_inspected_as_one_json_object(capsys, name):
    found, _ = inspected(capsys, FILES / name)
    assert (found["file"], found["kind"]) == (name, "samples")
    assert found == json.loads(json.dumps(inspect_samples(FILES / name)))
    assert SampleMapping.from_dict(found["mapping"]).label == found["mapping"]["label"]
    assert set(found["reasons"]) == {"label", "inputs", "tasks", "split", "target"}


def test_what_was_done_to_a_file_is_said(capsys):
    found, lines = inspected(capsys, FILES / "nested_field.jsonl")
    assert list(found["left_out"]) == ["metadata", "tags"]
    assert any(line.startswith("left out: metadata: nested_field.jsonl, line 1") for line in lines)
    found, lines = inspected(capsys, FILES / "windows_1252.csv")
    assert found["encoding"].startswith("Windows-1252")
    assert found["notes"][0] in lines
    found, _ = inspected(capsys, FILES / "unlabelled_test.zip")
    assert found["splits"]["test"] == {"rows": 20, "meaning": "test"}
    kinds = {column["name"]: column["kind"] for column in found["columns"]}
    assert kinds == {"sentence": "text", "label": "whole", "idx": "whole", "split": "text"}
    assert "idx" in found["left_aside"]


def test_a_table_of_outcomes_is_told_from_samples(capsys, tmp_path):
    found, _ = inspected(capsys, FILES / "breast_all256.csv")
    assert (found["kind"], found["subsets"], len(found["tasks"])) == ("table of outcomes", 256, 8)
    frame = pd.read_csv(FILES / "breast_all256.csv")
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    frame.to_json(tmp_path / "t.json", orient="records")
    frame.to_csv(tmp_path / "t.csv.gz", index=False)
    for name in ("t.xlsx", "t.json", "t.csv.gz"):
        same, _ = inspected(capsys, tmp_path / name)
        assert same == {**found, "file": name}


def test_masks_and_values_are_a_table_of_outcomes(capsys, tmp_path):
    masks = (np.arange(8)[:, None] >> np.arange(3) & 1).astype(int)
    content = {"masks": masks.tolist(), "values": masks.sum(axis=1).tolist(), "task_names": ["a", "b", "c"]}
    (tmp_path / "t.json").write_text(json.dumps(content))
    np.savez(tmp_path / "t.npz", masks=masks, values=masks.sum(axis=1))
    with gzip.open(tmp_path / "t.json.gz", "wt") as file:
        json.dump(content, file)
    for name, tasks in (("t.json", ["a", "b", "c"]), ("t.json.gz", ["a", "b", "c"]), ("t.npz", None)):
        found, _ = inspected(capsys, tmp_path / name)
        assert (found["kind"], found["subsets"], len(found["tasks"])) == ("table of outcomes", 8, 3)
        assert tasks in (None, found["tasks"])


def test_a_folder_or_zip_with_a_table_of_outcomes_is_refused_with_the_way_on(capsys, tmp_path):
    (tmp_path / "mine").mkdir()
    shutil.copyfile(FILES / "breast_all256.csv", tmp_path / "mine" / "t.csv")
    shutil.make_archive(str(tmp_path / "mine"), "zip", tmp_path / "mine")
    for name in ("mine", "mine.zip"):
        assert main(["inspect", str(tmp_path / name)]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"kernelsm: {name}: found a table of outcomes inside")
        assert "inspect FOLDER/TABLE.csv" in said


def test_a_file_that_cannot_be_read_is_refused_in_one_line(capsys, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,x\n1,2\n")
    assert main(["inspect", str(path)]) == 2
    assert capsys.readouterr().err.startswith("kernelsm: t.csv, header, column 2")
