"""Texts on screen: names made safe for Markdown, numbers made short."""

from __future__ import annotations

import re

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:^&])")


def plain(name: str) -> str:
    """Return a name from a file so that Markdown shows it as it is."""
    return _MARKDOWN.sub(r"\\\1", name.replace("\n", " "))


def duration(seconds: float) -> str:
    """Return seconds as people say them."""
    if seconds < 1.5:
        return "about a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


READOUT_NAMES = {"leave_one_out": "Leave one out", "inclusion": "Inclusion"}
READOUT_HELP = (
    "**Leave one out**: g(all tasks) minus g(all but this one). "
    "**Inclusion**: mean of g over random subsets (p = ½) with the task, minus the mean over those without it."
)
KERNEL_NAMES = {"rbf": "RBF", "poly": "Quadratic", "linear": "Linear"}
ESTIMATOR_NAMES = {"gradex": "GradEx (no retraining)", "retraining": "Retraining (ground truth)"}
ESTIMATOR_HELP = (
    "GradEx solves one small convex problem per subset in the model linearised at W0. "
    "Retraining trains the network on each subset."
)
ORDER_NAMES = {"given": "As given", "strength": "By strength", "clustered": "Clustered"}
GAMMA_HELP = (
    "γ of the RBF kernel exp(-γ‖s-s'‖²), or the scale of the quadratic one. It is the prior on the order of "
    "interactions: an effect of t tasks together carries tanh(γ/2)^t, so small γ is nearly additive. "
    "The paper's value is 1/K."
)
RIDGE_HELP = "λ, added to the kernel's diagonal: more of it smooths noise away, and effects with it."
SIGN_LOSS = (
    "Outcomes are losses: **negative helps**. A negative interaction is *synergy*, "
    "a positive one *redundancy or conflict*."
)
SIGN_SCORE = (
    "Outcomes are scores: **positive helps**. A positive interaction is *synergy*, "
    "a negative one *redundancy or conflict*."
)
WHY_LINEAR_IS_ZERO = (
    "Every interaction is exactly zero, whatever the data: a linear surrogate adds up one number per task, so "
    "F(11) - F(10) - F(01) + F(00) cancels. An XOR pair is invisible to it. Choose the RBF kernel to see the pairs."
)
