"""Coin flips in a prompt, the paper's task: whether a coin still heads up after two people may have flipped it."""

from __future__ import annotations

from functools import cache
from itertools import permutations
from pathlib import Path

import numpy as np

from kernelsm.examples.example import PROMPT_SIZES, PromptExample
from kernelsm.prompts.task import Labelled, PromptTask, PromptTemplate

_NAMES = (
    "Adaeze", "Agnieszka", "Ahmed", "Aiko", "Amara", "Anahita", "Anders", "Anouk", "Antonio", "Aoife", "Arjun",
    "Astrid", "Babak", "Beatriz", "Bilal", "Bjarne", "Camila", "Chiara", "Chidi", "Cormac", "Dagny", "Daniela",
    "Dariusz", "Deepa", "Dmitri", "Ebba", "Elif", "Emeka", "Esperanza", "Fatima", "Femi", "Fiona", "Florian",
    "Gabriela", "Gianni", "Goran", "Greta", "Hana", "Haruki", "Helena", "Hiroshi", "Ibrahim", "Ines", "Ingrid",
    "Isamu", "Ivana", "Jakub", "Jamila", "Joaquin", "Jonas", "Kalinda", "Kasper", "Katarina", "Kenji", "Kofi",
    "Kwame", "Laila", "Leandro", "Linh", "Lucia", "Magnus", "Mai", "Marek", "Mariam", "Mateo", "Mei", "Milena",
    "Nadia", "Naoko", "Nikhil", "Nkechi", "Noemi", "Olga", "Omar", "Oskar", "Paloma", "Pavel", "Petra", "Priya",
    "Quentin", "Rafael", "Rania", "Rosalind", "Ruben", "Sakura", "Samir", "Sanjay", "Sofia", "Soren", "Tadeo",
    "Tamar", "Thandiwe", "Tomasz", "Uma", "Valentina", "Viktor", "Wanjiru", "Wei", "Xavier", "Yasmin", "Yusuf",
    "Zainab", "Zofia",
)  # fmt: skip


def coin_flip(*, k: int = 4, seed: int = 0) -> PromptTask:
    """Make the coin-flip task: whether a coin is still heads up after two people flip it or do not.

    The four ways it can go are as frequent as the sizes allow, so "yes" and "no" are equally many in each group. No
    two of the 50 candidates, 100 queries and 200 fresh queries name the same two people in the same order.

    Parameters
    ----------
    k : int
        Demonstrations in a prompt.
    seed : int
        Of the draw of names and of the order.

    References
    ----------
    The wording is that of table 6 of the paper; the task is of Wei et al. (2022), Chain-of-thought prompting elicits
    reasoning in large language models.
    """
    rng = np.random.default_rng(seed)
    pairs = list(permutations(_NAMES, 2))
    drawn = iter(rng.permutation(len(pairs)).tolist())
    # yes, no, yes, no: the first rows of any number are balanced
    ways = ((True, True), (True, False), (False, False), (False, True))
    groups: dict[str, tuple[Labelled, ...]] = {}
    for group, size in PROMPT_SIZES.items():
        rows = [_flips(pairs[next(drawn)], ways[position % len(ways)]) for position in range(size)]
        groups[group] = tuple(rows[position] for position in rng.permutation(size))
    return PromptTask(
        candidates=groups["candidates"],
        queries=groups["queries"],
        fresh=groups["fresh"],
        labels=("yes", "no"),
        template=PromptTemplate(demonstration="Q: {text}\nA: {label}\n\n", query="Q: {text}\nA:"),
        k=k,
        name="Coin flip",
        meta={"example": "coin_flip", "seed": seed},
    )


def _flips(people: tuple[str, str], flips: tuple[bool, bool]) -> Labelled:
    acts = (
        f"{person} {'flips' if act else 'does not flip'} the coin." for person, act in zip(people, flips, strict=True)
    )
    text = f"A coin is heads up. {' '.join(acts)} Is the coin still heads up?"
    return Labelled(text, "no" if sum(flips) % 2 else "yes")


COIN_FLIP = PromptExample(
    name="coin-flip",
    title="Coin flips in a prompt",
    summary=(
        "50 short stories of a coin that two people flip or do not, four of which go into the prompt. Is the "
        "coin still heads up? A small language model can hardly tell."
    ),
    folder=Path(__file__).parent,
    make=cache(coin_flip),
)
