"""A file with a quantity, or with several labels, through all pages: what is asked, guessed and said."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import small_files
from app_harness import as_read, bring, charts, compute, open_app, prepare, press, project, run, texts, turn
from bring_controls import change, csv_of, key_of
from streamlit.testing.v1 import AppTest

from kernelsm.app.shell.open_runs import open_run
from kernelsm.runtime.job import JobSpec
from kernelsm.workspace.projects import PROJECTS

pytestmark = pytest.mark.usefixtures("warm_server")
# words of classification that must stand nowhere on the way of a quantity
OF_CLASSES = ("accuracy", "nats", "logit", "classes", "is right on")


def quantity(seed: int = 0) -> pd.DataFrame:
    """A price, which one of four sources gives at random."""
    frame = small_files.samples(seed)
    rng = np.random.default_rng(seed)
    price = 200 + 50 * frame["a"] + 20 * frame["b"] + rng.normal(size=len(frame))
    frame["price"] = np.where(frame["task"] == "west", rng.permutation(price), price).round(2)
    return frame.drop(columns="label")


def several(seed: int = 0) -> pd.DataFrame:
    frame = small_files.samples(seed)
    frame["label_high"], frame["label_wide"] = (frame["a"] > 1).astype(int), (frame["b"] > 0).astype(int)
    return frame.drop(columns="label")


def objective(app: AppTest, data: bytes, label: str) -> str:
    return str(app.segmented_control(key=f"bring_objective_{key_of(data)}_{label}").value)


def captions(app: AppTest) -> str:
    return as_read("\n".join(str(one.value) for one in app.caption))


@pytest.fixture
def prices(jobs: list[JobSpec]) -> AppTest:
    """A session with a project of a quantity, on Gradients."""
    data = small_files.csv(quantity())
    app = change(bring("prices.csv", data), data, "label", "price")
    assert objective(app, data, "price") == "regression"
    return prepare(app)


def test_what_the_label_is_is_asked_with_the_guess_and_its_reason() -> None:
    data = small_files.csv(quantity())
    app = change(bring("prices.csv", data), data, "label", "price")
    assert re.search(r"Guessed: a quantity\. It holds \d\d different numbers, some with fractions\.", captions(app))
    assert "Labels" not in app.segmented_control(key=f"bring_rule_{key_of(data)}").options
    assert "by label" not in app.selectbox(key=f"bring_target_{key_of(data)}").options
    # another column is guessed anew, and back
    change(app, data, "label", "task")
    assert objective(app, data, "task") == "classification"
    assert "Guessed: a class. It holds words." in captions(app)
    change(app, data, "label", "price")
    assert objective(app, data, "price") == "regression"
    assert "Linear regression" in app.selectbox(key="bring_architecture_tabular").options


def test_the_guess_can_be_overruled_in_both_directions() -> None:
    frame = small_files.samples()
    frame["label"] = np.arange(64) % 5
    data = small_files.csv(frame)
    app = bring("numbers.csv", data)
    change(app, data, "rule", "label")
    app.segmented_control(key=f"bring_objective_{key_of(data)}_label").set_value("regression").run()
    assert not app.exception
    assert not app.error  # tasks by label are no choice any more
    app.segmented_control(key=f"bring_objective_{key_of(data)}_label").set_value("classification").run()
    assert not app.exception
    assert not app.error


def test_a_quantity_goes_through_all_pages_in_its_own_words(prices: AppTest, jobs: list[JobSpec]) -> None:
    app = prices
    recipe = PROJECTS.load(project(app)).recipe
    assert (recipe.objective, recipe.size.classes) == ("regression", 1)
    compute(app)
    outcomes = open_run(run(app)).outcomes
    assert (outcomes.meta["unit"], outcomes.m) == ("label variances", 16)
    for page in ("start", "gradients", "subsets", "fit", "explore", "decide", "compare"):
        turn(app, page)
        assert not app.error
        said = as_read(texts(app))
        found = [word for word in OF_CLASSES if word in said]
        assert not found or page == "start", (page, found)
    turn(app, "explore")
    titles = [str(one["text"]) for chart in charts(app) for one in chart["layout"].get("annotations", ())]
    assert any("label variances" in title for title in titles), titles
    assert "Losses are squared errors divided by the variance of the label" in texts(app)


def test_what_was_prepared_is_said_in_the_words_of_a_quantity(jobs: list[JobSpec]) -> None:
    data = small_files.csv(quantity())
    app = change(bring("prices.csv", data), data, "label", "price")
    app.number_input(key="bring_epochs").set_value(2).run()
    app.button(key="prepare_start").click().run()
    said = texts(app)
    assert "48 training and 16 test samples of one quantity." in said
    assert "of the label's variance (R²) on the training" in said
    assert "hardly better than guessing" in said  # two epochs teach it nothing
    curve = next(chart for chart in charts(app) if "epoch" in str(chart["layout"]["xaxis"]["title"]))
    assert curve["layout"]["yaxis"]["title"]["text"] == "loss, label variances"


def test_another_measure_of_the_same_subsets_computes_nothing_anew(prices: AppTest, jobs: list[JobSpec]) -> None:
    app = compute(prices)
    first = open_run(run(app)).outcomes
    turn(app, "gradients")
    picker = app.segmented_control(key="view_measure")
    assert list(picker.options) == ["loss", "R²", "absolute error", "squared error"]
    picker.set_value("absolute error").run()
    assert app.query_params["measure"] in ("absolute error", ["absolute error"])
    compute(app)
    found = open_run(run(app))
    assert found.unit == "absolute error, label units"
    assert found.outcomes.masks.tolist() == first.masks.tolist()
    turn(app, "explore")
    assert "Including" in texts(app)
    assert "the absolute error" in texts(app)
    assert "Errors are in the label's own units" in texts(app)


def test_retraining_says_the_measure_of_the_run(prices: AppTest, jobs: list[JobSpec]) -> None:
    app = prices
    app.segmented_control(key="view_measure").set_value("absolute error").run()
    compute(app)
    turn(app, "decide")
    app.multiselect(key="view_off").set_value([3]).run()
    app.pills(key="decide_ways").set_value(["fine_tuned"]).run()
    app.number_input(key="decide_seeds").set_value(2).run()
    press(app, "Retrain with and without")
    said = texts(app)
    assert "Without them the absolute error is" in said
    assert "label units" in said
    assert "the prediction of" in said


def test_two_columns_of_labels_go_through_as_several_labels(jobs: list[JobSpec]) -> None:
    data = small_files.csv(several())
    app = bring("labels.csv", data)
    (label,) = (box.value for box in app.selectbox if box.key == f"bring_label_{key_of(data)}")
    assert objective(app, data, label) == "several labels"
    assert "It is one of 2 columns of 0 and 1 with names that belong together." in captions(app)
    app = prepare(app)
    assert PROJECTS.load(project(app)).recipe.size.classes == 2
    assert "Gradients of all 2 log-odds" in captions(app)
    app.segmented_control(key="view_measure").set_value("F1").run()
    compute(app)
    found = open_run(run(app))
    assert (found.unit, found.outcomes.higher_is_better) == ("F1, fraction", True)
    for page in ("fit", "explore", "decide"):
        turn(app, page)
        assert not app.error


def test_a_quantity_read_as_a_class_says_the_way_on() -> None:
    data = csv_of(a=np.arange(60) / 7, price=np.arange(60) / 3, task=np.array(["x", "y", "z"])[np.arange(60) % 3])
    app = change(bring("prices.csv", data), data, "label", "price")
    app.segmented_control(key=f"bring_objective_{key_of(data)}_price").set_value("classification").run()
    assert "Say that the label is a quantity" in captions(app)


def test_links_of_an_unknown_measure_mean_the_loss(jobs: list[JobSpec]) -> None:
    app = open_app("gradients", run="digits", measure="R²")
    assert app.segmented_control(key="view_measure").value == "loss"
