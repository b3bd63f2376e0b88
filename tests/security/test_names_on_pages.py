"""Whatever a name looks like, every page says it as it is: nothing of it reaches Markdown, or a chart, unescaped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import small_files
from app_harness import bring, charts, compute, prepare, press, turn
from nasty_names import EVIL, NASTY, nasty_table, nasty_texts
from people import ALICE, PAGES
from streamlit.testing.v1 import AppTest

from kernelsm import Outcomes
from kernelsm.app.shell.words import plain
from kernelsm.evaluation.confirmation import Confirmation, MeasureName
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.workspace.confirmations import CONFIRMATIONS, keep_confirmation
from kernelsm.workspace.prompt_projects import PromptSource
from kernelsm.workspace.tables import TABLES, save_run

pytestmark = pytest.mark.usefixtures("warm_server")
# what of these names Markdown, or Streamlit after it, makes something else of, as it stands in a name
RAW = {name: re.compile(rf"(?<!\\){re.escape(name)}") for name in NASTY if plain(name) != name and len(name) > 4}
AS_IT_IS = {"code", "text", "text_area", "arrow_data_frame", "plotly_chart", "selectbox", "multiselect", "text_input"}
"""Elements whose words are no Markdown, other than their labels and help."""


def markdown_of(element: Any) -> Iterator[str]:
    """The words of one element that the browser reads as Markdown."""
    proto = element.proto
    kind = element.type
    if kind == "table":
        cells = element.value.reset_index()
        yield from (str(cell) for cell in [*cells.columns, *cells.to_numpy().ravel()])
        return
    if kind not in AS_IT_IS:
        for name in ("body", "label", "text", "value", "delta"):
            found = getattr(proto, name, None)
            if isinstance(found, str):
                yield found
        for option in getattr(proto, "options", []):
            yield option if isinstance(option, str) else option.content
    for name in ("label", "help", "placeholder"):
        found = getattr(proto, name, None)
        if isinstance(found, str) and name != "placeholder":
            yield found


def all_elements(app: AppTest) -> Iterator[Any]:
    for block in (app.main, app.sidebar, app._tree[2]) if len(app._tree.children) > 2 else (app.main, app.sidebar):
        yield from each(block)


def each(block: Any) -> Iterator[Any]:
    for child in block.children.values():
        if hasattr(child, "children"):
            if child.type in ("expander", "popover", "expandable"):
                yield child
            yield from each(child)
        else:
            yield child


def check(app: AppTest, where: str) -> None:
    for element in all_elements(app):
        for words in markdown_of(element):
            for raw, unescaped in RAW.items():
                assert not unescaped.search(words), f"{where}: {element.type} holds {raw!r}: {words[:300]}"
    for toast in app.toast:
        assert not [raw for raw, bare in RAW.items() if bare.search(toast.value)], f"{where}: toast {toast.value}"
    for chart in charts(app):
        for words in chart_texts(chart):
            bare = re.sub(r"</?(br|b|extra)>", "", words)
            assert "<" not in bare, f"{where}: a chart holds {words[:300]!r}"


def chart_texts(node: Any) -> Iterator[str]:
    """Every text of a figure but its colours and data."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name not in ("template", "bdata"):
                yield from chart_texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from chart_texts(value)
    elif isinstance(node, str):
        yield node


def walk(app: AppTest, where: str) -> None:
    for page in PAGES:
        turn(app, page)
        check(app, f"{where}, {page}")


def said(app: AppTest) -> int:
    """How many times one of the names stands on a page, made safe: else nothing was checked."""
    return sum(plain(raw) in words for element in all_elements(app) for words in markdown_of(element) for raw in RAW)


def test_the_names_of_tasks_targets_and_tables_are_words_on_every_page() -> None:
    table = nasty_table(16)
    run = save_run(table)
    ALICE.own(TABLES, run)
    app = ALICE.open("data", run=run)
    for title in (NASTY[0], f"[x](https://{EVIL})", ":smile: a -> b $x$"):
        app.text_input(key=f"saved_title_{run}").set_value(title).run()
        press(app, "Rename")
        check(app, "rename")
    walk(app, "a table")
    for params in ({"target": table.target_names[0], "off": "1-3", "focus": "0-1"}, {"kernel": "linear"}):
        other = ALICE.open("explore", run=run, **params)
        for page in ("explore", "decide", "fit", "subsets"):
            check(turn(other, page), page)
            assert page in ("fit", "subsets") or said(other) > 5
    app = ALICE.open("data", run=run)
    press(app, "Delete it")
    check(app, "deleted")


