"""A real endpoint: `transformers serve` with the packaged model, in a process of its own."""

import dataclasses
import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from small_prompt_task import TASK

from kernelsm import Store
from kernelsm.models.endpoint_address import EndpointAddress
from kernelsm.models.language_model import PACKAGE, load_language_model
from kernelsm.pipelines.ask_model import CheckSettings, check
from kernelsm.pipelines.askers import open_asker
from kernelsm.prompts.asker import LocalAsker
from kernelsm.prompts.prompting import Prompting
from kernelsm.prompts.task import Labelled, PromptTemplate
from kernelsm.runtime.jobs import JobRegistry
from kernelsm.runtime.progress import silent
from kernelsm.workspace.prompt_projects import PromptSource, keep_prompts

NEEDED = ("fastapi", "openai", "uvicorn", "pydantic", "gguf", PACKAGE)
LACKING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
TEXTS = {"I loved every minute of it": "positive", "boring and badly acted": "negative", "a masterpiece": "positive"}
QUERIES = tuple(Labelled(text, label) for text, label in TEXTS.items())
TEMPLATE = PromptTemplate("Answer with one word: positive or negative.", query="Review: {text}", chat=True)
CHAT = dataclasses.replace(TASK, queries=QUERIES, fresh=QUERIES, template=TEMPLATE)

pytestmark = [
    pytest.mark.skipif(bool(LACKING), reason=f"{', '.join(LACKING)}: not installed"),
    pytest.mark.timeout(900),  # unpacks 135 million weights, and starts a server that loads them
    pytest.mark.alone,
]


@pytest.fixture(scope="module")
def model():
    return load_language_model()


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    """The address of the server, the folder of its model, and its log."""
    folder = model.network.config._name_or_path
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    run = "from transformers.cli.transformers import main; main()"
    command = [sys.executable, "-c", run, "serve", folder, "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--device", "cpu", "--dtype", "float32"], stdout=file, stderr=file, env=environment
        )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1", folder, log
    finally:
        process.terminate()
        process.wait(30)


def calls(log: Path) -> int:
    return log.read_text().count('"POST /v1/')


def source(server, api="chat", task=CHAT):
    return PromptSource("films", task, EndpointAddress(server[0], server[1], api, probabilities=False).text)


@pytest.fixture(autouse=True)
def allowed(monkeypatch):
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")


def test_it_answers_as_the_same_model_does_here(model, server):
    store = Store()
    asker = open_asker(source(server), store)
    masks = np.array([[1, 1, 0, 0, 0]], dtype=bool)
    found = Prompting(CHAT, asker, orders=1).outcomes(masks, measure="accuracy", store=store)
    before = calls(server[2])
    assert before == len(QUERIES)
    again = Prompting(CHAT, open_asker(source(server), store), orders=1).outcomes(masks, measure="loss", store=store)
    np.testing.assert_array_equal(again.values, 1 - found.values)
    assert calls(server[2]) == before
    plain = ["The capital of France is", "One, two, three,"]
    completions = open_asker(source(server, "completions"), store)
    told = completions.answers(plain, max_tokens=4)
    # the first words: a model is seldom in doubt of them, and other libraries round otherwise
    assert [answer.split()[0] for answer in told] == [
        answer.split()[0] for answer in LocalAsker(model).answers(plain, max_tokens=4)
    ]


def test_a_job_that_is_cancelled_half_way_asks_the_rest_alone(server, tmp_path):
    fresh = tuple(Labelled(f"film number {i} was {'good' if i % 2 else 'bad'}", "positive") for i in range(10))
    key = keep_prompts(source(server, task=dataclasses.replace(CHAT, fresh=fresh)))
    spec = CheckSettings(key, ((0, 1),), orders=2, limits={"at_once": 1}).job()
    registry, before = JobRegistry(), calls(server[2])
    registry.start(spec, "ab12")
    for _ in range(1200):
        if calls(server[2]) >= before + 4:
            break
        time.sleep(0.1)
    os.kill(registry.status(spec.key).pid, 9)
    assert registry.wait(spec.key).state == "failed"
    registry.start(spec, "ab12")
    assert registry.wait(spec.key).state == "done", registry.log(spec.key)
    # the one that was under way, if any, and nothing else
    assert before + 20 <= calls(server[2]) <= before + 21
    values = check(silent, Store(), **spec.arguments)["values"]
    assert calls(server[2]) <= before + 21
    assert len(values[0]) == 2
