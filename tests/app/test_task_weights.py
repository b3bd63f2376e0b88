"""How much tasks count: sizes and consequences on screen, the choice in the job, and what pages say of it later."""

from __future__ import annotations

import re

import pandas as pd
import pytest
import small_files
from app_harness import bring, compute, open_app, prepare, project, run, texts, turn
from bring_controls import change, key_of
from streamlit.testing.v1 import AppTest
from uneven_sources import uneven_csv, uneven_sources

from kernelsm import Outcomes
from kernelsm.app.shell.open_runs import open_run
from kernelsm.app.shell.weighing import few_samples_sentence, tasks_of, weighting_of
from kernelsm.runtime.job import JobSpec
from kernelsm.tasks.weighting import GroupSizes
from kernelsm.workspace.projects import PROJECTS, project_groups
from kernelsm.workspace.requests import ProjectRequest

pytestmark = pytest.mark.usefixtures("warm_server")
BALANCE = "The choice matters here"


def weights(app: AppTest, data: bytes, kind: str = "task") -> AppTest:
    """The control of the weights of tasks or targets."""
    return app.segmented_control(key=f"bring_{kind}_weights_{key_of(data)}")


def sizes(app: AppTest) -> pd.DataFrame:
    """The table of sizes."""
    (found,) = (table.value for table in app.dataframe if "Training samples" in table.value.columns)
    return found


def test_sizes_and_both_consequences_stand_beside_the_choice(drawn: list[ProjectRequest]) -> None:
    data = uneven_csv()
    app = bring("sources.csv", data)
    assert sizes(app).set_index("Task")["Training samples"].to_dict() == {
        "flipped": 5, "large": 2000, "middle": 200, "small": 20,
    }  # fmt: skip
    assert weights(app, data).value == "by_size"  # what a data owner expects
    assert (drawn[0].mapping["task_weighting"], drawn[0].mapping["target_weighting"]) == ("by_size", "by_size")
    said = texts(app)
    assert "*large* makes up 90% of the training loss, *flipped* 0.22%." in said
    assert (
        "Each makes up 25% of the training loss, so one sample of *flipped* counts as much as 400 of *large*" in said
    )
    assert f"{BALANCE}: the largest task has 400 times as many samples as the smallest" in said
    assert "Fewer than 10 training samples: **flipped** (5)." in said
    assert "weighed by size, they hardly change the loss with all tasks in" in said
    assert "large has 250 test samples and counts 5 times as much as middle with 50." in said

    weights(app, data).set_value("equally").run()
    weights(app, data, "target").set_value("equally").run()
    assert not app.exception
    assert (drawn[0].mapping["task_weighting"], drawn[0].mapping["target_weighting"]) == ("equally", "equally")
    assert "weighed equally, they count as much as those of the largest task" in texts(app)
    assert "middle with 50 test samples counts as much as large with 250." in texts(app)


def test_tasks_of_one_size_raise_no_alarm() -> None:
    app = bring("numbers.csv", small_files.csv())
    assert set(sizes(app)["Training samples"]) == {12}
    assert "All tasks have 12, so it is the same as equally." in texts(app)
    assert BALANCE not in texts(app)
    assert "Fewer than 10" not in texts(app)


def test_one_target_needs_no_weight(drawn: list[ProjectRequest]) -> None:
    data = uneven_csv()
    app = change(bring("sources.csv", data), data, "target", "")
    assert not any("mean over targets" in control.label for control in app.segmented_control)
    assert drawn[0].mapping["target_weighting"] == "equally"


def test_what_cannot_be_counted_yet_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    data = uneven_csv()
    app = change(bring("sources.csv", data), data, "rule", "clusters")
    assert "Clusters are found and counted when the file is checked and prepared below." in texts(app)
    assert "A task of few samples can change little." in texts(app)
    assert app.button(key="prepare_start")
    change(app, data, "rule", "column")
    change(app, data, "split", "source")
    assert re.search(r"Tasks cannot be counted yet: .*'flipped'", texts(app).replace("\\", ""))
    assert app.button(key="prepare_start")
    monkeypatch.setattr("kernelsm.app.data.task_weights._COUNTED_UP_TO", 1000)
    change(app, data, "split", "split")
    assert "The file is large: its tasks are counted when it is checked and prepared below." in texts(app)


