"""The job that asks about each query after a prompt of its own."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from faulty_endpoint import Faulty, chat_answer, served
from small_language_model import tiny_model
from small_prompt_task import TASK

from kernelsm import InputError, Store
from kernelsm.models.endpoint import EndpointLimits
from kernelsm.models.endpoint_address import EndpointAddress
from kernelsm.pipelines.nearest_prompts import NearestSettings, run
from kernelsm.prompts import asked
from kernelsm.prompts.answer_rules import AnswerRule
from kernelsm.prompts.asked import measured
from kernelsm.prompts.asker import as_asker
from kernelsm.prompts.nearest_prompts import nearest_prompts
from kernelsm.prompts.task import Labelled
from kernelsm.runtime.progress import Cancelled, silent
from kernelsm.workspace.prompt_projects import PromptSource, keep_prompts

FRESH = tuple(Labelled(f"{word} film number {i}", "positive") for i in range(10) for word in ("good", "bad"))
MANY = dataclasses.replace(TASK, fresh=FRESH)


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def kept(tmp_path, monkeypatch, model):
    """Keeps texts whose model is a tiny one; returns their key."""
    monkeypatch.setenv("KERNELSM_CACHE", str(tmp_path))
    monkeypatch.setattr("kernelsm.models.language_model.load_language_model", lambda name=None: model)
    return lambda task: keep_prompts(PromptSource("small", task))


def one_by_one(model, task, queries):
    """Loss and accuracy of each query, asked alone after its own prompt; shape (2, q)."""
    prompts = nearest_prompts(task.candidates, queries, task.k)
    asker = as_asker(model)
    pairs = zip(prompts, queries, strict=True)
    return np.concatenate([measured(asker, task, prompt, [query])[:2] for prompt, query in pairs], axis=1)


@pytest.mark.parametrize("rule", [None, AnswerRule("exact")])
def test_each_query_is_asked_after_its_own_prompt(kept, model, rule):
    task = MANY if rule is None else dataclasses.replace(MANY, labels=(), rule=rule)
    assert len(set(nearest_prompts(task.candidates, task.fresh, task.k))) > 1
    found = run(silent, Store(), **NearestSettings(kept(task)).job().arguments)
    fresh = one_by_one(model, task, task.fresh)
    np.testing.assert_allclose(found["queries"], one_by_one(model, task, task.queries).mean(axis=1), atol=1e-4)
    np.testing.assert_allclose(found["fresh"], fresh.mean(axis=1), atol=1e-4)
    np.testing.assert_allclose(found["fresh_losses"], fresh[0], atol=1e-4)


def test_without_fresh_queries_there_is_nothing_of_them(kept, model):
    task = dataclasses.replace(TASK, fresh=())
    found = run(silent, Store(), source=kept(task))
    assert (found["fresh"], found["fresh_losses"]) == (None, [])
    np.testing.assert_allclose(found["queries"], one_by_one(model, task, task.queries).mean(axis=1), atol=1e-4)


def test_a_cancelled_job_goes_on_and_asks_nothing_twice(kept, monkeypatch):
    source, queries = kept(MANY), []
    each = asked.measured_each

    def counted(asker, task, shown, some):
        queries.extend(query.text for query in some)
        return each(asker, task, shown, some)

    def stop(done, total, message="", *, reused=False):
        if done == 2 and reused is not None:
            raise Cancelled

    monkeypatch.setattr(asked, "measured_each", counted)
    with pytest.raises(Cancelled):
        run(stop, Store(), source=source)
    assert 0 < len(queries) < len(MANY.queries) + len(FRESH)
    told = []
    found = run(lambda done, total, *_, reused=False: told.append((done, total, reused)), Store(), source=source)
    assert Counter(queries) == Counter(one.text for one in (*MANY.queries, *FRESH))
    steps = [(done, total) for done, total, reused in told if reused is not None]
    assert steps == [(done, 6) for done in range(1, 7)]
    assert run(silent, Store(), source=source) == found
    assert len(queries) == len(MANY.queries) + len(FRESH)


def test_a_prompt_that_is_too_long_is_refused_before_any_is_asked(kept, model, monkeypatch):
    long = Labelled("film " * model.max_length, "positive")
    task = dataclasses.replace(
        MANY, candidates=(*MANY.candidates, long), fresh=(*FRESH, Labelled("film", "positive"))
    )
    monkeypatch.setattr(asked, "measured_each", lambda *_: pytest.fail("asked"))
    with pytest.raises(InputError, match="candidate 6"):
        run(silent, Store(), source=kept(task))


def test_an_endpoint_is_asked_within_its_limits_and_at_a_cost_that_was_told(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    monkeypatch.setenv("KERNELSM_CACHE", str(tmp_path))
    with served(Faulty(lambda _: chat_answer("positive"))) as faulty:
        address = EndpointAddress(f"{faulty.url}/v1", "m", "chat", False)
        task = dataclasses.replace(MANY, template=dataclasses.replace(TASK.template, chat=True))
        source = keep_prompts(PromptSource("films", task, address.text))
        settings = NearestSettings(source)
        cost = settings.cost()
        assert cost.calls == len(task.queries) + len(FRESH)
        few = NearestSettings(source, EndpointLimits(calls=3, at_once=1))
        assert NearestSettings(**few.job().arguments) == few
        with pytest.raises(InputError, match="3 calls made"):
            run(silent, Store(), **few.job().arguments)
        found = run(silent, Store(), **settings.job().arguments)
        assert len({str(body["messages"]) for body in faulty.bodies}) == len(faulty.bodies) <= cost.calls
        letters = sum(len(turn["content"]) for body in faulty.bodies for turn in body["messages"])
        assert 0.5 < cost.tokens / (letters / 4 * cost.calls / len(faulty.bodies)) < 2.5
    assert found["fresh"] == [0.0, 1.0]
    right = np.mean([query.label == "positive" for query in task.queries])
    assert found["queries"] == [1 - right, right]


def test_it_costs_more_time_than_one_prompt_for_all_and_nothing_where_no_endpoint_is_asked(kept):
    settings = NearestSettings(kept(MANY))
    assert settings.cost() is None
    shorter = NearestSettings(kept(dataclasses.replace(MANY, k=1)))
    assert settings.seconds() > shorter.seconds()


def test_a_source_that_is_not_here_is_named(kept):
    with pytest.raises(InputError, match="prompts"):
        NearestSettings("0" * 40)
