"""The dialog Take away: its files are those of the view, its code is that of the view, and viewers may take them."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from app_harness import open_app, texts

from kernelsm import Outcomes, bernoulli_masks
from kernelsm.app.shell.fits import read_off
from kernelsm.app.shell.open_runs import open_run
from kernelsm.app.shell.view import ViewState
from kernelsm.app.take_away import dialog, results
from kernelsm.export.written_file import written_by
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.store import Store
from kernelsm.workspace.tables import save_run


def opened(**params: str):
    app = open_app("explore", **params)
    app.button(key="take_away_open").click().run()
    assert not app.exception
    return app


def test_the_dialog_offers_files_code_and_citation_of_the_view() -> None:
    app = opened(run="planted", kernel="rbf", gamma="0.3", ridge="0.01", readout="shapley")
    assert {"Report (HTML)", "Notebook and data (zip)", "All tables (zip)", "Outcomes (Parquet)"} <= {
        button.proto.label for button in app.get("download_button")
    }
    code = "\n".join(block.value for block in app.code)
    assert "python -m kernelsm fit planted --kernel rbf --ridge 0.01 --gamma 0.3 --readout shapley" in code
    assert 'KernelSurrogate(kernel="rbf", gamma=0.3, ridge=0.01, coef0=1.0)' in code
    assert "arXiv:2602.03783" in code


def test_a_table_of_ones_own_is_named_as_the_file_that_is_offered() -> None:
    masks = bernoulli_masks(K=5, m=40)
    key = save_run(Outcomes(masks, masks @ np.arange(5.0), task_names=["a", "b", "=1", "<b>", "e"]))
    app = opened(run=key)
    code = "\n".join(block.value for block in app.code)
    assert "python -m kernelsm fit table-from-the-link.parquet" in code
    assert "Outcomes.load('table-from-the-link.parquet')" in code
    assert "never samples or networks" in texts(app)


@pytest.mark.parametrize("view", [ViewState(run="planted"), ViewState(run="digits", target="digit 3", kernel="rbf")])
def test_the_files_hold_the_numbers_that_explore_shows(view: ViewState) -> None:
    run = open_run(view.run)
    settings = results.settings_of(run, view)
    shown = read_off(run.key, settings.target, *settings.surrogate(), settings.readout)
    packed = zipfile.ZipFile(io.BytesIO(results.tables_file(run.key, run.title, settings)))
    effects = pd.read_parquet(io.BytesIO(packed.read("effects.parquet")))
    assert np.abs(effects["effect"] - shown.attribution.values[:, 0]).max() < 1e-12
    notebook = zipfile.ZipFile(io.BytesIO(results.notebook_file(run.key, run.title, settings, "")))
    assert json.loads(notebook.read("result.ipynb"))["nbformat"] == 4
    page = results.report_file(run.key, run.title, settings, "https://example.org/explore").decode()
    assert "https://example.org/explore" in page
    assert run.title in page


def test_what_leaves_does_not_name_the_data_it_was_computed_from() -> None:
    masks = bernoulli_masks(K=4, m=30)
    secret = "5" * 40
    key = save_run(Outcomes(masks, masks @ np.arange(4.0), meta={"computed_from": secret}))
    run = open_run(key)
    settings = results.settings_of(run, ViewState(run=key, kernel="linear"))
    packed = io.BytesIO(results.notebook_file(key, "mine", settings, ""))
    files = [zipfile.ZipFile(packed).read(name) for name in zipfile.ZipFile(packed).namelist()]
    files += [results.table_file(key), results.report_file(key, "mine", settings, "")]
    assert not [data for data in files if secret.encode() in data]


def test_a_pinned_view_and_the_two_chosen_on_compare_go_into_the_report() -> None:
    linear, shapley = "run=planted&kernel=linear", "run=planted&readout=shapley"
    app = opened(run="planted", pins=f"{linear}|{shapley}")
    assert "2 comparisons of two views" in texts(app)
    view = app.session_state["kernelsm_view"]
    run = open_run("planted")
    pairs = [(view, view.pinned(pin)) for pin in view.pins]
    settings = results.settings_of(run, view)
    page = results.report_file("planted", run.title, settings, "", results.beside_of(pairs)).decode()
    assert page.count("<h2>Beside another view</h2>") == 2
    assert "<li>Linear ridge 0.1</li>" in page
    chosen = opened(run="planted", pins=linear, second=linear)
    assert "the comparison of two views" in texts(chosen)  # the same two, once
    assert "comparison" not in texts(opened(run="planted"))


def test_a_file_that_takes_long_is_written_by_a_job_and_then_handed_out(
    monkeypatch: pytest.MonkeyPatch, jobs: list[JobSpec]
) -> None:
    monkeypatch.setattr(dialog, "_SLOW", -1.0)
    app = opened(run="planted", kernel="rbf")
    labels = [button.proto.label for button in app.get("download_button")]
    assert "All tables (zip)" not in labels
    assert app.button(key="cancel_All tables (zip)").disabled
    app.button(key="write_All tables (zip)").click().run()
    assert not app.exception
    (spec,) = jobs
    app.button(key="take_away_open").click().run()
    assert "All tables (zip)" in [button.proto.label for button in app.get("download_button")]
    settings = results.settings_of(open_run("planted"), app.session_state["kernelsm_view"])
    written = results.file_to_write("tables", open_run("planted"), open_run("planted").title, settings, "")
    assert written.job() == spec
    packed = zipfile.ZipFile(io.BytesIO(written_by(spec.key, Store()) or b""))
    at_once = zipfile.ZipFile(io.BytesIO(results.tables_file("planted", open_run("planted").title, settings)))
    shown, expected = (
        pd.read_parquet(io.BytesIO(archive.read("interactions.parquet"))) for archive in (packed, at_once)
    )
    pd.testing.assert_frame_equal(shown, expected, atol=1e-9)


@pytest.mark.parametrize(("title", "stem"), [("../a b/ü?", "a-b-ü"), ("<>", "result"), ("x" * 99, "x" * 60)])
def test_a_title_becomes_the_name_of_a_file(title: str, stem: str) -> None:
    assert results.file_stem(title) == stem


def test_a_table_to_copy_is_tabbed_and_no_formula() -> None:
    masks = bernoulli_masks(K=5, m=40)
    key = save_run(Outcomes(masks, masks @ np.arange(5.0), task_names=["a", "b", "=1", "<b>", "e"]))
    run = open_run(key)
    settings = results.settings_of(run, ViewState(run=key, kernel="rbf"))
    text, left_out = results.table_to_copy(key, "mine", settings, "effects")
    rows = [line.split("\t") for line in text.splitlines()]
    assert [row[0] for row in rows] == ["task", "a", "b", "'=1", "<b>", "e"]
    assert left_out == 0
    text, left_out = results.table_to_copy(key, "mine", settings, "pairs")
    assert len(text.splitlines()) == 11
    assert left_out == 0


def test_the_table_to_copy_is_drawn_when_its_place_is_opened() -> None:
    app = opened(run="planted", kernel="linear")
    assert not [block for block in app.code if "verdict" in block.value]
    app.session_state["take_away_copy"] = True
    app.button(key="take_away_open").click().run()
    assert not app.exception
    (block,) = (block for block in app.code if "verdict" in block.value)
    assert "arithmetic (helps)\t" in block.value
