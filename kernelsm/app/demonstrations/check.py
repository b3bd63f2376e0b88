"""Demonstrations: a picked prompt checked with the real model on fresh queries, and new outcomes asked of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from kernelsm.app.demonstrations import label_words, model_choice, prompt_choice, work_under_way
from kernelsm.app.demonstrations.estimates import estimates
from kernelsm.app.demonstrations.measured_prompts import RANDOM_PROMPTS, YOURS, ComparedPrompt, show_measured
from kernelsm.app.demonstrations.prompt_choice import PromptChoice
from kernelsm.app.demonstrations.suggestions import chosen_suggestions
from kernelsm.app.shell import rights, session
from kernelsm.app.shell.job_panel import job_panel, registry
from kernelsm.app.shell.words import plain
from kernelsm.pipelines.ask_model import CheckSettings, PromptSettings
from kernelsm.prompts.calibration import CONTENT_FREE
from kernelsm.prompts.orders import FEWEST_ORDERS, orders_there_are
from kernelsm.runtime.errors import InputError
from kernelsm.selection.simple_choices import random_prompts
from kernelsm.workspace.prompt_projects import PROMPTS, PromptSource, find_prompts
from kernelsm.workspace.tables import load_run_orders

_ORDERS, _AGAINST = "demo_check_orders", "demo_check_against"
_EXACT, _FIRST_ORDER = "Exact", "First order"
_RANDOM, _MOST_ORDERS = 8, 12


def check(choice: PromptChoice) -> CheckSettings | None:
    """Offer to check the picked prompt on fresh queries with the model, and show the result.

    Returns the settings of the offered check; None where there is nothing to check.
    """
    task = choice.task
    if not rights.may_ask(choice.run.prompts):
        rights.say_not_yours("The texts", "the language model is not asked about them here")
        return None
    if not task.fresh:
        st.info("These texts have no fresh queries to check with.", icon=":material/info:")
        return None
    if len(choice.picked) < choice.size:
        st.info(f"Fill all {choice.size} slots first.", icon=":material/info:")
        return None
    in_orders = ": in the order shown, and in others, because small models heed the order" if choice.size > 1 else ""
    st.markdown(
        f"Asks the language model about **{len(task.fresh)} fresh queries**, which no choice has seen, after this "
        f"prompt{in_orders}."
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        orders = 1
        if choice.size > 1:
            orders = int(
                st.number_input(
                    "Orders", 1, _MOST_ORDERS, 4, key=_ORDERS, persist_state="session", width=140,
                    help="The order shown is compared with what is predicted for it. Two others or more also tell "
                    "of the mean over all orders.",
                )
            )  # fmt: skip
        against = not choice.holds_all and st.toggle(
            "The suggestions and random prompts too", key=_AGAINST, persist_state="session",
            help=f"The other suggestions and {_RANDOM} random prompts, in the same number of orders.",
        )  # fmt: skip
        calibrated = label_words.check_toggle(choice)
    compared = [ComparedPrompt(YOURS, choice.picked, ordered=True), *(_others(choice) if against else ())]
    limits = model_choice.endpoint_limits(choice.source, "demo_check_endpoint")
    prompts = tuple(dict.fromkeys(one.prompt for one in compared))
    settings = CheckSettings(choice.run.prompts, prompts, orders=orders, limits=limits, calibrated=calibrated)
    model_choice.say_cost(settings.cost(), limits)
    spec = settings.job()
    work_under_way.drawn(spec.key)
    job_panel(spec, settings.seconds(), "", start="Check with the model", cancel="Cancel the check", key="demo_check")
    result = _result(settings)
    as_run = replace(settings, calibrated=choice.calibrated)
    # a check of before the toggle was moved stays in sight
    values = _values(result, settings, as_run) if result else _values(_result(as_run), as_run, as_run)
    if values is not None:
        measures_by_order = (np.array(measures, dtype=float) for measures in values)  # (orders, 2, q) each
        show_measured(choice, compared, dict(zip(settings.prompts, measures_by_order, strict=True)))
    if result and calibrated:
        label_words.show_calibration(choice, result)
    return settings


def _result(settings: CheckSettings) -> dict[str, Any] | None:
    status = registry().status(settings.job().key)
    return status.result if status and status.state == "done" else None


def _values(result: dict[str, Any] | None, of: CheckSettings, wanted: CheckSettings) -> list[Any] | None:
    """What a check measured, calibrated or not as it is wanted: a calibrated one tells both."""
    if result is None:
        return None
    found: list[Any] = result["values" if of.calibrated == wanted.calibrated else "uncalibrated"]
    return found


def _others(choice: PromptChoice) -> list[ComparedPrompt]:
    """What the picked prompt is compared with."""
    compared: dict[tuple[int, ...], ComparedPrompt] = {}
    for suggestion in chosen_suggestions(choice):
        ordered = choice.knows_orders
        if suggestion.picked != choice.picked and (ordered or set(suggestion.picked) != set(choice.picked)):
            prompt = suggestion.picked if ordered else _in_random_order(suggestion.picked)
            compared.setdefault(prompt, ComparedPrompt(suggestion.name, prompt, ordered))
    if choice.size == choice.task.K:
        return list(compared.values())
    drawn = [
        tuple(np.flatnonzero(mask).tolist()) for mask in random_prompts(choice.task.K, choice.size, _RANDOM, seed=11)
    ]
    return [
        *compared.values(),
        *(ComparedPrompt(RANDOM_PROMPTS, _in_random_order(suggestion), ordered=False) for suggestion in drawn),
    ]


def _in_random_order(prompt: tuple[int, ...]) -> tuple[int, ...]:
    """The same order each time; rising would put labels in blocks where the candidates are sorted by label."""
    drawn = np.random.default_rng(sorted(prompt)).permutation(sorted(prompt))
    return tuple(int(k) for k in drawn)


def advise_orders(source: str, orders: int) -> None:
    """Set the initial number of orders of each prompt, at most all; a number that the user chose stays."""
    st.session_state.setdefault(_orders_key(source), min(orders, _most_orders(source)))


def _most_orders(source: str) -> int:
    return min(_MOST_ORDERS, orders_there_are(find_prompts(source).task.k))


def _orders_key(source: str) -> str:
    return f"demo_orders_{source}"


def ask(source: str, prompt_source: PromptSource, *, start: str) -> None:
    """Offer to ask the model with random prompts: the outcomes that a surrogate is fitted to."""
    if not rights.may_ask(source):
        rights.say_not_yours("The texts", "the language model is not asked about them here")
        return
    task = prompt_source.task
    model_choice.another_model(prompt_source)
    if task.k == task.K:
        st.warning(
            f"{prompt_choice.ALL_IN} To choose among them, bring more candidates, or take fewer into a prompt.",
            icon=":material/warning:",
        )
    advise_orders(source, FEWEST_ORDERS)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        subsets = int(st.number_input("Prompts", 10, 2_000, 200, 10, key="demo_subsets", persist_state="session"))
        orders = int(
            st.number_input(
                "Orders of each", 1, _most_orders(source), key=_orders_key(source), persist_state="session",
                help="The outcome of a prompt is the mean over these; their spread tells how much the order matters.",
            )
        )  # fmt: skip
        seed = int(st.number_input("Seed", 0, 10**6, 0, key="demo_seed", persist_state="session"))
        calibrated = label_words.ask_toggle(source, prompt_source)
    limits = model_choice.endpoint_limits(prompt_source, "demo_ask_endpoint")
    # estimates look inside the model, exchange slots of plain text, and change the probabilities of label words
    whole_only = limits is not None or task.template.chat or task.free or calibrated
    how = _EXACT if whole_only else st.segmented_control(
        "How", [_EXACT, _FIRST_ORDER], key="demo_how", default=_EXACT, required=True, persist_state="session",
        help=f"**{_EXACT}** asks the model with every prompt. **{_FIRST_ORDER}** asks it with a few, estimates the "
        "rest from these, and measures how far off that is.",
    )  # fmt: skip
    try:
        settings = PromptSettings(
            source, subsets=subsets, orders=orders, seed=seed, limits=limits, calibrated=calibrated
        )
    except InputError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    more = f", and {len(CONTENT_FREE)} without content" if calibrated else ""
    drawn = f"All {settings.subsets:,} prompts" if settings.all_there_are else f"{subsets:,} random prompts"
    st.caption(
        f"{drawn} of {settings.size} of {task.K} demonstrations, in {orders} "
        f"order{'s' if orders > 1 else ''} each, {len(task.queries)} queries after each{more}. What was asked before "
        "is kept and not asked again."
    )
    model_choice.say_cost(settings.cost(), limits)
    title = session.titles(PROMPTS).get(source, prompt_source.title)
    if how == _FIRST_ORDER:
        estimates(settings, title)
        return
    work_under_way.drawn(settings.job().key)
    job_panel(
        settings.job(),
        settings.seconds(),
        f"{title}: {settings.subsets} prompts, seed {seed}{', calibrated' if calibrated else ''}",
        start=start,
        key="demo_ask",
    )


def ask_again(choice: PromptChoice) -> None:
    """Offer to ask with other random prompts, in as many orders as the run at hand advises."""
    advise_orders(choice.run.prompts, _advised(choice.run.key))
    label_words.advise(choice)
    ask(choice.run.prompts, choice.source, start="Ask the model")


@st.cache_data(max_entries=64, show_spinner="Looking how much the order matters ...")
def _advised(run: str) -> int:
    """Number of orders of each prompt that the measured orders of a run advise."""
    known = load_run_orders(run)
    return FEWEST_ORDERS if known is None else known.needed()
