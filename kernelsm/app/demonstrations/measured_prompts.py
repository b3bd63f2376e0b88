"""Demonstrations: what a check measured on fresh queries, in words and beside the predictions."""

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
from kernelsm.surrogates.wording import amount, number

YOURS, RANDOM_PROMPTS = "Your prompt", "Random prompts"
OrderMeasures = NDArray[np.float64]
"""Loss and accuracy of every query, in each order of a prompt; shape (orders, 2, q)."""


@dataclass(frozen=True)
class ComparedPrompt:
    """A prompt that the model is asked with, and whether its order was chosen: else it is a random one."""

    name: str
    prompt: tuple[int, ...]
    ordered: bool


def show_measured(
    choice: PromptChoice, compared: list[ComparedPrompt], measures: dict[tuple[int, ...], OrderMeasures]
) -> None:
    """Describe the measured loss of the picked prompt, the first one, and draw it beside the others."""
    own_measures = measures[choice.picked]
    parts = [_in_this_order(choice, own_measures), _over_all_orders(choice, own_measures)]
    st.markdown(" ".join(sentence for sentence, _ in parts if sentence))
    if len(compared) == 1:
        return
    rows = [row for _, row in parts if row is not None]
    rows += [
        _other(choice, prompt, measures[prompt.prompt][:, 0])
        for prompt in compared[1:]
        if prompt.name != RANDOM_PROMPTS
    ]
    drawn = [measures[prompt.prompt][:, 0].mean(axis=0) for prompt in compared if prompt.name == RANDOM_PROMPTS]
    if drawn:
        random_mean = measured_mean(drawn, math.inf)
        rows.append(_row(f"Mean of {len(drawn)} random prompts", choice.expected(()), random_mean))
    frame.show(checked_prompts(rows, unit=choice.run.unit, dark=frame.is_dark()), "demo_checked")
    st.caption(
        "Predicted: on the queries that the surrogate was fitted to. Measured: on fresh ones, so all may differ "
        f"by what the two sets of queries differ by.{_ORDERS if choice.size > 1 else ''}"
    )


_ORDERS = (
    " Where no order is named it is the mean over all orders, estimated from those that were asked; from one order "
    "it has no interval."
)


def _in_this_order(choice: PromptChoice, measures: OrderMeasures) -> tuple[str, CheckedPrompt | None]:
    measured = measured_mean(measures[:1, 0], 1)
    one_of_many = choice.size > 1
    sentence = (
        f"Measured **{amount(measured.mean, measured.margin)}** {plain(choice.run.unit)} on fresh "
        f"queries{' in the order shown' if one_of_many else ''}, right on **{measures[0, 1].mean():.0%}** of them."
    )
    predicted = choice.in_order(choice.picked) if one_of_many else choice.expected(choice.picked)
    if measured.queries == 1:
        sentence = f"{sentence} One query is too few to compare."
    elif predicted is not None:
        sentence = f"{sentence} {_compared(choice, predicted, measured, 'queries')}"
    if predicted is None:
        return sentence, None
    return sentence, _row(f"{YOURS}, in this order" if one_of_many else YOURS, predicted, measured)


def _over_all_orders(choice: PromptChoice, measures: OrderMeasures) -> tuple[str, CheckedPrompt | None]:
    losses, others = measures[:, 0], len(measures) - 1
    if choice.size == 1 or (others == 0 and choice.in_order(choice.picked) is not None):
        return "", None
    predicted = choice.expected(choice.picked)
    # the order shown may have been chosen for its loss; the others are drawn
    measured = measured_mean(losses, math.factorial(choice.size), first_is_chosen=others > 0)
    row = _row(YOURS, predicted, measured)
    if others == 0:
        prediction = amount(*predicted)
        return f"The prediction, {prediction}, is the mean over all orders: one order is too few to compare.", row
    means = losses.mean(axis=1)
    if others == 1 and choice.size > 2:
        return (
            f"In one other order {number(means[1])}: too few to compare with what is predicted over all orders.",
            row,
        )
    sentence = (
        f"The mean over all orders is **{amount(measured.mean, measured.margin)}**, going by this one "
        f"and {others} other{'s' if others > 1 else ''} ({number(means.min())} to {number(means.max())})."
    )
    return (
        sentence
        if measured.queries == 1
        else f"{sentence} {_compared(choice, predicted, measured, 'queries and orders')}",
        row,
    )


def _other(choice: PromptChoice, compared: ComparedPrompt, losses: OrderMeasures) -> CheckedPrompt:
    in_order = choice.in_order(compared.prompt) if compared.ordered else None
    if in_order is None:
        return _row(
            compared.name, choice.expected(compared.prompt), measured_mean(losses, math.factorial(choice.size))
        )
    return _row(f"{compared.name}, in its order", in_order, measured_mean(losses[:1], 1))


def _row(name: str, predicted: tuple[float, float], measured: MeasuredMean) -> CheckedPrompt:
    return CheckedPrompt(name, *predicted, measured.mean, measured.margin)


def _compared(choice: PromptChoice, predicted: tuple[float, float], measured: MeasuredMean, drawn: str) -> str:
    """Say whether the measured loss agrees with the prediction within the uncertainty of both.

    `drawn` names what was drawn at random, for the sentence.
    """
    prediction = amount(*predicted)
    side = verdict(*predicted, measured, len(choice.task.queries))
    if side == "agrees":
        return f"The prediction, {prediction}, agrees."
    if side == "unknown":
        return f"The prediction is {prediction}, and how far it may be off is not known."
    where = "better" if side == "lower" else "worse"
    return (
        f"That is {where} than the prediction, {prediction}, by more than its interval and the choice of {drawn} "
        "explain."
    )