@pytest.mark.parametrize("weighting", ["by_size", "equally"])
def test_the_choice_is_kept_and_said_on_every_page(jobs: list[JobSpec], weighting: str) -> None:
    data = uneven_csv()
    app = bring("sources.csv", data)
    weights(app, data).set_value(weighting).run()
    app.number_input(key="bring_epochs").set_value(30).run()
    app.button(key="prepare_start").click().run()
    word = weighting.replace("_", " ")
    assert f"Tasks are weighed **{word}**" in texts(app)
    assert "They have 5 (flipped) to 2,000 (large) training samples." in texts(app)
    accuracy = re.search(r"of the training and \*\*(\d+)%\*\*", texts(app))
    assert accuracy
    assert (int(accuracy[1]) == 100) == (weighting == "by_size")
    app = prepare(app)
    assert project_groups(project(app))[0].weighting == weighting
    assert f"no outcomes yet · tasks weighed {word}" in texts(app)
    assert f"Tasks are weighed **{word}**" in texts(app)
    compute(app)
    outcomes = open_run(run(app)).outcomes
    assert tasks_of(outcomes) == GroupSizes(("flipped", "large", "middle", "small"), (5, 2000, 200, 20), weighting)
    assert outcomes.target_weights is not None
    turn(app, "explore")
    assert f"2 targets · tasks weighed {word}" in texts(app)
    assert "Fewer than 10 training samples: **flipped** (5)." in texts(app)
    assert "each test sample counts the same" in app.selectbox(key="view_target").help


@pytest.mark.parametrize("chosen", ["", "by_size", "equally"])
def test_gradient_features_are_weighed_as_chosen(jobs: list[JobSpec], chosen: str) -> None:
    data = small_files.features()
    app = bring("mine.npz", data, way="Gradient features", key="bring_features")
    app.segmented_control(key=f"bring_task_weighting_{key_of(data)}").set_value(chosen).run()
    key = project(prepare(app))
    assert project_groups(key)[0].weighting == (chosen or "equally")
    assert PROJECTS.load(key).recipe.suite().task_weighting == (chosen or "equally")


def test_examples_say_that_they_weigh_equally_and_other_tables_say_nothing() -> None:
    app = open_app("explore", run="digits")
    assert "10 targets · tasks weighed equally" in texts(app)
    assert "each target counts the same" in app.selectbox(key="view_target").help
    assert "Tasks are weighed **equally**" in texts(turn(app, "gradients"))
    assert "tasks weighed" not in texts(open_app("explore", run="planted"))


def test_metadata_of_strangers_is_not_believed() -> None:
    meta = {"estimator": "gradex", "suite": "x", "task_weighting": "by_size", "task_sizes": [5, 10]}
    table = Outcomes([[1, 0], [0, 1]], [1.0, 2.0], meta=meta)
    assert tasks_of(table) == GroupSizes(("task 1", "task 2"), (5, 10), "by_size")
    for wrong in ([5], [5, 0], [5, True], [5, "10"], "5", None, {"a": 1}):
        assert tasks_of(Outcomes(table.masks, table.values, meta={**meta, "task_sizes": wrong})) is None
    for key, value in (("task_weighting", "<b>"), ("task_weighting", ["by_size"]), ("estimator", "game")):
        assert weighting_of(Outcomes(table.masks, table.values, meta={**meta, key: value})) is None
    before = {key: meta[key] for key in ("estimator", "suite")}
    assert weighting_of(Outcomes(table.masks, table.values, meta=before)) == "equally"
    assert weighting_of(Outcomes(table.masks, table.values, meta={**before, "task_weights": [1, 2]})) is None


def test_many_small_tasks_are_named_the_smallest_first() -> None:
    tasks = GroupSizes(tuple("abcdefgh"), (9, 8, 10, 3, 1, 2, 7, 9), "by_size")
    said = few_samples_sentence(tasks)
    assert said.startswith(
        "Fewer than 10 training samples: **e** (1), **f** (2), **d** (3), **g** (7), **b** (8) and 2 more."
    )
    assert few_samples_sentence(GroupSizes(("a", "b"), (10, 4000))) == ""
    assert "weighed" not in few_samples_sentence(GroupSizes(("a", "b"), (4, 5)))


def test_the_sources_are_as_uneven_as_they_are_said_to_be() -> None:
    counted = uneven_sources().groupby(["split", "source"]).size()
    assert counted["train"].to_dict() == {"flipped": 5, "large": 2000, "middle": 200, "small": 20}
