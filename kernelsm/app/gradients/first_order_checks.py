"""Can the first-order estimate be trusted? The part of the Gradients page that shows it, and checks it anew."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from kernelsm.app.gradients.compute import fine_tuning_words
from kernelsm.app.shell import frame
from kernelsm.app.shell.job_panel import job_panel, registry
from kernelsm.app.shell.open_runs import Run
from kernelsm.app.shell.words import LDS, PROJECTION_NAMES
from kernelsm.charts.distortion import distortion_chart
from kernelsm.charts.fit import predicted_vs_observed
from kernelsm.evaluation.first_order import FirstOrderCheck
from kernelsm.evaluation.truth import score_estimates
from kernelsm.examples.catalog import load_estimates_of_truth
from kernelsm.gradients.choices import EXACT_UP_TO, adapted_fits
from kernelsm.objectives.registry import find_class
from kernelsm.pipelines.gradex_check import CHECK_SUBSETS, Checks, check_cost, load_checks
from kernelsm.pipelines.run_settings import START_SECONDS, RunSettings, example_settings
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.near_ties import first_greatest
from kernelsm.tasks.suite import NEXT_TOKENS
from kernelsm.workspace.projects import find_recipe

_CHECK_SEED = 10_007  # apart from the seeds of examples and of their truth
# beyond these the page says what to do; the paper's networks miss 0.4 to 2.4 % of their logits
_LARGE_LOGITS, _LARGE_CHANGE, _LARGE_OUTCOMES, _LOW_RANK = 0.05, 0.25, 0.05, 0.9


def show_first_order_checks(run: Run) -> None:
    """Draw GradEx against retraining on the example's held-out subsets."""
    st.header("Can the first-order estimate be trusted here?")
    estimates, checks = load_estimates_of_truth(run.key), load_checks(run.key)
    assert estimates is not None
    assert checks is not None
    assert run.truth is not None
    scores = score_estimates(run.truth, estimates)
    recipe = find_recipe(run.key)
    text = recipe.objective == NEXT_TOKENS
    how = fine_tuning_words(recipe) if text else "with the same pull towards W0"
    st.markdown(
        f"On {run.truth.m} subsets the network was really fine-tuned {how}, and GradEx asked for the same outcomes:"
    )
    left, right = frame.panels()
    with left:
        _metrics(scores["spearman"], scores["lds"], scores["relative_error"], checks.first_order, _outputs(run.key))
        spread = run.truth.mean_target().values
        st.caption(
            f"Guessing the mean outcome for every subset would have a relative error of "
            f"{float(abs(spread - spread.mean()).mean() / spread.mean()):.2%}."
        )
        errors = scores["relative_error_per_target"]
        worst = list(errors)[first_greatest(list(errors.values()))]
        st.caption(f"Largest relative error of a target: {errors[worst]:.1%} ({worst}).")
        if checks.ceiling:
            other, start = ("fine-tuned on batches in another order", "that order") if text else (
                "trained from another random start", "this network's start"
            )  # fmt: skip
            st.caption(
                f"Ceiling: outcomes of the same network {other} agree with these to LDS "
                f"{checks.ceiling.lds:.3f} and Spearman {checks.ceiling.spearman:.3f} ({checks.ceiling.subsets} of "
                f"the subsets). What GradEx gets right beyond that belongs to {start}."
            )
    with right:
        chart = predicted_vs_observed(
            run.truth.mean_target().values[:, 0],
            {"GradEx against retraining": estimates.mean_target().values[:, 0]},
            unit=run.unit,
            dark=frame.is_dark(),
        )
        frame.show(chart, "gradients_trust")
    assert run.example is not None
    _advice(checks.first_order, example_settings(run.key), find_recipe(run.key).parameters, _outputs(run.key))


def _outputs(source: str) -> str:
    """What the outputs of a source's network are called."""
    return find_class(find_recipe(source).objective).output_word


