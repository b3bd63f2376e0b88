"""The Demonstrations page where there is little to choose: prompts of all candidates, of one, and of one of two."""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np
import pytest
from app_harness import press, texts
from person import ME
from streamlit.testing.v1 import AppTest

from kernelsm import Outcomes
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.pipelines.ask_model import CheckSettings
from kernelsm.prompts.orders import OrderedOutcomes, with_noise
from kernelsm.prompts.prompting import short_names
from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.workspace.prompt_projects import PromptSource
from kernelsm.workspace.tables import save_run, save_run_orders

PARTS = [
    "Prompt", "Check", "Nearest for each query", "One query", "How good are predictions?", "Templates", "Ask again"
]  # fmt: skip
ALL_IN = "Every prompt holds all candidates: only their order can be chosen."


def texts_of(word: str, count: int) -> tuple[Labelled, ...]:
    return tuple(Labelled(f"{word} {i}", "ab"[i % 2]) for i in range(count))


def made_up_run(K: int, k: int, queries: int = 3) -> str:
    """A run of made-up losses, two orders of each prompt."""
    task = PromptTask(texts_of("text", K), texts_of("query", queries), texts_of("fresh", 2), ("a", "b"), k=k)
    key, rng = ME.bring(PromptSource("Few", task)), np.random.default_rng(0)
    masks = np.unique(fixed_size_masks(K, 20, size=k), axis=0).repeat(3, axis=0)
    rows = [
        inside[::way] for inside in map(np.flatnonzero, masks) for way in (1, -1)[: min(2, factorial(k))]
    ]  # fmt: skip
    ordered = OrderedOutcomes(np.array(rows), rng.random((len(rows), queries)))
    names = {"task_names": short_names(task.candidates), "target_names": short_names(task.queries)}
    meta = {"prompts": key, "task": task.content_hash, "unit": "nats", "likeness": [0.1] * K}
    values = ordered.values.reshape(len(masks), -1, queries).mean(axis=1)
    run = save_run(with_noise(Outcomes(masks, values, **names, meta=meta), ordered))
    save_run_orders(run, ordered)
    return run


def part(app: AppTest, name: str) -> str:
    app.segmented_control(key="demo_part").set_value(name).run()
    assert not app.exception, (name, app.exception[0].value)
    return texts(app)


@pytest.fixture
def model(jobs: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def finished_check(report: Any, store: Any, **settings: Any) -> dict[str, Any]:
        wanted = CheckSettings(**settings)
        rng = np.random.default_rng(0)
        return {"values": [rng.random((len(wanted.orders_of(one)), 2, 2)).tolist() for one in wanted.prompts]}

    monkeypatch.setattr("kernelsm.pipelines.ask_model.check", finished_check)


@pytest.mark.parametrize("picked", [False, True], ids=["empty", "full"])
@pytest.mark.parametrize(("K", "k"), [(2, 1), (2, 2), (3, 3), (4, 4), (7, 7), (5, 1), (5, 4)])
def test_every_part_opens(K: int, k: int, picked: bool, model: None) -> None:
    run = made_up_run(K, k)
    app = ME.open("demonstrations", run=run, **({"picked": "-".join(map(str, range(k)))} if picked else {}))
    for name in PARTS:
        assert "nan" not in part(app, name).casefold().split()
    if not picked:
        return
    part(app, "Check")
    if k < K:
        app.toggle(key="demo_check_against").set_value(True).run()
    press(app, "Check with the model")
    assert "Measured **" in texts(app)
    assert len(app.get("plotly_chart")) == (k < K)


def test_where_all_are_in_no_effect_is_shown() -> None:
    app = ME.open("demonstrations", run=made_up_run(4, 4), picked="0-1-2-3")
    for name in ("One query", "Ask again"):
        assert ALL_IN in part(app, name)
    said = texts(app)
    assert "by itself" not in said
    assert "interactions add" not in said
    assert list(app.dataframe[0].value) == ["text", "label"]
    assert "Mean loss, nats" in [one.label for one in app.metric]
    assert not [one for one in app.button if one.label in ("Take", "Taken", "Best order")]
    assert "demo_check_against" not in [one.key for one in app.toggle]


def test_one_demonstration_has_no_order(model: None) -> None:
    app = ME.open("demonstrations", run=made_up_run(5, 1), picked="2")
    part(app, "Check")
    assert "demo_check_orders" not in [one.key for one in app.number_input]
    press(app, "Check with the model")
    said = texts(app)
    assert "orders" not in said.split("Measured **")[1].split("\n")[0]
    assert "Order-aware" not in said
    assert "In this order" not in [one.label for one in app.metric]


def test_none_of_few_candidates_helps_and_harms_most() -> None:
    app = ME.open("demonstrations", run=made_up_run(5, 2))
    part(app, "One query")
    helpful, harmful = (set(frame.value["text"]) for frame in app.dataframe[-2:])
    assert len(helpful) == len(harmful) == 2
    assert not helpful & harmful