@pytest.mark.parametrize("unit", ["<i>www.evil.example</i>", ":smile: me@evil.example", "$x$ -> **b**"])
def test_a_unit_and_the_measures_of_a_confirmation_are_words(unit: str) -> None:
    table = nasty_table(5, 1, unit=unit)
    run = save_run(table)
    shape = (2, 2, 1, 1)
    key = keep_confirmation(
        Confirmation(
            source="digits", left_out=(0,), task_names=table.task_names, target_names=table.target_names, ridge=1.0,
            seeds=(0, 1), measures=(MeasureName(unit, unit, False),), title=unit,
            values={"anew": np.arange(4.0).reshape(shape), "fine_tuned": np.ones(shape)}, task_weighting="by_size",
            target_weights=None,
        )
    )  # fmt: skip
    ALICE.own(CONFIRMATIONS, key)
    app = ALICE.open("decide", run=run, confirmed=key)
    walk(app, unit)
    app = ALICE.open("decide", run="digits")
    check(app, unit)
    check(ALICE.open("data", run=run, confirmed=key), unit)


def test_texts_labels_and_titles_of_prompts_are_words() -> None:
    task = nasty_texts()
    key = ALICE.bring(PromptSource(NASTY[0], task))
    check(ALICE.open("data", prompts=key), "texts")
    app = ALICE.open("demonstrations", prompts=key)
    check(app, "no outcomes yet")
    assert said(app) >= 3
    masks = fixed_size_masks(12, 60, size=2, seed=0)
    values = masks @ np.arange(12.0)
    meta = {"prompts": key, "task": task.content_hash, "unit": "nats"}
    many = np.stack([values * (j + 1) for j in range(8)], axis=1)
    names = tuple(f"query {j + 1}" for j in range(8))
    run = save_run(Outcomes(masks, many, task_names=NASTY[:12], target_names=names, meta=meta))
    ALICE.own(TABLES, run)
    app = ALICE.open("demonstrations", run=run, picked="0-3")
    for part in ("Prompt", "Check", "One query", "How good are predictions?", "Templates", "Ask again"):
        app.segmented_control(key="demo_part").set_value(part).run()
        assert not app.exception
        check(app, part)
        assert said(app) > 3, part
    walk(ALICE.open(run=run), "prompts")


def test_names_in_samples_are_words_from_the_file_to_what_retraining_says(jobs: list[Any]) -> None:
    frame = small_files.samples()
    names = dict(zip(small_files.TASKS, NASTY[:4], strict=True))
    labels = {"yes": NASTY[15], "no": NASTY[8]}
    frame = frame.assign(task=frame["task"].map(names), label=frame["label"].map(labels))
    frame = frame.rename(columns={"a": f"https://{EVIL}/a", "b": ":smile:"})
    app = bring(f"www.{EVIL}.csv", small_files.csv(frame))
    check(app, "samples")
    app = prepare(app)
    check(app, "prepared")
    compute(app)
    walk(app, "samples")
    turn(app, "compare")
    press(app, "Compare them")
    check(app, "compared")
    target = app.selectbox(key="view_target")
    target.set_value(target.options[1]).run()
    check(app, "compared on one target")
    assert said(app) > 1
    turn(app, "decide")
    app.pills(key="decide_ways").set_value(["anew"]).run()
    app.number_input(key="decide_seeds").set_value(1).run()
    app.multiselect(key="view_off").set_value([0]).run()
    press(app, "Retrain with and without")
    check(app, "retrained")
    assert said(app) > 3
    check(turn(app, "data"), "listed")


@pytest.mark.parametrize("name", NASTY)
def test_what_a_link_names_is_told_as_it_is(name: str) -> None:
    app = ALICE.open(run=name, target=name)
    assert app.toast
    check(app, name)
