"""What gradients at anchor prompts take, without loading a model."""

from __future__ import annotations

from kernelsm.prompts.task import PromptTask

ANCHORS = 4
"""Anchor prompts at which gradients are taken."""
SECONDS_A_GRADIENT = 0.8
"""Of one text at one anchor, for the default model and the texts of the examples, on one core."""


def gradient_seconds(task: PromptTask, anchors: int, each: float) -> float:
    """Return the expected seconds on one core of the gradients of all queries and candidates.

    Parameters
    ----------
    task : PromptTask
    anchors : int
    each : float
        Seconds of one text with two labels at one anchor.

    Examples
    --------
    >>> from kernelsm.examples.movie_reviews.example import movie_reviews
    >>> from kernelsm.prompts.gradient_cost import gradient_seconds
    >>> gradient_seconds(movie_reviews(), anchors=1, each=2.0)
    300.0
    """
    further_labels = max(len(task.labels) - 1, 0)
    # one forward pass for all, and a backward pass of twice the work each
    return anchors * (len(task.queries) + task.K) * each * (1 + 2 * further_labels) / 3
