"""Who is compared: surrogates of kernelsm by name, and what experts would pick instead."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import kernelsm
from comparison.expert_methods import (
    LEAST_LEAF,
    EachTarget,
    LassoOnPairs,
    ProxySpex,
    RelevanceProcess,
    hist_boosting,
    light_gbm,
)
from kernelsm import KernelSurrogate, KernelSurrogateCV, LinearSurrogateCV, default_surrogate

Array = NDArray[np.float64]
SURROGATE_CODE = Path(kernelsm.__file__).parent / "surrogates"


class Contender(Protocol):
    """Fits a table of subsets and outcomes, predicts others."""

    def fit(self, masks: Array, values: Array) -> Any:
        """Fit to (m, K) masks and (m, q) values."""

    def predict(self, masks: Array) -> Array:
        """Predict, shape (m, q)."""


@dataclass(frozen=True)
class Rival:
    """What experts would pick instead of a surrogate of kernelsm.

    Parameters
    ----------
    make : callable
        Returns it, not fitted.
    package : str
        Where it comes from; its version goes into the results.
    revision : int
        Raised where its setting changes, so that what it answered before is asked anew.
    most_targets : int
        Of a table with more targets it answers so many, evenly spread: each fit takes its time.
    most_columns : int
        Left out where all tasks and pairs of tasks are more.
    only : str
        Pattern of the names of problems that it takes part in, as of `re.fullmatch`.
    """

    make: Callable[[], Contender]
    package: str
    revision: int = 0
    most_targets: int = 25
    most_columns: int = 10**9
    only: str = ".*"

    def takes(self, problem: str, K: int) -> bool:
        """Whether it takes part in a problem of K tasks."""
        return bool(re.fullmatch(self.only, problem)) and self.most_columns >= K * (K + 1) // 2


SURROGATES: dict[str, tuple[Callable[[], Contender], tuple[str, ...]]] = {
    "default": (default_surrogate, ("*.py",)),
    "tuned_linear": (LinearSurrogateCV, ("base.py", "linear.py", "tuning.py")),
    "tuned_rbf": (KernelSurrogateCV, ("base.py", "kernel*.py", "tuning.py")),
    "authors": (lambda: KernelSurrogate(ridge=0.1, fit_intercept=False), ("base.py", "kernel.py")),
    "authors_modular": (lambda: KernelSurrogate(ridge=0.01, fit_intercept=False), ("base.py", "kernel.py")),
}
"""By name, with the files on which their answers hang. The authors take λ = 0.1, on modular arithmetic 0.01."""
RIVALS: dict[str, Rival] = {
    "gp_ard": Rival(lambda: EachTarget(RelevanceProcess), "scikit-learn", most_targets=10),
    "hist_boosting": Rival(hist_boosting, "scikit-learn"),
    "hist_boosting_leaf_5": Rival(lambda: hist_boosting(min_samples_leaf=LEAST_LEAF), "scikit-learn"),
    "light_gbm": Rival(light_gbm, "lightgbm", revision=1, most_targets=10),
    "lasso_pairs": Rival(
        lambda: EachTarget(LassoOnPairs), "scikit-learn", revision=2, most_targets=10, most_columns=25_000
    ),
    "proxy_spex": Rival(
        lambda: EachTarget(ProxySpex),
        "spectralexplain",
        most_targets=1,
        only="tables/.*/draw0|games/.*/K20/m300/p[.0-9]+/noise10/seed0|shapley/.*/m100/seed0",
    ),
}


def contender(name: str) -> Contender:
    """Make a contender: a name of `SURROGATES` or `RIVALS`, or "module:Class(argument=literal, ...)"."""
    if name in SURROGATES:
        return SURROGATES[name][0]()
    if name in RIVALS:
        return RIVALS[name].make()
    module, _, call = name.partition(":")
    if not call:
        known = ", ".join([*SURROGATES, *RIVALS])
        raise SystemExit(f"no contender {name!r}: take one of {known}, or module:Class(argument=literal)")
    made = ast.parse(call, mode="eval").body
    arguments = {}
    if isinstance(made, ast.Call):
        arguments = {str(word.arg): ast.literal_eval(word.value) for word in made.keywords}
        made = made.func
    return getattr(import_module(module), ast.unparse(made))(**arguments)  # type: ignore[no-any-return]


def fingerprint(name: str) -> str:
    """What a contender's answers depend on beside its table: versions of packages, or the code of the surrogates."""
    if name in RIVALS:
        parts = [f"{RIVALS[name].package} {version(RIVALS[name].package)}", str(RIVALS[name].revision)]
    else:
        patterns = SURROGATES[name][1] if name in SURROGATES else ("*.py",)
        files = sorted({file for pattern in patterns for file in SURROGATE_CODE.rglob(pattern)})
        parts = [file.read_text() for file in files]
    return sha256("\n".join([name, *parts]).encode()).hexdigest()


def targets_of(name: str, q: int) -> NDArray[np.intp]:
    """Which of q targets a contender answers: all, or as many as it takes, evenly spread."""
    most = RIVALS[name].most_targets if name in RIVALS else q
    return np.unique(np.linspace(0, q - 1, min(q, most)).round().astype(np.intp))
