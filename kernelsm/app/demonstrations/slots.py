"""The parts of the Demonstrations page: candidates, slots, prediction, suggestions, and the prompt to take away."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pandas as pd
import streamlit as st

from kernelsm.app.demonstrations import prompt_choice
from kernelsm.app.demonstrations.prompt_choice import PromptChoice, Suggestion
from kernelsm.app.shell import frame, navigation, session, spoken
from kernelsm.app.shell.findings import said_of_pair
from kernelsm.app.shell.open_runs import Run
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.words import KERNEL_NAMES, plain, unit_help
from kernelsm.examples.catalog import PROMPT_EXAMPLES, load_selection
from kernelsm.export.prompt_formats import chat_json, json_lines, prompt_text
from kernelsm.prompts.orders import order_spreads
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.near_ties import rising
from kernelsm.surrogates.wording import Verdict, amount, effect_verdict, number
from kernelsm.workspace.tables import load_run_orders

_SEARCH, _LABELS, _ADD = "demo_search", "demo_labels", "demo_add"
_TABLE, _REFUSED = "demo_table", "demo_refused"
_LABELS_SHOWN = 8
_ROW, _ROWS_HIGH = 102, 649  # pixels: five lines of text, which wraps from 65; the head and six rows
_KNOWS_ORDERS = (
    " The surrogate of this number also knows which label stands where, which that of the effects does not."
)


def blocked(run: Run) -> None:
    """Say that a run is not about prompts, and offer runs that are."""
    st.info(
        f"{plain(run.title or 'This run')} is not about prompts: its tasks are not demonstrations.",
        icon=":material/info:",
    )
    columns = frame.panels(len(PROMPT_EXAMPLES) + 1, 220)
    for column, example in zip(columns, PROMPT_EXAMPLES.values(), strict=False):
        column.button(
            f"Open {example.title}", icon=":material/visibility:", key=f"demo_open_{example.name}",
            on_click=session.look_at, args=(example.name,),
        )  # fmt: skip
    columns[-1].page_link(navigation.DATA, label="Bring your own texts", icon=":material/upload:")


def candidates(choice: PromptChoice) -> None:
    """Draw the table of candidates; a box ticked puts one into the next slot."""
    st.header("Candidates")
    task, size = choice.task, choice.size
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        text = st.text_input("Search", key=_SEARCH, placeholder="words in the text", persist_state="session")
        labels: list[str] = []
        if len(task.labels) <= _LABELS_SHOWN:
            labels = st.pills(
                "Label", list(task.labels), format_func=plain, key=_LABELS, selection_mode="multi",
                persist_state="session",
            )  # fmt: skip
    effect, margin = choice.readout.attribution.values[:, 0], choice.readout.attribution.margin()[:, 0]
    badness = -effect if choice.run.outcomes.higher_is_better else effect
    fits = [
        text.casefold() in candidate.text.casefold() and (not labels or candidate.label in labels)
        for candidate in task.candidates
    ]
    shown = [k for k in rising(badness).tolist() if fits[k]]
    if not shown:
        st.info("No candidate has these words and labels.", icon=":material/search_off:")
        return
    effects = {} if choice.holds_all else {
        "effect": effect[shown], "±": np.where(np.isfinite(margin), margin, np.nan)[shown]
    }  # fmt: skip
    st.caption(_what_the_table_says(choice, len(shown)))
    rows = {"rows": [row for row, k in enumerate(shown) if k in choice.picked], "columns": [], "cells": []}
    # the browser ignores a selection equal to the last one it was sent; a new key makes it draw the table anew
    key = f"{_TABLE}_{st.session_state.get(_REFUSED, 0)}"
    st.session_state[key] = {"selection": rows}
    show_table(
        pd.DataFrame(
            {
                "text": [task.candidates[k].text for k in shown],
                "label": [task.candidates[k].label for k in shown],
                **effects,
            }
        ),
        key=key,
        margins={} if choice.holds_all else {"effect": "±"},
        hide_index=True,
        height=_ROWS_HIGH,
        row_height=_ROW,
        selection_mode="multi-row",
        on_select=lambda: _tick(key, shown, size),
        alt=f"Candidates with their label{' and effect' if effects else ''}",
        column_config={
            "text": st.column_config.TextColumn(width=210),
            "label": st.column_config.TextColumn(width=70),
            "effect": st.column_config.NumberColumn(
                width=70,
                help=f"Mean {choice.run.unit} of prompts of {size} with it, minus without it",
            ),
            "±": st.column_config.NumberColumn(width=60, help="Half of the 90% interval"),
        },
    )


def _what_the_table_says(choice: PromptChoice, shown: int) -> str:
    """Say how many candidates are shown, which sign helps, and whether their order is more than chance."""
    if choice.holds_all:
        return f"{shown} of {choice.task.K} candidates. {prompt_choice.ALL_IN}"
    K = choice.task.K
    clear = int((choice.readout.task_verdicts == Verdict.CLEAR).sum())
    helps = "Positive" if choice.run.outcomes.higher_is_better else "Negative"
    how_many = f"{clear} of {K} effects can be told from zero, with all of them in mind"
    if clear:
        return f"{shown} of {K} candidates, the most helpful first. {helps} effects help. {how_many}."
    there_is_more = load_selection(choice.run.prompts) is not None
    return (
        f"{shown} of {K} candidates. {helps} effects help, but {how_many}: the order of this table is mostly chance."
        f"{' See **How good are choices?**' if there_is_more else ''}"
    )


def _tick(key: str, shown: list[int], size: int) -> None:
    picked = session.view().picked
    ticked = prompt_choice.ticked(picked, shown, st.session_state[key].selection.rows)
    if len(ticked) > size:
        st.session_state[_REFUSED] = st.session_state.get(_REFUSED, 0) + 1
        st.toast(f"All {size} slots are full: take one out first.", icon=":material/block:")
    else:
        prompt_choice.pick(ticked)


def slots(choice: PromptChoice) -> None:
    """Draw the slots, the predicted loss, and the interactions of the picked demonstrations."""
    st.header("Your prompt")
    _prediction(choice)
    for place in range(choice.size):
        with st.container(border=True):
            if place < len(choice.picked):
                _slot(choice, place)
            else:
                st.markdown(f":gray[{place + 1} · empty]")
    _add(choice)
    with st.container(horizontal=True):
        st.button(
            "Undo",
            icon=":material/undo:",
            on_click=prompt_choice.undo,
            disabled=prompt_choice.picked_before() is None,
        )
        best = choice.best_order(choice.picked) if len(choice.picked) == choice.size > 1 else None
        if best:
            st.button(
                "Best order",
                icon=":material/sort:",
                on_click=prompt_choice.pick,
                args=(best,),
                disabled=best == choice.picked,
                help="The order of these that is predicted to be best",
            )
        st.button(
            "Clear", icon=":material/clear_all:", on_click=prompt_choice.pick, args=((),), disabled=not choice.picked
        )
    _pairs(choice)


def _prediction(choice: PromptChoice) -> None:
    value, margin = choice.expected(choice.picked)
    before = prompt_choice.picked_before()
    change = None if before is None else value - choice.expected(before)[0]
    is_better = change is not None and (change > 0) == choice.run.outcomes.higher_is_better
    metrics = st.container(horizontal=True, gap="small")
    metrics.metric(
        f"Predicted {choice.run.unit}", amount(value, margin),
        None if change is None else f"{number(change, signed=True)} by the last change",
        delta_color="off" if not change else "blue" if is_better else "orange",
        delta_arrow="off" if not change else "auto", width="content",
        help="Mean over the queries that the surrogate was fitted to, and over all orders; 90% interval."
        f"{_KNOWS_ORDERS if choice.knows_orders else ''}{f' {told}' if (told := unit_help(choice.run.unit)) else ''}",
    )  # fmt: skip
    if len(choice.picked) == choice.size > 1 and (in_order := choice.in_order(choice.picked)) is not None:
        metrics.metric(
            "In this order", amount(*in_order), width="content",
            help="Predicted by a surrogate that also knows which demonstration, and which label, stands where; "
            "90% interval.",
        )  # fmt: skip
    empty = choice.size - len(choice.picked)
    random_prompt = choice.expected(())[0]
    if empty == choice.size:
        st.caption(f"The mean of all prompts of {choice.size}. Tick candidates, or take a suggestion.")
    elif empty:
        st.caption(
            f"With the {empty} empty slot{'s' if empty > 1 else ''} filled at random. The mean of all prompts: "
            f"{number(random_prompt)}."
        )
    else:
        st.caption(f"The mean of all prompts: {number(random_prompt)}. The model has its say under Check.")
    st.caption(_who_says_what(choice))
    spoken.say(
        f"{len(choice.picked)} of {choice.size} slots are filled. Predicted {choice.run.unit}: "
        f"{amount(value, margin)}.",
        "slots",
    )


def _who_says_what(choice: PromptChoice) -> str:
    """Name the surrogate of each number: there may be two."""
    of_fit = f"Fit's surrogate ({KERNEL_NAMES[session.view().kernel]})"
    if choice.knows_orders:
        return f"Predictions: the surrogate of prompts in their order. Effects and pairs: {of_fit}."
    orders = prompt_choice.position_surrogate(choice.run.fits) is not None
    return (
        f"Predictions, effects and pairs: {of_fit}."
        f"{' What is said of one order: the surrogate of prompts in their order.' if orders else ''}"
    )


def _slot(choice: PromptChoice, place: int) -> None:
    k = choice.picked[place]
    candidate = choice.task.candidates[k]
    value, margin = choice.readout.attribution.values[k, 0], choice.readout.attribution.margin()[k, 0]
    verdict = effect_verdict(Verdict(choice.readout.task_verdicts[k]), value, choice.run.outcomes.higher_is_better)
    alone = f"  \n:gray[by itself {verdict}: {amount(value, margin, signed=True)}]"
    text = f"{plain(candidate.text[:200])}{'…' if len(candidate.text) > 200 else ''}"
    st.markdown(f"**{place + 1}** · {text} → **{plain(candidate.label)}**{'' if choice.holds_all else alone}")
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
    """Say which picked pairs help each other or clash."""
    if len(choice.picked) < 2 or choice.holds_all:
        return
    clear_pairs = [
        (j, k) for j, k in (sorted(pair) for pair in combinations(choice.picked, 2)) if choice.readout.clear[j, k]
    ]  # fmt: skip
    if not clear_pairs:
        total = sum(choice.readout.interactions.values[j, k, 0] for j, k in combinations(choice.picked, 2))
        st.caption(
            "No picked pair can be told from the sum of both. All together their interactions add "
            f"{number(total, signed=True)}."
        )
    for j, k in clear_pairs:
        st.markdown(f"- {said_of_pair(choice.readout, j, k)}")


def suggested(choice: PromptChoice) -> None:
    """Draw the suggestions, each with its prediction and one click away."""
    st.header("Suggestions")
    if choice.holds_all:
        st.caption(
            f"{prompt_choice.ALL_IN} Which one is best cannot be learnt from a single set: ask under Check, or bring "
            "more candidates."
        )
        return
    with st.container(horizontal=True, gap="large"):
        balance = choice.size >= 2 and st.toggle(
            "As many of each label", key=prompt_choice.BALANCE, persist_state="session",
            help="Only prompts in which no label has more than one demonstration more than another.",
        )  # fmt: skip
        if count := prompt_choice.prompts_to_search(choice.task, choice.size, balance):
            st.toggle(
                f"Try all {count:,} prompts", key=prompt_choice.EVERY, persist_state="session",
                help="Predict every prompt of this size by Fit's surrogate, not only those that a search passes.",
            )  # fmt: skip
    suggestions = prompt_choice.chosen_suggestions(choice)
    for place, (panel, suggestion) in enumerate(zip(frame.panels(len(suggestions), 230), suggestions, strict=True)):
        is_picked = (
            suggestion.picked == choice.picked if suggestion.ordered else set(suggestion.picked) == set(choice.picked)
        )
        in_order = choice.in_order(suggestion.picked) if suggestion.ordered else None
        with panel.container(border=True, height="stretch"):
            if suggestion.measured is not None:
                outcome = f"{number(suggestion.measured)} measured in its order"
            else:
                outcome = amount(*(in_order or choice.expected(suggestion.picked)))
                outcome += " in its order" if in_order else ""
            st.markdown(f"**{suggestion.name}** · {outcome}")
            st.caption(suggestion.about)
            st.button(
                "Taken" if is_picked else "Take", key=f"demo_take_{place}", disabled=is_picked,
                on_click=prompt_choice.pick, args=(suggestion.picked,), help=_names(choice, suggestion),
            )  # fmt: skip
    st.caption(
        f"Predicted {choice.run.unit}. The best of many predictions is picked, so the real ones tend to be worse: "
        "check them."
    )


def order_note(choice: PromptChoice) -> None:
    """Say how much the order of demonstrations matters beside their choice, and whether some orders were left out."""
    learnt, given = choice.orders_learnt
    if learnt < given:
        st.caption(
            f"Predictions come from {learnt:,} of the {given:,} measured orders, the first ones of each prompt: more "
            "would take too long here. The others count for the effects in the table, which are of mean outcomes."
        )
    known = load_run_orders(choice.run.key)
    if known is None:
        return
    within, between = order_spreads(known.by_subset(), known.orders.shape[1])
    if not within > 0:
        return
    noise = choice.run.outcomes.noise  # none is left where all orders were asked
    as_noise = noise is not None and bool(noise.any()) and session.view().kernel == "auto"
    prompts = (
        ""
        if math.isnan(between)
        else f", and the mean over all orders by {number(between, digits=2)} between prompts"
    )
    st.caption(
        f"Does the order matter? The {choice.run.word} of one prompt differs by {number(within, digits=2)} between "
        "its orders"
        f"{prompts} (standard deviation{'s' if prompts else ''})."
        f"{' The default surrogate takes what the measured means keep of the order as noise.' if as_noise else ''}"
    )


def _names(choice: PromptChoice, suggestion: Suggestion) -> str:
    return "\n".join(f"- {choice.name(k)}" for k in suggestion.picked)


def take_away(choice: PromptChoice) -> None:
    """Draw the prompt as it will be sent, in three forms, each with a button that copies it."""
    task = choice.task
    left, right = frame.panels(2, 260)
    form = left.segmented_control(
        "Copy as", ["Text", "Chat JSON", "JSON lines"], key="demo_form", default="Text", required=True,
        persist_state="session",
    )  # fmt: skip
    query = right.selectbox(
        "Query", range(-1, len(task.queries)), key="demo_query",
        format_func=lambda j: "A place for your own" if j < 0 else task.queries[j].text[:80],
    )  # fmt: skip
    text, name, kind = _form(task, choice.picked, str(form), None if query is None or query < 0 else query)
    st.code(text, language=None if form == "Text" else "json", wrap_lines=True)
    st.download_button(f"Download {name}", text, name, kind, icon=":material/download:", on_click="ignore")
    if form == "Chat JSON":
        st.caption("A chat model reads this through a template of its own: its loss is not that of the plain text.")
    elif form == "JSON lines":
        st.caption("The demonstrations alone, in the order of the prompt.")
    else:
        st.caption("The label word follows after one space.")


def _form(task: PromptTask, picked: tuple[int, ...], form: str, query: int | None) -> tuple[str, str, str]:
    labelled_query = None if query is None else task.queries[query]
    if form == "Chat JSON":
        return chat_json(task, picked, labelled_query), "prompt.json", "application/json"
    if form == "JSON lines":
        return json_lines(task, picked), "demonstrations.jsonl", "application/jsonl"
    return prompt_text(task, picked, labelled_query), "prompt.txt", "text/plain"
