"""Features of 100,000 samples of a network with a million parameters: peak memory, and what a kill costs.

A first process computes 512 coordinates of every sample's margin gradient into the store and is killed with SIGKILL
halfway; a second one resumes. Its features must equal, bit by bit, those of a third that was never stopped. Peak
memory is what the process needs beyond the model and the samples themselves.

    .venv/bin/python benchmarks/streaming.py
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import publish

SAMPLES, INPUTS, CLASSES, DIM = 100_000, 128, 10, 512
SIZES = (INPUTS, 1024, 832, CLASSES)
HALFWAY = 0.5


def main() -> None:
    """Run the three processes and compare."""
    with tempfile.TemporaryDirectory() as folder:
        killed, whole = Path(folder) / "killed", Path(folder) / "whole"
        first = _start(killed)
        done = 0
        while done < HALFWAY:
            done = json.loads(_line(first))["done"]
        first.send_signal(signal.SIGKILL)
        first.wait()
        resumed, uninterrupted = _result(_start(killed)), _result(_start(whole))
    assert resumed["sha256"] == uninterrupted["sha256"]
    # finished chunks that had not been reported yet count as redone: at most one
    redone = resumed["computed"] - round((1 - done) * resumed["chunks"])
    result: dict[str, Any] = {
        "samples": SAMPLES, "parameters": uninterrupted["parameters"], "k": DIM, "outputs": "margin",
        "chunks": uninterrupted["chunks"], "seconds": uninterrupted["seconds"],
        "ms_per_sample": round(1e3 * uninterrupted["seconds"] / SAMPLES, 3),
        "peak_gib_beyond_model_and_samples": uninterrupted["peak_gib"], "file_gib": uninterrupted["file_gib"],
        "killed_after": round(done, 3), "chunks_redone": max(0, redone), "bit_identical": True,
    }  # fmt: skip
    assert result["chunks_redone"] <= 1
    assert result["peak_gib_beyond_model_and_samples"] <= 2
    publish("streaming", result)


def _start(cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--work", str(cache)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the worker ended early with code {process.wait()}")
    return line


def _result(process: subprocess.Popen[str]) -> dict[str, Any]:
    while True:
        found: dict[str, Any] = json.loads(_line(process))
        if "sha256" in found:
            process.wait()
            return found


def _work(cache: Path) -> None:
    """One process: compute or resume, telling each chunk."""
    from kernelsm import gradient_features
    from kernelsm.models.mlp import mlp
    from kernelsm.runtime.store import Store
    from kernelsm.runtime.threads import use_torch_threads

    use_torch_threads()
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((SAMPLES, INPUTS), dtype=np.float32)
    labels = rng.integers(0, CLASSES, SAMPLES)
    model = mlp(SIZES).eval()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def report(done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
        print(json.dumps({"done": done / total, "chunks": total}), flush=True)

    store = Store(cache)
    begun = time.perf_counter()
    found = gradient_features(model, inputs, labels, dim=DIM, store=store, report=report, outputs="margin")
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    files = sum(entry.size for entry in store.entries())
    print(
        json.dumps({
            "sha256": hashlib.sha256(np.ascontiguousarray(found.features).data).hexdigest(),
            "computed": store.computed, "chunks": store.computed + store.reused, "seconds": round(seconds, 1),
            "parameters": found.meta["parameters"], "peak_gib": round(peak / 2**20, 3),
            "file_gib": round(files / 2**30, 3), "pid": os.getpid(),
        }),
        flush=True,
    )  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--work":
        _work(Path(sys.argv[2]))
    else:
        main()
