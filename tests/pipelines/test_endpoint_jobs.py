"""Jobs that ask an endpoint: nothing asked twice after a kill, and a key that is written nowhere."""

import dataclasses
import os
import signal
import threading
from collections import Counter

import joblib
import pytest
from faulty_endpoint import Faulty, chat_answer, served
from small_prompt_task import QUERIES, TASK

from kernelsm import InputError, Store
from kernelsm.models.endpoint import EndpointLimits
from kernelsm.models.endpoint_address import EndpointAddress
from kernelsm.pipelines import ask_model
from kernelsm.pipelines.ask_model import CheckSettings, PromptSettings
from kernelsm.pipelines.askers import endpoint_cost, open_asker, source_model
from kernelsm.pipelines.endpoint_check import check_endpoint
from kernelsm.prompts.task import Labelled
from kernelsm.runtime.jobs import JobRegistry
from kernelsm.runtime.progress import silent
from kernelsm.runtime.secret_keys import TYPED, Secret
from kernelsm.workspace.prompt_projects import PromptSource, find_prompts, keep_prompts

KEY = "sk-never-written-0815"
FRESH = tuple(Labelled(f"film number {i}", "positive") for i in range(12))
CHAT = dataclasses.replace(TASK, fresh=FRESH, template=dataclasses.replace(TASK.template, chat=True))


