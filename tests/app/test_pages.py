from __future__ import annotations

import re
import subprocess
import sys

import pytest
from app_harness import ROOT, open_app, press, run, texts

from kernelsm.examples.catalog import built_in

PAGES = (
    "start", "data", "gradients", "subsets", "fit", "explore", "decide", "demonstrations", "compare", "paper",
    "administration", "learn",
)  # fmt: skip
ABOUT_A_RUN = PAGES[:-3]  # the paper's claims are the same whatever run is open, and so are the jobs and the lessons
TITLES = {name: example.title for name, example in built_in().items()}


def test_no_first_visitor_waits_for_the_imports_of_a_page() -> None:
    code = "import kernelsm.app.serve as serve, sys; serve.import_pages(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    imported = set(done.stdout.split())
    assert {path.stem.partition("_")[2] for path in (ROOT / "pages").glob("*.py")} == set(PAGES)
    for page in (ROOT / "pages").glob("*.py"):
        parts = re.findall(r"from (kernelsm\.app\.\w+) import (\([^)]+\)|.+)", page.read_text())
        wanted = {f"{folder}.{name}" for folder, names in parts for name in re.findall(r"\w+", names)}
        assert wanted
        assert wanted <= imported, page.name


@pytest.mark.parametrize("run", TITLES)
@pytest.mark.parametrize("page", ABOUT_A_RUN)
def test_every_page_draws_every_example(page: str, run: str) -> None:
    app = open_app(page, run=run)
    assert any(caption.value.startswith(TITLES[run]) for caption in app.caption)
    assert not app.error


def test_explore_of_the_planted_game_names_all_three_planted_pairs() -> None:
    app = open_app("explore", run="planted")
    (ranked,) = (frame.value for frame in app.dataframe)
    top = {frozenset(pair.split(" and ")) for pair in ranked["pair"].head(3)}
    assert top == {
        frozenset({"lock (with key)", "key (with lock)"}),
        frozenset({"XOR left", "XOR right"}),
        frozenset({"copy one", "copy two"}),
    }


def test_the_linear_surrogate_has_no_interaction_and_the_page_says_why() -> None:
    app = open_app("explore", run="planted", kernel="linear")
    (ranked,) = (frame.value for frame in app.dataframe)
    assert (ranked["value"] == 0).all()
    assert "Every interaction is exactly zero, whatever the data" in texts(app)


def test_the_two_by_two_table_adds_up_to_the_interaction_in_the_sentence() -> None:
    app = open_app("explore", run="planted", focus="8-9")
    table = app.table[0].value.astype(float).to_numpy()
    difference = table[1, 1] - table[1, 0] - table[0, 1] + table[0, 0]
    said = re.search(
        r"XOR left\*\* and \*\*XOR right\*\* together the loss is ([\d.]+) ± ([\d.]+) lower than the sum of their "
        r"separate effects: synergy",
        texts(app),
    )
    assert said
    assert float(said[1]) == pytest.approx(abs(difference), abs=6e-4)  # the table has four places, the sentence three
    assert abs(float(said[1]) - 0.4) < float(said[2])  # the planted XOR: -2 x 0.20, inside the interval


def test_choosing_one_task_twice_keeps_the_pair() -> None:
    app = open_app("explore", run="planted", focus="2-3")
    app.selectbox(key="view_focus0").set_value(3).run()
    assert app.selectbox(key="view_focus0").value == 2
    app.selectbox(key="view_focus0").set_value(7).run()
    assert (app.selectbox(key="view_focus0").value, app.selectbox(key="view_focus1").value) == (3, 7)


def test_the_view_survives_a_walk_through_all_pages() -> None:
    app = open_app("fit", run="planted", kernel="rbf")
    app.select_slider(key="view_gamma").set_value(0.3).run()
    app.select_slider(key="view_ridge").set_value(0.02).run()
    for page in ("3_subsets", "1_data", "5_explore", "4_fit"):
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
    assert app.select_slider(key="view_gamma").value == 0.3
    assert app.select_slider(key="view_ridge").value == 0.02


def test_another_run_resets_what_belongs_to_the_old_one() -> None:
    app = open_app("explore", run="digits", focus="15-19", off="19", target="digit 3")
    app.selectbox(key="kernelsm_run_picker").set_value("planted").run()
    assert not app.exception
    assert "10 of 10 tasks are in" in texts(app)


def test_gamma_offers_one_over_k_and_linear_switches_it_off() -> None:
    app = open_app("fit", run="digits")
    assert app.select_slider(key="view_gamma").value == pytest.approx(1 / 20)
    app = open_app("fit", run="digits", kernel="linear")
    assert app.select_slider(key="view_gamma").disabled


def test_the_truth_and_the_split_give_different_scores() -> None:
    app = open_app("fit", run="digits")
    on_truth = [metric.value for metric in app.metric]
    app.radio(key="view_tested").set_value("split").run()
    assert [metric.value for metric in app.metric] != on_truth
    assert "80 subsets that neither surrogate has seen, 320 fitted" in texts(app)


def test_a_run_without_a_model_is_sent_to_one_that_has() -> None:
    app = open_app("gradients", run="planted")
    assert "There are no gradients here" in texts(app)
    next(button for button in app.button if "digits" in button.label).click().run()
    assert not app.exception
    assert {"Recompute", "Run the check"} <= {button.label for button in app.button}


def test_subsets_page_says_when_pairs_are_never_together() -> None:
    app = open_app("subsets", run="digits", size="1", subsets="50")
    assert "Some pairs lack one of the four combinations: their interaction is a guess." in texts(app)


def test_the_cache_panel_leaves_what_all_share_alone() -> None:
    from kernelsm.pipelines.compute import base_model
    from kernelsm.runtime.store import Store

    base_model("digits", Store(), retrain=True)
    app = open_app("gradients")
    app.session_state["kernelsm_cache_panel"] = True
    app.run()
    assert not app.exception
    assert "Finished chunks of the built-in examples are for all who use this server" in texts(app)
    assert not [button for button in app.button if button.label == "Delete the chunks"]
    assert len(Store().entries()) == 1


def test_the_start_page_has_a_door_for_prompts() -> None:
    app = press(open_app("start"), "Open movie reviews")
    assert run(app) == "movie-reviews"
    assert app.title[0].value == "Demonstrations"
    assert "50 of 50 candidates" in texts(app)


@pytest.mark.parametrize(
    ("shown", "way"),
    [
        ("digits", "Recompute it from gradients"),
        ("movie-reviews", "Choose demonstrations by it"),
        ("planted", None),
    ],
)
def test_the_start_page_leads_on_only_where_the_run_can_go(shown: str, way: str | None) -> None:
    links = [link.proto.label for link in open_app("start", run=shown).get("page_link")]
    assert links == ["Explore", *([way] if way else []), "Data & model"]


def test_proposed_prompts_are_not_said_to_be_measured_by_an_upload() -> None:
    app = open_app("subsets", run="movie-reviews", sampler="next")
    assert "The model is asked with random prompts on Demonstrations" in texts(app)
    assert "upload the longer table" not in texts(app)
