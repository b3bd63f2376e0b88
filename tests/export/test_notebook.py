"""The notebook runs from top to bottom and gives the numbers that were on screen."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient
from results import EVIL_TARGET, evil, planted, small_table

from kernelsm import Outcomes, load_example
from kernelsm.examples.catalog import load_example_orders
from kernelsm.export.notebook import NOTEBOOK, TABLE, notebook_json, notebook_zip
from kernelsm.export.result import Settings, result_of
from kernelsm.prompts.orders import with_noise


def executed(data: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    """Unpack a notebook and run it in a fresh kernel; its last cell checks the numbers."""
    zipfile.ZipFile(io.BytesIO(data)).extractall(folder)
    notebook = nbformat.read(folder / NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    home = str(Path(__file__).resolve().parents[2])
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH", "")) if part)
    )
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def printed(notebook: nbformat.NotebookNode) -> str:
    return "".join(
        output.text for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
        if output.output_type == "stream"
    )  # fmt: skip


def test_the_notebook_of_the_planted_game_gives_the_numbers_on_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = planted()
    said = printed(executed(notebook_zip(result), tmp_path, monkeypatch))
    assert "largest difference from the numbers on screen: " in said
    assert result.readout.attribution.top(1)["words"][0].split(" by ")[0] in said
    shown = pd.read_parquet(tmp_path / "shown_effects.parquet")
    assert np.allclose(shown["effect"], result.readout.attribution.values[:, 0], atol=1e-12)


def test_a_notebook_whose_numbers_are_others_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = small_table()
    result = result_of(outcomes, Settings.checked(outcomes, kernel="linear"), title="x", table="x", is_example=False)
    files = zipfile.ZipFile(io.BytesIO(notebook_zip(result)))
    content = {name: files.read(name) for name in files.namelist()}
    shown = pd.read_parquet(io.BytesIO(content["shown_effects.parquet"]))
    shown["effect"] += 1e-6
    changed = io.BytesIO()
    shown.to_parquet(changed)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in {**content, "shown_effects.parquet": changed.getvalue()}.items():
            archive.writestr(name, data)
    with pytest.raises(Exception, match="AssertionError"):
        executed(packed.getvalue(), tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "named", [{"kernel": "rbf", "gamma": 0.3, "ridge": 0.01, "readout": "shapley"}, {"kernel": "poly", "ridge": 0.5}]
)
def test_the_sliders_are_in_the_code_of_the_notebook(
    named: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = small_table(q=2)
    result = result_of(outcomes, Settings.checked(outcomes, **named), title="x", table="x.csv", is_example=False)
    executed(notebook_zip(result), tmp_path, monkeypatch)


def test_nasty_names_run_and_are_not_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = evil()
    executed(notebook_zip(result), tmp_path, monkeypatch)
    words = [cell["source"] for cell in json.loads(notebook_json(result))["cells"] if cell["cell_type"] == "markdown"]
    assert "`<h1>title</h1>`" in words[0]
    assert f"`{EVIL_TARGET}`" in words[0]


def test_noise_of_several_orders_travels_beside_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = with_noise(load_example("movie-reviews"), load_example_orders("movie-reviews"))
    assert outcomes.noise is not None
    result = result_of(
        outcomes,
        Settings.checked(outcomes, kernel="rbf"),
        title="Movie reviews",
        table="movie-reviews",
        is_example=True,
    )
    assert result.settings.readout == "inclusion"
    executed(notebook_zip(result), tmp_path, monkeypatch)
    assert Outcomes.load(tmp_path / TABLE).noise is None
    assert (tmp_path / "noise.parquet").exists()


def test_the_table_travels_whole_but_for_keys_of_what_it_was_made_from(tmp_path: Path) -> None:
    outcomes = small_table(meta={"computed_from": "a" * 40, "estimator": "gradex"})
    result = result_of(outcomes, Settings.checked(outcomes), title="x", table="x", is_example=False)
    zipfile.ZipFile(io.BytesIO(notebook_zip(result))).extractall(tmp_path)
    loaded = Outcomes.load(tmp_path / TABLE)
    assert loaded.content_hash == outcomes.content_hash
    assert loaded.meta == {"estimator": "gradex"}


def test_the_same_result_gives_the_same_bytes() -> None:
    assert notebook_zip(planted()) == notebook_zip(planted())
    assert load_example("planted").m == planted().outcomes.m