@pytest.fixture(autouse=True)
def allowed(monkeypatch):
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    for name in ("KERNELSM_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "KERNELSM_ALLOW_ENDPOINTS"):
        monkeypatch.delenv(name, raising=False)


def kept(faulty, *, probabilities=False, api="chat"):
    """The key of texts whose model is the endpoint."""
    address = EndpointAddress(f"{faulty.url}/v1", "m", api, probabilities)
    task = CHAT if api == "chat" else dataclasses.replace(CHAT, template=TASK.template)
    return keep_prompts(PromptSource("films", task, address.text)), address


def said(body):
    return body["messages"][-1]["content"]


@pytest.mark.timeout(900)  # jobs start slowly where others work beside them
def test_a_killed_job_asks_nothing_again_that_was_answered():
    halfway, go_on = threading.Event(), threading.Event()

    def answer(body):
        with faulty.lock:
            seventh = faulty.answered == 6
        if seventh and not go_on.is_set():
            halfway.set()
            go_on.wait(300)
        return chat_answer("positive")

    with served(Faulty(answer)) as faulty:
        source, _ = kept(faulty)
        limits = EndpointLimits(at_once=1, a_minute=60_000)
        spec = CheckSettings(source, ((0, 1),), orders=2, limits=limits).job()
        registry = JobRegistry()
        registry.start(spec)
        assert halfway.wait(300), registry.log(spec.key)
        os.kill(registry.status(spec.key).pid, signal.SIGKILL)
        assert registry.wait(spec.key).state == "failed"
        go_on.set()
        registry.start(spec)
        ended = registry.wait(spec.key)
        assert ended.state == "done", ended.error
    asked = Counter(str(body["messages"]) for body in faulty.bodies)
    assert len(asked) == 2 * len(FRESH)
    # the one that was under way when the job was killed
    assert sorted(asked.values())[-2:] == [1, 2]
    right = [[1.0] * len(FRESH)] * 2
    assert [accuracy for _, accuracy in ended.result["values"][0]] == right


@pytest.mark.timeout(900)
def test_the_key_of_an_owner_reaches_the_endpoint_and_no_file():
    with served(Faulty(lambda _: chat_answer("negative"))) as faulty:
        source, address = kept(faulty)
        registry = JobRegistry()
        TYPED.keep("ab12", address.base_url, Secret(KEY))
        spec = CheckSettings(source, ((0, 1),), orders=1).job()
        registry.start(spec, "ab12")
        assert registry.wait(spec.key).state == "done", registry.log(spec.key)
        assert set(faulty.keys) == {f"Bearer {KEY}"}
        assert len(faulty.keys) == len(FRESH)
        # nobody else's job is told of it
        faulty.keys.clear()
        other = CheckSettings(source, ((2, 3),), orders=1).job()
        registry.start(other, "cd34")
        assert registry.wait(other.key).state == "done"
        assert set(faulty.keys) == {None}
        # a refusal that repeats the key
        faulty.script[:] = [lambda _: (400, {}, {"error": f"no {KEY}, no {KEY[:-1]}"})] * 8
        third = CheckSettings(source, ((3, 2),), orders=1).job()
        registry.start(third, "ab12")
        assert registry.wait(third.key).state == "failed"
        assert "status 400" in registry.status(third.key).error
    TYPED.forget("ab12", address.base_url)
    files = [path for path in registry.root.parent.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"spec.json", "status.json", "log.txt", "key.json", "value.pkl"}
    for path in files:
        assert KEY[:-1].encode() not in path.read_bytes(), path
        if path.name == "value.pkl":  # compressed
            assert KEY not in repr(joblib.load(path))


def test_outcomes_and_what_they_cost_are_known_before(monkeypatch):
    monkeypatch.setattr(ask_model, "_likeness", lambda task, store: [0.0] * task.K)  # the encoder takes seconds
    with served(Faulty(lambda body: chat_answer("positive" if "good" in said(body) else "negative"))) as faulty:
        source, _ = kept(faulty)
        settings = PromptSettings(source, subsets=6, orders=2)
        cost = settings.cost()
        assert cost.calls == 6 * 2 * len(QUERIES)
        store = Store()
        outcomes, ordered = ask_model.compute(settings, silent, store)
        assert len(faulty.bodies) <= cost.calls
        letters = sum(len(turn["content"]) for body in faulty.bodies for turn in body["messages"])
        assert 0.5 < cost.tokens / (letters / 4 * cost.calls / len(faulty.bodies)) < 2.5
        assert outcomes.meta["unit"] == "wrong answers"
        assert ordered.values.shape == (12, len(QUERIES))
        capped = PromptSettings(source, subsets=8, orders=2, limits=EndpointLimits(calls=3, at_once=1))
        assert capped.job().arguments["limits"]["calls"] == 3
        assert "limits" not in settings.job().arguments
        with pytest.raises(InputError, match="3 calls made"):
            ask_model.compute(PromptSettings(**capped.job().arguments), silent, store)


def test_the_check_of_prompts_asks_a_few_queries():
    with served(Faulty(lambda _: chat_answer("positive"))) as faulty:
        source, _ = kept(faulty)
        found = check_endpoint(find_prompts(source), store=Store())
        assert found["prompts"] == source
        assert found["endpoint"] == "answers"
        assert found["right"] == sum(query.label == "positive" for query in QUERIES) / len(QUERIES)
        assert found["calls"] == len(QUERIES)
        assert 1 <= len(faulty.bodies) <= len(QUERIES)
        asked, _ = kept(faulty, probabilities=True)
        with pytest.raises(InputError, match="no log-probabilities"):
            check_endpoint(find_prompts(asked), store=Store())


def test_exact_label_words_of_completions_take_a_call_each():
    with served(Faulty()) as faulty:
        source, _ = kept(faulty, probabilities=True, api="completions")
        assert endpoint_cost(find_prompts(source), 3, 2).calls == 3 * len(QUERIES) * 2
    assert endpoint_cost(PromptSource("films", TASK), 3, 2) is None


def test_an_endpoint_is_not_asked_where_it_is_not_allowed(monkeypatch):
    monkeypatch.delenv("KERNELSM_ALLOW_PATHS")
    with served(Faulty()) as faulty:
        source, address = kept(faulty)
        with pytest.raises(InputError, match="no endpoint is allowed here"):
            open_asker(find_prompts(source))
        monkeypatch.setenv("KERNELSM_ALLOW_ENDPOINTS", address.base_url)
        assert open_asker(find_prompts(source)).name == address.name
        assert not faulty.bodies


def test_what_looks_inside_a_model_refuses_an_endpoint():
    with pytest.raises(InputError, match="an endpoint, which only answers"):
        source_model(PromptSource("films", TASK, "https://api.openai.com/v1#gpt"))
