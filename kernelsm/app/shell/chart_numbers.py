"""The numbers of a chart, below it: as a table, as CSV, and the picture as PNG; read when they are asked for."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pandas as pd
import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from kernelsm.app.shell.shown_tables import show_table
from kernelsm.charts.style import Chart
from kernelsm.export.csv_text import csv_text

MOST_ROWS = 2000
"""More rows are in the file alone: a browser draws them slowly, and nobody reads them."""
_ROWS_HIGH = 420  # pixels

# What Plotly draws are several SVGs on top of each other. They become one picture, on the colour of the page.
_SAVE_PICTURE = """
export default function (component) {
  const { data, parentElement } = component;
  const button = parentElement.querySelector("button");
  const said = parentElement.querySelector("[role=status]");
  button.onclick = async () => {
    const plot = document.querySelector(`.st-key-${CSS.escape(data.chart)} .js-plotly-plot`);
    if (!plot) { said.textContent = "The chart is not drawn yet."; return; }
    const { width, height } = plot.getBoundingClientRect();
    const xml = new XMLSerializer();
    const whole = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    whole.setAttribute("width", width);
    whole.setAttribute("height", height);
    const page = getComputedStyle(document.querySelector(".stApp")).backgroundColor;
    plot.querySelectorAll("svg.main-svg").forEach((layer) => whole.appendChild(layer.cloneNode(true)));
    const picture = new Image();
    picture.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(xml.serializeToString(whole));
    await picture.decode();
    const canvas = document.createElement("canvas");
    const sharp = 2;
    canvas.width = width * sharp;
    canvas.height = height * sharp;
    const pen = canvas.getContext("2d");
    pen.fillStyle = page;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const link = document.createElement("a");
    link.href = canvas.toDataURL("image/png");
    link.download = data.file;
    link.click();
    said.textContent = `Saved as ${data.file}.`;
  };
}
"""
BUTTON_LOOKS = """
button {
  font: inherit; color: var(--st-text-color); background: var(--st-background-color); cursor: pointer;
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius); padding: 0.35rem 0.75rem;
  min-height: 2.5rem;
}
button:hover { border-color: var(--st-primary-color); color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
p { font-size: 0.875rem; margin: 0.25rem 0 0; }
p:empty { display: none; }
"""


@cache
def _picture() -> ComponentRenderer:
    return st.components.v2.component(
        "kernelsm.picture", html='<button type="button">Save the picture (PNG)</button><p role="status"></p>',
        css=BUTTON_LOOKS, js=_SAVE_PICTURE,
    )  # fmt: skip


@st.fragment
def chart_numbers(chart: Chart, key: str) -> None:
    """Draw what opens the numbers of the chart of this key; drawn alone, the page need not wait."""
    with st.expander(
        "Table and files", icon=":material/table:", type="compact", key=f"{key}_numbers", on_change="rerun"
    ) as place:
        if not place.open:
            return
        table = chart.table()
        margins = _margins(table)
        has_signs = any(bool((table[value] < 0).any()) for value in margins)
        show_table(
            table.iloc[:MOST_ROWS], margins=margins, signed=has_signs, hide_index=True, placeholder="",
            key=f"{key}_numbers_table", alt="Numbers of the chart above",
            height=_ROWS_HIGH if len(table) > 10 else "content",
        )  # fmt: skip
        if len(table) > MOST_ROWS:
            st.caption(f"The first {MOST_ROWS:,} of {len(table):,} rows; the file has all.")
        with st.container(horizontal=True, gap="small"):
            st.download_button(
                "Save the table (CSV)", csv_text(table).encode(), f"{key}.csv", "text/csv",
                key=f"{key}_numbers_csv", on_click="ignore",
            )  # fmt: skip
            _picture()(key=f"{key}_numbers_picture", data={"chart": key, "file": f"{key}.png"}, width="content")


def _margins(table: pd.DataFrame) -> dict[str, str]:
    """Columns of numbers that have their half-widths on their right."""
    columns = [str(name) for name in table.columns]
    return {value: margin for value, margin in pairwise(columns) if margin.startswith("±")}
