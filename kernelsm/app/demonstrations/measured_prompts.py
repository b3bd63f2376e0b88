"""Demonstrations: what a check measured on fresh queries, in words and beside the predictions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from kernelsm.app.demonstrations.baselines import zero_shot
from kernelsm.app.demonstrations.prompt_choice import PromptChoice
from kernelsm.app.shell import frame
from kernelsm.app.shell.words import plain
from kernelsm.charts.prompts import CheckedPrompt, checked_prompts
from kernelsm.prompts.agreement import MeasuredMean, measured_mean, verdict
from kernelsm.prompts.prompt_prediction import Predicted
from kernelsm.surrogates.wording import amount, number, ranged

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
    choice = choice.of_outcome  # losses are compared with losses, whatever prompts are chosen by
    parts = [_in_this_order(choice, own_measures), _over_all_orders(choice, own_measures)]
    st.markdown(" ".join(sentence for sentence, _ in parts if sentence))
    if len(compared) == 1:
        return
    found = [row for _, row in parts]
    found += [
        _other(choice, prompt, measures[prompt.prompt]) for prompt in compared[1:] if prompt.name != RANDOM_PROMPTS
    ]
    drawn = [measures[prompt.prompt].mean(axis=0) for prompt in compared if prompt.name == RANDOM_PROMPTS]
    if drawn and (mean := choice.in_order(())) is not None:
        random_mean, right = (
            measured_mean([one[0] for one in drawn], math.inf),
            float(np.mean([one[1] for one in drawn])),
        )
        found.append(_row(f"Mean of {len(drawn)} random prompts", mean, random_mean, right))
    rows = [row for row in found if row is not None]
    if not rows:
        return
    frame.show(checked_prompts(rows, unit=choice.run.unit, dark=frame.is_dark()), "demo_checked")
    st.caption(f"{_PREDICTED[choice.of_new_queries]}{_ORDERS if choice.size > 1 else ''}")


_PREDICTED = {
    True: "Predicted: on as many new queries as were asked, so all may differ by what two sets of queries differ by.",
    False: "Predicted: on the queries that the surrogate was fitted to. Measured: on fresh ones, so all may differ "
    "by what the two sets of queries differ by.",
}
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
    if (empty := zero_shot(choice.run.prompts, "fresh", calibrated=choice.calibrated)) is not None:
        sentence += f" Without demonstrations: {number(empty.loss)}, right on {empty.accuracy:.0%}."
    predicted = choice.in_order(choice.picked) if choice.knows_orders or not one_of_many else None
    if measured.queries == 1:
        sentence = f"{sentence} One query is too few to compare."
    elif predicted is not None:
        sentence = f"{sentence} {_compared(choice, predicted, measured, 'queries')}"
    if predicted is None:
        return sentence, None
    accuracy = float(measures[0, 1].mean())
    return sentence, _row(f"{YOURS}, in this order" if one_of_many else YOURS, predicted, measured, accuracy)


def _over_all_orders(choice: PromptChoice, measures: OrderMeasures) -> tuple[str, CheckedPrompt | None]:
    losses, others = measures[:, 0], len(measures) - 1
    if choice.size == 1 or (others == 0 and choice.knows_orders):
        return "", None
    predicted = choice.over_orders(choice.picked)
    # the order shown may have been chosen for its loss; the others are drawn
    measured = measured_mean(losses, math.factorial(choice.size), first_is_chosen=others > 0)
    row = _row(YOURS, predicted, measured, float(measures[:, 1].mean())) if predicted else None
    if others == 0:
        if predicted is None:
            return "", None
        said = in_words(predicted)
        return f"The prediction, {said}, is the mean over all orders: one order is too few to compare.", row
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
    if measured.queries == 1 or predicted is None:
        return sentence, row
    return f"{sentence} {_compared(choice, predicted, measured, 'queries and orders')}", row


def _other(choice: PromptChoice, compared: ComparedPrompt, measures: OrderMeasures) -> CheckedPrompt | None:
    losses = measures[:, 0]
    if compared.ordered:
        predicted, name = choice.in_order(compared.prompt), f"{compared.name}, in its order"
        measured, accuracy = measured_mean(losses[:1], 1), float(measures[0, 1].mean())
    else:
        predicted, name = choice.over_orders(compared.prompt), compared.name
        measured, accuracy = measured_mean(losses, math.factorial(choice.size)), float(measures[:, 1].mean())
    return None if predicted is None else _row(name, predicted, measured, accuracy)


def _row(name: str, predicted: Predicted, measured: MeasuredMean, accuracy: float) -> CheckedPrompt:
    return CheckedPrompt(
        name, predicted.value, predicted.low, predicted.high, measured.mean, measured.margin, accuracy
    )


def in_words(predicted: Predicted) -> str:
    """A prediction with its interval, or that it was measured."""
    if predicted.asked and predicted.margin == 0:
        return f"{number(predicted.value)} as measured on the queries that prompts are chosen by"
    return ranged(predicted.value, predicted.low, predicted.high)


def _compared(choice: PromptChoice, predicted: Predicted, measured: MeasuredMean, drawn: str) -> str:
    """Say whether the measured loss agrees with the prediction within the uncertainty of both.

    `drawn` names what was drawn at random, for the sentence.
    """
    said = in_words(predicted)
    # the interval is longer on one side: that on which the measured loss lies counts
    reach = predicted.high - predicted.value if measured.mean > predicted.value else predicted.value - predicted.low
    side = verdict(predicted.value, reach, measured, None if choice.of_new_queries else len(choice.task.queries))
    if side == "agrees":
        return f"The prediction, {said}, agrees."
    if side == "unknown":
        return f"The prediction is {said}, and how far it may be off is not known."
    where = "better" if side == "lower" else "worse"
    return (
        f"That is {where} than the prediction, {said}, by more than its interval and the choice of {drawn} explain."
    )
