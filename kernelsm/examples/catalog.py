"""The built-in examples with their finished results, and how these were made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from kernelsm.outcomes.table import Outcomes
from kernelsm.pipelines.compute import compute, play
from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.prompts.orders import load_orders, with_noise
from kernelsm.runtime.checks import check_choice
from kernelsm.runtime.progress import Report
from kernelsm.runtime.store import Store
from kernelsm.workspace.prompt_projects import PROMPT_EXAMPLES

FINISHED = Path(__file__).parent / "finished"
TRUTH_SUBSETS = 100
TRUTH_SEED = 1


@dataclass(frozen=True)
class Example:
    """A built-in example.

    Parameters
    ----------
    name, title, summary : str
        Its name in links and commands, its title, and what there is to see.
    settings : RunSettings
        How its outcomes were computed.
    has_model : bool
        Whether its outcomes can be recomputed from a model's gradients.
    truth_is : str
        What the held-out truth is, in words.
    """

    name: str
    title: str
    summary: str
    settings: RunSettings
    has_model: bool
    truth_is: str


EXAMPLES: dict[str, Example] = {
    example.name: example
    for example in (
        Example(
            name="digits",
            title="Handwritten digits",
            summary=(
                "20 tasks, each half of the training images of one real handwritten digit. Three halves carry a "
                "wrong label on purpose and one is a near copy of another. Which ones hurt, and which pairs interact?"
            ),
            settings=RunSettings("digits", "gradex", subsets=400),
            has_model=True,
            truth_is="100 further subsets on which the network was really retrained",
        ),
        Example(
            name="sentiment",
            title="Sentiment of sentences",
            summary=(
                "16 tasks: real sentences from product reviews, movie reviews, editorials and tweets, by how people "
                "rated them. A sentence encoder with a small network on top tells good from bad. Do tweets help on "
                "reviews?"
            ),
            # at p = 0.5 a few subsets of nearly one class dominate: each task has one class only
            settings=RunSettings("sentiment", "gradex", subsets=400, p=0.7),
            has_model=True,
            truth_is="100 further subsets on which the network was really fine-tuned",
        ),
        Example(
            name="modular-addition",
            title="Modular addition",
            summary=(
                "25 tasks, the cells of the table of a + b mod 97 by ranges of both operands. A small transformer "
                "has learnt part of it. Which cells of the table help which others?"
            ),
            settings=RunSettings("modular-addition", "gradex", subsets=400),
            has_model=True,
            truth_is="100 further subsets on which the network was really fine-tuned",
        ),
        Example(
            name="modular-quadratic",
            title="Modular quadratic",
            summary=(
                "The same 25 cells for a² + ab + b² mod 97, which the transformer knows by heart more than it "
                "understands: cells share little with others."
            ),
            settings=RunSettings("modular-quadratic", "gradex", subsets=400),
            has_model=True,
            truth_is="100 further subsets on which the network was really fine-tuned",
        ),
        Example(
            name="planted",
            title="Planted game",
            summary=(
                "10 tasks whose every effect is known: two help, one hurts, one does nothing, a lock needs its key, "
                "two copies are redundant, and an XOR pair that a linear surrogate cannot see."
            ),
            settings=RunSettings("planted", "game", subsets=300),
            has_model=False,
            truth_is="100 further subsets of the game, without noise",
        ),
    )
}


def get_example(name: str) -> Example:
    """Return a built-in example.

    Raises
    ------
    InputError
        There is none of that name.
    """
    check_choice("example", name, EXAMPLES)
    return EXAMPLES[name]


def load_example(name: str) -> Outcomes:
    """Return the finished outcomes of a built-in example or prompt task, shipped with the package."""
    if name in PROMPT_EXAMPLES:
        return with_noise(Outcomes.load(FINISHED / f"{name}.parquet"), load_orders(name))
    return Outcomes.load(FINISHED / f"{get_example(name).name}.parquet")


def load_truth(name: str) -> Outcomes:
    """Return the held-out truth of a built-in example: `TRUTH_SUBSETS` subsets that no surrogate was fitted to."""
    return Outcomes.load(FINISHED / f"{get_example(name).name}.truth.parquet")


def load_estimates_of_truth(name: str) -> Outcomes | None:
    """Return GradEx' estimates for the subsets of the truth; None for an example without a model."""
    return Outcomes.load(FINISHED / f"{name}.estimates.parquet") if get_example(name).has_model else None


def rebuild_example(name: str, report: Report, store: Store, folder: Path = FINISHED) -> list[Path]:
    """Compute the finished results of an example anew and write them; returns the files written."""
    example = get_example(name)
    held_out = replace(example.settings, subsets=TRUTH_SUBSETS, seed=TRUTH_SEED)
    written = [compute(example.settings, report, store).save(folder / f"{name}.parquet")]
    if example.has_model:
        written.append(compute(held_out, report, store).save(folder / f"{name}.estimates.parquet"))
        truth = compute(replace(held_out, estimator="retraining"), report, store)
    else:
        truth = play(TRUTH_SEED, held_out.masks(), noise=False)
    return [*written, truth.save(folder / f"{name}.truth.parquet")]
