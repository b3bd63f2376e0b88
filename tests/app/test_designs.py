"""Designs on the pages: what is taken by default, what is said of it, and what measures effects at all tasks."""

from __future__ import annotations

import re

import numpy as np
import pytest
import small_files
from app_harness import ROOT, bring, compute, open_app, prepare, press, run, texts, turn
from streamlit.testing.v1 import AppTest

from kernelsm import Outcomes, bernoulli_masks, load_example
from kernelsm.app.gradients import compute as gradients_page
from kernelsm.app.shell.open_runs import open_run
from kernelsm.app.shell.view import ViewState
from kernelsm.app.subsets import leave_outs
from kernelsm.app.subsets.design_words import design_sentence, pairs_to_add, short_words, why_so_many
from kernelsm.app.subsets.learning_curve import sentence
from kernelsm.app.subsets.leave_outs import support_sentence
from kernelsm.app.subsets.next_subsets import proposal
from kernelsm.evaluation.learning_curve import LearningCurve
from kernelsm.outcomes.anchor import anchor_support
from kernelsm.outcomes.designs import all_masks, design_masks, leave_out_masks
from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.job import JobSpec
from kernelsm.workspace.tables import TABLES, save_run

BREAST = ROOT / "tests" / "app" / "breast_all256.csv"


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> list[JobSpec]:
    """The job that the page offers to measure effects at all tasks, as it was drawn last."""
    specs: list[JobSpec] = []
    monkeypatch.setattr(leave_outs, "job_panel", lambda spec, *_, **__: specs.append(spec))
    return specs


@pytest.fixture
def recomputed(monkeypatch: pytest.MonkeyPatch) -> list[JobSpec]:
    """The job of the Gradients page, as it was drawn last."""
    specs: list[JobSpec] = []
    monkeypatch.setattr(gradients_page, "job_panel", lambda spec, *_, **__: specs.append(spec))
    return specs


def upload(name: str, data: bytes) -> AppTest:
    return press(bring(name, data, way="A table of outcomes", key="kernelsm_upload"), "Fit it")


def game(**settings) -> RunSettings:
    return RunSettings("planted", "game", **settings)


# --- what is drawn --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("warm_server")
def test_a_project_of_few_tasks_takes_all_subsets_and_says_that_effects_are_measured(jobs: list[JobSpec]) -> None:
    app = prepare(bring("numbers.csv", small_files.csv()))
    assert app.query_params["sampler"] == "auto"
    asked = "More than the 8 asked for: all of them take about a second on two cores, and then none is left to guess."
    assert f"**All 16 subsets** of 4 tasks: none is left to guess. {asked}" in texts(app)
    compute(app)
    found = open_run(run(app)).outcomes
    assert np.array_equal(found.masks, all_masks(4))
    assert found.meta["design"] == "all"
    turn(app, "subsets")
    words = texts(app)
    assert "**Measured.** The table holds all tasks together, all 4 without one, and all 6 without two" in words
    assert "noisy" not in words
    assert "All 2^4 = 16 subsets are measured: there is none left to measure." in words
    # the run that was just computed is the one that its Gradients page would compute
    turn(app, "gradients")
    assert any(success.value.startswith("Finished") for success in app.success)


@pytest.mark.usefixtures("warm_server", "jobs")
def test_an_example_begins_with_the_subsets_it_was_computed_from(recomputed: list[JobSpec]) -> None:
    app = prepare(bring("numbers.csv", small_files.csv()))
    assert recomputed[-1].arguments["design"] == "all"
    app.selectbox(key="kernelsm_run_picker").set_value("digits").run()
    turn(app, "gradients")
    assert recomputed[-1].key == RunSettings("digits", subsets=8).job().key
    assert "sampler" not in app.query_params


def test_the_link_names_the_design_and_an_old_one_means_what_it_meant(recomputed: list[JobSpec]) -> None:
    for sampler, design in (("leave_outs", "leave_outs"), ("auto", "leave_outs"), ("all", "leave_outs")):
        app = open_app("gradients", run="digits", sampler=sampler)
        assert recomputed[-1].key == RunSettings("digits", design=design).job().key
        assert "the 190 without two and 189 random ones (p = 0.5, seed 0)" in texts(app)
    # random subsets of 20 tasks have no repeats: with or without, the finished run is found
    for sampler in ("random", "distinct", "next"):
        open_app("gradients", run="digits", sampler=sampler)
        assert recomputed[-1].key == RunSettings("digits").job().key
    for view in (ViewState(sampler="leave_outs"), ViewState(sampler="auto", p=0.3)):
        assert ViewState.from_params(view.to_params()) == (view, [])
    own = "0" * 40
    assert ViewState(sampler="auto").on_run(own).sampler == "auto"
    assert ViewState(sampler="next").on_run("digits").sampler == "next"
    assert ViewState(sampler="auto").on_run("digits").sampler == "random"
    assert ViewState().opened("project", own).sampler == "auto"
    assert ViewState(sampler="auto", project=own).closed("project").sampler == "random"
    assert ViewState(sampler="auto", project=own, run=own).closed("project").sampler == "auto"


