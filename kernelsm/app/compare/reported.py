"""What a report sets beside its view: the two that were chosen on Compare, and every view that is pinned."""

from __future__ import annotations

from kernelsm.app.compare.found import named
from kernelsm.app.compare.sides import chosen_sides, fitting
from kernelsm.app.shell import session
from kernelsm.app.shell.view import ViewState


def reported_pairs() -> list[tuple[ViewState, ViewState]]:
    """Return the pairs of views that a report of this session's view compares, none of them twice."""
    view = session.view()
    pairs = [(view, fitting(view.pinned(pin))) for pin in view.pins if pin != view.pin]
    if view.first or view.second:
        sides = chosen_sides()
        pairs.insert(0, (sides["first"], sides["second"]))
    once = {(named(first), named(second)): (first, second) for first, second in reversed(pairs)}
    return list(reversed(once.values()))
