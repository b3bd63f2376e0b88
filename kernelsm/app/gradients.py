"""The parts of the Gradients page: recompute the outcomes, and whether to trust them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st

from kernelsm.app import controls, frame, navigation, session
from kernelsm.app.job_panel import job_panel, registry
from kernelsm.app.runs import Run, open_run
from kernelsm.app.subsets import draw_settings
from kernelsm.charts.fit import predicted_vs_observed
from kernelsm.evaluation.truth import score_estimates
from kernelsm.outcomes.examples import load_estimates_of_truth, load_example
from kernelsm.outcomes.pipeline import RunSettings, estimate_cost
from kernelsm.outcomes.runs import has_run


def blocked(run: Run) -> None:
    """Say what is missing where a run has no model, and where to go."""
    what = "the planted game is a formula" if run.example else "this run is a table of outcomes"
    if run.outcomes.meta.get("example") == "digits":
        what = "this run is a result computed from the digits example"
    st.info(f"There are no gradients here: {what}.", icon=":material/info:")
    left, right = st.columns(2)
    left.button(
        "Open the digits example, which has a model", icon=":material/visibility:", on_click=session.look_at,
        args=("digits",),
    )  # fmt: skip
    right.page_link(navigation.EXPLORE, label="Explore this run", icon=":material/hub:")


def job_settings(run: Run) -> RunSettings:
    """Draw the settings of the computation and return them."""
    controls.estimator_controls()
    view = session.view()
    gradex = view.estimator == "gradex"
    gaussian = gradex and view.projection == "gaussian"
    # what the estimator does not use stays at its default, so that equal work is one job
    settings = replace(
        draw_settings(run), estimator=view.estimator, projection=view.projection if gradex else "exact",
        dim=view.dim if gaussian else 512,
    )  # fmt: skip
    st.markdown(f"**{settings.subsets:,} subsets**, {_sampler(settings)}. Change them on Subsets.")
    return settings


def _sampler(settings: RunSettings) -> str:
    size = f"p = {settings.p}" if settings.size is None else f"r = {settings.size}"
    return f"{size}, seed {settings.seed}"


def recompute(settings: RunSettings) -> None:
    """Draw the job of these settings and, when it is done, how its result compares with the finished example."""
    how = settings.estimator
    if how == "gradex":
        how += " exact" if settings.projection == "exact" else f" Gaussian {settings.dim}"
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


def trust(run: Run) -> None:
    """Draw GradEx against retraining on the example's held-out subsets."""
    st.subheader("Can the first-order estimate be trusted here?")
    estimates = load_estimates_of_truth(run.key)
    assert estimates is not None
    assert run.truth is not None
    scores = score_estimates(run.truth, estimates)
    st.markdown(
        f"On {run.truth.m} subsets the network was really fine-tuned with the same pull towards W0, and GradEx asked "
        "for the same outcomes:"
    )
    left, right = frame.panels()
    left.metric("Spearman, overall loss", f"{scores['spearman']:.4f}")
    left.metric("LDS, mean over targets", f"{scores['lds']:.4f}")
    left.metric("Relative error, overall loss", f"{scores['relative_error']:.2%}")
    worst = max(scores["relative_error_per_target"], key=scores["relative_error_per_target"].__getitem__)
    left.caption(f"Largest relative error of a target: {scores['relative_error_per_target'][worst]:.1%} ({worst}).")
    with right:
        chart = predicted_vs_observed(
            run.truth.values.mean(axis=1), {"GradEx against retraining": estimates.values.mean(axis=1)}, unit=run.unit
        )
        frame.show(chart, "gradients_trust")


def cost_note(settings: RunSettings) -> None:
    """Say what the computation needs before it is started."""
    cost = estimate_cost(settings)
    if settings.estimator == "retraining":
        st.caption(f"{settings.subsets:,} trainings to convergence of a network of {cost.coordinates:,} parameters.")
    else:
        st.caption(
            f"Gradients of every logit in {cost.coordinates:,} coordinates, then all subsets in blocks: "
            f"{cost.chunks} chunks, about {cost.memory / 2**20:.0f} MiB of memory."
        )