def test_the_picker_shows_what_is_used_and_hides_what_is_not() -> None:
    app = open_app("subsets", run="digits", sampler="all")
    picker = app.segmented_control(key="view_sampler")
    assert (picker.value, picker.options) == ("auto", ["Auto", "Leave-outs", "Random", "Next best"])
    app = open_app("subsets", run="planted", sampler="distinct")
    picker = app.segmented_control(key="view_sampler")
    assert (picker.value, picker.options) == ("random", ["Auto", "Leave-outs", "All", "Random", "Next best"])
    picker.set_value("leave_outs").run()
    assert "all tasks together, the 10 without one task, the 45 without two and 344 random ones" in texts(app)
    app.segmented_control(key="view_draw").set_value("fixed").run()
    assert "and 252 random ones (r = 5, seed 0). There are no more different ones of 5 tasks to draw" in texts(app)
    app.segmented_control(key="view_sampler").set_value("all").run()
    assert "**All 1,024 subsets** of 10 tasks" in texts(app)
    assert all(widget.key != "view_subsets" for widget in app.select_slider)
    app.segmented_control(key="view_sampler").set_value("auto").run()
    assert "they cost nothing on two cores" in texts(app)
    assert [widget.key for widget in app.select_slider] == ["view_subsets"]


def test_subsets_without_two_tasks_are_offered_where_they_do_not_fit_in() -> None:
    app = open_app("subsets", run="digits", sampler="leave_outs", subsets="300")
    assert "the 20 without one task and 279 random ones" in texts(app)
    press(app, "Take 317 subsets: with all that lack two tasks")
    assert app.query_params["subsets"] == "317"
    assert "the 190 without two and 106 random ones" in texts(app)
    assert all(button.key != "subsets_pairs" for button in app.button)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (game(subsets=20), "**20 subsets**, p = 0.5, seed 0."),
        (game(subsets=20, size=3, seed=4), "**20 subsets**, r = 3, seed 4."),
        (game(design="all"), "**All 1,024 subsets** of 10 tasks: none is left to guess."),
        (
            game(subsets=5, design="leave_outs"),
            "**5 subsets**: all tasks together and 4 random ones (p = 0.5, seed 0).",
        ),
        (
            game(subsets=900, size=10, design="leave_outs"),
            "**56 subsets**: all tasks together, the 10 without one task and the 45 without two.",
        ),
    ],
)
def test_designs_are_said_in_words(settings: RunSettings, said: str) -> None:
    assert design_sentence(settings) == said


def test_titles_and_reasons_name_the_design() -> None:
    assert short_words(game(subsets=20)) == "p = 0.5, seed 0"
    assert short_words(game(subsets=20, design="leave_outs")) == "leave-outs, p = 0.5, seed 0"
    assert short_words(game(design="all")) == "all there are"
    assert why_so_many(game(subsets=20), 20) == ""
    assert why_so_many(game(subsets=3000, design="distinct"), 3000).startswith("There are no more, so 3,000 cannot")
    more = why_so_many(RunSettings("digits", design="auto", subsets=50), 50)
    assert more.startswith("More than the 50 asked for: all of them take 2 s on two cores")
    assert more.endswith("and then they hold every subset without two tasks.")
    assert pairs_to_add(RunSettings("digits", design="leave_outs", subsets=300)) == 317
    assert pairs_to_add(RunSettings("digits", design="leave_outs", subsets=317)) == 0
    assert pairs_to_add(RunSettings("digits", subsets=300)) == 0


# --- effects at all tasks -------------------------------------------------------------------------------------------


def test_a_run_far_from_all_tasks_says_so_and_offers_what_it_lacks(offered: list[JobSpec]) -> None:
    app = open_app("subsets", run="digits")
    assert "**Guessed from afar.**" in texts(app)
    assert "None of the 400 subsets lacks so few. The nearest lacks 3, so the surrogate extrapolates." in texts(app)
    wanted = offered[-1].arguments
    assert (wanted["onto"], wanted["design"], wanted["subsets"]) == ("digits", "leave_outs", 211)
    assert np.array_equal(RunSettings(**wanted).masks(), leave_out_masks(20))
    toggle = next(toggle for toggle in app.toggle if toggle.key == "leave_outs_pairs")
    assert toggle.label == "Those without two tasks too (190 subsets)"
    assert toggle.value
    toggle.set_value(False).run()
    assert np.array_equal(RunSettings(**offered[-1].arguments).masks(), leave_out_masks(20, 1))


@pytest.mark.usefixtures("warm_server", "jobs")
def test_one_click_measures_what_is_missing() -> None:
    app = open_app("subsets", run="planted")
    assert "**Predicted from nearby.**" in texts(app)
    count = 56 - anchor_support(load_example("planted").masks).near
    press(app, f"Measure the {count} subsets that are missing")
    press(app, "Show this result on all pages")
    longer = open_run(run(app)).outcomes
    assert longer.m == 300 + count
    assert anchor_support(longer.masks).holds_pairs
    assert longer.meta["sampler"] == "leave-outs"
    turn(app, "subsets")
    assert "**Measured.** The table holds all tasks together, all 10 without one, and all 45 without two" in texts(
        app
    )
    assert "Outcomes are noisy here, and so are these." in texts(app)
    assert all(button.key != "leave_outs_start" for button in app.button)


