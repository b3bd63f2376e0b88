"""Demonstrations: what a check measured on fresh queries, in words and beside what was predicted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from kernelsm.app.demonstrations.prompt_choice import PromptChoice
from kernelsm.app.shell import frame
from kernelsm.app.shell.words import plain
from kernelsm.charts.prompts import CheckedPrompt, checked_prompts
from kernelsm.prompts.agreement import MeasuredMean, measured_mean, verdict
from kernelsm.surrogates.wording import amount

YOURS, RANDOM_PROMPTS = "Your prompt", "Random prompts"
Table = NDArray[np.float64]
"""Loss and accuracy of every query, in each order of a prompt; shape (orders, 2, q)."""


@dataclass(frozen=True)
class ComparedPrompt:
    """A prompt that the model is asked with, and whether its order was chosen: else it is a random one."""

    name: str
    prompt: tuple[int, ...]
    ordered: bool


def show_measured(choice: PromptChoice, asked: list[ComparedPrompt], tables: dict[tuple[int, ...], Table]) -> None:
    """Say what was measured of the picked prompt, which comes first, and draw it beside the others."""
    mine = tables[choice.picked]
    parts = [_in_this_order(choice, mine), _over_all_orders(choice, mine)]
    st.markdown(" ".join(said for said, _ in parts if said))
    if len(asked) == 1:
        return
    rows = [row for _, row in parts if row is not None]
    rows += [_other(choice, one, tables[one.prompt][:, 0]) for one in asked[1:] if one.name != RANDOM_PROMPTS]
    drawn = [tables[one.prompt][:, 0].mean(axis=0) for one in asked if one.name == RANDOM_PROMPTS]
    if drawn:
        found = measured_mean(drawn, math.inf)
        rows.append(_row(f"Mean of {len(drawn)} random prompts", choice.expected(()), found))
    frame.show(checked_prompts(rows, unit=choice.run.unit), "demo_checked")
    st.caption(
        "Predicted: on the queries that the surrogate was fitted to. Measured: on fresh ones, so all may differ "
        f"by what the two sets of queries differ by.{_ORDERS if choice.size > 1 else ''}"
    )


_ORDERS = (
    " Where no order is named it is the mean over all orders, estimated from those that were asked; from one order "
    "it has no interval."
)


def _in_this_order(choice: PromptChoice, mine: Table) -> tuple[str, CheckedPrompt | None]:
    found = measured_mean(mine[:1, 0], 1)
    one_of_many = choice.size > 1
    said = (
        f"Measured **{amount(found.mean, found.margin, digits='.3f')}** {plain(choice.run.unit)} on fresh queries"
        f"{' in the order shown' if one_of_many else ''}, right on **{mine[0, 1].mean():.0%}** of them."
    )
    predicted = choice.in_order(choice.picked) if one_of_many else choice.expected(choice.picked)
    if found.queries == 1:
        said = f"{said} One query is too few to compare."
    elif predicted is not None:
        said = f"{said} {_compared(choice, predicted, found, 'queries')}"
    if predicted is None:
        return said, None
    return said, _row(f"{YOURS}, in this order" if one_of_many else YOURS, predicted, found)


def _over_all_orders(choice: PromptChoice, mine: Table) -> tuple[str, CheckedPrompt | None]:
    losses, others = mine[:, 0], len(mine) - 1
    if choice.size == 1 or (others == 0 and choice.in_order(choice.picked) is not None):
        return "", None
    predicted = choice.expected(choice.picked)
    # the order shown may have been chosen for its loss; the others are drawn
    found = measured_mean(losses, math.factorial(choice.size), first_is_chosen=others > 0)
    row = _row(YOURS, predicted, found)
    if others == 0:
        prediction = amount(*predicted, digits=".3f")
        return f"The prediction, {prediction}, is the mean over all orders: one order is too few to compare.", row
    means = losses.mean(axis=1)
    if others == 1 and choice.size > 2:
        return f"In one other order {means[1]:.3f}: too few to compare with what is predicted over all orders.", row
    said = (
        f"The mean over all orders is **{amount(found.mean, found.margin, digits='.3f')}**, going by this one and "
        f"{others} other{'s' if others > 1 else ''} ({means.min():.3f} to {means.max():.3f})."
    )
    return said if found.queries == 1 else f"{said} {_compared(choice, predicted, found, 'queries and orders')}", row


def _other(choice: PromptChoice, one: ComparedPrompt, losses: Table) -> CheckedPrompt:
    in_order = choice.in_order(one.prompt) if one.ordered else None
    if in_order is None:
        return _row(one.name, choice.expected(one.prompt), measured_mean(losses, math.factorial(choice.size)))
    return _row(f"{one.name}, in its order", in_order, measured_mean(losses[:1], 1))


def _row(name: str, predicted: tuple[float, float], found: MeasuredMean) -> CheckedPrompt:
    return CheckedPrompt(name, *predicted, found.mean, found.margin)


def _compared(choice: PromptChoice, predicted: tuple[float, float], found: MeasuredMean, drawn: str) -> str:
    """Say whether the prediction is right but for chance: what was drawn, and the doubt of the surrogate."""
    said = amount(*predicted, digits=".3f")
    side = verdict(*predicted, found, len(choice.task.queries))
    if side == "agrees":
        return f"The prediction, {said}, agrees."
    if side == "unknown":
        return f"The prediction is {said}, and how far it may be off is not known."
    where = "better" if side == "lower" else "worse"
    return (
        f"That is {where} than the prediction, {said}, by more than its interval and the choice of {drawn} explain."
    )
