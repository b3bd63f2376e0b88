"""Can the first-order estimate be trusted? The part of the Gradients page that shows it, and checks it anew."""

from __future__ import annotations

from dataclasses import asdict, replace

import streamlit as st

from kernelsm.app import frame
from kernelsm.app.job_panel import job_panel, registry
from kernelsm.app.runs import Run
from kernelsm.charts.distortion import distortion_chart
from kernelsm.charts.fit import predicted_vs_observed
from kernelsm.evaluation.checks import CHECK_SUBSETS, Checks, check_cost, load_checks
from kernelsm.evaluation.first_order import FirstOrderCheck
from kernelsm.evaluation.truth import score_estimates
from kernelsm.gradients.choices import EXACT_UP_TO
from kernelsm.outcomes.examples import load_estimates_of_truth
from kernelsm.outcomes.recipes import RECIPES
from kernelsm.outcomes.run_settings import RunSettings
from kernelsm.runtime.jobs import JobSpec

_CHECK_SEED = 10_007  # apart from the seeds of examples and of their truth
# beyond these the page says what to do; the paper's networks miss 0.4 to 2.4 % of their logits
_LARGE_LOGITS, _LARGE_OUTCOMES, _LOW_RANK = 0.05, 0.05, 0.9


def trust(run: Run) -> None:
    """Draw GradEx against retraining on the example's held-out subsets."""
    st.subheader("Can the first-order estimate be trusted here?")
    estimates, checks = load_estimates_of_truth(run.key), load_checks(run.key)
    assert estimates is not None
    assert checks is not None
    assert run.truth is not None
    scores = score_estimates(run.truth, estimates)
    st.markdown(
        f"On {run.truth.m} subsets the network was really fine-tuned with the same pull towards W0, and GradEx asked "
        "for the same outcomes:"
    )
    left, right = frame.panels()
    with left:
        _metrics(scores["spearman"], scores["lds"], scores["relative_error"], checks.first_order)
        worst = max(scores["relative_error_per_target"], key=scores["relative_error_per_target"].__getitem__)
        st.caption(f"Largest relative error of a target: {scores['relative_error_per_target'][worst]:.1%} ({worst}).")
        if checks.ceiling:
            st.caption(
                f"Ceiling: outcomes of a network trained from another seed reach LDS {checks.ceiling.lds:.3f} and "
                f"Spearman {checks.ceiling.spearman:.3f} on {checks.ceiling.subsets} of these subsets. What lies "
                "above is a matter of this W0, not of the tasks."
            )
    with right:
        chart = predicted_vs_observed(
            run.truth.values.mean(axis=1), {"GradEx against retraining": estimates.values.mean(axis=1)}, unit=run.unit
        )
        frame.show(chart, "gradients_trust")
    _advice(checks.first_order, RECIPES[run.key].parameters)


def _metrics(spearman: float, lds: float, error: float, check: FirstOrderCheck) -> None:
    first, second = st.columns(2)
    first.metric("Spearman, overall loss", f"{spearman:.4f}")
    second.metric("LDS, mean over targets", f"{lds:.4f}")
    first.metric("Relative error, overall loss", f"{error:.2%}")
    second.metric(
        "Relative error, logits", f"{check.of_logits:.2%}",
        help="Mean over test samples of |f_W - f_W0 - <∇f_W0, W - W0>| / |f_W| for networks that were really "
        f"fine-tuned (the paper's Table 2). Of the change f_W - f_W0 itself the first order misses "
        f"{check.of_change:.0%}: stricter, because a network that hardly moves has small errors whatever its "
        "curvature.",
    )  # fmt: skip


def _advice(check: FirstOrderCheck, parameters: int) -> None:
    """Say what to do where an error is large."""
    curved = check.of_logits > _LARGE_LOGITS or check.relative_error > _LARGE_OUTCOMES
    if curved:
        st.warning(
            f"The network leaves its first-order neighbourhood: {check.of_logits:.1%} of the logits, "
            f"{check.of_change:.0%} of their change, are beyond it. A stronger pull towards W0 (larger ridge λ), or "
            "fine-tuning that stays closer to it (smaller steps, fewer of them), brings estimates and retraining "
            "together; or take retraining itself as the estimator, for fewer subsets.",
            icon=":material/warning:",
        )
    if check.lds < _LOW_RANK and not curved:
        basis = "the exact basis" if parameters <= EXACT_UP_TO else "more dimensions"
        st.warning(
            f"The logits stay near their first order, but outcomes rank subsets unlike retraining does (LDS "
            f"{check.lds:.2f}): the projection loses too much. Try {basis}.",
            icon=":material/warning:",
        )


def projections(run: Run) -> None:
    """Draw how much each projection distorts this network's gradients."""
    checks = load_checks(run.key)
    assert checks is not None
    st.subheader("What projecting costs")
    dim = checks.projections[0].dim
    st.markdown(
        f"Outcomes depend on gradients through inner products. Errors of {dim} random coordinates for pairs of this "
        f"network's own gradients ({RECIPES[run.key].parameters:,} coordinates); dotted, one standard deviation of a "
        "dense Gaussian map for gradients at right angles:"
    )
    frame.show(
        distortion_chart({one.name.split(",")[0]: one.errors for one in checks.projections}, dim), "distortion"
    )


def check_again(settings: RunSettings) -> None:
    """Offer to retrain a few fresh subsets and compare, with the settings chosen above."""
    st.subheader("Check these settings")
    few = replace(settings, estimator="gradex", subsets=CHECK_SUBSETS, seed=_CHECK_SEED)
    st.markdown(
        f"Fine-tunes the network on {CHECK_SUBSETS} fresh subsets and compares logits and outcomes with their "
        "first-order estimates."
    )
    spec = JobSpec("kernelsm.evaluation.checks:run", asdict(few))
    job_panel(spec, sum(check_cost(few).values()), "", start="Check", key="check")
    status = registry().status(spec.key)
    if status and status.state == "done" and status.result:
        found = Checks.from_json(status.result["checks"]).first_order
        _metrics(found.spearman, found.lds, found.relative_error, found)
        _advice(found, RECIPES[settings.example].parameters)
