"""Which methods can be compared for a source, and roughly what each takes, without making anything of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kernelsm.attributors.catalog import METHODS, NETWORK_UP_TO, Given, Method, make_method
from kernelsm.examples.catalog import EXAMPLES, PROMPT_EXAMPLES
from kernelsm.gradients.choices import EXACT_UP_TO
from kernelsm.outcomes.table import Outcomes
from kernelsm.pipelines.run_settings import RunSettings, coordinates
from kernelsm.prompts.gradient_cost import ANCHORS, SECONDS_A_GRADIENT, gradient_seconds
from kernelsm.prompts.method_catalog import PROMPT_METHODS, PromptMethod
from kernelsm.tasks.suite import CLASSIFICATION, NEXT_TOKENS
from kernelsm.workspace.projects import find_recipe
from kernelsm.workspace.prompt_projects import PROMPTS, SECONDS_A_QUERY, find_prompts

ALL_METHODS: dict[str, Method | PromptMethod] = {**METHODS, **PROMPT_METHODS}
"""Those on tables, gradients and networks, and those on prompts."""

SECONDS_A_METHOD_ON_PROMPTS = 1800.0
"""As `kernelsm.pipelines.compare.SECONDS_A_METHOD`, where a language model is asked: all takes longer there."""
_AFTER_THE_GRADIENTS = 1.0
# these know the margin or the softmax of classes alone
_OF_CLASSES = ("trak", "trak_tasks", "influence_ekfac")


def asks_prompts(source: str, root: Path | None = None) -> bool:
    """Whether a source is texts for prompts: a built-in prompt task, or texts that were brought.

    Parameters
    ----------
    source : str
        As of `CompareSettings`.
    root : Path, optional
        Of the cache.
    """
    return source in PROMPT_EXAMPLES or (bool(source) and PROMPTS.is_here(source, root))


def seconds_a_gradient(source: str, root: Path | None = None) -> float:
    """Expected seconds of the gradients of one text at one anchor prompt, on one core."""
    return SECONDS_A_GRADIENT * find_prompts(source, root).seconds_a_query / SECONDS_A_QUERY


def possible_for(source: str) -> list[str]:
    """Names of the methods that have what they need for a source, without making anything of it.

    Parameters
    ----------
    source : str
        As of `CompareSettings`.
    """
    if asks_prompts(source):
        on_prompts = () if find_prompts(source).task.free else PROMPT_METHODS
        return [*(name for name, method in METHODS.items() if method.needs == "outcomes"), *on_prompts]
    game = source in EXAMPLES and not EXAMPLES[source].has_model
    recipe = None if not source or game else find_recipe(source)
    has = (
        {"outcomes"}
        | ({"features"} if recipe else set())
        | ({"network"} if recipe and not recipe.features and recipe.objective != NEXT_TOKENS else set())
    )
    found = [name for name, method in METHODS.items() if method.needs in has]
    classes = recipe is None or recipe.objective == CLASSIFICATION
    return [name for name in found if classes or name not in _OF_CLASSES]


def expected_seconds(name: str, source: str, outcomes: Outcomes) -> float:
    """Roughly what a method takes, from sizes alone: pages ask before torch is loaded.

    Parameters
    ----------
    name : str
        Of the catalog.
    source : str
        As of `CompareSettings`.
    outcomes : Outcomes
        The table that surrogates are fitted to.
    """
    if name in PROMPT_METHODS:
        task = find_prompts(source).task
        return gradient_seconds(task, ANCHORS, seconds_a_gradient(source))
    if METHODS[name].needs == "outcomes":
        return make_method(name, Given(outcomes)).cost().seconds
    recipe = find_recipe(source)
    size, d = recipe.size, recipe.parameters
    if name == "leave_one_out":
        return 2 * recipe.rates.retraining * (size.tasks + 1)
    text = recipe.objective == NEXT_TOKENS
    small = not recipe.features and size.samples * d <= NETWORK_UP_TO and not text
    k = d
    if not recipe.features and d > EXACT_UP_TO:
        settings = RunSettings(source, "gradex")
        k = coordinates(settings, recipe) if text else settings.dim
    # a pass through the network, or through its features, on one core
    one_pass = 0.01 + (6 * size.samples * d if small else 4 * size.samples * size.classes * k) / 2e9
    dense = (k**3 / 3 + size.samples * size.classes * k**2) / 4e9
    q = size.targets
    passes = {
        "influence_cg": 45 * q, "influence_lissa": 100 * q + 25, "influence_ekfac": 2 + 2 * size.classes,
        "tracin_checkpoints": 210, "magic": 200 * (2 + q), "source": 200, "bif": 3800,
    }.get(name, 2)  # fmt: skip
    extra = {"influence_exact": dense, "influence_pairs": dense, "source": 4 * dense + 30 * k**3 / 4e9}.get(name, 0.0)
    return float(passes * one_pass + extra)


def own_seconds(seconds: Mapping[str, float]) -> dict[str, float]:
    """What each of some methods adds when they run one after the other: those on prompts share their gradients."""
    found, shared = dict(seconds), False
    for name in seconds:
        if name in PROMPT_METHODS:
            found[name] = min(seconds[name], _AFTER_THE_GRADIENTS) if shared else seconds[name]
            shared = True
    return found
