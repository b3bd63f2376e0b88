"""Choosing the two views that stand side by side: pinned ones, the one of the other pages, or set by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from kernelsm.app.shell import controls, frame, pins, session, words
from kernelsm.app.shell.open_runs import open_run, shown_readout
from kernelsm.app.shell.view import GAMMAS, KERNELS, READOUTS, RIDGES, ViewState
from kernelsm.outcomes.names import natural_order
from kernelsm.surrogates.reading import MEAN_TARGET

_LABELS = {"first": "First view", "second": "Second view"}


def two_sides() -> tuple[ViewState, ViewState]:
    """Draw the choice of both sides, and the list of pins; returns the two views."""
    chosen = chosen_sides()
    view = session.view()
    pinned = [view.pinned(pin) for pin in view.pins]
    named = dict(zip(view.pins, pins.names_of([*pinned, view])[:-1], strict=True))
    for place, which in zip(frame.panels(2, 300), _LABELS, strict=True):
        with place:
            _side(which, chosen[which], named)
    if view.pins:
        st.multiselect(
            "Pinned views", list(view.pins), format_func=named.__getitem__,
            help="Taking one out of this list takes its pin off.",
            **controls.bound("pins", list(view.pins), _keep, first="default"),
        )  # fmt: skip
    else:
        st.caption(
            "Nothing is pinned yet: *Pin this view* in the sidebar of any page keeps what it shows for this list."
        )
    return chosen["first"], chosen["second"]


def chosen_sides() -> dict[str, ViewState]:
    """The two views of the link; where it names none, that of the other pages, and another surrogate of it."""
    view = session.view()
    other = replace(view, kernel=_other_kernel(view))
    return {
        which: fitting(view.pinned(pin)) if (pin := getattr(view, which)) else default
        for which, default in (("first", view), ("second", other))
    }


def _other_kernel(view: ViewState) -> str:
    """What the second side begins with: the honest baseline, or what it is the baseline of."""
    return "auto" if view.kernel == "linear" else "linear"


def fitting(side: ViewState) -> ViewState:
    """Return a view without a target, or more subsets, than its run has."""
    run = open_run(side.run)
    target = side.target if side.target in run.outcomes.target_names else ""
    return replace(side, target=target, used=None if side.used is None or side.used >= run.m else side.used)


def _keep(chosen: list[str]) -> None:
    session.update(pins=tuple(pin for pin in session.view().pins if pin in chosen))


def _side(which: str, side: ViewState, pinned: dict[str, str]) -> None:
    """Draw where one side starts from, and what it can be set to."""
    current = getattr(session.view(), which)
    other = words.KERNEL_NAMES[_other_kernel(session.view())]
    own = "As on the other pages" if which == "first" else f"The same, {other}"
    options = {"": own, **pinned}
    if current not in options:
        options[current] = "Set by hand"
    st.selectbox(
        _LABELS[which], list(options), format_func=options.__getitem__,
        **controls.bound(which, current, partial(_take, which), index=list(options).index(current)),
    )  # fmt: skip
    st.caption(words.plain(", ".join(pins.parts_of(side))))
    with st.expander("Set it by hand", icon=":material/tune:", key=f"compare_{which}_settings"):
        _settings(which, side)


def _take(which: str, pin: str) -> None:
    session.update(**{which: pin})


def _change(which: str, field: str, value: Any) -> None:
    """Take over one setting of a side; another run begins with its mean target and its usual γ and readout."""
    side = chosen_sides()[which]
    changed = replace(side, **{field: value})
    if field == "run":
        changed = replace(changed, target="", gamma=None, readout="", used=None)
    if changed.pin:
        session.update(**{which: changed.pin})
    else:
        st.toast("The name of this target is too long for a link.", icon=":material/link_off:")


def _settings(which: str, side: ViewState) -> None:
    run = open_run(side.run)
    titles = frame.run_titles()
    titles |= {} if side.run in titles else {side.run: pins.parts_of(side)[0]}

    def bind(field: str, shown: Any, **first: Any) -> dict[str, Any]:
        return controls.bound(f"{which}_{field}", shown, partial(_change, which, field), **first)

    runs = list(titles)
    st.selectbox("Run", runs, format_func=titles.__getitem__, **bind("run", side.run, index=runs.index(side.run)))
    if run.outcomes.q > 1:
        names = run.outcomes.target_names
        targets = ["", *(names[j] for j in natural_order(names))]
        st.selectbox(
            "Target", targets, format_func=lambda name: name or MEAN_TARGET,
            **bind("target", side.target, index=targets.index(side.target)),
        )  # fmt: skip
    st.segmented_control(
        "Surrogate", KERNELS, format_func=words.KERNEL_NAMES.__getitem__, required=True,
        **bind("kernel", side.kernel, first="default"),
    )  # fmt: skip
    usual = 1.0 / run.outcomes.K
    if side.kernel in ("rbf", "poly"):
        gamma = usual if side.gamma is None else side.gamma
        st.select_slider(
            "γ", sorted({*GAMMAS, usual, gamma}), format_func=lambda value: f"{value:.4g}", **bind("gamma", gamma)
        )
    if side.kernel != "auto":
        st.select_slider(
            "Ridge", sorted({*RIDGES, side.ridge}), format_func=lambda value: f"{value:.4g}",
            **bind("ridge", side.ridge),
        )  # fmt: skip
    stops = controls.used_stops(run.m, side.used)
    if len(stops) > 1:
        st.select_slider(
            "Subsets used", stops, format_func=lambda count: f"all {count:,}" if count == run.m else f"{count:,}",
            **bind("used", side.used or run.m),
        )  # fmt: skip
    st.segmented_control(
        "Readout", READOUTS, format_func=words.READOUT_NAMES.__getitem__, required=True,
        **bind("readout", shown_readout(run, side.readout), first="default"),
    )  # fmt: skip
