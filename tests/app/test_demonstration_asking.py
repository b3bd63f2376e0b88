"""Asking the model: exactly or by first-order estimates, what these are worth, and what few texts allow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from app_harness import press, texts
from demonstrations_page import TASK, button, demonstrations, part, picked
from person import ME
from streamlit.testing.v1 import AppTest

from kernelsm import Outcomes
from kernelsm.app.demonstrations.estimates import trusted, verdict
from kernelsm.app.shell.open_runs import open_run
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.prompts.first_order_check import PromptFirstOrderCheck
from kernelsm.prompts.orders import OrderedOutcomes
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.job import JobSpec
from kernelsm.workspace.prompt_projects import PromptSource, find_prompts
from kernelsm.workspace.tables import save_run, save_run_orders

GOOD = {"subsets": 30, "anchors": 2, "spearman": 0.8, "lds": 0.5, "relative_error": 0.1, "error_of_mean": 0.2}
POOR = {**GOOD, "spearman": 0.2, "relative_error": 0.3}


def estimated(source: str, check: Any) -> Outcomes:
    """A table of a few prompts that says it holds first-order estimates."""
    task = find_prompts(source).task
    masks = fixed_size_masks(task.K, 40, size=task.k)
    values = masks @ np.linspace(0, 1, task.K)[:, None] * np.ones((1, len(task.queries))) + 0.5
    meta = {"prompts": source, "task": task.content_hash, "estimator": "first order", "first_order_check": check}
    return Outcomes(masks, values, meta=meta)


@pytest.fixture
def small() -> str:
    """The key of a few texts."""
    task = PromptTask(TASK.candidates[:8], TASK.queries[:5], (), TASK.labels, TASK.template, k=2)
    return ME.bring(PromptSource("Mine", task))


def test_texts_that_were_brought_come_to_outcomes_and_back_to_the_page(
    jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = PromptTask(TASK.candidates[:8], TASK.queries[:5], (), TASK.labels, TASK.template, k=2)
    key = ME.bring(PromptSource("Mine", task))

    def answered(report: Any, store: Any, **settings: Any) -> dict[str, str]:
        from kernelsm.pipelines.ask_model import PromptSettings
        from kernelsm.prompts.prompting import short_names

        masks = PromptSettings(**settings).masks()
        values = masks @ np.linspace(0, 1, 8)[:, None] * np.ones((1, 5)) + 0.5
        meta = {"prompts": key, "task": task.content_hash, "unit": "nats"}
        names = {"task_names": short_names(task.candidates), "target_names": short_names(task.queries)}
        return {"run": save_run(Outcomes(masks, values, **names, meta=meta))}

    monkeypatch.setattr("kernelsm.pipelines.ask_model.run", answered)
    app = ME.open("demonstrations", run="planted", prompts=key)
    assert "8 candidates, 5 queries to choose by" in texts(app)
    assert "Mine · no outcomes yet" in texts(app).replace("\\", "")
    app.number_input(key="demo_subsets").set_value(40).run()
    press(app, "Ask the model")
    press(app, "Show this result on all pages")
    assert "8 of 8 candidates" in texts(app)
    button(app, "demo_take_0").click().run()
    assert set(picked(app)) == {0, 1}  # the two lowest of the made-up losses
    part(app, "Check")
    assert "no fresh queries" in texts(app)


def positions(app: AppTest) -> dict[str, int]:
    """Where labels and texts of the page stand, from its top."""
    shown = [str(getattr(node, "label", "") or getattr(node, "value", "")) for node in app.main]
    return {text: position for position, text in enumerate(shown)}


def test_first_order_has_inputs_of_its_own_and_says_what_it_does(small: str) -> None:
    app = ME.open("demonstrations", run="planted", prompts=small)
    own = {"demo_anchors", "demo_checked"}
    assert not own & {field.key for field in app.number_input}
    assert "Ask the model" in [one.label for one in app.button]
    app.segmented_control(key="demo_how").set_value("First order").run()
    assert own <= {field.key for field in app.number_input}
    assert app.segmented_control(key="demo_combine").value == "Nearest anchor"
    assert "Ask the model" not in [one.label for one in app.button]
    assert "20 of them are scored exactly" in texts(app)
    # no more are checked than there are
    app.number_input(key="demo_subsets").set_value(10).run()
    assert "10 of them are scored exactly" in texts(app)
    assert "Use these estimates" not in [one.label for one in app.button]


def test_where_few_prompts_are_possible_all_are_asked_and_counted(small: str) -> None:
    app = ME.open("demonstrations", run="planted", prompts=small)
    assert "All 28 prompts of 2 of 8 demonstrations" in texts(app)
    app.segmented_control(key="demo_how").set_value("First order").run()
    assert "All 28 prompts are then estimated" in texts(app)
    app.number_input(key="demo_subsets").set_value(20).run()
    assert "20 random prompts of 2 of 8 demonstrations" in texts(app)


@pytest.mark.parametrize(("k", "most", "asked"), [(1, 1, 1), (2, 2, 2), (3, 6, 2), (4, 12, 2)])
def test_no_more_orders_are_offered_than_there_are(k: int, most: int, asked: int) -> None:
    task = PromptTask(TASK.candidates[:8], TASK.queries[:5], (), TASK.labels, TASK.template, k=k)
    key = ME.bring(PromptSource("Mine", task))
    app = ME.open("demonstrations", run="planted", prompts=key)
    orders = app.number_input(key=f"demo_orders_{key}")
    assert (orders.max, orders.value) == (most, asked)
    assert f"in {asked} order" in texts(app)


def test_candidates_that_leave_no_choice_are_said_to() -> None:
    whole = PromptTask(TASK.candidates[:3], TASK.queries[:5], (), TASK.labels, TASK.template, k=3)
    app = ME.open("demonstrations", run="planted", prompts=ME.bring(PromptSource("Mine", whole)))
    assert "1 different prompt of 3 of 3" in texts(app)
    assert "Ask the model" not in [one.label for one in app.button]


@pytest.mark.parametrize(
    ("check", "words"),
    [(GOOD, "They do rank prompts"), (POOR, "say nothing about the size of the loss")], ids=["good", "poor"],
)  # fmt: skip
def test_the_error_of_estimates_stands_before_the_button_that_uses_them(
    small: str, check: dict[str, Any], words: str, jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    def finished_job(report: Any, store: Any, **settings: Any) -> dict[str, Any]:
        return {"estimates": save_run(estimated(small, check)), "check": check}

    monkeypatch.setattr("kernelsm.pipelines.prompt_estimates.run", finished_job)
    open_run(save_run(estimated(small, {**check, "spearman": 0.7})))  # the same estimates, checked before
    app = ME.open("demonstrations", run="planted", prompts=small)
    app.segmented_control(key="demo_how").set_value("First order").run()
    app.number_input(key="demo_subsets").set_value(24).run()
    app.number_input(key="demo_anchors").set_value(2).run()
    app.segmented_control(key="demo_combine").set_value("Mean of all").run()
    button(app, "demo_estimate_start").click().run()
    assert jobs[-1].arguments == {
        "source": small, "subsets": 24, "orders": 2, "seed": 0, "anchors": 2, "combine": "mean", "checked": 20,
    }  # fmt: skip
    assert "Show this result on all pages" not in [one.label for one in app.button]
    assert "30 prompts were scored by the model and estimated from 2 anchor prompts" in texts(app)
    (table,) = (frame.value for frame in app.main.dataframe)
    assert table["first order"].iloc[0] == f"{check['spearman']:.2f}"
    assert f"{check['error_of_mean']:.1%}" in table["beside it"].iloc[2]
    position = positions(app)
    (said,) = (text for text in position if words in text)
    assert position[said] < position["Use these estimates"]
    press(app, "Use these estimates")
    assert "8 of 8 candidates" in texts(app)
    assert f"rank correlation {check['spearman']:.2f}" in texts(app)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "nearer to the loss than always saying its mean. They do rank prompts"),
        ({"relative_error": 0.2}, "nothing about the size of the loss (always saying its mean is no worse). They do"),
        ({"relative_error": 0.3, "spearman": 0.3}, "and rank prompts poorly: score exactly."),
        ({"spearman": -0.9}, "but rank prompts poorly: score exactly."),
        ({"spearman": float("nan")}, "rank prompts poorly"),
        ({"relative_error": float("nan")}, "say nothing about the size"),
        ({"subsets": 5, "spearman": 0.7}, "too few to tell"),
    ],
)  # fmt: skip
def test_the_verdict_on_estimates(changes: dict[str, Any], words: str) -> None:
    check = PromptFirstOrderCheck(**{**GOOD, **changes})
    assert words in verdict(check)
    assert trusted(check) == (not changes)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (GOOD, "On 30 prompts that it was asked about: rank correlation 0.80, relative error 10.0%"),
        (None, "is not known"), ({**GOOD, "lds": "**bold**"}, "is not known"), ([1], "is not known"),
    ],
    ids=["whole", "none", "markup", "list"],
)  # fmt: skip
def test_a_table_of_estimates_says_so_whatever_its_file_says(small: str, check: Any, words: str) -> None:
    app = ME.open("demonstrations", run=save_run(estimated(small, check)))
    assert "These outcomes are first-order estimates" in texts(app)
    assert words in texts(app)
    assert "bold" not in texts(app)
    assert "first-order estimates" not in texts(demonstrations())


def test_orders_that_were_left_out_are_told() -> None:
    task = PromptTask(TASK.candidates[:8], TASK.queries[:2], (), TASK.labels, TASK.template, k=2)
    key = ME.bring(PromptSource("Mine", task))
    rng = np.random.default_rng(0)
    orders = np.array([rng.permutation(8)[:2] for _ in range(3_010)])
    values = rng.normal(size=(len(orders), 2))
    masks = fixed_size_masks(8, 28, size=2)
    meta = {"prompts": key, "task": task.content_hash, "unit": "nats"}
    run = save_run(Outcomes(masks, rng.normal(size=(28, 2)), meta=meta))
    save_run_orders(run, OrderedOutcomes(orders, values))
    assert "3,000 of the 3,010 measured orders" in texts(demonstrations(run=run))
    assert "measured orders" not in texts(demonstrations())


def test_a_record_is_named_only_where_there_is_one(small: str) -> None:
    task = find_prompts(small).task
    masks = fixed_size_masks(task.K, 28, size=task.k)
    values = np.random.default_rng(0).normal(1, 0.1, (28, len(task.queries)))
    app = demonstrations(run=save_run(Outcomes(masks, values, meta={"prompts": small, "task": task.content_hash})))
    assert "no effect of a single one can be told from zero" in texts(app)
    assert "How good are choices?" not in texts(app)


def test_without_known_orders_nothing_is_said_of_one(small: str) -> None:
    app = demonstrations(run=save_run(estimated(small, GOOD)))
    assert [one.label for one in app.metric] == ["Predicted"]
    assert "other orders" not in texts(app)
    assert not any("in its order" in one.value for one in app.caption)
