"""Sentiment of sentences: the example, its network and how its results were computed."""

from __future__ import annotations

from pathlib import Path

from kernelsm.estimators.recipe import Rates, Recipe, Size
from kernelsm.examples.example import WEIGHTS, Example
from kernelsm.examples.sentiment.sentences import SENTENCES
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store
from kernelsm.samples.reader import read_samples
from kernelsm.tasks.build import build_suite
from kernelsm.tasks.mapping import SampleMapping, TaskRule
from kernelsm.tasks.suite import TaskSuite

_FOLDER = Path(__file__).parent
_MAPPING = SampleMapping(
    "sentiment", ("text",), "text", TaskRule("column", ("source", "band")), split="split", target="source"
)

_made: list[TaskSuite] = []


def _suite(report: Report = silent) -> TaskSuite:
    """The shipped sentences through the door that a user's own go through; the store keeps their embeddings."""
    if not _made:
        from kernelsm.models.text_embedding import embedded  # needs torch, which the numbers of samples do not

        samples = read_samples(SENTENCES)
        _made.append(build_suite(samples, _MAPPING, embed=lambda texts: embedded(texts, Store(), report)))
    return _made[0]


SENTIMENT = Example(
    name="sentiment",
    title="Sentiment of sentences",
    summary=(
        "16 tasks: real sentences from product reviews, movie reviews, editorials and tweets, by how people "
        "rated them. A sentence encoder with a small network on top tells good from bad. Do tweets help on "
        "reviews?"
    ),
    folder=_FOLDER,
    truth_is="100 further subsets on which the network was really fine-tuned",
    p=0.7,  # at 0.5 a few subsets of nearly one class dominate: each task has one class only
    networks=5,
    recipe=Recipe(
        suite=_suite,
        architecture="mlp",
        config={"sizes": [384, 10, 2]},
        parameters=3_872,
        ridge=0.03,
        rates=Rates(
            base=1.0,
            gradients={"exact": 0.07, "kronecker": 0.05, "gaussian": 0.4, "rademacher": 0.4, "sparse": 0.2},
            gradex={"exact": 6.0, "projected": 3.0}, retraining=0.1, inputs=30.0,
        ),
        # stopped early: W0 knows what the sentences share, and subsets still move it
        training={"epochs": 100, "learning_rate": 1e-2, "target_loss": 0.38},
        retraining={"precision": "single", "relative_tolerance": 0.01, "max_steps": 100},
        trained_weights=_FOLDER / WEIGHTS,
        counted=Size(samples=1_792, test_samples=608, classes=2, tasks=16, targets=4),
    ),
)  # fmt: skip
