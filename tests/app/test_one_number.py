"""One number for a prompt, beside what to compare it with; suggestions only where there is enough to choose by."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from app_harness import open_app, press, texts
from demonstrations_page import RUN, TASK, button, cards, demonstrations, in_order, over_orders, part, picked
from person import ME
from streamlit.testing.v1 import AppTest

from kernelsm import Outcomes, load_example
from kernelsm.app.demonstrations.prompt_choice import known_prediction
from kernelsm.app.demonstrations.suggestions import suggestions
from kernelsm.examples.catalog import load_example_orders
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.prompts.orders import OrderedOutcomes
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.job import JobSpec
from kernelsm.workspace.prompt_projects import PromptSource
from kernelsm.workspace.tables import load_run_orders, save_run, save_run_orders

PICKED = (4, 9, 22, 31)


def linked(prompt: tuple[int, ...]) -> str:
    return "-".join(map(str, prompt))


def test_a_prompt_has_one_predicted_number_whatever_surrogate_fit_shows() -> None:
    said = [in_order(demonstrations(picked=linked(PICKED), **more)) for more in ({}, {"kernel": "rbf"})]
    assert said[0] == said[1]
    assert [one.label for one in demonstrations(picked=linked(PICKED)).metric] == ["In this order"]


def test_predictions_know_labels_and_orders() -> None:
    # four of one label are the worst prompt of this model, and turns of labels are better than blocks
    positive, negative = (
        [k for k, one in enumerate(TASK.candidates) if one.label == label][:4] for label in ("positive", "negative")
    )
    mean = in_order(demonstrations())
    assert in_order(demonstrations(picked=linked(tuple(positive)))) > mean + 0.15
    mixed = (negative[0], positive[0], negative[1], positive[1])
    app = demonstrations(picked=linked(mixed))
    assert in_order(app) < over_orders(app)


def test_a_pick_says_by_how_much_it_changes_the_number() -> None:
    app = demonstrations(picked="4-9")
    before = in_order(app)
    app.selectbox(key="demo_add").set_value(22).run()
    (change,) = (one.delta for one in app.metric)
    assert float(change.split(" ")[0]) == pytest.approx(in_order(app) - before, abs=0.011)


def test_a_prompt_that_was_asked_shows_what_was_measured() -> None:
    ordered = load_run_orders(RUN)
    assert ordered is not None
    best = int(ordered.values.mean(axis=1).argmin())
    value = ordered.values[best].mean()
    app = demonstrations(picked=linked(tuple(ordered.orders[best].tolist())))
    assert [one.label for one in app.metric] == ["In this order"]
    assert f"measured: {value:.3f}, right on" in texts(app)
    # the best of many looks better on the queries that chose it than it is
    found = known_prediction(RUN).predict(tuple(ordered.orders[best].tolist()))
    assert found.measured == pytest.approx(value)
    assert value < found.value < found.high
    assert in_order(app) == pytest.approx(found.value, abs=0.005)


def test_the_number_stands_beside_guessing_no_demonstration_and_the_mean_prompt() -> None:
    said = texts(demonstrations())
    assert f"| Guessing among 2 labels | {math.log(2):.3f} | 50% |" in said
    assert re.search(r"\| No demonstration \| 0\.385 \| 81% \|", said)
    assert f"| The mean prompt | {load_example(RUN).values.mean():.3f} |" in said


def prompts_run(sets: int, losses: str) -> str:
    """A run of prompts of three of twelve texts, two orders each: losses that labels explain, or mere noise."""
    task = PromptTask(TASK.candidates[:12], TASK.queries[:4], (), TASK.labels, TASK.template, k=3)
    masks, rng = fixed_size_masks(12, sets, size=3, seed=0, distinct=True), np.random.default_rng(0)
    orders = np.array([rng.permutation(np.flatnonzero(mask)) for mask in masks for _ in range(2)])
    first = np.array([task.candidates[k].label == task.labels[0] for k in orders[:, 0]])
    level = np.where(first, 0.3, 3.0) if losses == "told" else np.ones(len(orders))
    values = level[:, None] * np.exp(rng.normal(0, 0.1 if losses == "told" else 0.8, (len(orders), 1)))
    values = np.repeat(values, 4, axis=1)
    key = ME.bring(PromptSource("Twelve", task))
    meta = {"prompts": key, "task": task.content_hash, "unit": "nats"}
    run = save_run(Outcomes(masks, values.reshape(sets, 2, 4).mean(axis=1), meta=meta))
    save_run_orders(run, OrderedOutcomes(orders, values))
    return run


def test_right_answers_stand_beside_the_loss_where_they_are_known() -> None:
    run = prompts_run(40, "told")
    known = load_run_orders(run)
    assert known is not None
    right = np.linspace(0, 1, len(known.orders))
    save_run_orders(run, OrderedOutcomes(known.orders, known.values, right))
    best = int(known.values.mean(axis=1).argmin())
    app = ME.open("demonstrations", run=run, picked=linked(tuple(known.orders[best].tolist())))
    said = texts(app)
    assert f"right on {right[best]:.0%} of the queries" in said
    assert re.search(rf"\| The mean prompt \| \S+ \| {right.mean():.0%} \|", said)
    assert any(f"right on {right[best]:.0%}" in card for card in cards(app))


def test_too_few_prompts_are_said_to_be_not_enough_to_choose() -> None:
    app = ME.open("demonstrations", run=prompts_run(16, "noise"))
    assert "Not enough to choose: ask 44 more." in texts(app)
    assert len(cards(app)) == 1
    assert "Best prompt seen" in cards(app)[0]
    assert " · measured: " in texts(app)
    press(app, "Ask more prompts")
    assert app.number_input(key="demo_subsets").value == 60


def test_few_prompts_that_tell_are_enough() -> None:
    app = ME.open("demonstrations", run=prompts_run(40, "told"))
    assert "Not enough to choose" not in texts(app)
    assert len(cards(app)) > 1
    button(app, "demo_take_0").click().run()
    first = app.session_state["kernelsm_view"].picked[0]
    assert TASK.candidates[first].label == TASK.labels[0]


@pytest.mark.parametrize("losses", ["noise", "told"])
def test_no_prediction_is_negative_and_no_interval_exceeds_what_was_measured(losses: str) -> None:
    run = prompts_run(16, losses)
    found = known_prediction(run)
    most = found.measured.values.max()
    rng = np.random.default_rng(1)
    for size in (1, 2, 3):
        for _ in range(20):
            prompt = tuple(rng.permutation(12)[:size].tolist())
            for one in (found.predict(prompt), found.modelled(prompt), found.mean_over_orders(prompt)):
                assert 0 <= one.low <= one.value <= one.high <= most


@pytest.mark.parametrize("balance", [False, True])
def test_suggestions_are_few_distinct_and_in_the_order_of_their_worse_end(balance: bool) -> None:
    found = suggestions(RUN, balance)
    assert 1 < len(found) <= 4
    assert len({one.picked for one in found}) == len(found)
    worst = [one.predicted.high for one in found]
    assert worst == sorted(worst)
    if balance:
        for one in found:
            assert sum(TASK.candidates[k].label == "positive" for k in one.picked) == 2
    app = demonstrations()
    if balance:
        app.toggle(key="demo_balance").set_value(True).run()
    assert [card.split("**")[1] for card in cards(app)] == [one.name for one in found]
    button(app, "demo_take_0").click().run()
    assert picked(app) == found[0].picked
    assert button(app, "demo_take_0").disabled


def test_effects_are_shown_only_where_they_can_be_told_from_zero() -> None:
    app = demonstrations(run="coin-flip")
    table = app.main.dataframe[0].value
    count = int(re.search(r"(\d+) of 50 can be told from zero", texts(app))[1])  # type: ignore[index]
    shown = table["effect"].dropna()
    assert 0 < len(shown) == count < 50
    assert shown.is_monotonic_increasing
    assert (shown.abs() > table["±"].dropna()).all()


def test_nothing_is_shown_of_single_candidates_where_nothing_can_be_told() -> None:
    app = ME.open("demonstrations", run=prompts_run(16, "noise"), picked="0-1-2")
    assert list(app.main.dataframe[0].value) == ["text", "label"]
    assert "no effect of a single one can be told from zero" in texts(app)
    assert "by itself" not in texts(app)


def test_the_record_compares_with_plain_surrogates_on_these_texts() -> None:
    app = part(ME.open("demonstrations", run=prompts_run(40, "told")), "How good are predictions?")
    table = app.main.dataframe[1].value.set_index("surrogate")
    assert table["error"].iloc[0] < 0.5 < table.loc["Linear: who is in", "error"]
    assert table.loc["The mean", "error"] == 1
    assert "Of the 90% intervals" in texts(app)


def test_one_asks_without_demonstrations_once(jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"queries": [0.9, 0.25], "fresh": None}
    monkeypatch.setattr("kernelsm.pipelines.zero_shot.run", lambda report, store, **_: answers)
    run = prompts_run(16, "noise")
    app = ME.open("demonstrations", run=run)
    assert "No demonstration" not in texts(app)
    press(app, "Ask without demonstrations")
    app.run()
    assert "| No demonstration | 0.900 | 25% |" in texts(app)
    assert "Ask without demonstrations" not in [one.label for one in app.button]
    again: AppTest = ME.open("demonstrations", run=run)
    assert "| No demonstration | 0.900 | 25% |" in texts(again)


def test_somebody_elses_texts_are_not_asked_about() -> None:
    app = open_app("demonstrations", run=prompts_run(16, "noise"))
    assert "Ask without demonstrations" not in [one.label for one in app.button]


def test_where_an_answer_is_right_or_wrong_guessing_is_a_share_and_no_prediction_leaves_it() -> None:
    task = PromptTask(TASK.candidates[:12], TASK.queries[:4], (), TASK.labels, TASK.template, k=3)
    masks, rng = fixed_size_masks(12, 40, size=3, seed=0, distinct=True), np.random.default_rng(0)
    orders = np.array([rng.permutation(np.flatnonzero(mask)) for mask in masks for _ in range(2)])
    values = rng.integers(0, 2, (80, 4)).astype(float)  # of wrong answers, none in some prompts
    values[0] = 0.0
    key = ME.bring(PromptSource("Graded", task))
    meta = {"prompts": key, "task": task.content_hash, "measure": "loss", "unit": "wrong answers"}
    run = save_run(Outcomes(masks, values.reshape(40, 2, 4).mean(axis=1), meta=meta))
    save_run_orders(run, OrderedOutcomes(orders, values))
    assert "| Guessing among 2 labels | 0.500 | 50% |" in texts(ME.open("demonstrations", run=run))
    found = known_prediction(run)
    for _ in range(20):
        one = found.modelled(tuple(rng.permutation(12)[:3].tolist()))
        assert 0 <= one.low <= one.value <= one.high <= 1


def test_prompts_are_chosen_by_right_answers_where_that_is_asked_for() -> None:
    run = prompts_run(42, "told")  # a run of its own: what was fitted to one is kept
    known = load_run_orders(run)
    assert known is not None
    # right answers prefer the other label to the one that the loss prefers
    label = np.array([TASK.candidates[k].label == TASK.labels[0] for k in known.orders[:, 0]])
    right = np.where(label, 0.25, 0.75)
    save_run_orders(run, OrderedOutcomes(known.orders, known.values, right))
    app = ME.open("demonstrations", run=run)
    assert app.segmented_control(key="demo_aim").value == "Loss"
    app.segmented_control(key="demo_aim").set_value("Right answers").run()
    assert not app.exception
    said = texts(app)
    assert "Share of right answers" in said
    assert re.search(r"\| The best of 84 asked \| \S+ \| 75% \|", said)
    button(app, "demo_take_0").click().run()
    first = app.session_state["kernelsm_view"].picked[0]
    assert TASK.candidates[first].label == TASK.labels[1]
    assert 0.5 < in_order(app) <= 0.75
    assert re.search(r"loss \d", texts(app))
    app.segmented_control(key="demo_aim").set_value("Loss").run()
    button(app, "demo_take_0").click().run()
    first = app.session_state["kernelsm_view"].picked[0]
    assert TASK.candidates[first].label == TASK.labels[0]


def test_of_two_labels_right_answers_are_read_off_the_losses() -> None:
    ordered = load_example_orders(RUN)
    assert ordered is not None
    assert ordered.right is None
    found = known_prediction(RUN).measured.right
    assert found is not None
    np.testing.assert_allclose(found, (ordered.values < math.log(2)).mean(axis=1))
    assert re.search(r"\| The mean prompt \| \S+ \| 64% \|", texts(demonstrations()))
