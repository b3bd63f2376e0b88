"""Gradients of the low-rank adapters of a language model for every text, against plain forward and backward passes.

SmolLM2-135M-Instruct with adapters of rank 8 in its last six layers, and texts of the example *instructions*. One
side is what training does, a forward and a backward pass of the mean loss of a batch; the other is
`gradient_features` of the same texts with all it does, the choice of an engine among it, once in all coordinates of
the adapters and once in 512. All go through batches of the same size, turn by turn, on one thread; times are
processor time. What the layers below the adapters make of a text is known to both from the first turn on.

    .venv/bin/python benchmarks/adapters.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from machine import publish

from kernelsm import gradient_features
from kernelsm.examples.instructions.example import INSTRUCTIONS_EXAMPLE
from kernelsm.models.registry import build_model
from kernelsm.objectives.registry import find
from kernelsm.runtime.threads import use_torch_threads

TEXTS, BATCH, TURNS = 48, 16, 3
PROJECTIONS = ("exact", "kronecker")


def main() -> None:
    """Time the sides by turns."""
    recipe = INSTRUCTIONS_EXAMPLE.recipe
    assert recipe is not None
    suite = recipe.suite()
    # untrained adapters have B = 0, where the gradients of A are 0
    model = build_model(recipe.architecture, **recipe.config, seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.01, generator=torch.Generator().manual_seed(len(name)))
    use_torch_threads(1)
    rows = np.sort(np.random.default_rng(0).choice(len(suite.inputs), TEXTS, replace=False))
    inputs, labels = suite.inputs[rows], suite.labels[rows]
    objective = find(suite)

    def plain() -> None:
        for batch, of_batch in zip(
            torch.from_numpy(inputs).split(BATCH), torch.from_numpy(labels).split(BATCH), strict=True
        ):
            model.zero_grad()
            objective.loss(model(batch), of_batch).mean().backward()

    def ours(projection: str) -> Callable[[], None]:
        def run() -> None:
            found = gradient_features(model, inputs, labels, projection, batch_size=BATCH, objective=objective)
            assert found.meta["engine"] == "hooks", found.meta

        return run

    sides = {"plain": plain, **{name: ours(name) for name in PROJECTIONS}}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    sides["plain"]()  # memory is taken, and the layers below are run, once
    for _ in range(TURNS):
        for name, side in sides.items():
            begun = time.process_time()
            side()
            seconds[name].append(time.process_time() - begun)
    ratios = {
        name: [ours / plain for ours, plain in zip(seconds[name], seconds["plain"], strict=True)]
        for name in PROJECTIONS
    }
    publish("adapters", {
        "texts": TEXTS, "batch": BATCH, "turns": TURNS, "threads": 1, "parameters": recipe.parameters,
        "tokens_a_text": round(float((inputs[:, 0] > 0).sum(axis=1).mean()), 1),
        "ms_a_text": {name: round(1000 * median(times) / TEXTS, 1) for name, times in seconds.items()},
        "cost_vs_plain": {name: round(median(found), 2) for name, found in ratios.items()},
        "cost_vs_plain_of_turns": {name: [round(one, 2) for one in found] for name, found in ratios.items()},
    })  # fmt: skip


if __name__ == "__main__":
    main()
