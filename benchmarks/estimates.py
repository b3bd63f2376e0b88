"""What jobs take, against what pages say that they will: seconds and memory, cold and once a server has learned.

Each kind of job runs in a process of its own, as a page starts it, with an empty cache: twice, with other settings,
so that nothing of the second but W0 is found in the cache. The first one's estimate comes from measured rates alone.
The second one's is multiplied by how many times its estimate the first one took, which is how a server learns.

Memory is what the processes of a job hold together, at most, beyond what they held before the first gradient. It is
told for gradients alone; a page says there what features take.

Estimates are for a computer that does nothing else. Where others use its cores too, all takes longer, the measurement
of rates as well as the jobs. The kernel counts how long each thread had work to do and waited for a core: `waited` is
the share of that in what the threads of a job wanted, and "alone" is without it. Ratios are of times alone. On a
quiet computer both are the same.

    .venv/bin/python benchmarks/estimates.py
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from machine import publish
from sklearn.datasets import load_digits

from kernelsm.models.language_model import load_language_model
from kernelsm.pipelines.ask_model import PromptSettings
from kernelsm.pipelines.run_settings import START_SECONDS, RunSettings, estimate_cost
from kernelsm.runtime.job import JobSpec, JobStatus
from kernelsm.runtime.jobs import JobRegistry
from kernelsm.runtime.started_jobs import StartedJob, StartedJobs, kind_of
from kernelsm.tasks.mapping import SampleMapping, TaskRule
from kernelsm.workspace.requests import FileRef, NetworkRequest, ProjectRequest
from kernelsm.workspace.uploads import keep_upload

OWNER = "b0"
TASKS, PIXELS = 16, 64
SECONDS_BAR, MEMORY_BAR = 2.0, 1.5
_POLL = 0.1


@dataclass(frozen=True)
class Work:
    """A job, and what is said of it before it starts: seconds by measured rates, and bytes, 0 where none are told.

    `fixed` seconds of these are a constant; the others were measured by a job that waited for a share of its time.
    """

    spec: JobSpec
    seconds: float
    memory: int = 0
    fixed: float = 0.0
    waited: float = 0.0

    @property
    def alone(self) -> float:
        """Seconds, had nothing else run while rates were measured."""
        return self.fixed + (self.seconds - self.fixed) * (1 - self.waited)


@dataclass(frozen=True)
class Measured:
    """What a job took."""

    seconds: float
    memory: int
    waited: float
    status: JobStatus

    @property
    def alone(self) -> float:
        """Seconds without those for which it waited for a core."""
        return self.seconds * (1 - self.waited)


def _sent(frame: pd.DataFrame, name: str) -> FileRef:
    return FileRef(keep_upload(frame.to_csv(index=False).encode(), name), name)


def _table(rows: int, seed: int) -> pd.DataFrame:
    """Made rows of 20 features, three classes and sixteen tasks."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(rows, 20)).round(4)
    labels = (inputs[:, :3] + rng.normal(size=(rows, 3))).argmax(axis=1)
    frame = pd.DataFrame(inputs, columns=[f"x{number}" for number in range(20)])
    return frame.assign(label=[f"c{label}" for label in labels], task=[f"t{row % TASKS}" for row in range(rows)])


def _digits(rows: int, seed: int) -> pd.DataFrame:
    """Digits of scikit-learn, some of them several times with noise, and sixteen tasks."""
    rng, digits = np.random.default_rng(seed), load_digits()
    chosen = rng.integers(len(digits.target), size=rows)
    inputs = (digits.data[chosen] + rng.normal(size=(rows, PIXELS))).round(2)
    frame = pd.DataFrame(inputs, columns=[f"p{number}" for number in range(PIXELS)])
    return frame.assign(label=digits.target[chosen], task=[f"t{row % TASKS}" for row in range(rows)])


def _project(frame: pd.DataFrame, architecture: str) -> Work:
    inputs = tuple(frame.columns[:-2])
    mapping = SampleMapping("label", inputs, "tabular", TaskRule("column", ("task",)))
    request = ProjectRequest(
        "mine", _sent(frame, "mine.csv"), mapping.to_dict(), NetworkRequest("train", architecture=architecture)
    )
    seconds = request.seconds(len(frame))
    return Work(request.job(), seconds, fixed=seconds)


def _outcomes(settings: RunSettings, waited: float) -> Work:
    cost = estimate_cost(settings)
    return Work(settings.job(), cost.seconds, cost.memory, START_SECONDS, waited)


def _prompts(settings: PromptSettings) -> Work:
    return Work(settings.job(), settings.seconds(), fixed=settings.seconds())


def _tree(pid: int) -> list[int]:
    """A process and those that it began."""
    try:
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:  # it has just ended
        return [pid]
    return [pid, *(one for child in children for one in _tree(child))]


