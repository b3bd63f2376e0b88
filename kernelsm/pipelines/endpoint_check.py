"""The check of prompts with an endpoint: the longest prompt and a few queries, which are kept and paid for once."""

from __future__ import annotations

import time
from typing import Any

from kernelsm.models.endpoint_address import EndpointAddress
from kernelsm.pipelines.askers import endpoint_cost, open_asker
from kernelsm.prompts.asked import measured
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store
from kernelsm.workspace.prompt_projects import PromptSource, prompts_key

ASKED = 8
"""Queries that are asked."""


def check_endpoint(source: PromptSource, report: Report = silent, store: Store | None = None) -> dict[str, Any]:
    """Try prompts with an endpoint.

    Parameters
    ----------
    source : PromptSource
        Its model is an endpoint.
    report : Report, optional
    store : Store, optional
        Where answers are kept.

    Returns
    -------
    dict
        JSON types: `prompts` (key of the source), `model` (its name), `endpoint` (what it is asked for:
        "log-probabilities" or "answers"), `queries` (their number), `seconds` (to ask all of them after one prompt),
        `calls` and `tokens` (what that takes, about), `right` (share of those asked that were answered rightly) and
        `orders` (0: it is not tried how much the order matters, which would be paid for).

    Raises
    ------
    InputError
        The endpoint may not be asked from here, refuses, or gives no log-probabilities where they are wanted.
    """
    report(0, 1, "asking the endpoint", reused=None)
    asker, task = open_asker(source, store), source.task
    sizes = asker.sizes([candidate.text for candidate in task.candidates])
    longest = sizes.argsort()[::-1][: task.k].tolist()
    by_length = sorted(task.queries, key=lambda query: -len(query.text))
    measured(asker, task, longest, by_length[:1])  # what fails, fails with one call
    begun = time.perf_counter()
    found = measured(asker, task, longest, by_length[:ASKED])
    each = (time.perf_counter() - begun) / max(1, min(ASKED, len(by_length)) - 1)
    report(1, 1, "asking the endpoint")
    cost = endpoint_cost(source, 1, task.k)
    assert cost is not None
    gives = "log-probabilities" if EndpointAddress.of_text(source.model).probabilities else "answers"
    return {
        "prompts": prompts_key(source), "model": asker.name, "endpoint": gives, "queries": len(task.queries),
        "seconds": max(each, 1e-3) * len(task.queries), "calls": cost.calls, "tokens": cost.tokens,
        "right": float(found[1].mean()), "orders": 0,
    }  # fmt: skip
