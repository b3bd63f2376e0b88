"""Label words calibrated: asked so, checked so, said so, and compared with nothing that is not."""

from __future__ import annotations

import re
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from app_harness import press, texts
from demonstrations_page import TASK, demonstrations, part
from person import ME
from streamlit.testing.v1 import AppTest

from kernelsm import Outcomes
from kernelsm.app.demonstrations.label_words import effect
from kernelsm.models.endpoint_address import EndpointAddress
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.pipelines.ask_model import CheckSettings
from kernelsm.prompts.answer_rules import AnswerRule
from kernelsm.prompts.prompting import short_names
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.job import JobSpec
from kernelsm.workspace.prompt_projects import PromptSource, find_prompts
from kernelsm.workspace.tables import save_run

SMALL = PromptTask(TASK.candidates[:8], TASK.queries[:5], TASK.fresh[:6], TASK.labels, TASK.template, k=2)
OFFSETS = [1.75, 0.25]


@pytest.fixture
def small() -> str:
    """The key of a few texts."""
    return ME.bring(PromptSource("Mine", SMALL))


def kept_run(source: str, **meta: Any) -> str:
    """The key of a table of outcomes of these texts."""
    task = find_prompts(source).task
    masks = fixed_size_masks(task.K, 28, size=task.k)
    values = masks @ np.linspace(0, 0.2, task.K)[:, None] * np.ones((1, len(task.queries))) + (0.4 if meta else 0.5)
    values += 1e-12 * crc32(source.encode())  # a table has its key by its values
    names = {"task_names": short_names(task.candidates), "target_names": short_names(task.queries)}
    about = {"prompts": source, "task": task.content_hash, "unit": "nats", **meta}
    return save_run(Outcomes(masks, values, **names, meta=about))


@pytest.fixture
def answered(jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch) -> list[JobSpec]:
    """Checks by a made-up model: loss 0.9 and none right as it answers, 0.5 and all right calibrated."""

    def check(report: Any, store: Any, **settings: Any) -> dict[str, Any]:
        wanted = CheckSettings(**settings)
        count = len(find_prompts(wanted.source).task.fresh)
        orders = [wanted.orders_of(prompt) for prompt in wanted.prompts]
        before, after = (
            [[[[loss] * count, [right] * count] for _ in some] for some in orders]
            for loss, right in ((0.9, 0.0), (0.5, 1.0))
        )
        if not wanted.calibrated:
            return {"values": before}
        return {"values": after, "uncalibrated": before, "offsets": [[OFFSETS for _ in some] for some in orders]}

    monkeypatch.setattr("kernelsm.pipelines.ask_model.check", check)
    return jobs


def labels(app: AppTest) -> list[str]:
    return [one.label for one in app.toggle]


