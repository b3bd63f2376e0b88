"""How long-running work reports its progress and is asked to stop."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from typing import Protocol

UNTIMED_SECONDS = 60.0  # of a bar, for a stage that nobody could time


class Cancelled(BaseException):
    """The user asked the work to stop; everything finished so far is kept.

    Not an `Exception`: libraries that catch those must let it through.
    """


class Report(Protocol):
    """Called by long work after each chunk; raises `Cancelled` where the work is to stop."""

    def __call__(self, done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
        """Say that `done` of `total` units of work are finished.

        `reused` says whether the newest chunk came from the store; None stands for progress within a chunk.
        """


def silent(done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
    """Report to nobody."""


class Stages:
    """Joins the reports of several stages into one bar, each stage as long as it is expected to take.

    Parameters
    ----------
    report : Report
        Called with the joined progress, in thousandths of a second of expected work.
    stages : mapping of str to float
        Name of each stage, in order, and the seconds it is expected to take. What was not timed (infinity) takes a
        part of the bar all the same.
    """

    def __init__(self, report: Report, stages: Mapping[str, float]) -> None:
        self.report = report
        self.costs = {
            name: max(1, round(1000 * (seconds if math.isfinite(seconds) else UNTIMED_SECONDS)))
            for name, seconds in stages.items()
        }
        self.total = sum(self.costs.values())

    def stage(self, name: str) -> Report:
        """Return the report that a stage is to call."""
        before, cost = 0, self.costs[name]
        for other, length in self.costs.items():
            if other == name:
                break
            before += length

        def report(done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
            now = before + cost * done // max(total, 1)
            self.report(now, self.total, f"{message}: {done} of {total}", reused=reused)

        return report


class Within:
    """A report that chunks call as well, while they are computed in this process; elsewhere they tell nobody.

    Parameters
    ----------
    report : Report
        Called after each chunk, and in between with `reused` None.
    chunks : int
        How many there are.
    """

    def __init__(self, report: Report, chunks: int) -> None:
        self.report, self.chunks, self.finished = report, chunks, 0

    def __call__(self, done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
        """Say that `done` of `total` chunks are finished."""
        self.finished = done
        self.report(done, total, message, reused=reused)

    def inside(self, done: int, total: int, message: str = "", *, reused: bool | None = None) -> None:
        """Say how far a chunk is."""
        share = min(done, total)
        self.report(self.finished * total + share, self.chunks * total, message, reused=None)

    def __reduce__(self) -> tuple[type[Within], tuple[Report, int]]:
        return Within, (silent, self.chunks)


class Pace:
    """Estimates the time left from the chunks that were really computed; reused ones cost nothing."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.reused = self.computed = 0
        self._units = self._computed_units = 0
        self._seconds = 0.0
        self._last = self.started

    def note(self, done: int, *, reused: bool | None) -> None:
        """Record a finished chunk, or progress within one (`reused` None), after which `done` units are finished."""
        now = time.monotonic()
        if done < self._units:  # another bar begins, whose units take another time
            self._units = self._computed_units = 0
            self._seconds = 0.0
        if reused:
            self.reused += 1
        else:
            self.computed += reused is not None
            self._computed_units += done - self._units
            self._seconds += now - self._last
        self._units, self._last = done, now

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def eta(self, total: int) -> float | None:
        """Seconds left, or None before the first chunk was computed."""
        if self._units >= total:
            return 0.0
        return self._seconds / self._computed_units * (total - self._units) if self._computed_units else None


class TerminalReport:
    """Prints a line of progress to standard error."""

    def __init__(self) -> None:
        self.pace = Pace()

    def __call__(self, done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
        """Print how far the work is."""
        self.pace.note(done, reused=reused)
        eta = self.pace.eta(total)
        left = f", about {eta:.0f} s left" if eta else ""
        end = "\n" if done >= total else ""
        line = f"{done / total:4.0%}  {message or 'working'}{left}"
        print(f"\r{line:<70}", end=end, file=sys.stderr, flush=True)