def test_a_table_from_elsewhere_gets_the_missing_subsets_as_a_file(offered: list[JobSpec]) -> None:
    masks = bernoulli_masks(12, 60, p=0.4, seed=1, distinct=True)
    app = open_app("subsets", run=save_run(Outcomes(masks, masks @ np.arange(12.0))))
    assert "**Guessed from afar.**" in texts(app)
    labels = [button.proto.label for button in app.get("download_button")]
    missing = 79 - anchor_support(masks).near
    assert f"Download the {missing} subsets that would measure them (CSV)" not in labels  # until asked for
    assert any(re.fullmatch(r"Download the 13 subsets that would measure them \(CSV\)", label) for label in labels)
    app.toggle(key="leave_outs_pairs").set_value(True).run()
    labels = [button.proto.label for button in app.get("download_button")]
    assert f"Download the {missing} subsets that would measure them (CSV)" in labels
    assert not offered


def test_subsets_of_one_size_are_not_offered_others(offered: list[JobSpec]) -> None:
    app = open_app("subsets", run="movie-reviews")
    assert "Effects at all tasks" not in texts(app)
    assert not offered


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        (all_masks(1), "**Measured.** The table holds all tasks together, the one without any: every"),
        (leave_out_masks(30, 1), "all 30 without one, but none of the 435 without two"),
        (leave_out_masks(30)[:40], "all 30 without one, but 9 of the 435 without two"),
        (leave_out_masks(9)[:9], "Only 9 of the 9 different subsets lack so few, fewer than the 10 numbers"),
        (bernoulli_masks(50, 100), "None of the 100 subsets lacks so few. The nearest lacks"),
        (leave_out_masks(9)[1:15], "14 of the 14 different subsets lack so few, enough for the 10 numbers"),
        (design_masks(20, 400), "all 20 without one, and all 190 without two"),
    ],
)
def test_what_is_known_at_all_tasks_is_said(masks: np.ndarray, said: str) -> None:
    assert said in support_sentence(anchor_support(masks))


# --- no more than there are -----------------------------------------------------------------------------------------


def test_a_complete_table_is_recognised_and_nothing_is_to_be_measured(offered: list[JobSpec]) -> None:
    app = upload("breast_all256.csv", BREAST.read_bytes())
    turn(app, "subsets")
    words = texts(app)
    assert "All 2^8 = 256 subsets are measured: there is none left to measure." in words
    assert "**Measured.** The table holds all tasks together, all 8 without one, and all 28 without two" in words
    assert "64 of 256 subsets" in words
    for advice in ("would help", "measured before", "measure next", "would be enough", "Guessed", "noisy"):
        assert advice not in words
    assert not offered
    assert not app.get("download_button")
    assert all("job" not in str(button.key) for button in app.button)
    outcomes = TABLES.load(run(app))
    assert outcomes.m == 256
    assert proposal(run(app), "", "auto", None, 0.1, "leave_one_out", 20) is None
    turn(app, "explore")


def test_proposals_end_with_what_is_left() -> None:
    rng = np.random.default_rng(0)
    masks = rng.permutation(all_masks(6))[:60]
    key = save_run(Outcomes(masks, masks @ rng.normal(size=6)))
    found = proposal(key, "", "auto", None, 0.1, "leave_one_out", 50)
    assert found is not None
    assert (len(found.masks), found.again) == (4, 0)
    assert len(np.unique(np.vstack([masks, found.masks]), axis=0)) == 64
    assert found.random_counts[-1] == 4
    assert found.random_left[-1] == pytest.approx(found.left[-1], abs=1e-9)  # the same four
    app = open_app("subsets", run=key)
    assert "There are only 4 subsets to choose from." in texts(app)


def test_the_advice_ends_with_all_there_are() -> None:
    def curve(left: int | None, slope: float, floor: float = 0.0) -> LearningCurve:
        return LearningCurve(np.array([40, 180]), np.ones((2, 5)), 240, floor, slope, 1.0, left)

    assert sentence(curve(16, 20.0)).startswith("**More subsets would help.** 240 subsets leave about 8.3%")
    assert sentence(curve(16, 20.0)).endswith("measure all 16 that are left.")
    assert sentence(curve(1, 20.0)).endswith("measure the one that is left.")
    assert "with the 16 that are not measured about 1.6% are expected" in sentence(curve(16, 4.0))
    assert sentence(curve(None, 8.0)).endswith("About 400 would be enough.")
    assert sentence(curve(161, 8.0)).endswith("About 400 would be enough.")
    assert sentence(curve(150, 8.0)).endswith("measure all 150 that are left.")
    assert "4,000" not in sentence(curve(300, 2000.0, 0.1))


def test_the_project_key_is_in_the_view_only_with_its_design() -> None:
    view = ViewState().opened("project", "f" * 40)
    assert view.to_params() == {"project": "f" * 40, "sampler": "auto"}
    assert ViewState.from_params({"project": "f" * 40})[0].sampler == "random"  # a link of before