def test_the_model_is_asked_with_label_words_calibrated_where_that_is_chosen(
    small: str, jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(report: Any, store: Any, **settings: Any) -> dict[str, str]:
        return {"run": kept_run(small, **({"calibrated": True} if settings.get("calibrated") else {}))}

    monkeypatch.setattr("kernelsm.pipelines.ask_model.run", run)
    app = ME.open("demonstrations", run="planted", prompts=small)
    assert "without content" not in texts(app)
    app.segmented_control(key="demo_how").set_value("First order").run()
    app.toggle(key=f"demo_calibrate_{small}").set_value(True).run()
    assert not app.exception
    assert "demo_how" not in {one.key for one in app.segmented_control}  # estimates are not calibrated
    assert "5 queries after each, and 3 without content" in texts(app)
    press(app, "Ask the model")
    assert jobs[-1].arguments["calibrated"] is True
    press(app, "Show this result on all pages")
    assert any(one.value.endswith(" · label words calibrated") for one in app.caption)
    part(app, "Ask again")
    assert app.toggle(key=f"demo_calibrate_{small}").value is True


def test_without_it_the_job_is_the_one_of_before_there_was_a_choice(
    small: str, jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernelsm.pipelines.ask_model.run", lambda report, store, **_: {"run": kept_run(small)})
    app = ME.open("demonstrations", run="planted", prompts=small)
    press(app, "Ask the model")
    assert set(jobs[-1].arguments) == {"source", "subsets", "size", "orders", "seed"}
    press(app, "Show this result on all pages")
    assert "label words calibrated" not in texts(app)


def test_it_is_offered_only_where_label_words_have_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    free = PromptTask(TASK.candidates[:8], TASK.queries[:5], TASK.fresh[:6], (), k=2, rule=AnswerRule("exact"))
    addresses = [
        EndpointAddress("http://127.0.0.1:9/v1", "m", "chat", probabilities=gives).text for gives in (False, True)
    ]
    sources = [PromptSource("Free", free), *(PromptSource("Films", SMALL, address) for address in addresses)]
    for source, offered in zip(sources, (False, False, True), strict=True):
        key = ME.bring(source)
        app = ME.open("demonstrations", run="planted", prompts=key)
        assert ("Calibrate label words" in labels(app)) == offered
        app = part(ME.open("demonstrations", run=kept_run(key, calibrated=True), picked="0-1"), "Check")
        assert not app.exception  # a table may say of itself what cannot be
        assert ("With label words calibrated too" in labels(app)) is False
        part(app, "Ask again")
        assert ("Calibrate label words" in labels(app)) == offered


def test_a_check_shows_loss_and_right_answers_before_and_after(small: str, answered: list[JobSpec]) -> None:
    app = part(ME.open("demonstrations", run=kept_run(small), picked="0-1"), "Check")
    app.number_input(key="demo_check_orders").set_value(1).run()
    press(app, "Check with the model")
    assert "calibrated" not in answered[-1].arguments
    assert "Measured **0.9** loss, nats on fresh queries in the order shown, right on **0%**" in texts(app)
    app.toggle(key="demo_check_calibrated").set_value(True).run()
    assert "Measured **0.9**" in texts(app)  # what was checked before stays in sight
    assert "the loss goes from" not in texts(app)
    press(app, "Check with the model")
    assert answered[-1].arguments["calibrated"] is True
    said = texts(app)
    assert "Measured **0.9** loss" in said  # the run's own numbers are not calibrated, nor is what is beside them
    assert "the loss goes from 0.9 to **0.5** (-0.4) and right answers from 0% to **100%**." in said
    table = next(one.value for one in app.main.dataframe if "offset" in one.value)
    assert table["label word"].tolist() == list(TASK.labels)
    assert table["offset"].tolist() == OFFSETS
    np.testing.assert_allclose(table["without content"], 100 * np.exp(-np.array(OFFSETS)))
    (calibrated, plain) = (one.value for one in app.markdown if " · measured" in one.value or "\nlabel" in one.value
                           or "\npredicted" in one.value)  # fmt: skip
    assert "label words calibrated: measured **0.5**" in calibrated
    assert "predicted" not in calibrated  # the predictions of this run are of others
    assert "measured **0.9**" in plain


def test_checks_of_a_calibrated_run_are_calibrated(small: str, answered: list[JobSpec]) -> None:
    run = kept_run(small, calibrated=True)
    app = part(ME.open("demonstrations", run=run, picked="0-1"), "Check")
    assert "With label words calibrated too" not in labels(app)
    press(app, "Check with the model")
    assert answered[-1].arguments["calibrated"] is True
    assert "Measured **0.5** loss, nats on fresh queries in the order shown, right on **100%**" in texts(app)
    assert "in the mean of these 2 orders the loss goes from 0.9 to 0.5" in texts(app)
    assert any("\npredicted" in one.value and "measured **0.5**" in one.value for one in app.markdown)
    part(app, "Prompt")
    assert any("offsets of the label words, which **Check** shows" in one.value for one in app.caption)
    part(app, "Find a better prompt")
    assert any("without calibration of label words" in one.value for one in app.caption)
    plain = ME.open("demonstrations", run=kept_run(small), picked="0-1")
    assert "offsets of the label words" not in texts(plain)


def test_no_demonstration_is_compared_calibrated_too(
    small: str, jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(report: Any, store: Any, **settings: Any) -> dict[str, Any]:
        loss = 0.6 if settings.get("calibrated") else 0.8
        return {"queries": [loss, 0.75], "fresh": [loss, 0.75]}

    monkeypatch.setattr("kernelsm.pipelines.zero_shot.run", asked)
    plain, run = kept_run(small), kept_run(small, calibrated=True)
    app = ME.open("demonstrations", run=plain)
    press(app, "Ask without demonstrations")
    assert "| No demonstration | 0.800 | 75% |" in texts(app.run())
    app = ME.open("demonstrations", run=run)
    assert "| No demonstration" not in texts(app)  # that of before is not calibrated
    press(app, "Ask without demonstrations")
    assert jobs[-1].arguments == {"source": small, "calibrated": True}
    assert "| No demonstration, calibrated | 0.600 | 75% |" in texts(app.run())
    assert "| No demonstration | 0.800 | 75% |" in texts(ME.open("demonstrations", run=plain))


def test_the_built_in_numbers_without_demonstrations_are_not_for_calibrated_runs() -> None:
    run = kept_run("movie-reviews", calibrated=True)
    assert "| No demonstration |" in texts(demonstrations())
    assert not re.search(r"\| No demonstration", texts(ME.open("demonstrations", run=run)))


def test_the_sentence_tells_the_order_shown_from_the_mean_over_orders() -> None:
    before = np.array([[[0.8, 0.6], [0, 1]], [[1.0, 1.2], [0, 0]]])
    after = np.array([[[0.5, 0.3], [1, 1]], [[0.7, 0.5], [1, 0]]])
    said = effect(before, after)
    assert (
        "in the order shown, the loss goes from 0.7 to **0.4** (-0.3) and right answers from 50% to **100%**" in said
    )
    assert "of these 2 orders the loss goes from 0.9 to 0.5 and right answers from 25% to 75%." in said
    alone = effect(before[:1, :, :1], after[:1, :, :1])
    assert "order" not in alone
    assert "nan" not in alone


@pytest.mark.parametrize("probabilities", [True, False])
def test_templates_on_the_same_texts_say_which_run_is_calibrated(probabilities: bool) -> None:
    address = EndpointAddress("http://127.0.0.1:9/v1", "m", "chat", probabilities=probabilities).text
    run = kept_run(ME.bring(PromptSource("Elsewhere", TASK, address)), calibrated=True)
    app = part(ME.open("demonstrations", run=run), "Templates")
    (names,) = (list(one.value["prompts"]) for one in app.main.dataframe if "the mean prompt" in one.value)
    assert names == ["Elsewhere, calibrated" if probabilities else "Elsewhere", "Movie reviews in a prompt"]
