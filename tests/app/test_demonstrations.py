"""The Demonstrations page: slots, prediction, suggestions, the prompt to take away, checks."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from app_harness import open_app, press, texts
from streamlit.testing.v1 import AppTest

from kernelsm import Outcomes, load_example
from kernelsm.app.demonstration_estimates import trusted, verdict
from kernelsm.app.runs import open_run
from kernelsm.evaluation.prompt_first_order import PromptFirstOrderCheck
from kernelsm.outcomes.prompt_orders import OrderedOutcomes, orders_path, save_orders
from kernelsm.outcomes.prompt_sources import PROMPT_EXAMPLES, PromptSource, find_prompts, keep_prompts
from kernelsm.outcomes.runs import save_run
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.runtime.jobs import JobSpec
from kernelsm.tasks.prompts import PromptTask

RUN = "movie-reviews"
TASK = find_prompts(RUN).task


def demonstrations(**params: str) -> AppTest:
    return open_app("demonstrations", **{"run": RUN, **params})


def picked(app: AppTest) -> tuple[int, ...]:
    found: tuple[int, ...] = app.session_state["kernelsm_view"].picked
    return found


def predicted(app: AppTest) -> float:
    (metric,) = (metric for metric in app.metric if metric.label.startswith("Predicted"))
    return float(metric.value.split(" ± ")[0])


def button(app: AppTest, key: str) -> Any:
    return app.button(key=key)


def part(app: AppTest, name: str) -> AppTest:
    app.segmented_control(key="demo_part").set_value(name).run()
    assert not app.exception
    return app


@pytest.mark.parametrize("run", PROMPT_EXAMPLES)
def test_a_finished_example_shows_its_candidates_and_the_mean_prompt(run: str) -> None:
    app = demonstrations(run=run)
    values = load_example(run).values
    assert f"{find_prompts(run).task.K} of 50 candidates" in texts(app)
    assert abs(predicted(app) - values.mean()) < 3 * values.mean(axis=1).std() / np.sqrt(len(values))


def test_predictions_know_labels_and_orders_where_the_default_surrogate_is_chosen() -> None:
    # four of one label are the worst prompt of this model, which the surrogate of Fit cannot know
    same = [k for k, one in enumerate(TASK.candidates) if one.label == "positive"][:4]
    picked = "-".join(map(str, same))
    known, unknown = (predicted(demonstrations(picked=picked, **more)) for more in ({}, {"kernel": "rbf"}))
    mean = predicted(demonstrations())
    assert known > mean + 0.15
    assert unknown < known - 0.1


def test_a_pick_changes_the_prediction_and_is_undone() -> None:
    app = demonstrations()
    before = predicted(app)
    app.selectbox(key="demo_add").set_value(7).run()
    app.selectbox(key="demo_add").set_value(30).run()
    assert picked(app) == (7, 30)
    assert TASK.candidates[30].text.split()[0] in texts(app)
    assert app.query_params["picked"] == "7-30"
    press(app, "Undo")
    assert picked(app) == (7,)
    press(app, "Undo")
    assert picked(app) == ()
    assert predicted(app) == before
    assert [one.disabled for one in app.button if one.label == "Undo"] == [True]


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


def test_a_suggestion_fills_the_slots_with_what_it_predicts() -> None:
    app = demonstrations()
    mean = predicted(app)
    said = next(one.value for one in app.markdown if one.value.startswith("**Pairwise-aware**"))
    button(app, "demo_take_1").click().run()
    assert len(picked(app)) == 4
    assert f"{predicted(app):.3f}" in said
    assert predicted(app) < mean
    assert button(app, "demo_take_1").disabled


def in_order(app: AppTest) -> float:
    (metric,) = (metric for metric in app.metric if metric.label == "In this order")
    return float(metric.value)


def test_the_order_aware_suggestion_comes_in_its_order_and_no_order_of_it_is_better() -> None:
    app = demonstrations()
    button(app, "demo_take_0").click().run()
    best, value = picked(app), in_order(app)
    assert len(best) == 4
    assert [one.disabled for one in app.button if one.label == "Best order"] == [True]
    button(app, f"demo_up_{best[3]}").click().run()
    assert in_order(app) > value
    press(app, "Best order")
    assert picked(app) == best
    # labels that take turns are what this model likes, and the loss of one label alone is high
    labels = [TASK.candidates[k].label for k in best]
    assert labels[0] == labels[2] != labels[1] == labels[3]


def test_all_prompts_are_tried_where_that_is_asked_for() -> None:
    app = demonstrations(kernel="rbf")  # whose predictions are shown then, and not those of single orders
    assert not any("Best of all" in one.value for one in app.markdown)
    assert app.toggle(key="demo_every").label == "Try all 230,300 prompts"
    app.toggle(key="demo_every").set_value(True).run()
    said = {one.value.split("** · ")[0]: one.value.split("** · ")[1] for one in app.markdown if "** · " in one.value}
    found, searched = (
        float(said[f"**{name}"].split(" ± ")[0]) for name in ("Best of all by Fit's surrogate", "By Fit's surrogate")
    )
    assert found <= searched
    # with as many of each label there are fewer
    app.toggle(key="demo_balance").set_value(True).run()
    assert app.toggle(key="demo_every").label == "Try all 90,000 prompts"


def test_balanced_suggestions_have_as_many_of_each_label() -> None:
    app = demonstrations()
    app.toggle(key="demo_balance").set_value(True).run()
    assert {"**Order-aware**", "**Pairwise-aware**"} <= {one.value.split(" · ")[0] for one in app.markdown}
    for number in (0, 1, 2):
        if button(app, f"demo_take_{number}").disabled:
            continue
        button(app, f"demo_take_{number}").click().run()
        labels = [TASK.candidates[k].label for k in picked(app)]
        assert labels.count("positive") == labels.count("negative") == 2


@pytest.mark.parametrize(
    ("form", "holds"),
    [
        ("Text", lambda text: text.startswith(f"Review: {TASK.candidates[9].text}\nSentiment: ")),
        ("Chat JSON", lambda text: json.loads(text)[1] == {"role": "assistant", "content": TASK.candidates[9].label}),
        ("JSON lines", lambda text: [json.loads(line)["text"] for line in text.splitlines()]
         == [TASK.candidates[k].text for k in (9, 4)]),
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
    assert list(helpful["effect"]) == sorted(helpful["effect"])
    assert helpful["effect"].max() <= harmful["effect"].min()
    for _, row in helpful.iterrows():
        assert all(word in TASK.queries[0].text.casefold() for word in filter(None, row["shared words"].split(", ")))


def test_a_check_says_what_was_measured(jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    measured = rng.normal(0.5, 0.05, (2, 1, len(TASK.fresh))).repeat(2, axis=1)
    monkeypatch.setattr(
        "kernelsm.outcomes.prompt_jobs.check", lambda report, store, **settings: {"values": [measured.tolist()]}
    )
    app = part(demonstrations(picked="4-9-22-31"), "Check")
    app.number_input(key="demo_check_orders").set_value(2).run()
    press(app, "Check with the model")
    assert jobs[-1].arguments["prompts"] == ((4, 9, 22, 31),)
    assert f"Measured **{measured[:, 0].mean():.3f} ±" in texts(app)


@pytest.mark.parametrize("run", PROMPT_EXAMPLES)
def test_the_words_on_how_good_choices_are_match_the_table(run: str) -> None:
    app = part(demonstrations(run=run), "How good are choices?")
    choices, fits = (frame.value for frame in app.main.dataframe[-2:])
    assert list(choices["loss"]) == sorted(choices["loss"])
    loss = dict(zip(choices["choice"], choices["loss"], strict=True))
    said = texts(app)
    assert f"**{1 - loss['order-aware'] / loss['random']:.0%} below** the mean random prompt" in said
    for name, gap in zip(fits["surrogate"], fits["LDS minus that of ridge"], strict=True):
        if name == "ridge":
            continue
        low, high = (float(end) for end in gap.split(" to "))
        words = re.search("Compared with a tuned ridge, (.*)", said)[1].split("; ")
        (mine,) = (part for part in words if name in part)
        assert ("better" in mine, "worse" in mine) == (low > 0, high < 0)


def test_the_page_says_how_much_the_order_matters() -> None:
    said = re.search(r"differs by (\S+) between its orders, and between prompts by (\S+) ", texts(demonstrations()))
    values = load_example(RUN).values.mean(axis=1)
    assert said
    assert float(said[2]) == pytest.approx(values.std(ddof=1), abs=0.01)
    assert 0.05 < float(said[1]) < 0.5


def test_an_unfinished_prompt_is_not_checked() -> None:
    app = part(demonstrations(picked="4-9"), "Check")
    assert "Fill all 4 slots first." in texts(app)


def test_a_run_without_prompts_leads_to_one_with_them() -> None:
    app = demonstrations(run="digits")
    assert "its tasks are not demonstrations" in texts(app)
    press(app, f"Open {PROMPT_EXAMPLES[RUN].title}")
    assert "50 of 50 candidates" in texts(app)


def test_texts_that_were_brought_come_to_outcomes_and_back_to_the_page(
    jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = PromptTask(TASK.candidates[:8], TASK.queries[:5], (), TASK.labels, TASK.template, k=2)
    key = keep_prompts(PromptSource("Mine", task))

    def answered(report: Any, store: Any, **settings: Any) -> dict[str, str]:
        from kernelsm.outcomes.prompt_jobs import PromptSettings
        from kernelsm.outcomes.prompting import short_names

        masks = PromptSettings(**settings).masks()
        values = masks @ np.linspace(0, 1, 8)[:, None] * np.ones((1, 5)) + 0.5
        meta = {"prompts": key, "task": task.content_hash, "unit": "nats"}
        names = {"task_names": short_names(task.candidates), "target_names": short_names(task.queries)}
        return {"run": save_run(Outcomes(masks, values, **names, meta=meta))}

    monkeypatch.setattr("kernelsm.outcomes.prompt_jobs.run", answered)
    app = open_app("demonstrations", run="planted", prompts=key)
    assert "8 candidates, 5 queries to choose by" in texts(app)
    assert "Mine · no outcomes yet" in texts(app).replace("\\", "")
    app.number_input(key="demo_subsets").set_value(40).run()
    press(app, "Ask the model")
    press(app, "Show this result on all pages")
    assert "8 of 8 candidates" in texts(app)
    button(app, "demo_take_0").click().run()
    assert set(picked(app)) == {0, 1}  # the two lowest of the made-up losses
    part(app, "Check")
    assert "no fresh queries" in texts(app)


GOOD = {"subsets": 30, "anchors": 2, "spearman": 0.8, "lds": 0.5, "relative_error": 0.1, "error_of_mean": 0.2}
POOR = {**GOOD, "spearman": 0.2, "relative_error": 0.3}


def estimated(source: str, check: Any) -> Outcomes:
    """A table of a few prompts that says it holds first-order estimates."""
    task = find_prompts(source).task
    masks = fixed_size_masks(task.K, 40, size=task.k)
    values = masks @ np.linspace(0, 1, task.K)[:, None] * np.ones((1, len(task.queries))) + 0.5
    meta = {"prompts": source, "task": task.content_hash, "estimator": "first order", "first_order_check": check}
    return Outcomes(masks, values, meta=meta)


@pytest.fixture
def small() -> str:
    """The key of a few texts."""
    task = PromptTask(TASK.candidates[:8], TASK.queries[:5], (), TASK.labels, TASK.template, k=2)
    return keep_prompts(PromptSource("Mine", task))


def places(app: AppTest) -> dict[str, int]:
    """Where labels and texts of the page stand, from its top."""
    shown = [str(getattr(node, "label", "") or getattr(node, "value", "")) for node in app.main]
    return {text: place for place, text in enumerate(shown)}


def test_first_order_has_inputs_of_its_own_and_says_what_it_does(small: str) -> None:
    app = open_app("demonstrations", run="planted", prompts=small)
    own = {"demo_anchors", "demo_checked"}
    assert not own & {field.key for field in app.number_input}
    assert "Ask the model" in [one.label for one in app.button]
    app.segmented_control(key="demo_how").set_value("First order").run()
    assert own <= {field.key for field in app.number_input}
    assert app.segmented_control(key="demo_combine").value == "Nearest anchor"
    assert "Ask the model" not in [one.label for one in app.button]
    assert "20 of them are scored exactly" in texts(app)
    # no more are checked than there are
    app.number_input(key="demo_subsets").set_value(10).run()
    assert "10 of them are scored exactly" in texts(app)
    assert "Use these estimates" not in [one.label for one in app.button]


@pytest.mark.parametrize(
    ("check", "words"),
    [(GOOD, "They do rank prompts"), (POOR, "say nothing about the size of the loss")], ids=["good", "poor"],
)  # fmt: skip
def test_the_error_of_estimates_stands_before_the_button_that_uses_them(
    small: str, check: dict[str, Any], words: str, jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(report: Any, store: Any, **settings: Any) -> dict[str, Any]:
        return {"estimates": save_run(estimated(small, check)), "check": check}

    monkeypatch.setattr("kernelsm.evaluation.prompt_estimates.run", found)
    open_run(save_run(estimated(small, {**check, "spearman": 0.7})))  # the same estimates, checked before
    app = open_app("demonstrations", run="planted", prompts=small)
    app.segmented_control(key="demo_how").set_value("First order").run()
    app.number_input(key="demo_subsets").set_value(40).run()
    app.number_input(key="demo_anchors").set_value(2).run()
    app.segmented_control(key="demo_combine").set_value("Mean of all").run()
    button(app, "demo_estimate_start").click().run()
    assert jobs[-1].arguments == {
        "source": small, "subsets": 40, "orders": 2, "seed": 0, "anchors": 2, "combine": "mean", "checked": 20,
    }  # fmt: skip
    assert "Show this result on all pages" not in [one.label for one in app.button]
    assert "30 prompts were scored by the model and estimated from 2 anchor prompts" in texts(app)
    (table,) = (frame.value for frame in app.main.dataframe)
    assert table["first order"].iloc[0] == f"{check['spearman']:.2f}"
    assert f"{check['error_of_mean']:.1%}" in table["beside it"].iloc[2]
    at = places(app)
    (said,) = (text for text in at if words in text)
    assert at[said] < at["Use these estimates"]
    press(app, "Use these estimates")
    assert "8 of 8 candidates" in texts(app)
    assert f"rank correlation {check['spearman']:.2f}" in texts(app)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "nearer to the loss than always saying its mean. They do rank prompts"),
        ({"relative_error": 0.2}, "nothing about the size of the loss (always saying its mean is no worse). They do"),
        ({"relative_error": 0.3, "spearman": 0.3}, "and rank prompts poorly: score exactly."),
        ({"spearman": -0.9}, "but rank prompts poorly: score exactly."),
        ({"spearman": float("nan")}, "rank prompts poorly"),
        ({"relative_error": float("nan")}, "say nothing about the size"),
        ({"subsets": 5, "spearman": 0.7}, "too few to tell"),
    ],
)  # fmt: skip
def test_the_verdict_on_estimates(changes: dict[str, Any], words: str) -> None:
    check = PromptFirstOrderCheck(**{**GOOD, **changes})
    assert words in verdict(check)
    assert trusted(check) == (not changes)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (GOOD, "On 30 prompts that it was asked about: rank correlation 0.80, relative error 10.0%"),
        (None, "is not known"), ({**GOOD, "lds": "**bold**"}, "is not known"), ([1], "is not known"),
    ],
    ids=["whole", "none", "markup", "list"],
)  # fmt: skip
def test_a_table_of_estimates_says_so_whatever_its_file_says(small: str, check: Any, words: str) -> None:
    app = open_app("demonstrations", run=save_run(estimated(small, check)))
    assert "These outcomes are first-order estimates" in texts(app)
    assert words in texts(app)
    assert "bold" not in texts(app)
    assert "first-order estimates" not in texts(demonstrations())


def test_orders_that_were_left_out_are_told() -> None:
    task = PromptTask(TASK.candidates[:8], TASK.queries[:2], (), TASK.labels, TASK.template, k=2)
    key = keep_prompts(PromptSource("Mine", task))
    rng = np.random.default_rng(0)
    orders = np.array([rng.permutation(8)[:2] for _ in range(3_010)])
    values = rng.normal(size=(len(orders), 2))
    masks = fixed_size_masks(8, 28, size=2)
    meta = {"prompts": key, "task": task.content_hash, "unit": "nats"}
    run = save_run(Outcomes(masks, rng.normal(size=(28, 2)), meta=meta))
    save_orders(OrderedOutcomes(orders, values), orders_path(run))
    assert "3,000 of the 3,010 measured orders" in texts(demonstrations(run=run))
    assert "measured orders" not in texts(demonstrations())
