"""Do intervals of suggested prompts hold on fresh queries? They were chosen, so they look better than they are.

With each of 20 seeds some random prompts are taken as measured: of movie reviews and coin flips half of those that
are recorded with the example, of the support tickets 60 that are asked here. From these the page's suggestions are
made, each with the 90 % interval of its mean loss on the fresh queries; the model is then asked about these. Beside
the share that holds stand how wide intervals are, and how far predictions are off; `before` is the same for what the
model of the prompts says alone, of the queries that chose, without what choosing and other queries change.

The model is the packaged SmolLM2-135M-Instruct in single precision, as in the recorded outcomes. What was asked is
kept in the cache; a run that was stopped goes on.

    .venv/bin/python benchmarks/prompt_intervals.py [NAME ...] [--seeds 20]
"""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

import numpy as np
from asked_prompts import TASKS, Asked, interval
from machine import RESULTS, publish

from kernelsm.examples.catalog import PROMPT_EXAMPLES, load_example_orders
from kernelsm.models.language_model import load_language_model
from kernelsm.outcomes.table import Outcomes
from kernelsm.prompts.measured_prompts import MeasuredPrompts
from kernelsm.prompts.prediction_quality import more_to_ask
from kernelsm.prompts.prompt_effects import candidate_effects
from kernelsm.prompts.prompt_prediction import PromptPrediction
from kernelsm.prompts.suggestions import suggest
from kernelsm.runtime.threads import use_torch_threads

TICKETS_ASKED = 60


def measured_prompts(asked: Asked, name: str, seed: int) -> MeasuredPrompts:
    """Some random prompts with their outcomes."""
    task, rng = asked.task, np.random.default_rng([seed, 11])
    recorded = load_example_orders(name) if name in PROMPT_EXAMPLES else None
    if recorded is None:
        orders = np.array([rng.permutation(task.K)[: task.k] for _ in range(TICKETS_ASKED)])
        values = np.array([asked.queries(tuple(order)) for order in orders.tolist()])
    else:
        numbers: dict[tuple[int, ...], int] = {}
        of_set = [numbers.setdefault(tuple(sorted(order)), len(numbers)) for order in recorded.orders.tolist()]
        taken = rng.permutation(len(numbers))[: len(numbers) // 2]
        rows = np.flatnonzero(np.isin(of_set, taken))
        orders, values = recorded.orders[rows], recorded.values[rows]
    return MeasuredPrompts(
        orders.astype(np.intp), values.mean(axis=1), task.K, np.array(task.classes), by_query=values,
        fresh=len(task.fresh),
    )  # fmt: skip


def main() -> None:
    """Run what was asked for and write the result of all that is whole."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    use_torch_threads(1)
    model = load_language_model()
    file = RESULTS / "prompt_intervals.json"
    result = json.loads(file.read_text()) if file.exists() else {}
    result.pop("machine", None)
    for name in options.names:
        result[name] = _held(Asked(TASKS[name](), model, f"{name}-single"), name, options.seeds)
        publish("prompt_intervals", result)


def _held(asked: Asked, name: str, seeds: int) -> dict[str, Any]:
    task = asked.task
    labels = [candidate.label for candidate in task.candidates]
    rows: list[dict[str, Any]] = []
    enough = 0
    for seed in range(seeds):
        measured = measured_prompts(asked, name, seed)
        prediction = PromptPrediction(measured)
        masks = np.zeros((len(measured.orders), task.K), dtype=bool)
        masks[np.arange(len(masks))[:, None], measured.orders] = True
        effects = candidate_effects(prediction, [str(k) for k in range(task.K)], "mean", "loss")
        may_choose = more_to_ask(measured, prediction.surrogate) == 0
        enough += may_choose
        outcomes = Outcomes(masks, measured.values[:, None])
        for one in suggest(prediction, outcomes, effects, labels, by_prediction=may_choose):
            losses = asked.fresh(one.picked)
            true = float(losses.mean())
            middle, std = (float(column[0, 0]) for column in (
                prediction.surrogate.predict([one.picked]), prediction.surrogate.predict_std([one.picked])
            ))  # fmt: skip
            reach = prediction.quantile * math.hypot(std, math.sqrt(prediction.surrogate.noise_variance_[0]))
            found, written = one.predicted, float(prediction.scale.write(np.array(true)))
            plain = float(prediction.scale.read(np.array(middle)))
            rows.append(
                {
                    "seed": seed, "ways": one.names, "measured": found.measured, "value": found.value, "true": true,
                    "holds": found.low <= true <= found.high, "width": math.log(found.high / found.low) / 2,
                    "off": math.log(true / found.value), "asked": found.asked,
                    "before": abs(written - middle) <= reach, "off_before": math.log(true / plain),
                }
            )  # fmt: skip
        asked.save()
        here = [row for row in rows if row["seed"] == seed]
        shown = [(row["ways"][0], round(row["value"], 3), round(row["true"], 3), row["holds"]) for row in here]
        print(name, seed, shown, flush=True)
    return {
        "queries": len(task.queries), "fresh": len(task.fresh), "seeds": seeds, "enough_to_choose": enough / seeds,
        "suggestions": _summary(rows),
        "first": _summary([next(row for row in rows if row["seed"] == seed) for seed in range(seeds)]),
        "measured": _summary([row for row in rows if row["asked"]]),
        "predicted": _summary([row for row in rows if not row["asked"]]),
    }  # fmt: skip


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Share of intervals that hold, half their width and the mean error in logarithms of the loss."""
    if not rows:
        return {"count": 0}
    return {
        "count": len(rows), "hold": float(np.mean([row["holds"] for row in rows])),
        "half_width": float(np.mean([row["width"] for row in rows])),
        "off": interval([row["off"] for row in rows]),
        "hold_before": float(np.mean([row["before"] for row in rows])),
        "off_before": interval([row["off_before"] for row in rows]),
    }  # fmt: skip


if __name__ == "__main__":
    main()
