"""The job that searches for a prompt: what it returns, its budgets, and that no question is asked twice."""

import numpy as np
import pytest
from small_language_model import tiny_model
from small_prompt_task import TASK

from kernelsm import InputError, Store
from kernelsm.pipelines import search_prompts
from kernelsm.pipelines.search_prompts import BUDGET, NOTHING_LEFT, TIME, SearchSettings, fewest_calls, run
from kernelsm.prompts.prompting import score
from kernelsm.runtime.progress import Cancelled, silent
from kernelsm.workspace.prompt_projects import PromptSource, keep_prompts


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def source(tmp_path, monkeypatch, model):
    """The key of a small prompt task whose model is a tiny one."""
    monkeypatch.setenv("KERNELSM_CACHE", str(tmp_path))
    monkeypatch.setattr("kernelsm.models.language_model.load_language_model", lambda name=None: model)
    return keep_prompts(PromptSource("small", TASK))


@pytest.fixture
def asked(monkeypatch):
    """What the model is asked, question by question."""
    questions = []
    answers = search_prompts._answers

    def counted(asker, task, question):
        questions.append(question)
        return answers(asker, task, question)

    monkeypatch.setattr(search_prompts, "_answers", counted)
    return questions


CALLS = 14 * len(TASK.queries)


def test_what_is_found_is_what_the_model_says(source, model):
    found = run(silent, Store(), source=source, calls=CALLS)
    assert found["calls"] <= CALLS
    assert found["ended"] in (BUDGET, NOTHING_LEFT)
    best = found["found"][0]
    if best["asked"] == len(TASK.queries):
        log_probabilities = score(model, TASK, best["order"], TASK.queries)
        true = [TASK.labels.index(query.label) for query in TASK.queries]
        want = -log_probabilities[np.arange(len(true)), true].mean()
        assert best["measured"] == pytest.approx(want, rel=1e-6)
    assert 0 < best["low"] <= best["mean"] <= best["high"]
    assert len({tuple(one["order"]) for one in found["found"]}) == len(found["found"]) <= 4
    calls = [point[0] for point in found["curve"]]
    assert calls == sorted(calls)
    assert calls[-1] == found["calls"]


def test_a_cancelled_search_goes_on_where_it_was_and_asks_nothing_twice(source, asked):
    def until_half(done, total, message="", *, reused=False):
        if done > total / 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(until_half, Store(), source=source, calls=CALLS)
    half = len(asked)
    resumed = run(silent, Store(), source=source, calls=CALLS)
    assert 0 < half < len(asked)
    assert len({(question.order, question.queries) for question in asked}) == len(asked)
    again = len(asked)
    assert run(silent, Store(), source=source, calls=CALLS) == resumed
    assert len(asked) == again


def test_progress_counts_calls_and_names_the_best_so_far(source):
    told = []
    run(lambda done, total, message="", **_: told.append((done, total, message)), Store(), source=source, calls=CALLS)
    told = [one for one in told if one[1] == CALLS]
    assert [done for done, *_ in told] == sorted(done for done, *_ in told)
    assert told[-1][0] <= CALLS
    assert "random prompts first" in told[0][2]
    assert "the best so far" in told[-1][2]


def test_time_ends_a_search_with_what_it_has(source, monkeypatch):
    clock = iter(float(70 * i) for i in range(10_000))
    monkeypatch.setattr(search_prompts, "_now", lambda: next(clock))
    found = run(silent, Store(), source=source, calls=80, minutes=2)
    assert found["ended"] == TIME
    assert found["calls"] < 80


def test_accuracy_can_be_sought(source):
    found = run(silent, Store(), source=source, calls=CALLS, objective="accuracy")
    assert 0 <= found["found"][0]["measured"] <= 1


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"calls": fewest_calls(TASK) - 1}, "calls"),
        ({"calls": CALLS, "minutes": 0}, "minutes"),
        ({"calls": CALLS, "objective": "speed"}, "objective"),
    ],
)
def test_what_cannot_be_searched_is_refused(source, settings, place):
    with pytest.raises(InputError) as refused:
        SearchSettings(source, **settings)
    assert refused.value.place == place
