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
    p=0.7,  # at 0.5 the few subsets of two or three sources dominate
    truth_subsets=24,
    truth_p=0.5,  # from smaller subsets outcomes differ more, beyond what the order of batches does to them
    recipe=Recipe(
        suite=_suite,
        architecture="causal_text",
        config={"rank": 8, "alpha": 16, "layers": 6},
        parameters=92_160,
        ridge=0.5,  # of 0.03 to 2, the nearest to four subsets that were fine-tuned for this choice alone
        rates=Rates(
            base=45.0,
            gradients={"exact": 105.0, "kronecker": 105.0, "gaussian": 110.0, "rademacher": 110.0, "sparse": 110.0},
            gradex={"projected": 1.5}, retraining=30.0, inputs=5.0,
        ),
        # a few times over all sources: the model has seen every kind of question, and subsets still move it
        training={"epochs": 3, "learning_rate": 2e-3, "batch_size": 16},
        retraining={"epochs": 2, "learning_rate": 2e-3, "batch_size": 16, "ridge": 0.0},
        trained_weights=_FOLDER / WEIGHTS,
        counted=Size(samples=192, test_samples=120, classes=1, tasks=12, targets=10),
        objective=NEXT_TOKENS,
    ),
)  # fmt: skip
