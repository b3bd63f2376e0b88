"""Demonstrations: the slots of the prompt, the one number that is predicted of it, and its pairs."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from kernelsm.app.demonstrations import prompt_choice
from kernelsm.app.demonstrations.baselines import show_baselines, three_digits
from kernelsm.app.demonstrations.kept_focus import keep_focus
from kernelsm.app.demonstrations.prompt_choice import PromptChoice
from kernelsm.app.shell import session, spoken
from kernelsm.app.shell.words import plain, unit_help
from kernelsm.prompts.orders import order_spreads
from kernelsm.prompts.prompt_effects import PairEffect, pair_effects
from kernelsm.prompts.prompt_prediction import Predicted
from kernelsm.surrogates.wording import amount, effect_word, number, ranged
from kernelsm.workspace.tables import load_run_orders

_ADD = "demo_add"


def slots(choice: PromptChoice) -> None:
    """Draw the predicted loss, what to compare it with, the slots, and what the picked pairs do."""
    st.header("Your prompt")
    _aim(choice)
    _prediction(choice)
    show_baselines(choice)
    effects = choice.effects if choice.picked else None
    clear = effects.told_from_zero() if effects else np.zeros(choice.task.K, dtype=np.bool_)
    for place in range(choice.size):
        with st.container(border=True):
            if place < len(choice.picked):
                k = choice.picked[place]
                alone = ""
                if effects and clear[k]:
                    value, margin = float(effects.values[k, 0]), float(effects.margin()[k, 0])
                    word = effect_word(value, choice.higher_is_better)
                    alone = f"by itself {word}: {amount(value, margin, signed=True)}"
                _slot(choice, place, alone)
            else:
                st.markdown(f":gray[{place + 1} · empty]")
    _add(choice)
    with st.container(horizontal=True):
        st.button(
            "Undo",
            icon=":material/undo:",
            key="demo_undo",
            on_click=prompt_choice.undo,
            disabled=prompt_choice.picked_before() is None,
        )
        best = choice.best_order(choice.picked) if len(choice.picked) == choice.size > 1 else None
        if best:
            st.button(
                "Best order",
                icon=":material/sort:",
                key="demo_best_order",
                on_click=prompt_choice.pick,
                args=(best,),
                disabled=best == choice.picked,
                help="The order of these that is predicted to be best",
            )
        st.button(
            "Clear", icon=":material/clear_all:", key="demo_clear", on_click=prompt_choice.pick, args=((),),
            disabled=not choice.picked,
        )  # fmt: skip
    _pairs(choice)
    keep_focus()


def _aim(choice: PromptChoice) -> None:
    """What prompts are chosen by, where both are known."""
    if not prompt_choice.knows_right(choice.run):
        return
    st.segmented_control(
        "Choose by", [choice.run.word.capitalize(), prompt_choice.RIGHT_ANSWERS], key=prompt_choice.AIM,
        default=choice.run.word.capitalize(), required=True, persist_state="session",
        help="The loss also counts how sure the model is of the right answer. Right answers count alone how often it "
        "is right: of few queries, many prompts have as many.",
    )  # fmt: skip


def interval(predicted: Predicted) -> str:
    """The ends of an interval in words; "" where there is none."""
    if not math.isfinite(predicted.margin) or predicted.margin <= 0:
        return ""
    return ranged(predicted.value, predicted.low, predicted.high).partition(" (")[2].removesuffix(")")


def middle(predicted: Predicted) -> str:
    """A prediction in the decimals that its interval has."""
    if not interval(predicted):
        return three_digits(predicted.value)
    return ranged(predicted.value, predicted.low, predicted.high).partition(" (")[0]


def beside(choice: PromptChoice, picked: tuple[int, ...], predicted: Predicted) -> str:
    """What else is expected of a prompt: right answers beside the loss, or the loss beside these; "" if not known."""
    if choice.by_right:
        other = choice.of_outcome.in_order(picked)
        return "" if other is None else f"{choice.run.word} {middle(other)}"
    return "" if math.isnan(predicted.accuracy) else f"right on {predicted.accuracy:.0%}"


def _prediction(choice: PromptChoice) -> None:
    predicted, empty = choice.in_order(choice.picked), choice.size - len(choice.picked)
    if predicted is None:
        st.metric(f"Mean {choice.measured_unit}", number(choice.mean_prompt), width="content")
        st.caption(
            "The mean of the measured prompts. There is nothing to predict: "
            f"{'they all hold the same demonstrations.' if choice.holds_all else 'too few were measured.'}"
        )
        return
    before = prompt_choice.picked_before()
    change = None if before is None else choice.change(before, choice.picked)
    name = "In this order" if choice.knows_orders else "Predicted"
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        st.metric(
            name, middle(predicted),
            None if change is None else f"{number(change, signed=True, digits=2)} by the last change",
            delta_color="off" if not change else "blue" if choice.is_better(change) else "orange",
            delta_arrow="off" if not change else "auto", width="content",
            help=f"{choice.unit}, mean over {'new' if choice.of_new_queries else 'the measured'} queries. "
            f"{'Lower is better. ' if choice.is_loss else ''}{unit_help(choice.measured_unit) or ''}",
        )  # fmt: skip
        st.caption(_beside(choice, predicted))
    st.caption(_what_it_is(choice, predicted, empty))
    spoken.say(
        f"{len(choice.picked)} of {choice.size} slots are filled. "
        f"{name}: {choice.measured_unit} {middle(predicted)}.",
        "slots",
    )


def _beside(choice: PromptChoice, predicted: Predicted) -> str:
    """The small print: the interval, and other orders of the same."""
    lines = []
    if said := beside(choice, choice.picked, predicted):
        lines.append(f"{said}{'' if choice.by_right else ' of the queries'}")
    if ends := interval(predicted):
        lines.append(f"90% interval {ends}")
    if predicted.asked:
        right = predicted.measured_accuracy
        said = "" if math.isnan(right) or choice.by_right else f", right on {right:.0%}"
        lines.append(f"measured: {three_digits(predicted.measured)}{said}")
    if choice.picked and choice.knows_orders and (others := choice.over_orders(choice.picked)) is not None:
        lines.append(f"other orders {middle(others)}{f' ({ends})' if (ends := interval(others)) else ''}")
    return "  \n".join(lines)


def _what_it_is(choice: PromptChoice, predicted: Predicted, empty: int) -> str:
    unit = choice.unit
    if empty == choice.size:
        return f"{unit}: the mean of the measured prompts. Tick candidates, or take a suggestion."
    if empty:
        return f"{unit}, predicted with the {empty} empty slot{'s' if empty > 1 else ''} filled at random."
    if not choice.of_new_queries:
        return f"{unit}, {'measured' if predicted.asked else 'predicted'} on the queries that prompts are chosen by."
    if predicted.asked:
        return (
            f"{unit} on new queries, going by what was measured on the {len(choice.task.queries)} that prompts are "
            "chosen by. The model has its say under Check."
        )
    return f"{unit} on new queries, predicted from the measured prompts. The model has its say under Check."


def _slot(choice: PromptChoice, place: int, alone: str) -> None:
    k = choice.picked[place]
    candidate = choice.task.candidates[k]
    text = f"{plain(candidate.text[:200])}{'…' if len(candidate.text) > 200 else ''}"
    said = f"  \n:gray[{alone}]" if alone else ""
    st.markdown(f"**{place + 1}** · {text} → **{plain(candidate.label)}**{said}")
    with st.container(horizontal=True, gap="medium"):
        st.button(
            "Take out", icon=":material/close:", key=f"demo_out_{k}", type="tertiary", on_click=prompt_choice.pick,
            args=(tuple(other for other in choice.picked if other != k),),
        )  # fmt: skip
        if place:
            st.button(
                "Earlier", icon=":material/arrow_upward:", key=f"demo_up_{k}", type="tertiary",
                on_click=prompt_choice.pick, args=(prompt_choice.moved_up(choice.picked, place),),
            )  # fmt: skip
        if place + 1 < len(choice.picked):
            st.button(
                "Later", icon=":material/arrow_downward:", key=f"demo_down_{k}", type="tertiary",
                on_click=prompt_choice.pick, args=(prompt_choice.moved_down(choice.picked, place),),
            )  # fmt: skip


def _add(choice: PromptChoice) -> None:
    """The keyboard's way into a slot."""
    left = [k for k in range(choice.task.K) if k not in choice.picked]
    full = len(choice.picked) >= choice.size
    st.session_state[_ADD] = None
    st.selectbox(
        "Add a demonstration", left, key=_ADD, disabled=full or not left,
        placeholder="All slots are full" if full else "Type some words of it",
        format_func=lambda k: f"{choice.task.candidates[k].label}: {choice.run.outcomes.task_names[k]}",
        on_change=_added, args=(choice.size,),
    )  # fmt: skip


