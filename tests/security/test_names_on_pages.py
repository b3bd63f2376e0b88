"""Whatever a name looks like, every page says it as it is: nothing of it reaches Markdown, or a chart, unescaped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from app_harness import charts, press, turn
from nasty_names import EVIL, NASTY, nasty_table
from people import ALICE
from streamlit.testing.v1 import AppTest

from kernelsm.app.shell.words import plain
from kernelsm.workspace.tables import TABLES, save_run

pytestmark = pytest.mark.usefixtures("warm_server")
PAGES = ("start", "data", "gradients", "subsets", "fit", "explore", "decide", "demonstrations", "compare", "paper")
# what of these names Markdown, or Streamlit after it, makes something else of, as it stands in a name
RAW = tuple(name for name in NASTY if plain(name) != name and len(name) > 4)
AS_IT_IS = {"code", "text", "text_area", "arrow_data_frame", "plotly_chart", "selectbox", "multiselect", "text_input"}
"""Elements whose words are no Markdown, other than their labels and help."""


def markdown_of(element: Any) -> Iterator[str]:
    """The words of one element that the browser reads as Markdown."""
    proto = element.proto
    kind = element.type
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
            for raw in RAW:
                assert raw not in words, f"{where}: {element.type} holds {raw!r}: {words[:300]}"
    for toast in app.toast:
        assert not [raw for raw in RAW if raw in toast.value], f"{where}: toast {toast.value}"
    for chart in charts(app):
        for words in chart_texts(chart):
            bare = re.sub(r"</?(b|br|i|sub|sup|extra|span)>", "", words)
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


def test_the_names_of_tasks_targets_and_tables_are_words_on_every_page() -> None:
    run = save_run(nasty_table(16))
    ALICE.own(TABLES, run)
    app = ALICE.open("data", run=run)
    for title in (NASTY[0], f"[x](https://{EVIL})", ":smile: a -> b $x$"):
        app.text_input(key=f"saved_title_{run}").set_value(title).run()
        press(app, "Rename")
        check(app, "rename")
    walk(app, "a table")
    for params in ({"target": nasty_table(16).target_names[0], "off": "1-3", "focus": "0-1"}, {"kernel": "linear"}):
        other = ALICE.open("explore", run=run, **params)
        for page in ("explore", "decide", "fit", "subsets"):
            check(turn(other, page), page)
    app = ALICE.open("data", run=run)
    press(app, "Delete it")
    check(app, "deleted")
