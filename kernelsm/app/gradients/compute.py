"""The parts of the Gradients page: recompute the outcomes from the model's gradients."""

from __future__ import annotations

import numpy as np
import streamlit as st

from kernelsm.app.data.network_facts import engine_sentence
from kernelsm.app.shell import controls, frame, navigation, rights, session, words
from kernelsm.app.shell.job_panel import job_panel, registry
from kernelsm.app.shell.open_runs import Run, open_run
from kernelsm.app.shell.weighing import source_sentence
from kernelsm.app.shell.words import size_of
from kernelsm.app.subsets.design_words import design_sentence, short_words, why_so_many
from kernelsm.app.subsets.sampling import draw_settings
from kernelsm.estimators.recipe import Recipe
from kernelsm.examples.catalog import EXAMPLES, load_example
from kernelsm.objectives.registry import find_class
from kernelsm.pipelines.run_settings import RunSettings, estimate_cost, measures_of
from kernelsm.runtime.memory import available_memory
from kernelsm.tasks.suite import NEXT_TOKENS
from kernelsm.workspace.projects import PROJECTS, find_recipe
from kernelsm.workspace.tables import TABLES

_WITH_MODEL = "digits"


def source() -> str:
    """What the page computes outcomes of: the project worked on, or the run's source; "" for nothing it may use."""
    view = session.view()
    if view.project:
        return view.project if rights.may_use(view.project) else ""
    return open_run(view.run).source


def blocked(run: Run) -> None:
    """Say what is missing where a run has no model, and where to go."""
    if session.view().project or run.source_is_not_yours:
        rights.say_not_yours("The samples and the network", "nothing is computed of them here")
        st.page_link(navigation.DATA, label="Open a session file", icon=":material/upload:")
        return
    reason = "the planted game is a formula" if run.example else "this run is a table of outcomes"
    reason = "its outcomes were asked of a language model" if run.prompts else reason
    st.info(f"There are no gradients here: {reason}.", icon=":material/info:")
    left, middle, right = frame.panels(3, 220)
    left.button(
        f"Open {EXAMPLES[_WITH_MODEL].title}, which has a model", icon=":material/visibility:",
        on_click=session.look_at, args=(_WITH_MODEL,),
    )  # fmt: skip
    middle.page_link(navigation.DATA, label="Bring data and a model", icon=":material/upload:")
    if run.prompts:
        right.page_link(
            navigation.DEMONSTRATIONS, label="Choose demonstrations by this run",
            icon=":material/format_list_numbered:",
        )  # fmt: skip
    else:
        right.page_link(navigation.EXPLORE, label="Explore this run", icon=":material/hub:")


def job_settings(source: str) -> RunSettings:
    """Draw the settings of the computation and return them."""
    recipe = find_recipe(source)
    if recipe.features:
        st.markdown("Gradient features were computed elsewhere: only the convex problems are left to solve.")
        controls.pull_slider(recipe.ridge)
    else:
        controls.estimator_controls(recipe)
    controls.measure_picker(measures_of(source))
    settings = draw_settings(source)
    asked = session.view().subsets
    st.markdown(f"{design_sentence(settings)} {why_so_many(settings, asked)} Change them on Subsets.")
    st.markdown(source_sentence(source))
    return settings