def _added(size: int) -> None:
    k = st.session_state[_ADD]
    picked = session.view().picked
    if k is not None and k not in picked and len(picked) < size:
        prompt_choice.pick((*picked, int(k)))


def _pairs(choice: PromptChoice) -> None:
    """Say which picked pairs help each other or clash, where that can be told."""
    if len(choice.picked) < 2 or choice.prediction is None:
        return
    pairs = _pairs_of(choice.key, tuple(sorted(choice.picked)))
    clear = [pair for pair in pairs if pair.clear]
    if pairs and not clear:
        st.caption("No picked pair does more or less together than both by themselves, as far as can be told.")
    for pair in clear:
        word = "help each other" if choice.is_better(pair.value) else "clash"
        margin = choice.prediction.quantile * pair.std
        st.markdown(
            f"- {choice.name(pair.first)} and {choice.name(pair.second)} {word}: "
            f"{amount(pair.value, margin, signed=True)} beyond the sum of both."
        )


@st.cache_data(max_entries=1_000, show_spinner=False)
def _pairs_of(key: str, picked: tuple[int, ...]) -> list[PairEffect]:
    return pair_effects(prompt_choice.known_prediction(key), picked)


def order_note(choice: PromptChoice) -> None:
    """Say how much the order of demonstrations matters beside their choice, and whether some orders were left out."""
    learnt, given = choice.orders_learnt
    if learnt < given:
        st.caption(
            f"Predictions come from {learnt:,} of the {given:,} measured orders, the first ones of each prompt: more "
            "would take too long here."
        )
    known = load_run_orders(choice.run.key)
    if known is None:
        return
    within, between = order_spreads(known.by_subset(), known.orders.shape[1])
    if not within > 0:
        return
    prompts = (
        ""
        if math.isnan(between)
        else f", and the mean over all orders by {number(between, digits=2)} between prompts"
    )
    st.caption(
        f"Does the order matter? The {choice.run.word} of one prompt differs by {number(within, digits=2)} between "
        "its orders"
        f"{prompts} (standard deviation{'s' if prompts else ''})."
    )
