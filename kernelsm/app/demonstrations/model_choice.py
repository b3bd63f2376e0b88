"""The model that answers prompts: the packaged one, a folder or hub name, or an endpoint; what asking it may cost."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import streamlit as st

from kernelsm.app.shell import disk, session
from kernelsm.app.shell.owner import owner
from kernelsm.app.shell.words import plain
from kernelsm.models.endpoint import EndpointLimits
from kernelsm.models.endpoint_address import (
    ALLOW_ENDPOINTS,
    Api,
    EndpointAddress,
    allowed_endpoints,
    check_endpoint_allowed,
    endpoints_may_be_typed,
    is_endpoint,
    key_for,
)
from kernelsm.models.model_folders import local_models_allowed
from kernelsm.pipelines.askers import EndpointCost
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.secret_keys import TYPED, Secret
from kernelsm.workspace.prompt_projects import PROMPTS, PromptSource, keep_prompts, prompts_key

DEFAULT_MODEL = "SmolLM2-135M-Instruct"  # as kernelsm.models.language_model calls it, which would import torch
_HERE, _ENDPOINT = "On this computer", "Endpoint"
_APIS: dict[Api, str] = {"chat": "Chat", "completions": "Completions"}
_USUAL = EndpointLimits()


def model_choice(key: str) -> str | None:
    """Draw the choice of a model.

    Parameters
    ----------
    key : str
        Prefix of the widgets' keys.

    Returns
    -------
    str or None
        As the model of a `PromptSource`: "" is the packaged one. None while what was written is no address.
    """
    endpoints = endpoints_may_be_typed() or bool(allowed_endpoints())
    if not local_models_allowed() and not endpoints:
        st.markdown(
            f"{DEFAULT_MODEL}. To take another one, by its folder or hub name or at an OpenAI-compatible endpoint, "
            f"start the app on your own computer with `KERNELSM_ALLOW_PATHS=1`. A server allows single endpoints by "
            f"`{ALLOW_ENDPOINTS}`."
        )
        return ""
    where = _HERE
    if endpoints:
        where = str(
            st.segmented_control(
                "Where it runs", [_HERE, _ENDPOINT], key=f"{key}_where", default=_HERE, required=True,
                persist_state="session",
            )
        )  # fmt: skip
    if where == _ENDPOINT:
        return _endpoint(key)
    if not local_models_allowed():
        st.markdown(f"{DEFAULT_MODEL}.")
        return ""
    return st.text_input(
        "Folder of this computer, or name on the hub", key=f"{key}_model", placeholder=DEFAULT_MODEL,
        persist_state="session", max_chars=1000,
        help="A causal language model of at most 2 billion parameters, with safetensors and tokenizer.json. Code "
        "that comes with a model is never run.",
    ).strip()  # fmt: skip


def _endpoint(key: str) -> str | None:
    left, right = st.columns(2)
    listed = allowed_endpoints()
    with left:
        if listed:
            url = str(
                st.selectbox("Address", listed, key=f"{key}_listed", persist_state="session", help=_ADDRESS_HELP)
            )
        else:
            url = st.text_input(
                "Address", key=f"{key}_url", placeholder="https://api.openai.com/v1", persist_state="session",
                max_chars=300, help=_ADDRESS_HELP,
            ).strip()  # fmt: skip
    with right:
        name = st.text_input(
            "Model", key=f"{key}_name", placeholder="gpt-4o-mini", persist_state="session", max_chars=300,
            help="Its name on the endpoint.",
        ).strip()  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        api = st.segmented_control(
            "Asked by", get_args(Api), key=f"{key}_api", default="chat", required=True, persist_state="session",
            format_func=lambda one: _APIS[one],
            help="**Chat** is what most services offer. **Completions** continue plain text, as base models do.",
        )  # fmt: skip
        probabilities = st.toggle(
            "Log-probabilities", True, key=f"{key}_logprobs", persist_state="session",
            help="With them the loss tells more than right and wrong. Completions have to repeat the prompt's "
            "(“echo”), chat its 20 most probable tokens. Turn it off where the service gives none: answers are then "
            "graded by the label word in them.",
        )  # fmt: skip
    if not url or not name:
        st.caption("Write the address and the model's name to go on.")
        return None
    try:
        address = EndpointAddress(url, name, "completions" if api == "completions" else "chat", probabilities)
        check_endpoint_allowed(address)
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    key_field(address, key)
    return address.text


_ADDRESS_HELP = "OpenAI-compatible: the part before /chat/completions. The key has a field of its own."


def key_field(address: EndpointAddress, key: str) -> None:
    """Draw the field for the key of an endpoint, which is emptied as soon as the server's memory holds it."""
    held = address.base_url in TYPED.of([owner()])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.text_input(
            "Key", key=f"{key}_key", type="password", max_chars=1000, width=280, autocomplete="off",
            placeholder="Held in memory" if held else "None, or the server's own",
            on_change=_hold, args=(f"{key}_key", address.base_url),
            help="It stays in the memory of this server and goes to this address alone: into no file, link, log or "
            "export. Type it again after the server was started anew.",
        )  # fmt: skip
        if held:
            st.button(
                "Forget the key", icon=":material/key_off:", key=f"{key}_forget", on_click=TYPED.forget,
                args=(owner(), address.base_url),
            )  # fmt: skip
    if not held and key_for(address) is not None:
        st.caption("The key in this server's environment is used.")


