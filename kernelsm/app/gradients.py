"""The parts of the Gradients page: recompute the outcomes from the model's gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st

from kernelsm.app import controls, navigation, session, words
from kernelsm.app.job_panel import job_panel, registry
from kernelsm.app.runs import Run, open_run
from kernelsm.app.subsets import draw_settings
from kernelsm.gradients.choices import projection_name
from kernelsm.outcomes.examples import EXAMPLES, load_example
from kernelsm.outcomes.recipes import RECIPES
from kernelsm.outcomes.run_settings import RunSettings, estimate_cost
from kernelsm.outcomes.runs import has_run


def blocked(run: Run) -> None:
    """Say what is missing where a run has no model, and where to go."""
    origin = run.outcomes.meta.get("example")
    what = "the planted game is a formula" if run.example else "this run is a table of outcomes"
    if origin in RECIPES:
        what = f"this run is a result computed from the example {EXAMPLES[origin].title}"
    st.info(f"There are no gradients here: {what}.", icon=":material/info:")
    example = origin if origin in RECIPES else "digits"
    left, right = st.columns(2)
    left.button(
        f"Open {EXAMPLES[example].title}, which has a model", icon=":material/visibility:",
        on_click=session.look_at, args=(example,),
    )  # fmt: skip
    right.page_link(navigation.EXPLORE, label="Explore this run", icon=":material/hub:")


def job_settings(run: Run) -> RunSettings:
    """Draw the settings of the computation and return them."""
    recipe = RECIPES[run.key]
    controls.estimator_controls(recipe.parameters)
    view = session.view()
    # what the estimator does not use stays at its default, so that equal work is one job
    settings = replace(draw_settings(run), estimator=view.estimator)
    if view.estimator == "gradex":
        offered = view.projection != "exact" or projection_name("auto", recipe.parameters) == "exact"
        settings = replace(settings, projection=view.projection if offered else "auto")
        settings = settings if settings.projection == "exact" else replace(settings, dim=view.dim)
    st.markdown(f"**{settings.subsets:,} subsets**, {_sampler(settings)}. Change them on Subsets.")
    return settings


def _sampler(settings: RunSettings) -> str:
    size = f"p = {settings.p}" if settings.size is None else f"r = {settings.size}"
    return f"{size}, seed {settings.seed}"


def recompute(settings: RunSettings) -> None:
    """Draw the job of these settings and, when it is done, how its result compares with the finished example."""
    how = settings.estimator
    if how == "gradex":
        how += f" {settings.projection}" + ("" if settings.projection == "exact" else f" {settings.dim}")
    title = f"{settings.example}: {how}, {settings.subsets} subsets, {_sampler(settings)}"
    spec = settings.job()
    job_panel(spec, estimate_cost(settings).seconds, title)
    status = registry().status(spec.key)
    if status and status.state == "done" and status.result and has_run(status.result["run"]):
        mine, shipped = open_run(status.result["run"]).outcomes, load_example(settings.example)
        if mine.masks.shape == shipped.masks.shape and bool((mine.masks == shipped.masks).all()):
            difference = float(np.abs(mine.values - shipped.values).max())
            size = "none" if difference == 0 else f"{difference:.2g} nats"
            st.markdown(f"Largest difference from the finished example, over all subsets and targets: **{size}**.")


def cost_note(settings: RunSettings) -> None:
    """Say what the computation needs before it is started."""
    cost, recipe = estimate_cost(settings), RECIPES[settings.example]
    if settings.estimator == "retraining":
        st.caption(
            f"{settings.subsets:,} trainings to convergence of a network of {recipe.parameters:,} parameters, from "
            f"W0 with a pull of λ = {settings.ridge:g} towards it."
        )
        return
    suite = recipe.suite()
    what = "of every logit" if cost.outputs == "logits" else "of the margin (log-odds of the true class)"
    why = "" if cost.outputs == "logits" else (
        f": those of all {suite.classes} logits would take more than the 1.5 GiB set aside for them"
    )  # fmt: skip
    st.caption(
        f"Gradients {what}{why}; {len(suite.inputs):,} training and {len(suite.test_inputs):,} test samples, "
        f"{recipe.parameters:,} parameters, {words.PROJECTION_NAMES[settings.projection]} with {cost.coordinates:,} "
        f"coordinates. Then all subsets together, λ = {settings.ridge:g}. About {cost.memory / 2**20:.0f} MiB of "
        "memory: the features as loaded, and as prepared for the solver."
    )