def _held(pid: int) -> int:
    """Bytes that a process and its children hold; what several share counts once."""
    found = 0
    for one in _tree(pid):
        with suppress(OSError):
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
            found += next(1024 * int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return found


def _note_waiting(pid: int, seen: dict[str, tuple[int, int]]) -> None:
    """Note how long each thread of a process and its children has run and waited for a core, in nanoseconds."""
    for one in _tree(pid):
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                ran, waited, _ = (task / "schedstat").read_text().split()
                seen[task.name] = int(ran), int(waited)


def measure(work: Work, title: str) -> Measured:
    """Run a job as a page does, and watch it."""
    registry = JobRegistry()
    began = time.time()
    registry.start(work.spec, OWNER)
    StartedJobs(registry.root.parent).add(
        OWNER, StartedJob(work.spec.key, title, "", kind_of(work.spec), work.seconds, began)
    )
    before = most = 0
    seen: dict[str, tuple[int, int]] = {}
    while (status := registry.status(work.spec.key)) and status.active:
        if status.pid:
            _note_waiting(status.pid, seen)
        if work.memory and status.pid:
            held = _held(status.pid)
            if not status.message.startswith(("gradients", "GradEx")):
                before = held
            most = max(most, held)
        time.sleep(_POLL)
    assert status, title
    assert status.state == "done", f"{title}: {status.error or status.state}"
    ran, waited = map(sum, zip(*seen.values(), strict=True)) if seen else (1, 0)
    return Measured(status.elapsed, max(0, most - before), waited / max(1, ran + waited), status)


def compared_into(kinds: dict[str, Any], name: str, works: Iterable[Callable[[], Work]]) -> Measured:
    """Measure two jobs of one kind, the first one cold; keep what they took under its name, return the second."""
    rows: list[dict[str, Any]] = []
    factor = 1.0
    for make in works:
        work = make()
        found = measure(work, name)
        expected = factor * work.alone
        row: dict[str, Any] = {
            "estimated_seconds": round(expected, 2), "seconds_alone": round(found.alone, 2),
            "seconds_ratio": round(found.alone / expected, 3), "seconds": round(found.seconds, 2),
            "waited": round(found.waited, 3), "reused": found.status.reused,
        }  # fmt: skip
        if work.memory:
            row |= {
                "estimated_mib": round(work.memory / 2**20, 1), "mib": round(found.memory / 2**20, 1),
                "memory_ratio": round(found.memory / work.memory, 3),
            }  # fmt: skip
        print(f"{name}, {'learned' if rows else 'cold'}: {row}", file=sys.stderr, flush=True)
        rows.append(row)
        # a server's own pace is of times as they were, which others' work changes from job to job
        assert StartedJobs(JobRegistry().root.parent).pace(kind_of(work.spec)) != 1.0, name
        factor = found.alone / work.alone
    kinds[name] = {"cold": rows[0], "learned": rows[1]}
    return found


def main() -> None:
    """Run the kinds of jobs."""
    kinds: dict[str, Any] = {}
    small = compared_into(
        kinds, "prepare: a table, a linear model",
        [partial(_project, _table(4_000, 0), "logistic"), partial(_project, _table(12_000, 1), "logistic")],
    )  # fmt: skip
    large = compared_into(
        kinds, "prepare: digits, a small network",
        [partial(_project, _digits(3_000, 0), "mlp"), partial(_project, _digits(6_000, 1), "mlp")],
    )  # fmt: skip
    assert small.status.result
    assert large.status.result
    keys = {"linear": small.status.result["project"], "network": large.status.result["project"]}
    linear, network = (RunSettings(keys[name], "gradex", subsets=500) for name in ("linear", "network"))
    compared_into(
        kinds, "GradEx: a linear model, every coordinate",
        [
            partial(_outcomes, linear, small.waited),
            partial(_outcomes, replace(linear, subsets=2_000, outputs="margin"), small.waited),
        ],
    )  # fmt: skip
    projected = replace(network, projection="kronecker")
    compared_into(
        kinds, "GradEx: a small network, projected",
        [
            partial(_outcomes, projected, large.waited),
            partial(_outcomes, replace(projected, dim=768, subsets=1_000), large.waited),
        ],
    )  # fmt: skip
    for name, key, few, waited in (
        ("a linear model", keys["linear"], 60, small.waited), ("a small network", keys["network"], 20, large.waited),
    ):  # fmt: skip
        trained = RunSettings(key, "retraining", subsets=few)
        compared_into(
            kinds, f"training on every subset: {name}",
            [
                partial(_outcomes, trained, waited),
                partial(_outcomes, replace(trained, seed=1, subsets=3 * few), waited),
            ],
        )  # fmt: skip
    load_language_model()  # unpacked once on every computer
    asked = PromptSettings("coin-flip", subsets=5, orders=1)
    compared_into(
        kinds, "prompts, the packaged language model",
        [partial(_prompts, asked), partial(_prompts, replace(asked, subsets=15, seed=1))],
    )  # fmt: skip
    ratios = {
        (when, what): [row[when][f"{what}_ratio"] for row in kinds.values() if f"{what}_ratio" in row[when]]
        for when in ("cold", "learned")
        for what in ("seconds", "memory")
    }
    bars = {"seconds": SECONDS_BAR, "memory": MEMORY_BAR}
    summary = {
        f"{what}_{when}": {
            "worst": max(found, key=lambda ratio: max(ratio, 1 / ratio)), "bar": bars[what],
            "within": sum(max(ratio, 1 / ratio) <= bars[what] for ratio in found), "of": len(found),
        }
        for (when, what), found in ratios.items()
    }  # fmt: skip
    publish("estimates", {"kinds": kinds, "summary": summary})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="kernelsm-estimates-", ignore_cleanup_errors=True) as folder:
        os.environ["KERNELSM_CACHE"] = folder
        main()
