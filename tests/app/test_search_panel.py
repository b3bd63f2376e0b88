"""The search for a better prompt on its page: budgets, what was found, and a prompt taken into the slots."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from app_harness import press, texts
from demonstrations_page import TASK, demonstrations, part
from demonstrations_page import picked as picked_now
from streamlit.testing.v1 import AppTest

from kernelsm.pipelines import search_prompts
from kernelsm.prompts.asker import Asker
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.progress import Cancelled

LABELS = [TASK.labels.index(one.label) for one in TASK.candidates]


class Leaning(Asker):
    """A made-up model that likes the second label in the last slot."""

    name = "made up"

    def identity(self, *, chat: bool = False) -> str:
        return "0" * 40


def answers(asker: Asker, task: Any, question: search_prompts.Question) -> Any:
    base = np.random.default_rng(0).uniform(0.3, 0.9, len(TASK.queries))[list(question.queries)]
    losses = base * (0.5 if LABELS[question.order[-1]] == 1 else 1.2)
    return np.stack([losses, losses < np.log(2)])


@pytest.fixture
def searching(jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(search_prompts, "open_source", lambda *_: (TASK, Leaning()))
    monkeypatch.setattr(search_prompts, "_answers", answers)
    app = demonstrations()
    part(app, "Find a better prompt")
    app.number_input(key="demo_search_calls_movie-reviews").set_value(1300).run()
    return app


def test_what_was_found_stands_beside_what_it_cost_and_is_taken_into_the_slots(
    searching: AppTest, jobs: list[JobSpec]
) -> None:
    press(searching, "Find a better prompt")
    assert jobs[-1].arguments == {
        "source": "movie-reviews", "calls": 1300, "minutes": 60, "objective": "loss", "seed": 0
    }  # fmt: skip
    said = texts(searching)
    assert "calls went to" in said
    assert re.search(r"of the best prompt expect \*\*[\d.]+ \([\d.]+ to [\d.]+\)\*\* on 200 new queries", said)
    assert re.search(r"asked about \d+ of 100 queries", said)
    searching.button(key="demo_search_take_0").click().run()
    assert not searching.exception
    picked = picked_now(searching)
    assert LABELS[picked[-1]] == 1, (picked, said[-1500:])
    assert searching.button(key="demo_search_take_0").label == "Taken"


def test_right_answers_can_be_sought(searching: AppTest, jobs: list[JobSpec]) -> None:
    searching.segmented_control(key="demo_search_objective").set_value("Right answers").run()
    press(searching, "Find a better prompt")
    assert jobs[-1].arguments["objective"] == "accuracy"
    assert "Share of right answers: **" in texts(searching)


def test_a_search_that_was_stopped_shows_what_it_has_found(
    searching: AppTest, jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def stopping(*args: Any) -> Any:
        asked.append(args)
        if len(asked) > 40:
            raise Cancelled
        return answers(*args)

    monkeypatch.setattr(search_prompts, "_answers", stopping)
    press(searching, "Find a better prompt")
    assert "calls went to" not in texts(searching)
    monkeypatch.setattr(search_prompts, "_answers", answers)
    press(searching, "Show what it has found")
    calls = jobs[-1].arguments["calls"]
    assert 1000 < calls < 1300
    assert searching.number_input(key="demo_search_calls_movie-reviews").value == calls
    assert f"Its calls are spent. {calls:,} calls went to" in texts(searching)
