"""Views that are pinned to be compared: the button on every page, and what each is called."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from kernelsm.app.shell import session
from kernelsm.app.shell.open_runs import open_run, shown_readout
from kernelsm.app.shell.view import MOST_PINS, ViewState
from kernelsm.app.shell.words import KERNEL_NAMES, READOUT_NAMES, plain
from kernelsm.surrogates.reading import MEAN_TARGET

PIN_KEY = "kernelsm_pin"
_WHAT = (
    "Keeps this run, target, surrogate and readout in the link, to set it beside another one on *Compare*. Sliders "
    "moved later do not change it."
)


def draw_in_sidebar() -> None:
    """Draw the button that pins what is looked at, or takes the pin off again."""
    view = session.view()
    is_pinned, full = view.pin in view.pins, len(view.pins) >= MOST_PINS
    help_text = _WHAT
    if full and not is_pinned:
        help_text = f"{MOST_PINS} views are pinned, which is all that a link holds: take one off on *Compare*."
    elif not view.pin:
        help_text = "The name of the target is too long for a link."
    with st.sidebar:
        st.button(
            "Unpin this view" if is_pinned else "Pin this view", width="stretch", key=PIN_KEY, on_click=_toggle,
            icon=":material/keep_off:" if is_pinned else ":material/keep:", help=help_text,
            disabled=not is_pinned and (full or not view.pin),
        )  # fmt: skip


def _toggle() -> None:
    """Pin the view, or take its pin off."""
    view = session.view()
    if view.pin in view.pins:
        session.update(pins=tuple(pin for pin in view.pins if pin != view.pin))
        st.toast("This view is not pinned any more.", icon=":material/keep_off:")
    elif view.pin and len(view.pins) < MOST_PINS:
        session.update(pins=(*view.pins, view.pin))
        st.toast(f"Pinned: {plain(', '.join(parts_of(view)))}. Compare it on *Compare*.", icon=":material/keep:")


def parts_of(view: ViewState) -> tuple[str, ...]:
    """Run, target, surrogate, readout and subsets of a view, in words; the run must be here."""
    run = open_run(view.run)
    title = session.run_title(run)
    target = run.outcomes.target_names[0] if run.outcomes.q == 1 else view.target or MEAN_TARGET
    kernel, gamma, ridge = view.surrogate
    surrogate = KERNEL_NAMES[kernel]
    if kernel in ("rbf", "poly"):
        surrogate += f" γ {1 / run.outcomes.K if gamma is None else gamma:.4g}"
    if kernel != "auto":
        surrogate += f" ridge {ridge:.4g}"
    used = "all subsets" if view.used is None or view.used >= run.m else f"first {view.used:,} subsets"
    return title, target, surrogate, READOUT_NAMES[shown_readout(run, view.readout)], used


def names_of(views: Sequence[ViewState]) -> list[str]:
    """Name views by what differs between them: the parts that all share are left out."""
    parts = [parts_of(view) for view in views]
    differing = [place for place in range(5) if len({part[place] for part in parts}) > 1]
    return [", ".join(part[place] for place in differing or range(5)) for part in parts]
