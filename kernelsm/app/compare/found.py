"""What two views differ in, found once for the page that shows it and the report that takes it away."""

from __future__ import annotations

import streamlit as st

from kernelsm.app.shell.fits import fitted, read_off
from kernelsm.app.shell.open_runs import open_run, shown_readout
from kernelsm.app.shell.view import ViewState
from kernelsm.evaluation.two_views import TwoViews, compare_views
from kernelsm.evaluation.views import View

Named = tuple[str, str, str, float | None, float, str]
"""What is fitted, target, kernel, gamma, ridge and readout."""


def named(side: ViewState) -> Named:
    """What a view is compared by."""
    kernel, gamma, ridge = side.surrogate
    run = open_run(side.run).first(side.used)
    return run.fits, side.target, kernel, gamma, ridge, shown_readout(run, side.readout)


# each holds its fits
@st.cache_resource(max_entries=8, show_spinner="Comparing the two ...")
def compared(first: Named, second: Named) -> TwoViews:
    """Compare two views; what is read of it is computed once.

    Raises
    ------
    InputError
        They have no task in common.
    """
    return compare_views(_view(*first), _view(*second))


def _view(run: str, target: str, kernel: str, gamma: float | None, ridge: float, readout: str) -> View:
    fit = run, target, kernel, gamma, ridge
    return View(open_run(run).outcomes, target, kernel, gamma, ridge, readout, fitted(*fit), read_off(*fit, readout))
