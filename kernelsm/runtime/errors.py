"""Errors that tell users what was found, what was expected and what to do about it."""

from __future__ import annotations

from kernelsm.runtime.one_line import escape_line_breaks


class InputError(ValueError):
    """Input that cannot be used, with a message that tells its owner how to mend it.

    Parameters
    ----------
    place : str
        File, row, column, field or argument.
    found : str
        What stands there.
    expected : str
        What should stand there.
    fix : str
        What to do about it.

    Examples
    --------
    >>> from kernelsm import InputError, Outcomes
    >>> try:
    ...     Outcomes([[1, 0], [1, 2]], [0.5, 0.4])
    ... except InputError as error:
    ...     print(error)
    masks, row 1, task 1: found 2; expected 0 or 1. A task is in a subset or not.
    """

    def __init__(self, place: str, found: str, expected: str, fix: str) -> None:
        self.place, self.found, self.expected, self.fix = map(escape_line_breaks, (place, found, expected, fix))
        super().__init__(f"{self.place}: found {self.found}; expected {self.expected}. {self.fix}")

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str, str]]:
        return type(self), (self.place, self.found, self.expected, self.fix)


class ConvergenceError(RuntimeError):
    """A computation on valid input that did not converge.

    Parameters
    ----------
    place : str
        What was computed.
    reached : str
        The accuracy that it reached.
    wanted : str
        The accuracy that was asked for.
    fix : str
        What to do about it.

    Examples
    --------
    >>> from kernelsm import ConvergenceError
    >>> print(ConvergenceError("GradEx", "a gradient norm of 2e-03", "9e-05", "Raise the ridge."))
    GradEx did not converge: it reached a gradient norm of 2e-03; wanted 9e-05. Raise the ridge.
    """

    def __init__(self, place: str, reached: str, wanted: str, fix: str) -> None:
        self.place, self.reached, self.wanted, self.fix = place, reached, wanted, fix
        super().__init__(f"{place} did not converge: it reached {reached}; wanted {wanted}. {fix}")

    def __reduce__(self) -> tuple[type[ConvergenceError], tuple[str, str, str, str]]:
        return type(self), (self.place, self.reached, self.wanted, self.fix)


class WorkerDiedError(RuntimeError):
    """A part of the work whose process ended again and again before it was finished.

    Parameters
    ----------
    place : str
        Which part.
    how : str
        How the process ended the last time.
    times : int
        How often it was tried.
    """

    def __init__(self, place: str, how: str, times: int) -> None:
        self.place, self.how, self.times = place, how, times
        fix = "Where memory is short, set KERNELSM_WORKERS to a smaller number. Finished parts are kept."
        super().__init__(f"{place}: the process at work on it ended {times} times ({how}). {fix}")

    def __reduce__(self) -> tuple[type[WorkerDiedError], tuple[str, str, int]]:
        return type(self), (self.place, self.how, self.times)


class SchedulerLostError(RuntimeError):
    """The scheduler of a cluster that was at work can no longer be reached; what had arrived is kept.

    Parameters
    ----------
    address : str
        Of the scheduler.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        fix = "Finished parts are kept: start again when it is back."
        super().__init__(f"the connection to the scheduler {address} was lost. {fix}")

    def __reduce__(self) -> tuple[type[SchedulerLostError], tuple[str]]:
        return type(self), (self.address,)
