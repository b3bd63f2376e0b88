"""Demonstrations: how good choices were on fresh queries, as measured for the built-in prompt tasks."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from kernelsm.app.shell.shown_tables import show_table
from kernelsm.examples.catalog import load_selection
from kernelsm.prompts import suggestions
from kernelsm.prompts.selection_record import (
    CAUTIOUS,
    DEFAULT,
    ORDERED,
    OWN_ORDER,
    PAIRWISE,
    RANDOM,
    SEEN_ORDER,
    ChoiceRecord,
    SelectionRecord,
)
from kernelsm.surrogates.wording import amount

CHOICE_NAMES = {
    CAUTIOUS: suggestions.ORDERED,
    ORDERED: f"{suggestions.ORDERED}, without caution",
    SEEN_ORDER: suggestions.SEEN,
    PAIRWISE: suggestions.PAIRWISE,
    DEFAULT: "By Fit's surrogate",
    "top by attribution": suggestions.TOP,
    "top by linear surrogate": suggestions.LINEAR,
    "nearest to the queries": suggestions.NEAREST,
    "best prompt seen": f"{suggestions.SEEN}, in other orders",
    RANDOM: "A random prompt",
}
"""Ways to choose as the record writes them, in the words of the suggestions."""
_RANKED_NAMES = {"ridge": "Linear, tuned", "linear": "Linear, not tuned", "kernel": "RBF, tuned", "default": "Auto"}
"""Surrogates as the record writes them, in the words of Fit."""


def record(source: str) -> None:
    """Draw the table of every way to choose, and how well surrogates rank unseen prompts."""
    measured = load_selection(source)
    if measured is None:
        st.caption(
            "How good every way to choose is on fresh queries was measured for the built-in prompt tasks only. For "
            "your own texts, **Check** asks the model about your prompt, the suggestions and random prompts."
        )
        return
    st.markdown("### How good choices were on fresh queries")
    st.markdown(_sentence(measured))
    choices = sorted(measured.choices, key=lambda choice: choice.loss)
    show_table(
        pd.DataFrame(
            {
                "choice": [_choice_name(choice) for choice in choices],
                "loss": [choice.loss for choice in choices],
                "±": [choice.margin for choice in choices],
                "worse by": [
                    "" if choice.name == ORDERED else amount(choice.worse, choice.worse_margin, signed=True)
                    for choice in choices
                ],
            }
        ),
        hide_index=True, margins={"loss": "±"}, signed=False,
        alt="Loss on fresh queries of every way to choose demonstrations",
        column_config={
            "loss": st.column_config.NumberColumn("loss, nats", help="On fresh queries"),
            "±": st.column_config.NumberColumn(help="Half of the 90% interval over queries"),
            "worse by": st.column_config.TextColumn(
                help=f"Its loss minus that of {CHOICE_NAMES[ORDERED]}, query by query; 90% interval"
            ),
        },
    )  # fmt: skip
    st.caption(
        f"Each way chose five times, each time from a random four fifths of the {measured.prompts} measured prompts. "
        f"Losses are means over {measured.fresh} fresh queries, {measured.orders} orders and the five choices "
        f"({_all([CHOICE_NAMES[name] for name in OWN_ORDER])}: in the order that was chosen); "
        f"{CHOICE_NAMES[RANDOM]}: the mean of "
        f"{measured.random_prompts} prompts in {measured.random_orders}. Nothing was tuned on the fresh queries. "
        f"{CHOICE_NAMES[DEFAULT]}: that of {_RANKED_NAMES['default']}."
    )
    st.markdown("### How well surrogates rank prompts they have not seen")
    st.markdown(_fit_sentence(measured))
    show_table(
        pd.DataFrame(
            {
                "surrogate": [_RANKED_NAMES.get(fit.name, fit.name) for fit in measured.fits],
                "LDS": [fit.lds for fit in measured.fits],
                f"minus {_RANKED_NAMES['ridge']}": [
                    "" if fit.name == "ridge" else f"{fit.low:+.3f} to {fit.high:+.3f}" for fit in measured.fits
                ],
                "of the mean loss": [fit.overall for fit in measured.fits],
            }
        ),
        hide_index=True, alt="LDS of surrogates on prompts that were held out",
        column_config={
            name: st.column_config.NumberColumn(format="%.3f")
            for name in ("LDS", "of the mean loss")
        },
    )  # fmt: skip
    st.caption(
        "Five-fold cross-validation over prompts. LDS: mean over queries of the rank correlation; the last column is "
        "the rank correlation of the mean loss. Intervals are 90%."
    )

    st.markdown("### What the order says")
    order = measured.order
    st.markdown(
        f"A surrogate that is told the order too ranks single prompts it has not seen with an LDS of "
        f"**{order.lds:.2f}**, the same without the order {order.lds_alone:.2f} (difference {order.low:+.2f} to "
        f"{order.high:+.2f}); relative errors {order.error:.0%} and {order.error_alone:.0%}."
    )
    st.caption(
        f"{order.subsets} subsets in {order.orders} orders each; all orders of a subset are held out together. Both "
        "know how many demonstrations of each label are in."
    )


def _sentence(measured: SelectionRecord) -> str:
    by_name = {choice.name: choice for choice in measured.choices}
    best = min(measured.choices, key=lambda choice: choice.loss)
    cautious, random_one = by_name[CAUTIOUS], by_name[RANDOM]
    below = 1 - best.loss / random_one.loss
    sentence = (
        f'On fresh queries the best way to choose was "{_choice_name(best)}": a loss of '
        f"**{amount(best.loss, best.margin)}**, **{below:.0%} below** the mean random prompt "
        f"({random_one.loss:.3f})."
    )
    if best is not cautious:
        where = "below" if measured.gain > 0 else "above"
        sentence += f' "{CHOICE_NAMES[CAUTIOUS]}" had {cautious.loss:.3f}, {abs(measured.gain):.0%} {where}.'
    groups: dict[str, list[ChoiceRecord]] = {"clearly better": [], "clearly worse": [], "not to be told from it": []}
    for choice in measured.choices:
        if choice.name not in (ORDERED, RANDOM):
            clear = "clearly worse" if choice.worse > 0 else "clearly better"
            groups[clear if abs(choice.worse) > choice.worse_margin else "not to be told from it"].append(choice)
    parts = [
        f"{words}: {_all([_choice_name(choice) for choice in group])}" for words, group in groups.items() if group
    ]
    return f'{sentence} Compared with "{CHOICE_NAMES[ORDERED]}", {"; ".join(parts)}.'


def _fit_sentence(measured: SelectionRecord) -> str:
    others = [fit for fit in measured.fits if fit.name != "ridge"]
    groups = {
        "ranks clearly better": [fit for fit in others if fit.low > 0],
        "ranks clearly worse": [fit for fit in others if fit.high < 0],
        "cannot be told from it": [fit for fit in others if fit.low <= 0 <= fit.high],
    }
    parts = [f"{_all([_RANKED_NAMES.get(fit.name, fit.name) for fit in group])} "
             f"{words if len(group) == 1 else words.replace('ranks', 'rank')}"
             for words, group in groups.items() if group]  # fmt: skip
    return f"Compared with a tuned linear surrogate, {'; '.join(parts)}."


def _choice_name(choice: ChoiceRecord) -> str:
    return CHOICE_NAMES.get(choice.name, choice.name)


def _all(names: list[str]) -> str:
    names = [f'"{name}"' for name in names]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
