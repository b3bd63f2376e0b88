"""A prompt of its own for each query: to look at, to copy, to ask the model about, and beside other prompts."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from app_harness import as_read, open_app, press, texts
from demonstrations_page import TASK, demonstrations, part
from person import ME
from small_language_model import tiny_model
from streamlit.testing.v1 import AppTest

from kernelsm import Outcomes
from kernelsm.app.demonstrations.baselines import nearest, three_digits
from kernelsm.models.endpoint_address import EndpointAddress
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.pipelines.ask_model import CheckSettings
from kernelsm.prompts.agreement import measured_mean
from kernelsm.prompts.nearest_prompts import nearest_prompts
from kernelsm.prompts.task import Labelled, PromptTask, template_of_fields
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.jobs import JobRegistry
from kernelsm.surrogates.wording import amount, number
from kernelsm.workspace.prompt_projects import PromptSource
from kernelsm.workspace.tables import save_run

PART, START = "Nearest for each query", "Ask after nearest prompts"
SMALL = PromptTask(
    tuple(Labelled(f"{word} film", label) for word, label in zip("abcdefgh", TASK.labels * 4, strict=True)),
    tuple(Labelled(f"good {word} film", TASK.labels[0]) for word in ("bad", "long", "dull")),
    tuple(Labelled(f"one {word} film", TASK.labels[1]) for word in ("bad", "long")),
    TASK.labels, TASK.template, k=3,
)  # fmt: skip


def table(app: AppTest, column: str) -> Any:
    """The table of the page that has such a column."""
    (found,) = (one.value for one in app.main.dataframe if column in one.value)
    return found


def places(app: AppTest) -> list[tuple[str, float]]:
    """What stands in the prompt that is shown: text and label of each candidate, and how alike it is."""
    rows = [re.fullmatch(r"\*\*\d+\*\* · (.+)  \n:gray\[likeness (.{4}).*\]", one.value) for one in app.main.markdown]
    return [(as_read(row[1]), float(row[2])) for row in rows if row]


def as_shown(one: Labelled) -> str:
    return f"{one.text[:200]}{'…' if len(one.text) > 200 else ''} → **{one.label}**"


def whole_prompt(app: AppTest) -> str:
    (code,) = app.main.code
    return str(code.value)


def of_small(task: PromptTask = SMALL, model: str = "") -> tuple[str, str]:
    """Texts of ours and a run of their prompts, with losses that are made up; the keys of both."""
    source = ME.bring(PromptSource("Small", task, model))
    masks = fixed_size_masks(task.K, 20, size=task.k, seed=0, distinct=True)
    values = np.random.default_rng(0).uniform(0.3, 0.9, (20, len(task.queries)))
    meta = {"prompts": source, "task": task.content_hash, "measure": "loss", "unit": "nats"}
    return source, save_run(Outcomes(masks, values, meta=meta))


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    found = tiny_model()
    monkeypatch.setattr("kernelsm.models.language_model.load_language_model", lambda name=None: found)
    return found


def test_the_prompt_of_a_query_is_shown_in_its_order_with_likeness_and_to_copy() -> None:
    app = part(demonstrations(), PART)
    said = texts(app)
    assert "the 4 candidates most like it" in said
    assert "the model reads all of it every time" in said
    app.selectbox(key="demo_nearest_query").set_value(3).run()
    query = TASK.queries[3]
    ((*first, nearest_one),) = nearest_prompts(TASK.candidates, [query], TASK.k)
    shown = places(app)
    assert [one for one, _ in shown] == [as_shown(TASK.candidates[i]) for i in (*first, nearest_one)]
    likeness = [one for _, one in shown]
    assert likeness == sorted(likeness)
    assert likeness[-1] > 0
    assert whole_prompt(app) == TASK.template.prompt([TASK.candidates[i] for i in (*first, nearest_one)], query)


def test_a_query_of_ones_own_is_typed() -> None:
    app = part(demonstrations(), PART)
    app.selectbox(key="demo_nearest_query").set_value(-1).run()
    assert "Type a query to see its prompt." in texts(app)
    assert not app.main.code
    candidate = TASK.candidates[11]
    app.text_area(key="demo_nearest_field_text").set_value(candidate.text).run()
    assert places(app)[-1] == (as_shown(candidate), 1.0)
    assert whole_prompt(app).endswith(TASK.template.tail(Labelled(candidate.text, "")))
    app.text_area(key="demo_nearest_field_text").set_value("Ωψ").run()
    assert "No candidate has anything in common with this query" in texts(app)


def test_another_run_with_fewer_queries_begins_with_its_first() -> None:
    run = of_small()[1]
    app = part(ME.open("demonstrations", run=run), PART)
    app.sidebar.selectbox[0].set_value("movie-reviews").run()
    part(app, PART)
    app.selectbox(key="demo_nearest_query").set_value(90).run()
    app.sidebar.selectbox[0].set_value(run).run()
    assert not app.exception
    assert whole_prompt(app).endswith(TASK.template.tail(SMALL.queries[0]))


@pytest.mark.parametrize("count", [0, 2])
def test_queries_that_are_candidates_are_counted(count: int) -> None:
    task = replace(SMALL, fresh=(*SMALL.fresh, *SMALL.candidates[:count]))
    said = texts(part(ME.open("demonstrations", run=of_small(task)[1]), PART))
    assert ("2 of them are candidates, too" in said) == bool(count)
    assert ("are candidates, too" in said) == bool(count)


def test_each_field_has_a_box_of_its_own() -> None:
    names = ("query", "context")

    def filled(one: Labelled) -> Labelled:
        return Labelled.of_fields([("query", "Is it good?"), ("context", one.text)], one.label)

    groups = (tuple(map(filled, group)) for group in (SMALL.candidates, SMALL.queries, SMALL.fresh))
    task = PromptTask(*groups, SMALL.labels, template_of_fields(names), k=2)
    app = part(ME.open("demonstrations", run=of_small(task)[1]), PART)
    app.selectbox(key="demo_nearest_query").set_value(-1).run()
    app.text_area(key="demo_nearest_field_query").set_value("Is it short?").run()
    app.text_area(key="demo_nearest_field_context").set_value("{film}").run()
    assert whole_prompt(app).endswith("Query: Is it short?\nContext: {film}\nLabel:")


def test_the_model_is_asked_and_the_row_stands_beside_the_others(model: Any, jobs: list[JobSpec]) -> None:
    source, run = of_small()
    app = part(ME.open("demonstrations", run=run), PART)
    assert f"| {PART} |" not in texts(app)
    press(app, START)
    assert jobs[-1].arguments == {"source": source}
    app.run()
    found = nearest(source)
    assert found is not None
    assert f"| {PART} | {three_digits(found.loss)} | {found.accuracy:.0%} |" in texts(app)
    shown = table(app, "fresh queries").set_index("prompt")
    fresh = nearest(source, "fresh")
    assert fresh is not None
    assert list(shown.loc[PART]) == [f"{three_digits(one.loss)} · {one.accuracy:.0%}" for one in (found, fresh)]
    assert shown.loc["Guessing among 2 labels", "fresh queries"] == "0.693 · 50%"
    assert {"The mean prompt", "The best of 20 asked"} <= set(shown.index)
    assert "*Check* a prompt to see how far it differs" in texts(app)
    # it is there for all who look, and where the page is opened anew
    again = part(ME.open("demonstrations", run=run), PART)
    assert f"| {PART} | {three_digits(found.loss)} |" in texts(again)


def test_a_checked_prompt_is_compared_query_by_query(model: Any, jobs: list[JobSpec]) -> None:
    source, run = of_small()
    app = ME.open("demonstrations", run=run, picked="1-2-3")
    part(app, "Check")
    press(app, "Check with the model")
    part(app, PART)
    press(app, START)
    app.run()
    checked = JobRegistry().status(CheckSettings(source, ((1, 2, 3),)).job().key)
    own = JobRegistry().status(jobs[-1].key)
    assert checked is not None
    assert checked.result is not None
    assert own is not None
    assert own.result is not None
    losses = np.array(checked.result["values"][0][0][0])
    apart = measured_mean([own.result["fresh_losses"] - losses], 1)
    difference = amount(apart.mean, apart.margin, signed=True)
    assert (
        f"After your prompt it was {number(losses.mean())} on the same queries: the difference, {difference} (90% "
        "interval), cannot be told from zero."
    ) in texts(app)
    app.button(key="demo_out_3").click().run()
    assert "After the prompt checked last it was " in texts(app)


@pytest.mark.parametrize(("away", "word"), [(0.25, "lower"), (-0.25, "higher")])
def test_a_difference_that_can_be_told_is_said(
    away: float, word: str, jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"queries": [0.5, 0.75], "fresh": [0.5, 0.5], "fresh_losses": [0.4, 0.6]}
    checked = {"values": [[[[0.4 + away, 0.62 + away], [1.0, 0.0]]]]}
    monkeypatch.setattr("kernelsm.pipelines.nearest_prompts.run", lambda report, store, **_: answers)
    monkeypatch.setattr("kernelsm.pipelines.ask_model.check", lambda report, store, **_: checked)
    app = part(ME.open("demonstrations", run=of_small()[1], picked="1-2-3"), "Check")
    app.number_input(key="demo_check_orders").set_value(1).run()
    press(app, "Check with the model")
    press(part(app, PART), START)
    apart = measured_mean([[-away, -0.02 - away]], 1)
    said = f"nearest prompts are **{amount(abs(apart.mean), apart.margin)} {word}** (90% interval)."
    assert f"After your prompt it was {number(0.51 + away)} on the same queries: {said}" in texts(app.run())


def test_what_an_endpoint_takes_is_told_and_its_limits_are_kept(
    jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    answers = {"queries": [0.25, 0.75], "fresh": [0.5, 0.5], "fresh_losses": [0.0, 1.0]}
    monkeypatch.setattr("kernelsm.pipelines.nearest_prompts.run", lambda report, store, **_: answers)
    address = EndpointAddress("http://127.0.0.1:1/v1", "m", "chat", probabilities=False)
    run = of_small(model=address.text)[1]
    app = part(ME.open("demonstrations", run=run), PART)
    assert "At most **5 calls**" in texts(app)
    app.number_input(key="demo_nearest_endpoint_calls").set_value(4).run()
    assert "more than may be spent" in texts(app)
    press(app, START)
    assert jobs[-1].arguments["limits"]["calls"] == 4
    # within other limits it is the same answer
    again = part(ME.open("demonstrations", run=run), PART)
    assert f"| {PART} | 0.250 | 75% |" in texts(again)
    assert nearest("movie-reviews") is None


def test_somebody_elses_texts_are_shown_and_not_asked_about() -> None:
    app = part(open_app("demonstrations", run=of_small()[1]), PART)
    assert START not in [one.label for one in app.button]
    assert "are not this browser's own" in texts(app)
    assert len(places(app)) == SMALL.k
    assert whole_prompt(app)
