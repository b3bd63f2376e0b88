"""The parts of the Gradients page: recompute the outcomes, and whether to trust them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from kernelsm.app import frame, navigation, session
from kernelsm.app.job_panel import job_panel, registry
from kernelsm.app.runs import Run, open_run
from kernelsm.charts.fit import predicted_vs_observed
from kernelsm.evaluation.truth import score_estimates
from kernelsm.outcomes.examples import load_estimates_of_truth, load_example
from kernelsm.outcomes.pipeline import RunSettings, estimate_cost

_ESTIMATOR, _PROJECTION, _DIM = "kernelsm_estimator", "kernelsm_projection", "kernelsm_dim"
_ESTIMATORS = {"gradex": "GradEx (no retraining)", "retraining": "Retraining (ground truth)"}
_PROJECTIONS = {"exact": "Exact", "gaussian": "Gaussian"}


def blocked(run: Run) -> None:
    """Say what is missing where a run has no model, and where to go."""
    what = "the planted game is a formula" if run.example else "this run is a table of outcomes"
    st.info(f"There are no gradients here: {what}, not a model.", icon=":material/info:")
    left, right = st.columns(2)
    if left.button("Open the digits example, which has a model", icon=":material/visibility:"):
        session.look_at("digits")
        st.rerun()
    right.page_link(navigation.EXPLORE, label="Explore this run", icon=":material/hub:")


def job_settings(run: Run) -> RunSettings:
    """Draw the settings of the computation and return them."""
    view = session.view()
    estimator_column, projection_column, dim_column = st.columns([3, 2, 2])
    with estimator_column:
        estimator = st.segmented_control(
            "Estimator", list(_ESTIMATORS), format_func=_ESTIMATORS.__getitem__, required=True, default="gradex",
            key=_ESTIMATOR, persist_state="session",
            help="GradEx solves one small convex problem per subset in the model linearised at W0. "
            "Retraining trains the network on each subset.",
        )  # fmt: skip
    gradex = estimator == "gradex"
    with projection_column:
        projection = st.segmented_control(
            "Gradients", list(_PROJECTIONS), format_func=_PROJECTIONS.__getitem__, required=True, default="exact",
            key=_PROJECTION, persist_state="session", disabled=not gradex,
            help="Exact keeps one coordinate per parameter; Gaussian projects to fewer, faster.",
        )  # fmt: skip
    with dim_column:
        dim = st.select_slider(
            "Dimensions", [64, 128, 256, 512, 1024], value=512, key=_DIM, persist_state="session",
            disabled=not gradex or projection != "gaussian",
        )  # fmt: skip
    assert run.example is not None
    sampler = f"r = {view.size}" if view.size is not None else f"p = {view.p}"
    st.markdown(f"**{view.subsets:,} subsets**, {sampler}, seed {view.seed}. Change them on Subsets.")
    return RunSettings(
        run.example.name,
        str(estimator),
        subsets=view.subsets,
        p=view.p,
        size=view.size,
        seed=view.seed,
        # settings that the estimator does not use stay at their defaults, so that equal work is one job
        projection=str(projection) if gradex else "exact",
        dim=int(dim) if gradex and projection == "gaussian" else 512,
    )


def recompute(settings: RunSettings) -> None:
    """Draw the job of these settings and, when it is done, how its result compares with the finished example."""
    title = f"{settings.example}, {settings.estimator}, {settings.subsets} subsets"
    spec = settings.job()
    job_panel(spec, estimate_cost(settings).seconds, title)
    status = registry().status(spec.key)
    if status and status.state == "done" and status.result:
        mine, shipped = open_run(status.result["run"]).outcomes, load_example(settings.example)
        if mine.masks.shape == shipped.masks.shape and bool((mine.masks == shipped.masks).all()):
            difference = float(np.abs(mine.values - shipped.values).max())
            size = "none" if difference == 0 else f"{difference:.1e} nats"
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
        st.caption(f"{cost.chunks:,} trainings to convergence of a network of {cost.coordinates:,} parameters.")
    else:
        st.caption(
            f"Gradients of every logit in {cost.coordinates:,} coordinates, then all subsets in blocks: "
            f"{cost.chunks} chunks, about {cost.memory / 2**20:.0f} MiB of memory."
        )
