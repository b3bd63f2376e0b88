"""What changed, said to who cannot see it: a sentence in a live region, which screen readers read when it changes."""

from __future__ import annotations

import re
from functools import cache

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

_MARKS = re.compile(r":[a-z]+\[\\?([^\]]*)\]|\*\*|`|\\(?=[^\w\s]|_)|\*(?=\w)|(?<=\w)\*")

_UNSEEN = "div { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }"
# The region stays as it is and only its words change: of a new region nothing is read. It stands in a root of its own
# that is closed: who looks for a sentence of the page finds the one that is shown, not this copy.
_CHANGE_WORDS = """
const regions = new WeakMap();
export default function (component) {
  const place = component.parentElement.querySelector("div");
  let region = regions.get(place);
  if (!region) {
    region = document.createElement("p");
    region.setAttribute("role", "status");
    region.setAttribute("aria-live", "polite");
    place.attachShadow({ mode: "closed" }).appendChild(region);
    regions.set(place, region);
    place.dataset.regions = Number(place.dataset.regions ?? 0) + 1;
  }
  if (region.textContent !== component.data) { region.textContent = component.data; }
  place.dataset.said = region.textContent;
}
"""


@cache
def _region() -> ComponentRenderer:
    return st.components.v2.component("kernelsm.spoken", html="<div></div>", css=_UNSEEN, js=_CHANGE_WORDS)


def say(sentence: str, key: str) -> None:
    """Have a screen reader say this Markdown sentence when it differs from what was said before under the key."""
    _region()(key=f"kernelsm_said_{key}", data=words_alone(sentence), width="content")


def words_alone(markdown: str) -> str:
    r"""Return a sentence without the marks of Markdown.

    Examples
    --------
    >>> words_alone(r"Including **digit 3 \(mislabelled\)** lowers the *loss*.")
    'Including digit 3 (mislabelled) lowers the loss.'
    """
    return " ".join(_MARKS.sub(lambda found: found[1] or "", markdown).split())
