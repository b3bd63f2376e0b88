"""What changed, said to who cannot see it: a sentence in a live region, which screen readers read when it changes."""

from __future__ import annotations

import re
from functools import cache

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

_MARKS = re.compile(r":[a-z]+\[\\?([^\]]*)\]|\*\*|`|\\(?=[^\w\s]|_)|\*(?=\w)|(?<=\w)\*")

_UNSEEN = "p { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%); }"
# the region stays as it is and only its words change: of a new region nothing is read
_CHANGE_WORDS = """
export default function (component) {
  const region = component.parentElement.querySelector("p");
  if (region.textContent !== component.data) { region.textContent = component.data; }
}
"""


@cache
def _region() -> ComponentRenderer:
    return st.components.v2.component(
        "kernelsm.spoken", html='<p role="status" aria-live="polite"></p>', css=_UNSEEN, js=_CHANGE_WORDS
    )


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
