"""`python -m kernelsm fit | report | notebook | tables`, and `run` on a user's own samples."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kernelsm import Outcomes, load_example
from kernelsm.__main__ import main
from kernelsm.examples.templates import templates
from kernelsm.samples.reader import read_samples
from kernelsm.surrogates.reading import fit_of_target
from kernelsm.tasks.mapping_guess import guess_mapping
from kernelsm.workspace.mapping_files import mapping_file
from kernelsm.workspace.requests import NetworkRequest


def test_fit_prints_settings_fidelity_effects_and_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "planted", "--top", "2"]) == 0
    said = capsys.readouterr().out
    for words in (
        "Planted game: 300 subsets, 10 tasks, 1 target; loss, nats", "Auto took a sum of kernels",
        "LDS of this surrogate: 0.9", "Including key (with lock) lowers the loss by 0.388 ± 0.031: it helps.",
        "XOR left and XOR right together",
    ):  # fmt: skip
        assert words in said, words
    assert said.count("  With ") == 2


def test_fit_json_holds_the_numbers_of_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "planted", "--kernel=rbf", "--gamma=0.2", "--ridge=0.05", "--readout=shapley", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    g = fit_of_target(load_example("planted"), "", "rbf", 0.2, 0.05)
    expected = g.attribution("shapley").values[:, 0]
    assert np.abs(np.array([row["effect"] for row in found["effects"]]) - expected).max() < 1e-9
    assert found["settings"] == {"kernel": "rbf", "gamma": 0.2, "ridge": 0.05, "readout": "shapley"}
    assert {row["verdict"] for row in found["effects"]} >= {"helps", "hurts"}
    assert len(found["pairs"]) == 45
    assert 0.5 < found["fidelity"]["lds"]["this"] <= 1


@pytest.mark.parametrize(("command", "name"), [("report", "x.html"), ("notebook", "x.zip"), ("tables", "x.zip")])
def test_a_table_of_ones_own_is_taken_away_as_a_file(tmp_path: Path, command: str, name: str) -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((50, 4)) < 0.5
    table = Outcomes(masks, masks @ [0.1, -0.2, 0.3, 0.0]).save(tmp_path / "mine.csv")
    out = tmp_path / "new" / name
    assert main([command, str(table), "--out", str(out)]) == 0
    assert (out.suffix == ".html") == out.read_bytes().startswith(b"<!doctype html>")
    assert zipfile.is_zipfile(out) == (out.suffix == ".zip")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "planted", "--target", "nothing"], ("target", "'nothing'")),
        (["fit", "planted", "--top", "0"], ("--top", "1 or more")),
        (["fit", "there-is-none.csv"], ("there-is-none.csv",)),
        (["report", "planted", "--out", "x.pdf"], ("--out", ".html")),
        (["report", "planted", "--out", "x.html", "--link", "javascript:alert(1)"], ("--link", "https://")),
        (["fit", "planted", "--kernel", "rbf", "--gamma", "-1"], ("gamma",)),
        (["run", "--samples", "x.csv", "--out", "x.parquet"], ("--mapping", "Data & model")),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str],
    words: tuple[str, ...],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(word in line for word in words)


def test_run_computes_own_samples_with_the_mapping_file_of_the_app(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNELSM_CACHE", str(cache_folder))
    template = templates()["wine.csv"]()
    samples = tmp_path / "wine.csv"
    samples.write_bytes(template.data)
    mapping = guess_mapping(read_samples(samples))
    network = NetworkRequest("train", architecture="logistic", training={"epochs": 2})
    (tmp_path / "mapping.json").write_text(mapping_file("wine.csv", mapping, network))
    out = tmp_path / "outcomes.parquet"
    asked = ["run", f"--samples={samples}", f"--mapping={tmp_path / 'mapping.json'}", "--subsets=12", f"--out={out}"]
    assert main(asked) == 0
    outcomes = Outcomes.load(out)
    assert outcomes.m == 12
    assert outcomes.meta["estimator"] == "gradex"
    capsys.readouterr()
    assert main(["fit", str(out), "--kernel=linear"]) == 0
    assert "12 subsets" in capsys.readouterr().out
