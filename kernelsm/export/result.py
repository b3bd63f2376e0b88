"""What is taken away: one result with its settings, its fidelity and where it came from."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from kernelsm import __version__
from kernelsm.evaluation.fidelity import A_FIFTH, Fidelity, measure_fidelity
from kernelsm.export.arguments import KERNELS, READOUTS
from kernelsm.outcomes.measured_word import measured_unit
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.checks import check_choice, check_whole
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.reading import MEAN_TARGET, Readout, fit_of_target, read_surrogate, usual_readout

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "pandas", "pyarrow")


@dataclass(frozen=True)
class Settings:
    """Which surrogate of which target is read off how: what the sliders of the pages say.

    Parameters
    ----------
    target : str
        "" is the mean over targets.
    kernel : {"auto", "rbf", "poly", "linear"}
    gamma : float, optional
        γ of "rbf" and "poly"; None is 1/K.
    ridge : float
        λ of all but "auto".
    readout : {"leave_one_out", "inclusion", "shapley"}
    used : int, optional
        How many subsets of the table are fitted, the first ones; None is all.
    """

    target: str = ""
    kernel: str = "auto"
    gamma: float | None = None
    ridge: float = 0.1
    readout: str = "leave_one_out"
    used: int | None = None

    @classmethod
    def checked(
        cls,
        outcomes: Outcomes,
        *,
        target: str = "",
        kernel: str = "auto",
        gamma: float | None = None,
        ridge: float = 0.1,
        readout: str = "",
        used: int | None = None,
    ) -> Settings:
        """Return settings that fit a table; without a readout, the one that suits its subsets.

        Raises
        ------
        InputError
            The table has no such target, fewer than `used` subsets, or a kernel or readout is unknown.
        """
        if target and target not in outcomes.target_names:
            expected = ", ".join(map(repr, outcomes.target_names))[:200]
            raise InputError("target", repr(target)[:80], expected, "Choose one of these.")
        check_choice("kernel", kernel, KERNELS)
        shown = readout or usual_readout(outcomes)
        check_choice("readout", shown, READOUTS)
        if used is not None:
            check_whole("subsets used", used, 3, outcomes.m, fix="Leave it out to use all.")
        return cls(target, kernel, gamma, ridge, shown, used if used != outcomes.m else None)

    def surrogate(self) -> tuple[str, float | None, float]:
        """Kernel, γ and λ, without those that the kernel does not use."""
        if self.kernel == "auto":
            return "auto", None, 0.0
        return self.kernel, None if self.kernel == "linear" else self.gamma, self.ridge


@dataclass(frozen=True)
class Result:
    """A table of outcomes, the surrogate fitted to it, and what is read off.

    Parameters
    ----------
    title : str
        What the run is called.
    table : str
        How a command names the table: that of an example, or of a file.
    is_example : bool
        Whether `table` names a built-in example.
    outcomes : Outcomes
        What is fitted, all targets.
    settings : Settings
    surrogate : Surrogate
        Of the target.
    readout : Readout
    fidelity : Fidelity, optional
        None where there are too few subsets to hold any out.
    link : str
        Address that shows the result; "" for none.
    """

    title: str
    table: str
    is_example: bool
    outcomes: Outcomes
    settings: Settings
    surrogate: Surrogate
    readout: Readout
    fidelity: Fidelity | None = None
    link: str = ""

    @property
    def target(self) -> str:
        """The target's name in words."""
        names = self.outcomes.target_names
        return self.settings.target or (names[0] if len(names) == 1 else MEAN_TARGET)

    @property
    def unit(self) -> str:
        """What is measured, with its unit."""
        return measured_unit(self.outcomes)

    @property
    def higher_is_better(self) -> bool:
        """Which sign helps."""
        return self.outcomes.higher_is_better


def result_of(
    outcomes: Outcomes,
    settings: Settings,
    *,
    title: str,
    table: str,
    is_example: bool,
    truth: Outcomes | None = None,
    truth_is: str = "",
    link: str = "",
) -> Result:
    """Fit, read off and score: what Fit and Explore do, for the command line.

    Parameters
    ----------
    outcomes : Outcomes
        The whole table, also where the settings use the first subsets of it alone.
    settings : Settings
    title, table, is_example, link
        See `Result`.
    truth : Outcomes, optional
        What fidelity is measured on, where it is known; else a fifth of the subsets is held out.
    truth_is : str
        What that is, in words.

    Examples
    --------
    >>> from kernelsm import load_example
    >>> outcomes = load_example("planted")
    >>> settings = Settings.checked(outcomes, kernel="rbf", gamma=0.1, ridge=0.05)
    >>> result = result_of(outcomes, settings, title="Planted game", table="planted", is_example=True)
    >>> result.readout.attribution.values.shape, result.fidelity.tested
    ((10, 1), 60)
    """
    kernel, gamma, ridge = settings.surrogate()
    outcomes = outcomes if settings.used is None else outcomes.take(range(settings.used))
    surrogate = fit_of_target(outcomes, settings.target, kernel, gamma, ridge)
    fidelity = measure_fidelity(
        outcomes, truth, kernel=kernel, gamma=gamma, ridge=ridge, target=settings.target,
        tested_on=truth_is if truth is not None else A_FIFTH,
    )  # fmt: skip
    readout = read_surrogate(surrogate, outcomes, settings.target, settings.readout)
    return Result(title, table, is_example, outcomes, settings, surrogate, readout, fidelity, link=link)


def versions() -> dict[str, str]:
    """Versions of what computed a result."""
    found = {"kernelsm": __version__, "Python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:  # installed without its metadata
            found[library] = "unknown"
    return found


CITATION = """@article{zhang2026kernelsurrogates,
  title = {Efficient Estimation of Kernel Surrogate Models for Task Attribution},
  author = {Zhang, Zhenshuo and Duan, Minxuan and Zhang, Hongyang R.},
  journal = {arXiv preprint arXiv:2602.03783},
  year = {2026},
  url = {https://arxiv.org/abs/2602.03783}
}"""