def _metrics(
    spearman: float, lds: float, error: float, check: FirstOrderCheck, outputs: str, digits: int = 4
) -> None:
    first, second = st.columns(2)
    first.metric("Spearman, overall loss", f"{spearman:.{digits}f}")
    second.metric("LDS, mean over targets", f"{lds:.{digits}f}", help=LDS)
    first.metric("Relative error, overall loss", f"{error:.2%}")
    second.metric(
        f"Relative error, {outputs}", f"{check.of_logits:.2%}",
        help="Mean over test samples of |f_W - f_W0 - <∇f_W0, W - W0>| / |f_W| for networks that were really "
        f"fine-tuned (the paper's Table 2). Of the change f_W - f_W0 itself the first order misses "
        f"{check.of_change:.0%}: stricter, because a network that hardly moves has small errors whatever its "
        "curvature.",
    )  # fmt: skip


def _advice(check: FirstOrderCheck, settings: RunSettings, parameters: int, outputs: str) -> None:
    """Say what to do where an error is large."""
    if check.of_logits > _LARGE_LOGITS or check.of_change > _LARGE_CHANGE:
        st.warning(
            f"The network leaves its first-order neighbourhood: {check.of_logits:.1%} of the {outputs}, "
            f"{check.of_change:.0%} of their change, are beyond it. A stronger pull towards W0, or "
            "fine-tuning that stays closer to it (smaller steps, fewer of them), brings estimates and retraining "
            "together; or take retraining itself as the estimator, for fewer subsets.",
            icon=":material/warning:",
        )
    elif check.lds < _LOW_RANK or check.relative_error > _LARGE_OUTCOMES:
        exact = settings.projection in ("exact", "adapted")
        adapted = "directions adapted to the tasks" if adapted_fits(parameters, settings.dim) else "more dimensions"
        basis = "the exact basis" if parameters <= EXACT_UP_TO else adapted
        advice = "Retraining, for fewer subsets, is the safer estimator here." if exact else f"Try {basis}."
        where = "what the first order leaves out matters here" if exact else "projecting the gradients loses too much"
        st.warning(
            f"The {outputs} stay near their first order, but outcomes differ from retraining's (LDS {check.lds:.2f}, "
            f"relative error {check.relative_error:.1%}): most likely {where}. {advice}",
            icon=":material/warning:",
        )


def projections(run: Run) -> None:
    """Draw how much each projection distorts this network's gradients."""
    checks = load_checks(run.key)
    assert checks is not None
    if not checks.projections:  # every coordinate is kept
        return
    st.header("What projecting costs")
    dim = checks.projections[0].dim
    st.markdown(
        f"Outcomes depend on gradients through inner products. Errors of {dim} random coordinates for pairs of this "
        f"network's own gradients ({find_recipe(run.key).parameters:,} coordinates), over several random maps of "
        "each kind; dotted, the standard deviation that theory gives a dense Gaussian map for these gradients:"
    )
    errors = {PROJECTION_NAMES[check.kind]: check.errors for check in checks.projections}
    sizes = {PROJECTION_NAMES[check.kind]: check.size for check in checks.projections}
    chart = distortion_chart(errors, sizes, checks.expected_distortion, dark=frame.is_dark())
    frame.show(chart, "distortion")


def check_again(settings: RunSettings) -> None:
    """Offer to retrain a few fresh subsets and compare, with the settings chosen above."""
    if find_recipe(settings.source).features:
        return  # there is no network to retrain
    st.header("Check these settings")
    few = replace(
        settings, estimator="gradex", subsets=CHECK_SUBSETS, seed=_CHECK_SEED, design="random", measure="loss"
    )
    st.markdown(
        f"Fine-tunes the network on {CHECK_SUBSETS} fresh subsets and compares its outputs and outcomes with their "
        "first-order estimates."
    )
    spec = JobSpec("kernelsm.pipelines.gradex_check:run", few.arguments())
    seconds = START_SECONDS + sum(check_cost(few).values())
    job_panel(spec, seconds, "", start="Run the check", cancel="Cancel the check", key="check")
    status = registry().status(spec.key)
    if status and status.state == "done" and status.result:
        found = Checks.from_json(status.result["checks"]).first_order
        outputs = _outputs(settings.source)
        _metrics(found.spearman, found.lds, found.relative_error, found, outputs, digits=2)
        st.caption(f"{found.subsets} subsets are few: rank correlations are rough.")
        _advice(found, settings, find_recipe(settings.source).parameters, outputs)
