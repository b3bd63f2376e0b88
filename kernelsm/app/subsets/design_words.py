"""What a design takes, in words: for the Subsets page, which chooses it, and for Gradients, which computes it."""

from __future__ import annotations

import math

from kernelsm.app.shell.words import duration
from kernelsm.outcomes.designs import most_out_by_design, possible_subsets, subsets_for_pairs
from kernelsm.pipelines.run_settings import RunSettings, seconds_a_subset, task_count


def short_words(settings: RunSettings) -> str:
    """Name the design with its numbers, for titles."""
    if settings.design == "all":
        return "all there are"
    rate = f"p = {settings.p}" if settings.size is None else f"r = {settings.size}"
    return f"{'leave-outs, ' if settings.design == 'leave_outs' else ''}{rate}, seed {settings.seed}"


def design_sentence(settings: RunSettings) -> str:
    """Say which subsets there are."""
    K, m = task_count(settings.source), settings.rows
    if settings.design == "all":
        return f"**All {m:,} subsets** of {K} tasks: none is left to guess."
    if settings.design != "leave_outs":
        return f"**{m:,} subsets**, {short_words(settings)}."
    out = most_out_by_design(K, settings.subsets)
    parts = ["all tasks together"]
    parts += [f"the {K:,} without one task"] if out >= 1 else []
    parts += [f"the {math.comb(K, 2):,} without two"] if out >= 2 else []
    rest = m - sum(math.comb(K, left_out) for left_out in range(out + 1))
    rate = f"p = {settings.p}" if settings.size is None else f"r = {settings.size}"
    parts += [f"{rest:,} random ones ({rate}, seed {settings.seed})"] if rest else []
    return f"**{m:,} subsets**: {', '.join(parts[:-1])}{' and ' if parts[1:] else ''}{parts[-1]}."


def why_so_many(settings: RunSettings, asked: int) -> str:
    """Say why there are more or fewer subsets than were asked for; "" where there are as many."""
    m = settings.rows
    if m == asked or settings.chosen:
        return ""
    if m < asked and settings.design == "all":
        return f"There are no more, so {asked:,} cannot be had."
    if m < asked:
        kind = f"of {settings.size} tasks " if settings.size is not None else ""
        return f"There are no more different ones {kind}to draw, so {asked:,} cannot be had."
    seconds = seconds_a_subset(settings)
    takes = f"all of them take {duration(m * seconds)}" if seconds else "they cost nothing"
    gain = "none is left to guess" if settings.design == "all" else "they hold every subset without two tasks"
    return f"More than the {asked:,} asked for: {takes} on two cores, and then {gain}."


def pairs_to_add(settings: RunSettings) -> int:
    """How many subsets it takes for those without two tasks to be among them; 0 where they are, or never could be."""
    K = task_count(settings.source)
    lacks = settings.design == "leave_outs" and K > 1 and most_out_by_design(K, settings.subsets) < 2
    return min(subsets_for_pairs(K), possible_subsets(K)) if lacks else 0
