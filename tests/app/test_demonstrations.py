"""The Demonstrations page: slots, prediction, suggestions, the prompt to take away."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from app_harness import open_app, press, texts, tick, turn
from demonstrations_page import RUN, TASK, button, cards, demonstrations, in_order, part, picked
from streamlit.testing.v1 import AppTest

from kernelsm import Outcomes, load_example
from kernelsm.examples.catalog import PROMPT_EXAMPLES
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.prompts.task import PromptTask
from kernelsm.workspace.prompt_projects import PromptSource, find_prompts, keep_prompts
from kernelsm.workspace.tables import save_run


@pytest.mark.parametrize("run", PROMPT_EXAMPLES)
def test_a_finished_example_shows_its_candidates_and_the_mean_prompt(run: str) -> None:
    app = demonstrations(run=run)
    values = load_example(run).values
    assert f"{find_prompts(run).task.K} of 50 candidates" in texts(app)
    assert in_order(app) == pytest.approx(values.mean(), abs=0.006)  # what is read off two decimals


def test_a_pick_changes_the_prediction_and_is_undone() -> None:
    app = demonstrations()
    before = in_order(app)
    app.selectbox(key="demo_add").set_value(7).run()
    app.selectbox(key="demo_add").set_value(30).run()
    assert picked(app) == (7, 30)
    assert TASK.candidates[30].text.split()[0] in texts(app)
    assert app.query_params["picked"] == "7-30"
    press(app, "Undo")
    assert picked(app) == (7,)
    press(app, "Undo")
    assert picked(app) == ()
    assert in_order(app) == before
    assert [one.disabled for one in app.button if one.label == "Undo"] == [True]


def other_prompts() -> str:
    """A run of prompts of two of twelve candidates."""
    task = PromptTask(TASK.candidates[:12], TASK.queries[:5], (), TASK.labels, TASK.template, k=2)
    masks = fixed_size_masks(12, 40, size=2)
    values = masks @ np.linspace(0, 1, 12)[:, None] * np.ones((1, 5)) + 0.5
    meta = {"prompts": keep_prompts(PromptSource("Twelve", task)), "task": task.content_hash}
    return save_run(Outcomes(masks, values, meta=meta))


@pytest.mark.parametrize("other", ["coin-flip", "twelve"])
def test_another_run_knows_nothing_of_the_picks_of_the_first(other: str) -> None:
    run = other_prompts() if other == "twelve" else other
    app = demonstrations()
    app.session_state["kernelsm_tables"] = {run: "Twelve"} if other == "twelve" else {}
    button(app, "demo_take_0").click().run()
    button(app, "demo_take_1").click().run()
    kept = picked(app)
    app.sidebar.selectbox[0].set_value(run).run()
    assert not app.exception
    assert picked(app) == ()
    assert not any(metric.delta for metric in app.metric)
    assert [one.disabled for one in app.button if one.label == "Undo"] == [True]
    # back on the first, whose slots were emptied by leaving it
    app.sidebar.selectbox[0].set_value(RUN).run()
    assert picked(app) == ()
    press(app, "Undo")
    assert picked(app) == kept


@pytest.mark.parametrize(
    ("link", "kept", "left_out"),
    [
        ("1-2-3-4-5-6", (1, 2, 3, 4), "picked=5-6"), ("99", (), "picked=99"), ("1-99", (1,), "picked=99"),
        ("4-1", (4, 1), ""),
    ],
)  # fmt: skip
def test_a_link_fills_the_slots_and_says_what_it_cannot(link: str, kept: tuple[int, ...], left_out: str) -> None:
    app = open_app(run=RUN, picked=link)
    said = "".join(toast.value for toast in app.toast).replace("\\", "")
    assert said.endswith(left_out) if left_out else not said
    turn(app, "demonstrations")
    assert picked(app) == kept
    assert app.query_params.get("picked", "") == "-".join(map(str, kept))
    if kept:
        button(app, f"demo_out_{kept[0]}").click().run()
        assert not app.exception
        assert picked(app) == kept[1:]


def test_back_shows_what_was_picked_before_and_undo_takes_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    app = demonstrations()
    app.selectbox(key="demo_add").set_value(7).run()
    app.selectbox(key="demo_add").set_value(30).run()
    app.query_params["picked"] = "7"
    with monkeypatch.context() as back:
        back.setattr("kernelsm.app.shell.session._through_history", lambda: True)
        app.run()
    assert picked(app) == (7,)
    press(app, "Undo")
    assert picked(app) == (7, 30)
    # an address that only lags behind the page is not read
    app.query_params["picked"] = "7"
    app.run()
    assert picked(app) == (7, 30)
    assert app.query_params["picked"] == "7-30"


def test_slots_are_ordered_and_emptied() -> None:
    app = demonstrations(picked="4-9-22")
    button(app, "demo_up_22").click().run()
    assert picked(app) == (4, 22, 9)
    button(app, "demo_out_4").click().run()
    assert picked(app) == (22, 9)
    press(app, "Clear")
    assert picked(app) == ()


def test_a_full_prompt_takes_no_more() -> None:
    app = demonstrations(picked="4-9-22-31")
    assert app.selectbox(key="demo_add").disabled
    assert "All slots are full" in app.selectbox(key="demo_add").placeholder


def ticked(app: AppTest) -> list[int]:
    """Rows that the browser is told to show as ticked."""
    return json.loads(app.dataframe[0].proto.selection_state)["selection"]["rows"]


def test_a_refused_tick_is_not_shown_and_does_not_enter_later() -> None:
    app = demonstrations()
    tick(app, [0, 1, 2, 3])
    full, table = picked(app), app.dataframe[0].proto.id
    tick(app, [0, 1, 2, 3, 4])
    assert "All 4 slots are full: take one out first." in [toast.value for toast in app.toast]
    assert picked(app) == full
    # the browser keeps the boxes of a table that it knows
    assert app.dataframe[0].proto.id != table
    assert ticked(app) == [0, 1, 2, 3]
    tick(app, [1, 2, 3])
    assert picked(app) == full[1:]
    tick(app, [1, 2, 3, 7])
    assert picked(app)[:3] == full[1:]
    assert len(picked(app)) == 4


def test_the_order_aware_suggestion_comes_in_its_order_and_no_order_of_it_is_better() -> None:
    app = demonstrations()
    (place,) = (place for place, card in enumerate(cards(app)) if "Order-aware" in card)
    button(app, f"demo_take_{place}").click().run()
    best, value = picked(app), in_order(app)
    assert len(best) == 4
    assert [one.disabled for one in app.button if one.label == "Best order"] == [True]
    button(app, f"demo_up_{best[3]}").click().run()
    assert in_order(app) > value
    button(app, f"demo_down_{best[3]}").click().run()
    assert picked(app) == best
    # labels that take turns are what this model likes, and the loss of one label alone is high
    labels = [TASK.candidates[k].label for k in best]
    assert labels[0] == labels[2] != labels[1] == labels[3]


@pytest.mark.parametrize(
    ("form", "holds"),
    [
        ("Text", lambda text: text.startswith(f"Review: {TASK.candidates[9].text}\nSentiment: ")),
        ("Chat JSON", lambda text: json.loads(text)[1] == {"role": "assistant", "content": TASK.candidates[9].label}),
        ("JSON lines", lambda text: [json.loads(line)["text"] for line in text.splitlines()]
         == [TASK.candidates[k].text for k in (9, 4)]),
        ("For .format", lambda text: text.format(text="{Hm}").endswith("Review: {Hm}\nSentiment:")),
        ("DSPy", lambda text: [row["text"] for row in json.loads(text)]
         == [TASK.candidates[k].text for k in (9, 4)]),
        ("promptfoo", lambda text: "type: equals" in text),
    ],
)  # fmt: skip
def test_the_prompt_is_taken_away(form: str, holds: Any) -> None:
    app = demonstrations(picked="9-4")
    app.segmented_control(key="demo_form").set_value(form).run()
    assert holds(app.main.code[0].value)


def test_a_search_and_a_label_leave_what_fits_and_say_where_nothing_does() -> None:
    app = demonstrations()
    app.text_input(key="demo_search").set_value("FILM").run()
    with_film = sum("film" in one.text.casefold() for one in TASK.candidates)
    assert f"{with_film} of 50 candidates" in texts(app)
    app.text_input(key="demo_search").set_value("no such words").run()
    assert "No candidate has these words and labels." in texts(app)
    assert not app.exception


def test_one_query_shows_what_helps_and_what_it_shares() -> None:
    app = part(demonstrations(), "One query")
    assert "Most helpful" in texts(app)
    assert f"The right label is **{TASK.queries[0].label}**" in texts(app)
    helpful, harmful = (frame.value for frame in app.dataframe[-2:])
    effects = [[float(said.split(" ± ")[0]) for said in table["effect"]] for table in (helpful, harmful)]
    assert effects[0] == sorted(effects[0])
    assert max(effects[0]) < 0 < min(effects[1])
    for said, likeness in zip(helpful["text"], helpful["likeness"], strict=True):
        (one,) = (one for one in TASK.candidates if said == f"{one.label}: {one.text}")
        number, *shared = likeness.split("\n")
        assert 0 <= float(number) <= 1
        assert all(word in TASK.queries[0].text.casefold() and word in one.text.casefold() for word in shared)


@pytest.mark.parametrize("run", PROMPT_EXAMPLES)
def test_the_words_on_how_good_choices_are_match_the_table(run: str) -> None:
    app = part(demonstrations(run=run), "How good are predictions?")
    choices, fits = (frame.value for frame in app.main.dataframe[-2:])
    assert list(choices["loss"]) == sorted(choices["loss"])
    loss = dict(zip(choices["choice"], choices["loss"], strict=True))
    said = texts(app)
    assert f"**{1 - min(loss.values()) / loss['A random prompt']:.0%} below** the mean random prompt" in said
    for name, gap in zip(fits["surrogate"], fits["minus Linear, tuned"], strict=True):
        if name == "Linear, tuned":
            continue
        low, high = (float(end) for end in gap.split(" to "))
        words = re.search("Compared with a tuned linear surrogate, (.*)", said)[1].split("; ")
        (mine,) = (part for part in words if f'"{name}"' in part)
        assert ("better" in mine, "worse" in mine) == (low > 0, high < 0)


def test_the_page_says_how_much_the_order_matters() -> None:
    said = re.search(
        r"differs by (\S+) between its orders, and the mean over all orders by (\S+) ", texts(demonstrations())
    )
    measured = load_example(RUN).values.mean(axis=1)
    assert said
    within, between = float(said[1]), float(said[2])
    assert 0.05 < within < 0.5
    # what two of 24 orders leave to chance is no difference between prompts
    assert between == pytest.approx(np.sqrt(measured.var(ddof=1) - within**2 * (1 / 2 - 1 / 24)), abs=0.01)


def test_a_run_without_prompts_leads_to_one_with_them() -> None:
    app = demonstrations(run="digits")
    assert "its tasks are not demonstrations" in texts(app)
    press(app, f"Open {PROMPT_EXAMPLES[RUN].title}")
    assert "50 of 50 candidates" in texts(app)