def recompute(settings: RunSettings) -> None:
    """Draw the job of these settings and, when it is done, how its result compares with the finished example."""
    how = settings.estimator
    if how == "gradex" and not find_recipe(settings.source).features:
        how += f" {settings.projection}" + ("" if settings.projection == "exact" else f" {settings.dim}")
    how += "" if settings.measure == "loss" else f", {settings.measure}"
    title = f"{session.title_of(settings.source)}: {how}, {settings.rows} subsets, {short_words(settings)}"
    spec = settings.job()
    is_project = settings.source not in EXAMPLES
    job_panel(spec, estimate_cost(settings).seconds, title, start="Compute outcomes" if is_project else "Recompute")
    status = registry().status(spec.key)
    done = status and status.state == "done" and status.result and TABLES.is_here(status.result["run"])
    if done and status and status.result and not is_project:
        computed, shipped = open_run(status.result["run"]).outcomes, load_example(settings.source)
        alike = computed.masks.shape == shipped.masks.shape and settings.measure == "loss"
        if alike and bool((computed.masks == shipped.masks).all()):
            difference = float(np.abs(computed.values - shipped.values).max())
            unit = str(computed.meta.get("unit", ""))
            size = "none" if difference == 0 else f"{difference:.2g} {words.plain(unit)}"
            st.markdown(f"Largest difference from the finished example, over all subsets and targets: **{size}**.")


def fine_tuning_words(recipe: Recipe) -> str:
    """How a language model is fine-tuned on a subset."""
    epochs = recipe.retraining["epochs"]
    return f"by {epochs} pass{'es' if epochs > 1 else ''} over its texts"


def cost_note(settings: RunSettings) -> None:
    """Say what the computation needs before it is started, and what lowers it."""
    cost, recipe = estimate_cost(settings), find_recipe(settings.source)
    if settings.estimator == "retraining" and recipe.objective == NEXT_TOKENS:
        st.caption(
            f"{settings.rows:,} real fine-tunings of the {recipe.parameters:,} parameters of the adapters, from W0 "
            f"and {fine_tuning_words(recipe)}. Fewer subsets take less."
        )
        return
    if settings.estimator == "retraining":
        st.caption(
            f"{settings.rows:,} trainings to convergence of a network of {recipe.parameters:,} parameters, from "
            f"W0 with a pull of {settings.ridge:g} towards it. Fewer subsets take less."
        )
        return
    size = recipe.size
    objective = find_class(recipe.objective)
    every = cost.outputs == objective.linearisations[0].name
    text = recipe.objective == NEXT_TOKENS
    all_of_them = f"all {size.classes} {objective.output_word}" if size.classes > 1 else "the one output"
    outputs = f"of {all_of_them}" if every else "of the margin (log-odds of the true class)"
    if text:
        every = True
        outputs = "of the margin (log-odds of a text's mean token)" if cost.outputs == "margin" else (
            f"of the mean {cost.outputs}"
        )  # fmt: skip
    why = "" if every or recipe.features else (
        f": those of {all_of_them} would take more than the 1.5 GiB set aside for them"
    )  # fmt: skip
    every_coordinate = text and settings.projection == "exact"
    less = "Fewer texts, or adapters of a lower rank" if every_coordinate else "Fewer dimensions"
    usually = "usually " if settings.projection == "adapted" else ""
    network = f"{cost.coordinates:,} coordinates as they were brought" if recipe.features else (
        f"{recipe.parameters:,} parameters, {words.PROJECTION_NAMES[settings.projection]} with {usually}"
        f"{cost.coordinates:,} coordinates"
    )  # fmt: skip
    st.caption(
        f"Gradients {outputs}{why}; {size.samples:,} training and {size.test_samples:,} test samples, {network}. "
        f"Then all subsets together, with a pull of {settings.ridge:g} towards W0. About {size_of(cost.memory)} of "
        "memory: the features as loaded, and as prepared for the solver, and the processes that work on them."
        + ("" if recipe.features else f" About {size_of(cost.disk)} on disk.")
        + ("" if recipe.features else f" {less}, or fewer subsets, take less of all.")
    )
    if settings.source not in EXAMPLES and (how := engine_sentence(PROJECTS.load(settings.source).about)):
        st.caption(how)
    free = available_memory()
    if free is not None and cost.memory > free:
        several = len(objective.linearisations) > 1 and not text
        margin = ", or the margin in place of all logits" if several else ""
        st.warning(
            f"This server has {size_of(free)} of memory free, and the job will refuse to start. Take "
            f"{less[0].lower()}{less[1:]}{margin}.",
            icon=":material/memory:",
        )
