"""Kernel surrogate models for task attribution: which training tasks help, hurt and interact.

Importing kernelsm imports neither torch nor streamlit; each public name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernelsm.estimators.adapted_features import adapted_features
    from kernelsm.estimators.gradex import GradEx
    from kernelsm.estimators.retraining import Retraining
    from kernelsm.evaluation.leave_one_out import leave_one_out_effects
    from kernelsm.evaluation.metrics import lds, relative_error
    from kernelsm.examples.catalog import load_example, load_leave_one_out, load_truth
    from kernelsm.gradients.features import GradientFeatures, gradient_features
    from kernelsm.gradients.features_file import load_features, save_features
    from kernelsm.models.registry import build_model
    from kernelsm.outcomes.anchor import anchor_support
    from kernelsm.outcomes.designs import design_masks
    from kernelsm.outcomes.samplers import bernoulli_masks, fixed_size_masks
    from kernelsm.outcomes.table import Outcomes
    from kernelsm.runtime.errors import ConvergenceError, InputError
    from kernelsm.runtime.store import ChunkKind, Store
    from kernelsm.selection.dropping import Drop, best_drop
    from kernelsm.surrogates.auto import AutoSurrogate, default_surrogate
    from kernelsm.surrogates.kernel import KernelSurrogate, KernelSurrogateCV
    from kernelsm.surrogates.linear import LinearSurrogate, LinearSurrogateCV
    from kernelsm.surrogates.results import Attribution, Interactions
    from kernelsm.surrogates.shared import SharedSurrogate
    from kernelsm.tasks.suite import TaskSuite

__version__ = "0.1.0"

_HOME = {
    "Attribution": "kernelsm.surrogates.results",
    "AutoSurrogate": "kernelsm.surrogates.auto",
    "ChunkKind": "kernelsm.runtime.store",
    "ConvergenceError": "kernelsm.runtime.errors",
    "Drop": "kernelsm.selection.dropping",
    "GradEx": "kernelsm.estimators.gradex",
    "GradientFeatures": "kernelsm.gradients.features",
    "InputError": "kernelsm.runtime.errors",
    "Interactions": "kernelsm.surrogates.results",
    "KernelSurrogate": "kernelsm.surrogates.kernel",
    "KernelSurrogateCV": "kernelsm.surrogates.kernel",
    "LinearSurrogate": "kernelsm.surrogates.linear",
    "LinearSurrogateCV": "kernelsm.surrogates.linear",
    "Outcomes": "kernelsm.outcomes.table",
    "Retraining": "kernelsm.estimators.retraining",
    "Store": "kernelsm.runtime.store",
    "TaskSuite": "kernelsm.tasks.suite",
    "SharedSurrogate": "kernelsm.surrogates.shared",
    "adapted_features": "kernelsm.estimators.adapted_features",
    "anchor_support": "kernelsm.outcomes.anchor",
    "bernoulli_masks": "kernelsm.outcomes.samplers",
    "best_drop": "kernelsm.selection.dropping",
    "build_model": "kernelsm.models.registry",
    "default_surrogate": "kernelsm.surrogates.auto",
    "design_masks": "kernelsm.outcomes.designs",
    "fixed_size_masks": "kernelsm.outcomes.samplers",
    "gradient_features": "kernelsm.gradients.features",
    "lds": "kernelsm.evaluation.metrics",
    "leave_one_out_effects": "kernelsm.evaluation.leave_one_out",
    "load_example": "kernelsm.examples.catalog",
    "load_features": "kernelsm.gradients.features_file",
    "load_leave_one_out": "kernelsm.examples.catalog",
    "load_truth": "kernelsm.examples.catalog",
    "relative_error": "kernelsm.evaluation.metrics",
    "save_features": "kernelsm.gradients.features_file",
}

__all__ = [
    "Attribution", "AutoSurrogate", "ChunkKind", "ConvergenceError", "Drop", "GradEx", "GradientFeatures",
    "InputError", "Interactions", "KernelSurrogate", "KernelSurrogateCV", "LinearSurrogate", "LinearSurrogateCV",
    "Outcomes", "Retraining", "SharedSurrogate", "Store", "TaskSuite", "adapted_features", "anchor_support",
    "bernoulli_masks", "best_drop", "build_model", "default_surrogate", "design_masks", "fixed_size_masks",
    "gradient_features", "lds", "leave_one_out_effects", "load_example", "load_features", "load_leave_one_out",
    "load_truth", "relative_error", "save_features",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOME:
        from kernelsm.runtime.extras import needed_by

        with needed_by(f"kernelsm.{name}"):
            return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'kernelsm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
