"""Which effects survive over pulls: the page's choice, its job, and what it says of the result."""

from __future__ import annotations

import numpy as np
import pytest
import small_files
from app_harness import bring, charts, open_app, prepare, press, run, texts, turn

from kernelsm.app.gradients.pull_sweep import EffectsOverPulls, sentence
from kernelsm.pipelines.pull_sweep import PullSweep
from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.job import JobSpec
from kernelsm.workspace.tables import TABLES

EFFECTS = EffectsOverPulls(
    np.array([[-0.4, -0.2, -0.02], [0.2, 0.1, 0.01], [0.1, -0.05, 0.0], [0.3, 0.2, 0.1]]),
    np.array([[0.1, 0.1, 0.01], [0.1, 0.05, 0.02], [0.05, 0.02, 0.01], [0.1, 0.1, np.nan]]),
    np.array([[True, True, True], [True, True, False], [True, True, False], [True, True, False]]),
)
NAMES = ("a", "b", "c", "d")


def test_survival_asks_for_one_sign_and_intervals_without_zero_in_all_columns() -> None:
    everywhere, first_two = np.array([True, True, True]), np.array([True, True, False])
    assert EFFECTS.surviving(everywhere).tolist() == [True, False, False, False]  # an unknown interval proves nothing
    assert EFFECTS.surviving(first_two).tolist() == [True, True, False, True]
    assert EFFECTS.turning(everywhere).tolist() == [False, False, True, False]


def test_the_sentence_counts_and_names_them() -> None:
    said = sentence(EFFECTS, np.array([True, True, False]), NAMES, higher_is_better=False)
    assert "with every one of 2 pulls **2 hurt** (d, b) and **1 help** (a)" in said
    assert "1 cannot be told from zero with some of them" in said
    assert "**1 change their sign** between pulls (c)" in said
    score = sentence(EFFECTS, np.array([True, True, False]), NAMES, higher_is_better=True)
    assert "**1 hurt** (a) and **2 help** (d, b)" in score


def test_five_pulls_around_the_usual_one_are_offered() -> None:
    app = open_app("gradients", run="digits")
    chosen = app.multiselect(key="gradients_pulls_digits").value
    assert len(chosen) == 5
    assert 0.03 in chosen
    assert min(chosen) < 0.01 < 0.1 < max(chosen)
    app.multiselect(key="gradients_pulls_digits").set_value([0.03]).run()
    assert "2 to 8 different numbers" in texts(app)
    assert not any(button.label == "Try these pulls" for button in app.button)


@pytest.mark.usefixtures("warm_server")
def test_from_own_data_to_what_survives(jobs: list[JobSpec]) -> None:
    app = prepare(bring("numbers.csv", small_files.csv()))
    (picker,) = (one for one in app.multiselect if one.label == "Pulls to try")
    picker.set_value([0.1, 1.0]).run()
    press(app, "Try these pulls")
    spec = jobs[-1]
    sweep = PullSweep(RunSettings(**spec.arguments["settings"]), spec.arguments["pulls"], spec.arguments["checked"])
    assert sweep.pulls == (0.1, 1.0)
    said = texts(app)
    assert "with every one of 2 pulls" in said or "estimates and retraining disagree" in said
    assert "8 fresh subsets were really retrained with each pull" in said
    table, fidelity = (frame.value for frame in app.dataframe)
    assert list(table.columns) == ["task", "survives", "pull 0.1", "± (0.1)", "pull 1", "± (1)"]
    assert len(table) == 4
    assert fidelity["pull"].tolist() == ["0.1", "1"]
    assert fidelity["LDS"].between(-1, 1).all()
    titles = [one["layout"]["xaxis"]["title"]["text"] for one in charts(app)]
    assert sum("pull towards W0" in title for title in titles) == 2
    press(app, "Show them on all pages")
    assert TABLES.load(run(app)).meta["ridge"] == 0.1


@pytest.mark.usefixtures("warm_server")
def test_gradient_features_are_tried_without_retraining(jobs: list[JobSpec]) -> None:
    app = bring("mine.npz", small_files.features(), way="Gradient features", key="bring_features")
    app.button(key="prepare_start").click().run()
    press(app, "Go on to Gradients")
    turn(app, "gradients")
    (picker,) = (one for one in app.multiselect if one.label == "Pulls to try")
    picker.set_value([0.1, 1.0]).run()
    press(app, "Try these pulls")
    assert jobs[-1].arguments["checked"] == 0
    assert "Gradient features came without their network" in texts(app)
