"""Buttons of the page for the buttons inside a chart, which Plotly draws as pictures that no key reaches."""

from __future__ import annotations

from functools import cache

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from kernelsm.app.shell.chart_numbers import BUTTON_LOOKS

_PRESS = """
export default function (component) {
  const { data, parentElement } = component;
  const button = parentElement.querySelector("button");
  button.textContent = data.label;
  button.onclick = () => {
    const drawn = document.querySelectorAll(`.st-key-${CSS.escape(data.chart)} .updatemenu-button`);
    drawn[data.number]?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  };
}
"""


@cache
def _button() -> ComponentRenderer:
    return st.components.v2.component(
        "kernelsm.chart_button", html='<button type="button"></button>', css=BUTTON_LOOKS, js=_PRESS
    )


def chart_button(label: str, chart: str, number: int = 0) -> None:
    """Draw a button that presses a button of the chart of this key, in the browser alone."""
    _button()(
        key=f"{chart}_button_{number}", data={"label": label, "chart": chart, "number": number}, width="content"
    )
