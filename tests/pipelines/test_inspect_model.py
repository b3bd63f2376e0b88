"""`python -m kernelsm inspect` of a model: what a project would take, and whether it is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from text_models import saved, zipped

from kernelsm.__main__ import main


def inspected(capsys: pytest.CaptureFixture[str], path: Path) -> tuple[dict[str, Any], list[str]]:
    assert main(["inspect", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    return json.loads(lines[-1]), lines[:-1]


@pytest.mark.parametrize(
    ("family", "reading", "engine", "longest", "types"),
    [
        ("Bert", "finished mask", "hooks", 40, True),
        ("DebertaV2", "own mask", "vmap", 40, False),
        ("XLNet", "without padding", "loop", None, True),
        ("GPT2", "own mask", "hooks", 40, False),
    ],
)
def test_family_lengths_proof_and_engine_are_told(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    family: str,
    reading: str,
    engine: str,
    longest: int,
    types: bool,
) -> None:
    folder = saved(tmp_path / "mine", family, id2label={0: "bad", 1: "good", 2: "so so"})
    found, lines = inspected(capsys, folder)
    assert (found["kind"], found["family"]) == ("model", f"{family}ForSequenceClassification")
    assert found["classes"] == ["bad", "good", "so so"]
    assert (found["proof"]["reading"], found["engine"]) == (reading, engine)
    assert found["logits_equal"]
    assert max(found["proof"]["alone"], found["proof"]["padded"]) < 1e-4
    assert (found["longest"], found["token_types"], found["tokenizer"]) == (longest, types, True)
    assert found["trained"] == found["parameters"]
    assert (found["adapter"], found["new_head"], lines) == (None, False, [])
    archive = tmp_path / "mine.zip"
    archive.write_bytes(zipped(folder))
    again, _ = inspected(capsys, archive)
    assert {**again, "file": "mine"} == found


def test_an_adapter_is_told_with_its_base_model(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from test_classifier_check import save_adapter

    saved(tmp_path / "both" / "base")
    save_adapter(tmp_path / "both" / "mine")
    found, lines = inspected(capsys, tmp_path / "both")
    assert found["adapter"]["kind"] == "LoRA"
    assert found["trained"] == 2 * 2 * 2 * (16 + 16) + 3 * 16 + 3
    assert found["trained"] < found["parameters"]
    assert any("no names of their own" in line for line in lines)


def test_what_cannot_be_taken_is_told_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = saved(tmp_path / "mine")
    (folder / "model.safetensors").unlink()
    assert main(["inspect", str(folder)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("kernelsm: mine: found no weights")
    assert str(tmp_path) not in said
