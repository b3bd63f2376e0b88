"""Which model answers prompts: the packaged one, a folder or name, an endpoint; its key, and what it may cost."""

from __future__ import annotations

import json

import pytest
from app_harness import as_read, press, texts
from demonstrations_page import TASK
from faulty_endpoint import Faulty, chat_answer, served
from person import ME
from streamlit.testing.v1 import AppTest

from kernelsm.app.shell.job_panel import registry
from kernelsm.models.endpoint_address import EndpointAddress
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.secret_keys import TYPED
from kernelsm.workspace.prompt_projects import PROMPTS, PromptSource, find_prompts

pytestmark = pytest.mark.usefixtures("warm_server")
KEY = "sk-only-in-memory-1234"
FEW = PromptTask(TASK.candidates[:8], TASK.queries[:5], TASK.fresh[:3], TASK.labels, TASK.template, k=2)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KERNELSM_API_KEY", "OPENAI_API_KEY", "KERNELSM_ALLOW_ENDPOINTS", "KERNELSM_ALLOW_PATHS"):
        monkeypatch.delenv(name, raising=False)


def choose(app: AppTest, url: str, name: str = "m") -> AppTest:
    app.segmented_control(key="demo_model_where").set_value("Endpoint").run()
    app.text_input(key="demo_model_url").set_value(url).run()
    app.text_input(key="demo_model_name").set_value(name).run()
    assert not app.exception
    return app


def test_where_nothing_is_allowed_the_page_says_how_it_would_be() -> None:
    app = ME.open("demonstrations", run="planted", prompts=ME.bring(PromptSource("Mine", FEW)))
    assert "KERNELSM_ALLOW_PATHS=1" in texts(app)
    assert "demo_model_where" not in [box.key for box in app.segmented_control]


def test_a_server_offers_the_endpoints_that_it_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNELSM_ALLOW_ENDPOINTS", "https://api.openai.com/v1 http://10.0.0.5:8000/v1")
    monkeypatch.setenv("KERNELSM_API_KEY", "the server's own")
    app = ME.open("demonstrations", run="planted", prompts=ME.bring(PromptSource("Mine", FEW)))
    app.segmented_control(key="demo_model_where").set_value("Endpoint").run()
    assert app.selectbox(key="demo_model_listed").options == ["https://api.openai.com/v1", "http://10.0.0.5:8000/v1"]
    assert "demo_model_url" not in [box.key for box in app.text_input]
    app.text_input(key="demo_model_name").set_value("gpt-4o-mini").run()
    assert "The key in this server's environment is used." in texts(app)
    assert "the server's own" not in texts(app)


def test_an_address_that_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    app = ME.open("demonstrations", run="planted", prompts=ME.bring(PromptSource("Mine", FEW)))
    choose(app, f"https://me:{KEY}@api.openai.com/v1")
    assert "never in the address" in as_read(texts(app))
    assert KEY not in texts(app)
    assert "demo_model_take" not in [button.key for button in app.button]


def test_an_endpoint_is_taken_its_key_held_in_memory_and_its_cost_said(
    jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    source = ME.bring(PromptSource("Mine", FEW))
    app = ME.open("demonstrations", run="planted", prompts=source)
    with served(Faulty(lambda _: chat_answer(FEW.labels[0]))) as faulty:
        choose(app, f"{faulty.url}/v1/")
        app.toggle(key="demo_model_logprobs").set_value(False).run()
        field = app.text_input(key="demo_model_key")
        assert field.proto.type == field.proto.PASSWORD
        field.set_value(KEY).run()
        field = app.text_input(key="demo_model_key")
        assert (field.value, field.placeholder) == ("", "Held in memory")
        button = next(button for button in app.button if button.key == "demo_model_take")
        button.click().run()
        assert not app.exception
        address = EndpointAddress(f"{faulty.url}/v1", "m", probabilities=False)
        folder = registry().root.parent / PROMPTS.folder
        taken = next(key for key in (path.stem for path in folder.glob("*.json")) if key != source)
        assert find_prompts(taken).model == address.text
        assert find_prompts(taken).task.content_hash == FEW.content_hash
        assert f"Model: m at {faulty.url.removeprefix('http://')}" in as_read(
            "".join(box.label for box in app.expander)
        )
        app.number_input(key="demo_subsets").set_value(10).run()
        app.number_input(key=f"demo_orders_{taken}").set_value(1).run()
        app.number_input(key="demo_ask_endpoint_calls").set_value(20).run()
        assert "At most **50 calls**" in texts(app)
        assert "more than may be spent" in texts(app)
        assert "demo_how" not in [box.key for box in app.segmented_control]
        press(app, "Ask the model")
        (spec,) = jobs
        assert spec.arguments["limits"]["calls"] == 20
        assert KEY not in json.dumps(spec.arguments)
        assert KEY not in json.dumps(dict(app.query_params)) + texts(app) + str(registry().status(spec.key))
        # nothing of the page that is sent to the browser holds it
        assert all(KEY not in str(getattr(node, "proto", "")) for node in app.main)
        (held,) = (found for found in [TYPED.of([app_owner(app)])] if found)
        assert held[address.base_url].reveal() == KEY
        forget = next(button for button in app.button if button.key == "demo_ask_endpoint_forget")
        forget.click().run()
        assert address.base_url not in TYPED.of([app_owner(app)])
    for path in (path for path in registry().root.parent.rglob("*") if path.is_file()):
        assert KEY.encode() not in path.read_bytes(), path


def app_owner(app: AppTest) -> str:
    from kernelsm.app.shell.owner import public_id

    return public_id(app.session_state["kernelsm_owner_secret"])
