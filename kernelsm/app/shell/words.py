"""Texts on screen: names made safe for Markdown, durations and sizes, and what words mean."""

from __future__ import annotations

import math
import re

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:^&@=])")
_READ_ANEW = re.compile(r"(?<=[Ww]{3})\.|:(?=\S)|@|(?<=[-<>~])[->=]|(?<=<)-")


def plain(name: str) -> str:
    """Return a name from a file so that Markdown shows it as it is: in texts, labels, options of pills, and toasts.

    Once Markdown has been read, Streamlit reads the words again, without the backslashes: bare addresses become
    links, `:name:` a picture, `->` an arrow. There the character that makes the difference stands in a span of its
    own, which looks like nothing.
    """
    text, shown, done = name.replace("\n", " "), "", 0
    for found in _READ_ANEW.finditer(text):
        shown += f"{_escaped(text[done : found.start()])}:color[\\{found[0]}]"
        done = found.end()
    return shown + _escaped(text[done:])


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def duration(seconds: float) -> str:
    """Return seconds as people say them; infinity is what was not timed."""
    if math.isinf(seconds):
        return "an unknown time (what it takes was not timed)"
    if seconds < 1.5:
        return "about a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size_of(count: float) -> str:
    """Return a number of bytes as people say them."""
    if count < 2**20:
        return f"{count / 2**10:,.0f} KiB"
    return f"{count / 2**20:,.0f} MiB" if count < 2**30 else f"{count / 2**30:,.1f} GiB"


