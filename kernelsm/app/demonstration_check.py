"""Demonstrations: a picked prompt checked with the real model on fresh queries, and new outcomes asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from kernelsm.app import frame, picking, session
from kernelsm.app.demonstration_estimates import estimates
from kernelsm.app.job_panel import job_panel, registry
from kernelsm.app.picking import Picking
from kernelsm.app.words import plain
from kernelsm.charts.prompts import CheckedPrompt, checked_prompts
from kernelsm.outcomes.prompt_jobs import CheckSettings, PromptSettings
from kernelsm.outcomes.prompt_orders import FEWEST_ORDERS, load_orders, orders_needed
from kernelsm.outcomes.prompt_sources import PROMPT_EXAMPLES, PromptSource
from kernelsm.selection.baselines import random_prompts

_ORDERS, _AGAINST = "demo_check_orders", "demo_check_against"
_EXACT, _FIRST_ORDER = "Exact", "First order"
_RANDOM = 8
_NORMAL_90 = 1.645


def check(p: Picking) -> None:
    """Offer to ask the model about fresh queries after the picked prompt, and show what came of it."""
    task = p.task
    if not task.fresh:
        st.info("These texts have no fresh queries to check with.", icon=":material/info:")
        return
    if len(p.picked) < p.size:
        st.info(f"Fill all {p.size} slots first.", icon=":material/info:")
        return
    st.markdown(
        f"Asks the language model about **{len(task.fresh)} fresh queries**, which no choice has seen, after this "
        "prompt: in the order shown, and in others, because small models heed the order."
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        orders = int(st.number_input("Orders", 1, 12, 4, key=_ORDERS, persist_state="session", width=140))
        against = st.toggle(
            "The suggestions and random prompts too", key=_AGAINST, persist_state="session",
            help=f"The other suggestions and {_RANDOM} random prompts, in the same number of orders.",
        )  # fmt: skip
    names = {p.picked: "Your prompt"}
    if against:
        for one in picking.chosen_suggestions(p):
            if set(one.picked) != set(p.picked) and one.name != picking.RANDOM:
                names.setdefault(one.picked, one.name)
        for mask in random_prompts(task.K, p.size, _RANDOM, seed=11):
            names.setdefault(tuple(np.flatnonzero(mask).tolist()), "Random prompts")
    settings = CheckSettings(p.run.prompts, tuple(names), orders=orders)
    spec = settings.job()
    job_panel(spec, settings.seconds(), "", start="Check with the model", cancel="Cancel the check", key="demo_check")
    status = registry().status(spec.key)
    if status and status.state == "done" and status.result:
        _checked(p, list(names.items()), status.result["values"])


@dataclass(frozen=True)
class Measured:
    """Loss of one or more prompts on fresh queries."""

    mean: float
    margin: float
    accuracy: float
    of_orders: NDArray[np.float64]


def measured(values: list[Any]) -> Measured:
    """Sum up a prompt's orders, each with (loss, accuracy) rows over the queries.

    The margin is half of the 90% interval over queries, the same for all orders.
    """
    table = np.array(values, dtype=float)  # (orders, 2, q)
    by_query = table[:, 0].mean(axis=0)
    error = by_query.std(ddof=1) / np.sqrt(len(by_query)) if len(by_query) > 1 else np.nan
    return Measured(
        float(by_query.mean()), float(_NORMAL_90 * error), float(table[:, 1].mean()), table[:, 0].mean(axis=1)
    )


def _checked(p: Picking, names: list[tuple[tuple[int, ...], str]], values: list[Any]) -> None:
    mine, unit = measured(values[0]), p.run.unit
    predicted, margin = p.expected(p.picked)
    orders = mine.of_orders
    spread = f" Over its {len(orders)} orders: {orders.min():.3f} to {orders.max():.3f}; in the order shown " \
             f"{orders[0]:.3f}." if len(orders) > 1 else ""  # fmt: skip
    st.markdown(
        f"Measured **{mine.mean:.3f} ± {mine.margin:.3f}** {plain(unit)} on fresh queries, right on "
        f"**{mine.accuracy:.0%}** of them.{spread} {_verdict(predicted, margin, mine)}"
    )
    rows = [CheckedPrompt("Your prompt", predicted, margin, mine.mean, mine.margin)]
    drawn = [found for (_, name), found in zip(names, values, strict=True) if name == "Random prompts"]
    for (prompt, name), found in zip(names[1:], values[1:], strict=True):
        if name != "Random prompts":
            other = measured(found)
            rows.append(CheckedPrompt(name, *p.expected(prompt), other.mean, other.margin))
    if drawn:
        means = np.array([measured(one).mean for one in drawn])
        error = _NORMAL_90 * means.std(ddof=1) / np.sqrt(len(means))
        rows.append(CheckedPrompt(f"Mean of {len(drawn)} random prompts", *p.expected(()), means.mean(), error))
    if len(rows) > 1:
        frame.show(checked_prompts(rows, unit=unit), "demo_checked")
        st.caption(
            "Predicted: on the queries that the surrogate was fitted to. Measured: on fresh ones, so all may differ "
            "by what the two sets of queries differ by."
        )


def _verdict(predicted: float, margin: float, mine: Measured) -> str:
    apart = abs(predicted - mine.mean)
    if apart <= np.hypot(margin, mine.margin):
        return f"The prediction, {predicted:.3f} ± {margin:.3f}, agrees."
    where = "better" if mine.mean < predicted else "worse"
    return f"That is {where} than the prediction, {predicted:.3f} ± {margin:.3f}, by more than both intervals allow."


def advise_orders(source: str, orders: int) -> None:
    """Set how many orders of each prompt are asked first; what the user chose stays."""
    st.session_state.setdefault(_orders_key(source), orders)


def _orders_key(source: str) -> str:
    return f"demo_orders_{source}"


def ask(source: str, found: PromptSource, *, start: str) -> None:
    """Offer to ask the model with random prompts: the outcomes that a surrogate is fitted to."""
    task = found.task
    advise_orders(source, FEWEST_ORDERS)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        subsets = int(st.number_input("Prompts", 10, 2_000, 200, 10, key="demo_subsets", persist_state="session"))
        orders = int(
            st.number_input(
                "Orders of each", 1, 12, key=_orders_key(source), persist_state="session",
                help="The outcome of a prompt is the mean over these; their spread tells how much the order matters.",
            )
        )  # fmt: skip
        seed = int(st.number_input("Seed", 0, 10**6, 0, key="demo_seed", persist_state="session"))
    how = st.segmented_control(
        "How", [_EXACT, _FIRST_ORDER], key="demo_how", default=_EXACT, required=True, persist_state="session",
        help=f"**{_EXACT}** asks the model with every prompt. **{_FIRST_ORDER}** asks it with a few, estimates the "
        "rest from these, and measures how far off that is.",
    )  # fmt: skip
    settings = PromptSettings(source, subsets=subsets, orders=orders, seed=seed)
    st.caption(
        f"{subsets:,} random prompts of {settings.size} of {task.K} demonstrations, in {orders} "
        f"order{'s' if orders > 1 else ''} each, {len(task.queries)} queries after each. What was asked before is "
        "kept and not asked again."
    )
    title = PROMPT_EXAMPLES[source].title if source in PROMPT_EXAMPLES else session.prompts().get(source, found.title)
    if how == _FIRST_ORDER:
        estimates(settings, title)
        return
    job_panel(
        settings.job(), settings.seconds(), f"{title}: {subsets} prompts, seed {seed}", start=start, key="demo_ask"
    )


def ask_again(p: Picking) -> None:
    """Offer to ask with other random prompts, in as many orders as the run at hand advises."""
    advise_orders(p.run.prompts, _advised(p.run.key))
    ask(p.run.prompts, p.source, start="Ask the model")


@st.cache_data(max_entries=64, show_spinner="Looking how much the order matters ...")
def _advised(run: str) -> int:
    """How many orders of a prompt are advised by those of a run."""
    known = load_orders(run)
    return FEWEST_ORDERS if known is None else orders_needed(known.by_subset())


def first_outcomes(source: str, found: PromptSource) -> None:
    """Show texts that have no outcomes yet, and offer to ask the model with them."""
    task = found.task
    st.markdown(
        f"{task.K} candidates, {len(task.queries)} queries to choose by, {len(task.fresh)} fresh ones to check with, "
        f"{task.k} demonstrations in a prompt. Labels: {', '.join(f'**{plain(label)}**' for label in task.labels)}. "
        "Next the language model is asked with random prompts; the surrogate learns from them."
    )
    ask(source, found, start="Ask the model")
