"""ViewState: all that a link carries, in one place. Tables are named by hash, never held here."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from kernelsm.attributors.names import NAMES
from kernelsm.charts.order import ORDERS
from kernelsm.gradients import choices
from kernelsm.paper.findings import KEYS as CLAIMS
from kernelsm.prompts.method_names import PROMPT_METHOD_NAMES
from kernelsm.runtime.content_hash import is_content_hash
from kernelsm.workspace.tables import is_run_name

# a kernel matrix of this side takes 200 MB and some seconds, for all who use the server
MOST_SUBSETS = 5_000
KERNELS = ("auto", "rbf", "poly", "linear")
MODEL_ESTIMATORS = ("gradex", "retraining")
PROJECTIONS = ("auto", *choices.OF_RUNS)
LESSON_MODES = ("open", "class")
COMPARISONS = ("methods", "views")
PINNED_FIELDS = ("run", "target", "kernel", "gamma", "ridge", "readout", "used")
"""What of a view is kept where it is pinned."""
MOST_PINS = 6
_LONGEST_PIN = 600  # letters: a link and a session file must hold all of them
READOUTS = ("leave_one_out", "inclusion", "shapley")
SAMPLERS = ("random", "next", "auto", "leave_outs", "all", "distinct")
COSTS = ("samples",)
METHODS = (*NAMES, *PROMPT_METHOD_NAMES)
FEWEST_MORE, MOST_MORE = 5, 200
FEWEST_USED = 30
"""Fewer subsets than these are always fitted all."""
GAMMAS = (*(float(f"{digit}e{power}") for power in range(-4, 1) for digit in (1, 1.5, 2, 3, 5, 7)), 10.0)
PULLS = (*(float(f"{digit}e{power}") for power in range(-3, 2) for digit in (1, 3)), 100.0)
USED = (30, 45, 60, 90, 120, 150, 200, 250, 300, 400, 500, 600, 800, 1000, 1500, 2000, 3000, 4000)
RIDGES = (*(float(f"{digit}e{power}") for power in range(-6, 2) for digit in (1, 2, 5)), 100.0)


@dataclass(frozen=True)
class ViewState:
    """What the user looks at.

    Parameters
    ----------
    run : str
        Name of an example or content hash of a table in the cache.
    target : str
        Target looked at; "" is the mean over targets.
    kernel : {"auto", "rbf", "poly", "linear"}
        "auto" is the default surrogate, which chooses by itself.
    gamma : float, optional
        γ of "rbf" and "poly"; None is 1/K.
    ridge : float
        λ of all but "auto".
    used : int, optional
        How many of the run's subsets are fitted, the first ones; None is all.
    readout : {"", "leave_one_out", "inclusion", "shapley"}
        Attribution and interaction shown; "" is what suits the run's subsets.
    order : {"given", "strength", "clustered"}
        Order of tasks.
    focus : (int, int), optional
        Pair looked at, j < k.
    off : tuple of int
        Tasks that the what-if subset leaves out.
    truth : bool
        Whether a known truth is drawn beside the estimate.
    subsets, p, size, seed : sampler of the next computation
        `size` None is the Bernoulli sampler with probability `p`.
    sampler : {"random", "next", "auto", "leave_outs", "all", "distinct"}
        "next" are the subsets that would narrow the readout most; the others are designs, see `RunSettings`.
    more : int
        How many of these.
    estimator, projection, dim : the next computation
        See `RunSettings`.
    pull : float, optional
        λ of the pull towards W0 there; None is the source's own.
    measure : str
        What the outcomes of the next computation are; "" is the loss.
    project : str
        Key of data and model that have no outcomes yet and are worked on; "" for those of the run.
    prompts : str
        Key of texts for prompts that have no outcomes yet and are worked on; "" for those of the run.
    picked : tuple of int
        Demonstrations picked for a prompt, in its order.
    cost : {"", "samples"}
        What keeping a task costs; "" is nothing, or numbers that were typed in and that no link carries.
    price : float
        What a unit of cost is worth, in the outcome's unit.
    confirmed : str
        Key of the confirmation looked at; "" for none.
    tested : {"truth", "split"}
        What Fit tests on: the held-out truth where the run has one, or a fifth of its subsets.
    tab : int
        The tab of Fit that is open.
    claim : str
        Key of the paper's claim looked at (see `kernelsm.paper.findings`); "" is the first.
    methods : tuple of str
        Attribution methods compared, as the catalog names them; () is the page's own choice, and ("default",) the
        default surrogate alone.
    beside : tuple of str
        The two of them that stand side by side; () are the two that predict best.
    scaled : bool
        Whether each of these is divided by its strongest effect.
    compared : {"methods", "views"}
        What Compare shows: attribution methods on the run, or two views.
    pins : tuple of str
        Views that were pinned to be compared, as `pin` writes them.
    first, second : str
        The two views that stand side by side; "" is the view of the other pages, and for the second one the same with
        another surrogate.
    lesson : int
        Lesson that is open, counted from 1; 0 is the first.
    mode : {"", "open", "class"}
        What stands around a lesson: everything ("open"), or the other lessons alone, for a class. "" is everything
        too, but nothing where a `lesson` is named: then that one is all there is.
    guess : int, optional
        What is predicted there: an answer, or a step of the slider, counted from 0.
    at : int
        Position of its control.
    answered : tuple of int
        Lessons whose answers have been revealed.
    """

    run: str = "digits"
    target: str = ""
    kernel: str = "auto"
    gamma: float | None = None
    ridge: float = 0.1
    readout: str = ""
    order: str = "given"
    focus: tuple[int, int] | None = None
    off: tuple[int, ...] = ()
    truth: bool = False
    subsets: int = 400
    p: float = 0.5
    size: int | None = None
    seed: int = 0
    sampler: str = "random"
    more: int = 50
    estimator: str = "gradex"
    projection: str = "auto"
    dim: int = 512
    pull: float | None = None
    measure: str = ""
    project: str = ""
    prompts: str = ""
    picked: tuple[int, ...] = ()
    cost: str = ""
    price: float = 0.0
    confirmed: str = ""
    tested: str = "truth"
    tab: int = 0
    claim: str = ""
    methods: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    scaled: bool = True
    compared: str = "methods"
    pins: tuple[str, ...] = ()
    first: str = ""
    second: str = ""
    lesson: int = 0
    mode: str = ""
    guess: int | None = None
    at: int = 0
    answered: tuple[int, ...] = ()
    used: int | None = None

    @property
    def one_lesson(self) -> bool:
        """Whether one lesson is all there is to see."""
        return self.lesson > 0 and not self.mode

    @property
    def only_lessons(self) -> bool:
        """Whether there are no pages but the lessons."""
        return self.one_lesson or self.mode == "class"

    @property
    def surrogate(self) -> tuple[str, float | None, float]:
        """Kernel, γ and λ, without those that the kernel does not use: what fits are cached by."""
        if self.kernel == "auto":
            return "auto", None, 0.0
        return self.kernel, None if self.kernel == "linear" else self.gamma, self.ridge

    def to_params(self) -> dict[str, str]:
        """Return what differs from the default, as URL parameters."""
        changed = {field.name for field in fields(self) if getattr(self, field.name) != field.default}
        if changed & {"gamma", "ridge"}:
            changed.add("kernel")  # parameters without a kernel are those of RBF
        return {
            field.name: _written(getattr(self, field.name), _BETWEEN.get(field.name, "-"))
            for field in fields(self)
            if field.name in changed
        }

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> tuple[ViewState, list[str]]:
        """Read URL parameters; returns the view and what could not be used (unknown names, old or wrong values)."""
        known: dict[str, Any] = {}
        ignored = []
        for name, text in params.items():
            value = _READERS[name](text) if name in _READERS else None
            if value is None:
                ignored.append(f"{name}={text}"[:60])
            else:
                known[name] = value
        if "kernel" not in known and {"gamma", "ridge"} & set(known):
            known["kernel"] = "rbf"
        return cls(**known), ignored

    def within(self, target_names: tuple[str, ...], K: int, slots: int = 0, m: int = MOST_SUBSETS) -> ViewState:
        """Return the view with everything dropped that a run of K tasks, m subsets, these targets and slots lacks."""
        fits = self.focus is not None and self.focus[1] < K
        return replace(
            self,
            target=self.target if self.target in target_names else "",
            focus=self.focus if fits else None,
            off=tuple(k for k in self.off if k < K),
            picked=tuple(k for k in self.picked if k < K)[:slots],
            used=self.used if self.used is not None and self.used < m else None,
        )

    def lost(self, kept: ViewState) -> list[str]:
        """Return the parameters of this view that another one lacks, as parts of a link."""
        found = []
        for name in self.to_params():
            was, now = getattr(self, name), getattr(kept, name)
            if was != now:
                several = isinstance(was, tuple) and isinstance(now, tuple)
                found.append(f"{name}={_written(tuple(k for k in was if k not in now) if several else was)}"[:60])
        return found

    @property
    def pin(self) -> str:
        """Run, target, surrogate, readout and subsets used, as a link within a link; "" where that is too long."""
        kernel, gamma, ridge = self.surrogate
        kept = ViewState(
            run=self.run, target=self.target, kernel=kernel, gamma=gamma, readout=self.readout,
            ridge=ViewState.ridge if kernel == "auto" else ridge, used=self.used,
        )  # fmt: skip
        text = urlencode({"run": kept.run} | kept.to_params())
        return text if len(text) <= _LONGEST_PIN else ""

    def pinned(self, pin: str) -> ViewState:
        """Return the view that turns to a pinned one; the rest stays as it is.

        Examples
        --------
        >>> ViewState().pinned("run=planted&kernel=linear").kernel
        'linear'
        """
        found, _ = ViewState.from_params(dict(parse_qsl(pin)))
        return replace(self, **{name: getattr(found, name) for name in PINNED_FIELDS})

    def opened(self, parameter: str, key: str) -> ViewState:
        """Return the view that turns to something kept (see `Kept`), which a link names by `parameter`.

        Raises
        ------
        ValueError
            No parameter of the view names anything kept.
        """
        match parameter:
            case "run":
                return self.on_run(key)
            case "project":
                return replace(
                    self,
                    project=key,
                    pull=None,
                    measure="",
                    projection="auto",
                    estimator="gradex",
                    size=None,
                    sampler="auto",
                )
            case "prompts":
                return replace(self, prompts=key, picked=())
            case "confirmed":
                return replace(self, confirmed=key)
        raise ValueError(f"the view's parameter {parameter!r} names nothing that is kept")

    def closed(self, parameter: str) -> ViewState:
        """Return the view without what `parameter` names; the run becomes that of the first page.

        Raises
        ------
        ValueError
            As `opened`.
        """
        if parameter == "project":  # what was chosen for the next computation holds for the run as well
            return replace(self, project="", sampler=self._sampler_on(self.run))
        return self.opened(parameter, getattr(ViewState(), parameter, ""))

    def on_run(self, run: str) -> ViewState:
        """Return the view of another run: what belongs to the old one is reset."""
        return replace(
            self, run=run, target="", gamma=None, focus=None, off=(), truth=False, pull=None, measure="", project="",
            prompts="",
            picked=(), cost="", price=0.0, confirmed="", sampler=self._sampler_on(run), methods=(), beside=(),
            used=None,
        )  # fmt: skip

    def _sampler_on(self, run: str) -> str:
        """The sampler on turning to a run: a finished example begins with the random subsets it was computed from."""
        return self.sampler if is_content_hash(run) or self.sampler == "next" else "random"


_BETWEEN = {"pins": "|"}  # what stands between several; a pin has hyphens of its own


def _written(value: Any, between: str = "-") -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return between.join(str(item) for item in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _one_of(options: tuple[str, ...]) -> Callable[[str], str | None]:
    return lambda text: text if text in options else None


def _number(low: float, high: float) -> Callable[[str], float | None]:
    def read(text: str) -> float | None:
        try:
            value = float(text)
        except ValueError:
            return None
        return value if math.isfinite(value) and low <= value <= high else None

    return read


def _whole(low: int, high: int) -> Callable[[str], int | None]:
    return lambda text: int(text) if re.fullmatch(r"[0-9]{1,12}", text) and low <= int(text) <= high else None


def _indices(text: str) -> tuple[int, ...] | None:
    return (
        tuple(sorted({int(part) for part in text.split("-")})) if re.fullmatch(r"\d{1,4}(-\d{1,4})*", text) else None
    )


def _ordered(text: str) -> tuple[int, ...] | None:
    if not re.fullmatch(r"\d{1,4}(-\d{1,4}){0,99}", text):
        return None
    indices = tuple(int(part) for part in text.split("-"))
    return indices if len(set(indices)) == len(indices) else None


def _pair(text: str) -> tuple[int, int] | None:
    indices = _indices(text)
    return (indices[0], indices[1]) if indices and len(indices) == 2 else None


def _names(fewest: int, most: int, *, repeats: bool = False) -> Callable[[str], tuple[str, ...] | None]:
    """Read names of attribution methods, joined by hyphens."""

    def read(text: str) -> tuple[str, ...] | None:
        names = tuple(text.split("-"))
        known = fewest <= len(names) <= most and all(name in METHODS for name in names)
        return names if known and (repeats or len(set(names)) == len(names)) else None

    return read


def _pin(text: str) -> str | None:
    """Read a pinned view; it comes back as `ViewState.pin` writes it."""
    parts = parse_qsl(text, keep_blank_values=True)
    known = [name for name, _ in parts]
    if len(text) > _LONGEST_PIN or "run" not in known or not set(known) <= set(PINNED_FIELDS):
        return None
    view, ignored = ViewState.from_params(dict(parts))
    return None if ignored or len(set(known)) < len(known) else view.pin or None


def _pins(text: str) -> tuple[str, ...] | None:
    pins = [_pin(part) for part in text.split(_BETWEEN["pins"])]
    known = tuple(dict.fromkeys(pin for pin in pins if pin))
    return known if len(known) == len(pins) <= MOST_PINS else None


_READERS: dict[str, Callable[[str], Any]] = {
    "run": lambda text: text if is_run_name(text) else None,
    "target": lambda text: text or None,
    "kernel": _one_of(KERNELS),
    "gamma": _number(1e-6, 1e3),
    "ridge": _number(0.0, 1e4),
    "readout": _one_of(READOUTS),
    "order": _one_of(ORDERS),
    "focus": _pair,
    "off": _indices,
    "truth": lambda text: {"1": True, "0": False}.get(text),
    "subsets": _whole(3, MOST_SUBSETS),
    "p": _number(0.05, 0.95),
    "size": _whole(1, 500),
    "seed": _whole(0, 10**9),
    "sampler": _one_of(SAMPLERS),
    "more": _whole(FEWEST_MORE, MOST_MORE),
    "estimator": _one_of(tuple(MODEL_ESTIMATORS)),
    "projection": _one_of(tuple(PROJECTIONS)),
    "dim": _whole(2, 4096),
    "pull": _number(1e-6, 1e4),
    # which measures there are depends on the source: another one's means the loss there
    "measure": lambda text: text if re.fullmatch(r"[\w ]{1,24}", text) else None,
    "project": lambda text: text if is_content_hash(text) else None,
    "prompts": lambda text: text if is_content_hash(text) else None,
    "picked": _ordered,
    "cost": _one_of(COSTS),
    "price": _number(0.0, 1e6),
    "confirmed": lambda text: text if is_content_hash(text) else None,
    "tested": _one_of(("truth", "split")),
    "tab": _whole(0, 3),
    "claim": _one_of(CLAIMS),
    "methods": _names(1, len(METHODS)),
    "beside": _names(2, 2, repeats=True),
    "scaled": lambda text: {"1": True, "0": False}.get(text),
    "compared": _one_of(COMPARISONS),
    "pins": _pins,
    "first": _pin,
    "second": _pin,
    "lesson": _whole(1, 99),
    "mode": _one_of(LESSON_MODES),
    "guess": _whole(0, 999),
    "at": _whole(0, 99),
    "answered": _indices,
    "used": _whole(FEWEST_USED, MOST_SUBSETS),
}
