"""The parts of the Subsets page: what was sampled, and what to sample next."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from kernelsm.app.shell import controls, frame, navigation, rights, session, spoken, words
from kernelsm.app.shell.fits import fitted, outlying_rows
from kernelsm.app.shell.open_runs import Run, target_outcomes
from kernelsm.app.shell.outlying_rows import show_outlying_rows
from kernelsm.app.shell.view import MOST_SUBSETS
from kernelsm.app.shell.words import duration
from kernelsm.app.subsets.design_words import design_sentence, pairs_to_add, why_so_many
from kernelsm.app.subsets.next_subsets import next_best
from kernelsm.charts.subsets import outcome_histogram, pair_coverage
from kernelsm.outcomes.completeness import subsets_left
from kernelsm.pipelines.run_settings import (
    RunSettings,
    estimators,
    measures_of,
    offered_projections,
    recipe_of,
    seconds_a_subset,
    task_count,
)


def sampled(run: Run) -> None:
    """Draw how the sampled outcomes spread and how often pairs were together."""
    view = session.view()
    outcomes = target_outcomes(run, view.target)
    show_outlying_rows(outcomes, outlying_rows(run, view.target, view.kernel))
    left, right = frame.panels()
    with left:
        st.header("Outcomes")
        # with subsets of one size, all tasks together are unlike anything measured
        full = None if run.fixed_size else _all_tasks(run)
        measured = bool(outcomes.masks.all(axis=1).any())
        values = outcomes.values[:, 0]
        st.markdown(
            f"From {values.min():.3g} to {values.max():.3g}, median {np.median(values):.3g} ({run.unit}). "
            "A narrow spread leaves little to attribute.", help=words.unit_help(run.unit) or None,
        )  # fmt: skip
        chart = outcome_histogram(values, full=full, measured=measured, unit=run.unit, dark=frame.is_dark())
        frame.show(chart, "subsets_histogram")
    with right:
        st.header("Coverage")
        st.markdown(_coverage_sentence(outcomes.masks))
        frame.show(pair_coverage(outcomes.masks, outcomes.task_names, dark=frame.is_dark()), "subsets_coverage")


def _all_tasks(run: Run) -> float:
    """Outcome predicted for all tasks together."""
    view = session.view()
    surrogate = fitted(run.key, view.target, *view.surrogate)
    return float(surrogate.predict(np.ones((1, run.outcomes.K))).ravel()[0])


def next_draw(run: Run) -> None:
    """Draw the sampler's controls and what they would cover; nothing where all is measured and nothing computed."""
    source = run.source or (run.key if run.example else "")
    if not (source or subsets_left(run.outcomes.masks)):
        return
    st.header("Draw other subsets" if source else "Which subsets to measure next?")
    best = not source or session.view().sampler == "next"
    with st.container(horizontal=True, gap="medium"):
        if source:
            controls.sampler_picker(run.outcomes.K)
        if best:
            controls.more_slider()
            controls.readout_picker(run)
    if best:
        controls.readout_warning(run)
        next_best(run)
        return
    draw(source)


def first_draw(project: str) -> None:
    """Draw the sampler's controls for data and a model that have no outcomes yet."""
    st.header("Which subsets to draw?")
    if not rights.may_use(project):
        rights.say_not_yours("The samples and the network", "no subsets are drawn for them here")
        return
    view = session.view()
    if view.sampler == "next":
        st.caption("Next best needs outcomes to start from: the first subsets are drawn at random.")
    controls.sampler_picker(task_count(project), proposals=False)
    draw(project)


def draw(source: str) -> None:
    """Draw the controls of the design and what its subsets would cover."""
    settings = draw_settings(source)
    if controls.shown_design(task_count(source)) != "all":
        controls.sampler_controls(task_count(source), random=settings.design != "all")
    masks = settings.masks()
    sizes = masks.sum(axis=1)
    st.markdown(f"{design_sentence(settings)} {why_so_many(settings, session.view().subsets)}")
    _more_for_pairs(settings)
    hold = f"{sizes.min()} to {sizes.max()}" if sizes.min() < sizes.max() else f"{sizes.min()}"
    said = f"{_coverage_sentence(masks)} Subsets hold {hold} tasks."
    st.markdown(said)
    spoken.say(f"{len(masks)} subsets. {said}", "draw")
    if recipe_of(source):
        st.page_link(
            navigation.GRADIENTS, label="Compute their outcomes on Gradients", icon=":material/trending_down:"
        )


def _more_for_pairs(settings: RunSettings) -> None:
    """Offer as many subsets as it takes for those without two tasks to be among them."""
    enough = pairs_to_add(settings)
    if not settings.subsets < enough <= MOST_SUBSETS:
        return
    takes = duration(enough * seconds_a_subset(settings))
    st.button(
        f"Take {enough:,} subsets: with all that lack two tasks", icon=":material/add:", on_click=session.update,
        kwargs={"subsets": enough}, key="subsets_pairs",
    )  # fmt: skip
    st.caption(
        f"Those without two tasks would be more than two thirds of {settings.subsets:,}, so they are left out: "
        f"second differences at all tasks will be predicted, not measured. {enough:,} subsets take {takes}."
    )


def draw_settings(source: str) -> RunSettings:
    """What the view chose for the next computation of an example or a project."""
    view, recipe, K = session.view(), recipe_of(source), task_count(source)
    offered = estimators(source)
    estimator = view.estimator if view.estimator in offered else offered[0]
    size = None if view.size is None else min(view.size, K)
    # what the estimator and the design do not use stays at its default, so that equal work is one job
    chosen: dict[str, Any] = {"p": view.p if size is None else 0.5, "size": size, "seed": view.seed}
    if recipe:
        chosen["ridge"] = view.pull or recipe.ridge
        chosen["measure"] = view.measure if view.measure in measures_of(source) else "loss"
    if recipe and estimator == "gradex" and not recipe.features:
        fits = view.projection in offered_projections(recipe, view.dim)
        chosen["projection"] = view.projection if fits else "auto"
        chosen["dim"] = view.dim
    return RunSettings(source, estimator, subsets=view.subsets, design=controls.shown_design(K), **chosen)


def _coverage_sentence(masks: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> str:
    m, K = masks.shape
    if K < 2:
        return f"The task is in {int(masks.sum())} of {m} subsets."
    s = masks.astype(np.float64)
    alone, both = s.sum(axis=0), s.T @ s
    first, second = np.triu_indices(K, k=1)
    together = both[first, second]
    one_alone = np.minimum(alone[first], alone[second]) - together
    neither = m - alone[first] - alone[second] + together
    rarest = int(np.minimum(np.minimum(together, one_alone), neither).min())
    fewest, most = int(together.min()), int(together.max())
    counted = f"{fewest} to {most}" if fewest < most else f"{most}"
    warning = " Some pairs lack one of the four combinations: their interaction is a guess." if rarest == 0 else ""
    return (
        f"Each pair was together in {counted} of {m} subsets, and each of its four "
        f"combinations (both, one, the other, neither) was seen at least {rarest} times.{warning}"
    )