def _hold(field: str, base_url: str) -> None:
    if typed := str(st.session_state.get(field, "")).strip():
        TYPED.keep(owner(), base_url, Secret(typed))
    st.session_state[field] = ""


def endpoint_limits(source: PromptSource, key: str) -> EndpointLimits | None:
    """Draw how much an endpoint may be asked, and its key; None where no endpoint is asked."""
    if not is_endpoint(source.model):
        return None
    address = EndpointAddress.of_text(source.model)
    with st.expander(f"{plain(address.name)}: key, speed and most that may be spent", icon=":material/cloud:"):
        key_field(address, key)
        with st.container(horizontal=True, gap="medium"):
            calls, tokens, a_minute, at_once = (
                int(
                    st.number_input(
                        label, 1, most, usual, key=f"{key}_{name}", persist_state="session", width=160, help=words
                    )
                )
                for label, name, usual, most, words in (
                    ("Most calls", "calls", _USUAL.calls, 10**8, "Then it stops; what was answered is kept."),
                    ("Most tokens", "tokens", _USUAL.tokens, 10**12, "Of prompts and answers, as it counts them."),
                    ("Calls a minute", "a_minute", _USUAL.a_minute, 10**6, "As your account allows."),
                    ("At once", "at_once", _USUAL.at_once, 64, "Calls under way at the same time."),
                )
            )
    return EndpointLimits(calls, tokens, a_minute, at_once)


def say_cost(cost: EndpointCost | None, limits: EndpointLimits | None) -> None:
    """Say what asking an endpoint takes; nothing where none is asked."""
    if cost is None:
        return
    st.markdown(
        f"At most **{cost.calls:,} calls** and about **{cost.tokens:,} tokens**, less what was answered before: that "
        "is kept and not paid for again."
    )
    if limits and (cost.calls > limits.calls or cost.tokens > limits.tokens):
        st.warning("That is more than may be spent: it stops there.", icon=":material/payments:")


def another_model(source: PromptSource) -> None:
    """Offer to ask another model about the same texts."""
    name = EndpointAddress.of_text(source.model).name if is_endpoint(source.model) else source.model
    with st.expander(f"Model: {plain(name or DEFAULT_MODEL)}", icon=":material/smart_toy:"):
        model = model_choice("demo_model")
        if model is not None and model != source.model:
            st.button(
                "Take this model", icon=":material/swap_horiz:", key="demo_model_take", on_click=_take,
                args=(source, model),
                help="The same texts with another model are texts of their own; what was asked before stays.",
            )  # fmt: skip


@disk.callback
def _take(source: PromptSource, model: str) -> None:
    taken = replace(source, model=model, pace=None)
    key = prompts_key(taken)
    if not PROMPTS.opens(key):
        keep_prompts(taken)
    session.bring(PROMPTS, key, taken.title)
    session.open_kept(PROMPTS, key)
