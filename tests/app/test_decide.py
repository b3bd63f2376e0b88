"""Decide: what to drop, what it costs, and retraining with and without, from the advice to what is found again."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
import small_files
from app_harness import bring, charts, compute, open_app, prepare, press, run, texts, turn
from streamlit.testing.v1 import AppTest

from kernelsm import Outcomes, best_drop, load_example
from kernelsm.app.decide.confirmed import agreement, verdict
from kernelsm.app.shell.job_panel import registry
from kernelsm.charts.confirmation import ChangeRow
from kernelsm.evaluation.confirmation import paired_change
from kernelsm.pipelines.confirm import ConfirmSettings
from kernelsm.runtime.job import JobSpec, JobStatus, write_status
from kernelsm.workspace.confirmations import CONFIRMATIONS, confirmations_of
from kernelsm.workspace.tables import TABLES, save_run, source_of

pytestmark = pytest.mark.usefixtures("warm_server")


def downloads(app: AppTest) -> list[str]:
    return [button.proto.label for button in app.get("download_button")]


def confirm_jobs(jobs: list[JobSpec]) -> list[ConfirmSettings]:
    return [ConfirmSettings(**spec.arguments) for spec in jobs if spec.work.startswith("kernelsm.pipelines.confirm")]


def test_the_planted_game_drops_its_spam_and_tells_its_truth() -> None:
    app = open_app("decide", run="planted")
    said = texts(app)
    assert re.search(r"Drop \*\*spam \\\(hurts\\\)\*\*: expected loss lower by 0\.2\d+ ± 0\.0\d+ nats\.", said)
    assert "without these tasks its true loss is **0.93** in place of **1.18**, a change of **-0.25**" in said
    assert "winner's curse" in said
    bars = charts(app)[0]
    assert any(label.startswith("drop: spam") for label in bars["layout"]["yaxis"]["ticktext"])
    (table,) = (frame.value for frame in app.dataframe)
    assert table.loc[table["advice"] == "drop", "task"].tolist() == ["spam (hurts)"]
    assert not any(button.label.startswith("Retrain") for button in app.button)


def test_other_tasks_can_be_left_out_and_the_advice_taken_again() -> None:
    app = open_app("decide", run="planted", off="0-2")
    assert app.multiselect(key="view_off").value == [0, 2]
    assert "a change of **+0.05**" in texts(app)
    press(app, "Take the advice above")
    assert app.multiselect(key="view_off").value == [2]
    assert "off" not in app.query_params
    app.multiselect(key="view_off").set_value([2, 3]).run()
    assert app.query_params["off"] == "2-3"
    assert "a change of **-0.25**" in texts(app)  # poetry does nothing


def test_own_costs_with_a_price_change_the_advice() -> None:
    app = open_app("decide", run="planted")
    picker = next(one for one in app.segmented_control if one.label.startswith("What does keeping"))
    assert picker.options == ["Nothing", "My numbers"]  # a game has no samples
    picker.set_value("own").run()
    assert not app.exception
    app.number_input(key="view_price").set_value(0.5).run()
    assert not app.exception
    expected = best_drop(load_example("planted"), price=0.5)
    assert len(expected.tasks) > 3
    assert app.multiselect(key="view_off").value == list(expected.tasks)
    assert f"The saved cost of {len(expected.tasks)} is worth" in texts(app)
    assert app.query_params["price"] == "0.5"
    next(one for one in app.segmented_control if one.label.startswith("What does keeping")).set_value("").run()
    assert "price" not in app.query_params
    assert app.multiselect(key="view_off").value == [2]


def test_the_samples_of_the_digits_are_a_cost_that_a_link_carries() -> None:
    app = open_app("decide", run="digits", cost="samples", price="0.001")
    (table,) = (frame.value for frame in app.dataframe)
    assert table["cost"].between(50, 70).all()
    assert app.number_input(key="view_price").value == 0.001
    assert re.search(r"The saved cost of [\d,]+ samples is worth", texts(app))


def test_subsets_of_one_size_cannot_say_and_prompts_are_sent_to_their_page() -> None:
    app = open_app("decide", run="movie-reviews")
    assert "Every subset measured holds 4 of 50 tasks" in texts(app)
    links = [link.proto.label for link in app.get("page_link")]
    assert "Choose which demonstrations to take on Demonstrations" in links
    assert not app.multiselect


def test_a_table_without_a_model_says_what_is_missing_and_how_to_go_on(make_outcomes) -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((80, 4)) < 0.5
    table = Outcomes(masks, 1.0 + masks @ [-0.3, 0.2, -0.2, 0.0] + rng.normal(0, 0.01, 80))
    app = open_app("decide", run=save_run(table))
    assert "Drop **task 2**" in texts(app)
    assert "This run is a table of outcomes: there are no samples and no network here to retrain." in texts(app)
    assert "Bring data and a model" in [link.proto.label for link in app.get("page_link")]
    assert downloads(app) == ["Download both subsets (CSV)"]
    assert not app.button(key="confirm_start") if any(b.key == "confirm_start" for b in app.button) else True


def test_where_both_subsets_were_measured_their_difference_is_said() -> None:
    masks = (np.arange(2**4)[:, None] >> np.arange(4)) & 1 == 1
    table = Outcomes(masks, 1.0 + masks @ [-0.3, 0.2, -0.2, 0.0])
    app = open_app("decide", run=save_run(table))
    assert "Both subsets were measured; their outcomes differ by -0.2." in texts(app)


def test_the_job_is_that_of_the_tasks_the_ways_and_the_seeds_chosen(jobs: list[JobSpec]) -> None:
    app = open_app("decide", run="digits", off="3-7-13")
    assert app.number_input(key="decide_seeds").value == 5
    assert any("Takes" in caption.value and "two cores" in caption.value for caption in app.caption)
    app.pills(key="decide_ways").set_value([]).run()
    assert "Choose one way to retrain, or both." in texts(app)
    app.pills(key="decide_ways").set_value(["anew"]).run()
    app.number_input(key="decide_seeds").set_value(3).run()
    started = ConfirmSettings("digits", (3, 7, 13), 3, ("anew",), 0.03)
    assert registry().status(started.job().key) is None
    folder = registry().folder(started.job().key)
    folder.mkdir(parents=True)
    write_status(folder, JobStatus(state="failed", done=5, total=10, error="training, epoch 3: found a loss of inf"))
    app.run()
    assert "found a loss of inf" in texts(app)
    assert any(button.label == "Resume" for button in app.button)


@pytest.fixture
def worked_on(jobs: list[JobSpec]) -> AppTest:
    """A session with outcomes of its own data and model, on Decide."""
    app = compute(prepare(bring("numbers.csv", small_files.csv())))
    return turn(app, "decide")


def test_from_own_data_to_what_retraining_says_and_back_to_it(worked_on: AppTest, jobs: list[JobSpec]) -> None:
    app = worked_on
    table = run(app)
    app.multiselect(key="view_off").set_value([1]).run()
    app.number_input(key="decide_seeds").set_value(2).run()
    press(app, "Retrain with and without")
    (settings,) = confirm_jobs(jobs)
    assert (settings.left_out, settings.seeds, settings.ways) == ((1,), 2, ("fine_tuned", "anew"))
    assert settings.ridge == TABLES.load(table).meta["ridge"]
    (key,) = confirmations_of(source_of(TABLES.load(table)))
    found = CONFIRMATIONS.load(key)
    assert found.task_names == TABLES.load(table).task_names
    said = texts(app)
    assert "Retrained so far" in said
    for way, name in (("fine_tuned", "Fine-tuned from W0"), ("anew", "Trained anew")):
        change = found.change(way, "loss")
        assert verdict(name, change, "loss", "nats", higher_is_better=False) in said
    assert "the prediction of" in said
    assert app.session_state["kernelsm_confirmations"] == {key: found.title}
    chart = next(
        one for one in charts(app) if "without these" in one["layout"]["xaxis"].get("title", {}).get("text", "")
    )
    assert len(base64.b64decode(chart["data"][0]["y"]["bdata"])) == 3  # predicted, and two ways measured
    # found again in the same browser, with the run alone, and by nobody else
    assert "Retrained so far" not in texts(open_app("decide", run=table))
    again = open_app("decide", browser=app, run=table)
    assert "Retrained so far" in texts(again)
    assert f"Without **{found.task_names[1]}**" in texts(again)


def test_another_drop_is_listed_beside_the_first_and_shown_on_demand(worked_on: AppTest) -> None:
    app = worked_on
    app.pills(key="decide_ways").set_value(["anew"]).run()
    app.number_input(key="decide_seeds").set_value(1).run()
    for task in (1, 2):
        app.multiselect(key="view_off").set_value([task]).run()
        press(app, "Retrain with and without")
    assert f"Without **{small_names(app)[2]}**" in texts(app)
    press(app, "Show")
    assert f"Without **{small_names(app)[1]}**" in texts(app)
    assert "confirmed" in app.query_params
    assert "Measured" in texts(app) or "**measured**" in texts(app)  # one seed has no interval
    assert "One training each: no interval." in texts(app)


def small_names(app: AppTest) -> tuple[str, ...]:
    return TABLES.load(run(app)).task_names


def test_a_confirmation_is_opened_renamed_and_deleted_with_one_s_other_work(worked_on: AppTest) -> None:
    app = worked_on
    app.pills(key="decide_ways").set_value(["anew"]).run()
    app.number_input(key="decide_seeds").set_value(1).run()
    app.multiselect(key="view_off").set_value([0]).run()
    press(app, "Retrain with and without")
    (key,) = app.session_state["kernelsm_confirmations"]
    table = run(app)
    turn(app, "data")
    app.selectbox(key="kernelsm_run_picker").set_value("planted").run()
    app.selectbox(key="saved_choice").set_value(key).run()
    app.button(key="saved_open").click().run()
    assert app.title[0].value == "Decide"
    assert run(app) == table  # the run that it belongs to
    turn(app, "data")
    app.selectbox(key="saved_choice").set_value(key).run()
    app.text_input(key=f"saved_title_{key}").set_value("Ohne Norden").run()
    press(app, "Rename")
    assert CONFIRMATIONS.title(key) == "Ohne Norden"
    press(app, "Delete it")
    assert not CONFIRMATIONS.is_here(key)
    assert "Retrained so far" not in texts(turn(app, "decide"))


def test_a_confirmation_of_other_data_says_so(worked_on: AppTest) -> None:
    app = worked_on
    app.pills(key="decide_ways").set_value(["anew"]).run()
    app.number_input(key="decide_seeds").set_value(1).run()
    app.multiselect(key="view_off").set_value([0]).run()
    press(app, "Retrain with and without")
    (key,) = app.session_state["kernelsm_confirmations"]
    other = open_app("decide", run="planted", confirmed=key)
    assert "Of other data than the run shown: a project that is not yours, or not here any more." in texts(other)
    other = open_app("decide", browser=app, run="planted", confirmed=key)
    assert "Of other data than the run shown: numbers." in texts(other)
    gone = open_app(run="planted", confirmed="0" * 40)
    assert "confirmed=0000" in gone.toast[0].value.replace("\\", "")


def test_gradient_features_have_no_network_to_retrain(jobs: list[JobSpec]) -> None:
    app = bring("features.npz", small_files.features(), way="Gradient features", key="bring_features")
    app.button(key="prepare_start").click().run()
    press(app, "Go on to Gradients")
    turn(app, "gradients")
    app = turn(compute(app), "decide")
    assert "gradient features that were computed elsewhere, and no network to retrain" in texts(app)


@pytest.mark.parametrize(
    ("without", "word"),
    [([0.5, 0.52, 0.49], "confirmed"), ([1.5, 1.52, 1.49], "refuted"), ([0.7, 1.4, 0.8], "not settled")],
)
def test_verdicts_follow_the_interval(without: list[float], word: str) -> None:
    change = paired_change([1.0, 1.01, 1.0], without)
    said = verdict("Trained anew", change, "loss", "nats", higher_is_better=False)
    assert f"**{word}**" in said
    flipped = verdict("Trained anew", change, "score", "share", higher_is_better=True)
    assert f"**{ {'confirmed': 'refuted', 'refuted': 'confirmed'}.get(word, word) }**" in flipped


def test_measured_and_predicted_agree_or_not() -> None:
    measured = paired_change([1.0, 1.0, 1.0], [0.79, 0.8, 0.81])
    assert "agrees with the prediction of -0.220 ± 0.050" in agreement(ChangeRow("Predicted", -0.22, 0.05), measured)
    assert "**lies beyond** the prediction of -0.40 ± 0.10" in agreement(ChangeRow("Predicted", -0.4, 0.1), measured)
