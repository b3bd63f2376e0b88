"""Names as a stranger writes them, and tables, texts and data that are full of them."""

from __future__ import annotations

import numpy as np

from kernelsm import Outcomes
from kernelsm.prompts.task import Labelled, PromptTask

EVIL = "evil.example"
"""A host that no page may ask for anything."""
NASTY = (
    f"https://{EVIL}/1", f"www.{EVIL}", f"me@{EVIL}", ":smile:", ":material/home:", "a -> b", "a <-> b", "a <- b",
    "a -- b", "a >= b", "$x^2$", "$$y$$", r"$\href{https://evil.example}{q}$",
    ":red[hi]", ":color[hi]{background=red}",
    "<b>bold</b>", f'<a href="https://{EVIL}/2">l</a>', f"<img src=https://{EVIL}/3.png>", "<br>x",
    f"![i](https://{EVIL}/4.png)", f"[l](https://{EVIL}/5)", f"<https://{EVIL}/6>", "`code`", "**b** _i_ ~~s~~",
    "# head", "1. one", "- item", "| a | b |", "> quote", "[^1]", "a:b:c", "::x::", "&lt;b&gt; &amp;", ":streamlit:",
    "%{customdata}", "{text}", "C:\\dir\\x", "=1+1", "+cmd", "-2+3", "@SUM(A1)", f'=HYPERLINK("https://{EVIL}/7")',
    f"=IMAGE(\"https://{EVIL}/8\")", "10:30", "a;b,c", "'quoted", 'say "hi"', "<script>alert(1)</script>",
    f"//{EVIL}/9", f"mailto:x@{EVIL}", "javascript:alert(1)", "ضد 😀", "WWW." + EVIL,
)  # fmt: skip


def nasty_table(K: int = len(NASTY), q: int = 3, seed: int = 0, **meta: object) -> Outcomes:
    """A table whose tasks and targets have these names; effects are clear, and so is the first pair."""
    rng = np.random.default_rng(seed)
    masks = rng.random((2 * K + 20, K)) < 0.5
    effects = np.linspace(2.0, -2.0, K)
    values = masks @ effects + 3.0 * (masks[:, 0] & masks[:, 1]) + rng.normal(0, 0.05, len(masks))
    return Outcomes(
        masks, np.stack([values * (j + 1) for j in range(q)], axis=1), task_names=NASTY[:K],
        target_names=NASTY[::-1][:q], meta={"unit": "nats", **meta},
    )  # fmt: skip


def nasty_texts() -> PromptTask:
    """Texts and labels of a prompt."""
    shown = [Labelled(f"{name} {place}", NASTY[(place % 2) * 3]) for place, name in enumerate(NASTY)]
    return PromptTask(tuple(shown[:12]), tuple(shown[12:20]), tuple(shown[20:26]), (NASTY[0], NASTY[3]), k=2)
