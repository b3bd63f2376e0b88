"""Demonstrations: the suggestions, each with its one number and one click away."""

from __future__ import annotations

import streamlit as st

from kernelsm.app.demonstrations import prompt_choice
from kernelsm.app.demonstrations.baselines import three_digits
from kernelsm.app.demonstrations.prompt_choice import PromptChoice
from kernelsm.app.demonstrations.slots import beside, interval, middle, order_note
from kernelsm.app.demonstrations.suggestions import BALANCE, chosen_suggestions
from kernelsm.app.shell import frame
from kernelsm.app.shell.words import plain
from kernelsm.prompts.suggestions import Suggestion

_WHERE = {
    True: "on new queries",
    False: "on the queries that prompts are chosen by",
}
_TAKEN_OFF = " What being chosen by these queries flatters is taken off."


def suggested(choice: PromptChoice) -> None:
    """Draw the suggestions, or say what is missing for them."""
    st.header("Suggestions")
    if choice.holds_all:
        st.caption(
            f"{prompt_choice.ALL_IN} Which one is best cannot be learnt from a single set: ask under Check, or bring "
            "more candidates."
        )
        return
    if choice.prediction is None:
        st.info("Not enough to choose: too few prompts were measured. Ask more of them.", icon=":material/info:")
        return
    more = choice.more_to_ask
    if more:
        asked = len(set(choice.prediction.measured.sets))
        st.info(
            f"**Not enough to choose: ask {more:,} more.** From {asked:,} sets of demonstrations, prompts that were "
            "left out are predicted no better than by always saying the mean. Until then only a prompt that was "
            "measured is shown.",
            icon=":material/info:",
        )
        st.button(
            "Ask more prompts", icon=":material/add:", key="demo_ask_more", on_click=_ask_more, args=(asked + more,)
        )
    elif choice.size >= 2:
        st.toggle(
            "As many of each label", key=BALANCE, persist_state="session",
            help="Only prompts in which no label has more than one demonstration more than another.",
        )  # fmt: skip
    suggestions = chosen_suggestions(choice)
    for place, (panel, suggestion) in enumerate(
        zip(frame.panels(len(suggestions), 195, border=True), suggestions, strict=True)
    ):
        with panel:
            _card(choice, place, suggestion)
    if suggestions and not more:
        order = " in its order" if choice.knows_orders else ""
        st.caption(
            f"{choice.unit}, of each prompt{order} {_WHERE[choice.of_new_queries]}, those first whose worse end is "
            "best; one that even at its better end is worse than the first is left out."
            f"{_TAKEN_OFF if choice.of_new_queries else ''}"
        )
    order_note(choice)


def _ask_more(prompts: int) -> None:
    st.session_state["demo_part"] = "Ask again"
    st.session_state["demo_subsets"] = prompts


def _card(choice: PromptChoice, place: int, suggestion: Suggestion) -> None:
    predicted = suggestion.predicted
    outcome = f"**{middle(predicted)}**{f' ({ends})' if (ends := interval(predicted)) else ''}"
    if said := beside(choice, suggestion.picked, predicted):
        outcome += f", {said}"
    st.markdown(f"**{suggestion.name}** · {outcome}")
    also = f"; also: {', '.join(suggestion.names[1:])}" if suggestion.names[1:] else ""
    asked = f" · measured: {three_digits(predicted.measured)}" if predicted.asked else ""
    st.caption(f"{suggestion.about}{also}{asked}  \n{_labels(choice, suggestion)}")
    is_picked = suggestion.picked == choice.picked or (
        not choice.knows_orders and set(suggestion.picked) == set(choice.picked)
    )
    st.button(
        "Taken" if is_picked else "Take", key=f"demo_take_{place}", disabled=is_picked,
        on_click=prompt_choice.pick, args=(suggestion.picked,), help=_names(choice, suggestion),
    )  # fmt: skip


def _labels(choice: PromptChoice, suggestion: Suggestion) -> str:
    return " · ".join(plain(choice.task.candidates[k].label) for k in suggestion.picked)


def _names(choice: PromptChoice, suggestion: Suggestion) -> str:
    return "\n".join(f"- {choice.name(k)}" for k in suggestion.picked)
