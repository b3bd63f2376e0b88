"""Reading a CSV file of a million samples and 20 columns: seconds to preview and to load it, and the memory it takes.

Each reading runs in a process of its own on two cores, beside `pandas.read_csv` of the same file, three times each.
Memory is the peak of the process beyond what it held once everything was imported, as a multiple of the file's size.
The second file is the worst case: the last row holds text in a column of numbers, so that types must be found anew.
The third is what people write one below the other: 60 MB, sorted by source and then by split; it is read, all of its
rows are looked through, and what its columns mean is guessed, as *Data & model* does.

    .venv/bin/python benchmarks/reading.py
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from machine import publish

ROWS, NUMBERS, COUNTS = 1_000_000, 14, 3
REPEATS = 3
CORES = 2
PREVIEW_S, LOAD_S, MEMORY_RATIO = 5, 60, 3  # what is promised
GUESS_S, GUESS_MIB = 5, 1024


def main() -> None:
    """Write the two files and read them in turn."""
    with tempfile.TemporaryDirectory() as folder:
        file, late, joined = (Path(folder) / f"{name}.csv" for name in ("samples", "late", "concatenated"))
        _write(file)
        _write_concatenated(joined)
        content = file.read_bytes()
        late.write_bytes(
            content + b"unknown" + content.splitlines()[-1][content.splitlines()[-1].index(b",") :] + b"\n"
        )
        megabytes, joined_megabytes = (path.stat().st_size / 2**20 for path in (file, joined))
        found: dict[str, list[dict[str, float]]] = {"preview": [], "load": [], "late": [], "guess": [], "pandas": []}
        for _ in range(REPEATS):
            for how in found:
                found[how].append(
                    _measure("load" if how == "late" else how, {"late": late, "guess": joined}.get(how, file))
                )
    seconds = {how: statistics.median(run["seconds"] for run in runs) for how, runs in found.items()}
    ratios = {how: max(run["mib"] for run in runs) / megabytes for how, runs in found.items()}
    pairs = [ours["seconds"] / theirs["seconds"] for ours, theirs in zip(found["load"], found["pandas"], strict=True)]
    result: dict[str, Any] = {
        "rows": ROWS, "columns": NUMBERS + COUNTS + 3, "file_mib": round(megabytes, 1), "cores": CORES,
        "preview_s": round(seconds["preview"], 2), "preview_memory_ratio": round(ratios["preview"], 2),
        "load_s": round(seconds["load"], 2), "memory_ratio": round(ratios["load"], 2),
        "late_text_load_s": round(seconds["late"], 2), "late_text_memory_ratio": round(ratios["late"], 2),
        "concatenated_mib": round(joined_megabytes, 1), "guess_s": round(seconds["guess"], 2),
        "guess_mib": round(max(run["mib"] for run in found["guess"])),
        "pandas_s": round(seconds["pandas"], 2), "pandas_memory_ratio": round(ratios["pandas"], 2),
        "load_ratio_vs_pandas": round(statistics.median(pairs), 2), "repeats": REPEATS,
    }  # fmt: skip
    assert result["preview_s"] <= PREVIEW_S
    assert max(result["load_s"], result["late_text_load_s"]) <= LOAD_S
    assert max(result["memory_ratio"], result["late_text_memory_ratio"]) <= MEMORY_RATIO
    assert result["guess_s"] <= GUESS_S
    assert result["guess_mib"] <= GUESS_MIB
    publish("reading", result)


def _write(file: Path) -> None:
    rng = np.random.default_rng(0)
    words = np.array(["a film", "of great care", "before a long day", "ended, quietly", 'the "best" of all'])
    columns: dict[str, Any] = {f"x{i}": rng.standard_normal(ROWS).round(6) for i in range(NUMBERS)}
    columns |= {f"count{i}": rng.integers(0, 1000, ROWS) for i in range(COUNTS)}
    columns["flag"] = rng.random(ROWS) < 0.5
    columns["source"] = words[rng.integers(0, len(words), ROWS)]
    columns["text"] = [" ".join(drawn) for drawn in words[rng.integers(0, len(words), (ROWS, 3))]]
    pacsv.write_csv(pa.table(columns), file)


def _write_concatenated(file: Path) -> None:
    rng = np.random.default_rng(1)
    sources = np.repeat([f"site {i}" for i in range(10)], ROWS // 10)
    columns: dict[str, Any] = {f"x{i}": rng.standard_normal(ROWS).round(5) for i in range(5)}
    columns |= {"label": rng.integers(0, 2, ROWS), "source": sources}
    columns["split"] = np.repeat(["train", "test"], [ROWS * 9 // 10, ROWS // 10])
    pacsv.write_csv(pa.table(columns), file)


def _measure(how: str, file: Path) -> dict[str, float]:
    command = [sys.executable, __file__, how, str(file)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(CORES)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _work(how: str, file: Path) -> None:
    """One reading in this process."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    import pandas as pd

    from kernelsm.samples.column_facts import facts_of
    from kernelsm.samples.reader import preview_samples, read_samples
    from kernelsm.tasks.mapping_guess import explain_guess

    before = _memory("VmRSS")
    begun = time.perf_counter()
    if how == "pandas":
        rows = len(pd.read_csv(file))
    elif how == "guess":
        facts = facts_of(read_samples(file))
        mapping = explain_guess(facts).mapping
        rows = facts.rows
        assert (mapping.tasks.columns, mapping.split, mapping.label) == (("source",), "split", "label")
        assert mapping.inputs == ("x0", "x1", "x2", "x3", "x4")
    else:
        rows = preview_samples(file).samples.rows if how == "preview" else read_samples(file).rows
    seconds = time.perf_counter() - begun
    assert rows == (1000 if how == "preview" else ROWS + (file.name == "late.csv"))
    print(json.dumps({"seconds": seconds, "mib": _memory("VmHWM") - before}))


def _memory(field: str) -> float:
    """MiB this process holds (VmRSS) or held at most (VmHWM)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _work(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