NATS = (
    "Losses are in *nats*, the unit of the natural logarithm: guessing among C labels costs ln C, 0.69 for two, 2.30 "
    "for ten."
)
_UNITS = {
    "nats": NATS,
    "nats over all labels": (
        "Losses are in *nats*, the unit of the natural logarithm, added up over the labels: guessing whether a label "
        "applies costs 0.69."
    ),
    "label variances": (
        "Losses are squared errors divided by the variance of the label: always predicting the mean costs about 1, "
        "and 0 is without error."
    ),
    "fraction of variance": (
        "R² is the share of the label's variance within the target that the network explains: 1 is without error, "
        "and below 0 the target's own mean would be a better guess."
    ),
    "nats a token": (
        "Losses are in *nats a token*: the mean surprise, -log p, of a language model by each token that it is to "
        "write. Guessing evenly among k tokens costs ln k, 0.69 for two."
    ),
    "tokens": (
        "Perplexity is the exponential of the loss: among how many tokens a model that guesses evenly would be as "
        "unsure."
    ),
    "label units": "Errors are in the label's own units, as your file gives it.",
    "squared label units": "Errors are squared, in the label's own units, as your file gives it.",
}
LDS = (
    "*LDS* (linear datamodelling score) is the rank correlation of predicted and true outcomes over held-out "
    "subsets, averaged over targets: 1 is the perfect order, 0 is none."
)
W0 = "*W0* are the weights of the trained network, at which gradients are taken and from which fine-tuning starts."
TARGET_HELP = {
    False: "What is measured. In the mean over targets each target counts the same.",
    True: "What is measured. In the mean over targets each test sample counts the same, so large targets count more.",
}
READOUT_NAMES = {"leave_one_out": "Leave one out", "inclusion": "Inclusion", "shapley": "Shapley"}
READOUT_HELP = (
    "**Leave one out**: g(all tasks) minus g(all but this one); for pairs the second difference there. "
    "**Inclusion**: mean of g over random subsets with the task (of the measured ones' size, where they have one; "
    "else p = ½), minus the mean over those without it. "
    "**Shapley**: mean effect of adding the task in a random order; all of them add up to g(all) - g(none)."
)
KERNEL_NAMES = {"auto": "Auto", "rbf": "RBF", "poly": "Quadratic", "linear": "Linear"}
KERNEL_HELP = (
    "**Auto** chooses kernels, ridges and what targets share on the fitted subsets alone. **RBF** and **Quadratic** "
    "take the γ and the ridge of the sliders. **Linear** is the baseline: no interactions."
)
ESTIMATOR_NAMES = {"gradex": "GradEx (no retraining)", "retraining": "Retraining (ground truth)"}
ESTIMATOR_HELP = (
    "GradEx solves one small convex problem per subset in the model linearised at W0. "
    f"Retraining trains the network on each subset. {W0}"
)
PROJECTION_NAMES = {
    "auto": "Auto", "exact": "Exact basis", "adapted": "Adapted to the tasks", "kronecker": "Kronecker",
    "gaussian": "Gaussian", "rademacher": "Rademacher", "sparse": "Sparse",
}  # fmt: skip
PROJECTION_HELP = (
    "Gradients have one coordinate per parameter. The **exact basis** keeps them all, which small networks allow. "
    "**Adapted to the tasks** finds the directions in which fine-tuning on these tasks moves the weights, as many as "
    "it needs and at most as many as the dimensions say: it takes longer and comes closest to the exact basis. "
    "The others are random maps to fewer coordinates: **Kronecker** projects the two factors of each layer's "
    "gradient and is by far the fastest, dense **Gaussian** and **Rademacher** vary least, **sparse** is the count "
    "sketch. **Auto** is exact up to 4,096 parameters, adapted while the directions take at most 1 GiB, and "
    "Kronecker beyond; for a language model exact while the gradients of its texts take at most 1.5 GiB."
)
PULL_HELP = (
    f"{W0} Fine-tuning on a subset minimises its loss plus half the pull times the squared distance from W0. A "
    "stronger pull keeps the network near its first order, so that GradEx is right, and makes outcomes differ less. "
    "It is not the ridge of the surrogate, though the paper writes λ for both."
)
MEASURE_HELP = (
    "What is measured of the network on each target. All of these are read off together: once subsets are computed, "
    "another measure takes a moment. The loss is what the network is trained on, and reacts to more than the others."
)
SAMPLER_NAMES = {
    "auto": "Auto", "leave_outs": "Leave-outs", "all": "All", "random": "Random", "next": "Next best",
}  # fmt: skip
SAMPLER_HELP = (
    "**Leave-outs**: all tasks together, every subset without one task, and every subset without two, from which "
    "effects and pairs at all tasks are read without a guess; then random ones. Those without two are left out where "
    "they would be more than two thirds of the subsets. **All**: every subset there is. **Auto**: all subsets of up "
    "to 12 tasks where these take at most two minutes, else leave-outs, with more subsets than asked for where those "
    "without two then fit in and two minutes are enough. **Random**: random ones alone. "
    "**Next best** proposes the subsets whose outcomes would narrow the readout's error bars most."
)
DRAW_NAMES = {"bernoulli": "Bernoulli", "fixed": "Fixed size"}
DRAW_HELP = "**Bernoulli** holds each task with probability p. **Fixed size** draws subsets of r tasks."
JOB_NAMES = {
    "compute": "Outcomes", "gradex_check": "Check of the first-order estimate", "pull_sweep": "Pulls towards W0",
    "confirm": "Retraining with and without", "compare": "Other methods", "prompt_estimates": "Estimates of prompts",
    "ask_model": "Asking the model", "prepare": "Preparation", "prompt_check": "Check of the prompts",
    "written_file": "A file to take away", "live": "A claim of the paper",
    "zero_shot": "Asking without demonstrations", "search_prompts": "Search for a prompt",
    "nearest_prompts": "Asking each query after its own prompt",
}  # fmt: skip
"""By the module that does the work."""
COMPARISON_NAMES = {"methods": "Methods on this run", "views": "Two views"}
COMPARISON_HELP = (
    "**Methods on this run**: other attribution methods beside the surrogate. **Two views**: any two of what the "
    "pages show, of one run or of two: another surrogate, readout, target, table. *Pin this view* in the sidebar "
    "keeps a view for it."
)
ORDER_NAMES = {"given": "As given", "strength": "By strength", "name": "By name", "clustered": "Clustered"}
GAMMA_HELP = (
    "γ of the RBF kernel exp(-γ‖s-s'‖²), or the scale of the quadratic one. It is the prior on the order of "
    "interactions: an effect of t tasks together carries tanh(γ/2)^t, so small γ, a wide kernel, is nearly additive. "
    "The paper's value is 1/K."
)
RIDGE_HELP = (
    "Added to the kernel's diagonal: more of it smooths noise away, and effects with it. It is not the pull towards "
    "W0 of fine-tuning, though the paper writes λ for both."
)
USED_HELP = (
    "The first so many subsets of the table, in the order in which they were measured: what you would know had you "
    "stopped there. All pages that fit a surrogate follow."
)
WHY_SLIDERS_REST = {
    "auto": "Auto chooses kernel widths and ridges by itself. To move the sliders, choose RBF or Quadratic above.",
    "linear": "Linear has no γ: its ridge is the one slider that acts.",
}
LINEAR_INTERVALS = (
    "A linear surrogate cannot see interactions, and its intervals know nothing of them: where there are some, "
    "effects lie outside more often than the intervals say."
)
SIGN_LOSS = (
    "Outcomes are losses: **negative helps**. A negative interaction is *synergy*, "
    "a positive one *redundancy or conflict*."
)
SIGN_SCORE = (
    "Outcomes are scores: **positive helps**. A positive interaction is *synergy*, "
    "a negative one *redundancy or conflict*."
)
SWEEP = (
    "Held-out predictions for one γ after the other, each with its best ridge. Small γ is nearly a linear surrogate; "
    "large γ remembers each subset and tells little about others. It plays in the browser: drag or press play."
)
PAIR_MEANS = {
    "leave_one_out": "with all other tasks in",
    "inclusion": "mean over random subsets of the other tasks, each in with p = ½",
    "shapley": "mean over random subsets of the other tasks, all sizes equally often",
}
WHY_AUTO_IS_ZERO = (
    "Every interaction is exactly zero: on these outcomes a linear kernel is the likeliest, so the default surrogate "
    "sees nothing but separate effects."
)
WHY_LINEAR_IS_ZERO = (
    "Every interaction is exactly zero, whatever the data: a linear surrogate adds up one number per task, so "
    "F(11) - F(10) - F(01) + F(00) cancels. An XOR pair is invisible to it. Choose the RBF kernel to see the pairs."
)
WHY_NO_DIMENSIONS = {
    "exact": "The exact basis keeps every coordinate of the gradients: there are no dimensions to choose.",
    "retraining": "Retraining uses no gradients: only the pull acts.",
    "fine_tuning": "Fine-tuning uses no gradient features and ends early: dimensions and pull are those of GradEx.",
}


def sign(unit: str, *, higher_is_better: bool) -> str:
    """Say which sign helps, and what the unit is."""
    side = SIGN_SCORE if higher_is_better else SIGN_LOSS
    return f"{side} {told}" if (told := unit_help(unit)) else side


def unit_help(unit: str) -> str:
    """Say what a run's unit is, a word and a unit as in "loss, nats"; "" where it speaks for itself."""
    return _UNITS.get(unit.partition(", ")[2], "")
