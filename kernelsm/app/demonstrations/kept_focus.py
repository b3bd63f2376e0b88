"""Demonstrations: where a press takes the pressed button away, the focus goes to what stands in its place."""

from __future__ import annotations

from functools import cache

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

_UNSEEN = "div { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }"
# The browser forgets the focus where its element is drawn anew, moved, disabled or taken away: who works by keyboard
# would begin at the top of the page again. Only what was pressed just now is sought, and only while nothing else has
# the focus: the same button, else what came next to it.
_KEEP = """
const SECONDS = 4, ACTS = ["Enter", " "];
let pressed = null;

const AREAS = [".st-key-demo_parts", "[data-testid=stMain]"];

function key_of(element) {
  const around = element.closest("[class*='st-key-demo_']");
  return around && [...around.classList].find((name) => name.startsWith("st-key-demo_"));
}

function keys_in(area) {
  const inside = area.querySelectorAll("[class*='st-key-demo_'] :is(button, input)");
  return [...new Set([...inside].map(key_of))];
}

function remember(event) {
  pressed = null;
  const button = event.target.closest?.("[data-testid=stMain] button");
  if (!button || (event.type === "keydown" && !ACTS.includes(event.key)) || !key_of(button)) { return; }
  const area = AREAS.map((name) => button.closest(name)).find((found) => found);
  const keys = keys_in(area), at = keys.indexOf(key_of(button));
  // the same, else what came after it, else what came before it
  pressed = { keys: [...keys.slice(at), ...keys.slice(0, at).reverse()], until: Date.now() + SECONDS * 1000 };
}

function restore() {
  if (!pressed || Date.now() > pressed.until) { return; }
  if (document.activeElement && document.activeElement !== document.body) { return; }
  for (const key of pressed.keys) {
    const found = document.querySelector(`.${CSS.escape(key)} :is(button, input)`);
    if (found && !found.disabled && found.getClientRects().length) {
      found.focus({ preventScroll: true });
      return;
    }
  }
}

export default function () {
  if (!window.kernelsmKeptFocus) {
    window.kernelsmKeptFocus = true;
    addEventListener("keydown", remember, true);
    addEventListener("pointerdown", remember, true);
    setInterval(() => {
      const app = document.querySelector("[data-testid=stApp]");
      if (app?.getAttribute("data-test-script-state") !== "running") { restore(); }
    }, 60);
  }
}
"""


@cache
def _keeper() -> ComponentRenderer:
    return st.components.v2.component("kernelsm.kept_focus", html="<div></div>", css=_UNSEEN, js=_KEEP)


def keep_focus() -> None:
    """Keep the focus of the keyboard where it was through what a press of a button changes."""
    _keeper()(key="kernelsm_kept_focus", width="content")
