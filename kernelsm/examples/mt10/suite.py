"""The shipped demonstrations of MT10 as a suite."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from kernelsm.policies.cloning import PolicyUnits, cloning_suite
from kernelsm.policies.demonstrations import Demonstrations
from kernelsm.runtime.progress import Report, silent
from kernelsm.tasks.suite import TaskSuite

DEMONSTRATIONS = Path(__file__).parent / "demonstrations.npz"
"""Some steps of the demonstrations: of each task 150 to fine-tune on, and 75 of other episodes to measure on."""


@cache
def mt10_demonstrations() -> Demonstrations:
    """Return the shipped steps of the demonstrations."""
    return Demonstrations.load(DEMONSTRATIONS)


@cache
def mt10_units() -> PolicyUnits:
    """Return how the policy sees and acts, by the spread of the shipped steps."""
    return PolicyUnits.fitted(mt10_demonstrations())


@cache
def mt10_suite(report: Report = silent) -> TaskSuite:
    """Return the suite: an action of four numbers for each of 2,250 observations in ten tasks."""
    return cloning_suite(mt10_demonstrations(), mt10_units())
