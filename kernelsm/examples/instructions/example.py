"""Instructions of many sources for a language model: the example, its network and how its results were computed."""

from __future__ import annotations

from pathlib import Path

from kernelsm.estimators.recipe import Rates, Recipe, Size
from kernelsm.examples.example import WEIGHTS, Example
from kernelsm.examples.instructions.sources import INSTRUCTIONS
from kernelsm.runtime.progress import Report, silent
from kernelsm.samples.reader import read_samples
from kernelsm.tasks.build import build_suite
from kernelsm.tasks.mapping import SampleMapping, TaskRule
from kernelsm.tasks.suite import NEXT_TOKENS, TaskSuite

_FOLDER = Path(__file__).parent
_MAPPING = SampleMapping(
    "completion", ("prompt",), "text", TaskRule("column", ("source",)), split="split", target="source",
    objective=NEXT_TOKENS,
)  # fmt: skip

_made: list[TaskSuite] = []


def _suite(report: Report = silent) -> TaskSuite:
    """The shipped texts through the door that a user's own go through."""
    if not _made:
        from kernelsm.models.causal_text import language_model  # needs torch, which the numbers of samples do not

        _made.append(build_suite(read_samples(INSTRUCTIONS), _MAPPING, encode=language_model().encode))
        report(1, 1, "inputs", reused=None)
    return _made[0]


INSTRUCTIONS_EXAMPLE = Example(
    name="instructions",
    title="Sources of instructions",
    summary=(
        "12 tasks: sources of real text that a small language model is fine-tuned on by low-rank adapters: rated "
        "sentences, docstrings, prose, names. One source is a copy of another, and one answers wrongly on purpose. "
        "Which sources help a model to write like which?"
    ),
    folder=_FOLDER,
    truth_is="24 further subsets on which the language model was really fine-tuned",
    truth_subsets=24,
    recipe=Recipe(
        suite=_suite,
        architecture="causal_text",
        config={"rank": 8, "alpha": 16, "layers": 6},
        parameters=92_160,
        ridge=0.01,
        rates=Rates(
            base=60.0,
            gradients={"kronecker": 600.0, "gaussian": 700.0, "rademacher": 700.0, "sparse": 600.0},
            gradex={"projected": 5.0}, retraining=60.0, inputs=5.0,
        ),
        # a few times over all sources: the model has seen every kind of question, and subsets still move it
        training={"epochs": 3, "learning_rate": 2e-3, "batch_size": 16},
        retraining={"epochs": 2, "learning_rate": 2e-3, "batch_size": 16, "ridge": 0.0},
        trained_weights=_FOLDER / WEIGHTS,
        counted=Size(samples=192, test_samples=120, classes=1, tasks=12, targets=10),
        objective=NEXT_TOKENS,
    ),
)  # fmt: skip
