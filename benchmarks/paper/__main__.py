"""Run all claims of the paper, the quick ones first; a run that was stopped goes on after the last finished claim.

`make paper` does it, or in `benchmarks/`: ../.venv/bin/python -m paper
"""

from __future__ import annotations

import json
import time
from importlib import import_module

from kernelsm.paper.findings import KEYS
from kernelsm.runtime.store import cache_root

SLOW_LAST = ("leave_one_out", "table3", "figure3")


def main() -> None:
    """Run what is not finished yet; forget what was finished once all is."""
    progress = cache_root() / "paper_claims.json"
    finished: list[str] = json.loads(progress.read_text()) if progress.exists() else []
    begun = time.perf_counter()
    for key in (*(key for key in KEYS if key not in SLOW_LAST), *SLOW_LAST):
        if key in finished:
            print(f"{key}: finished before")
            continue
        import_module(f"paper.{key}").main()
        finished.append(key)
        progress.parent.mkdir(parents=True, exist_ok=True)
        progress.write_text(json.dumps(finished))
    progress.unlink()
    print(f"all claims, {(time.perf_counter() - begun) / 60:.0f} min")


if __name__ == "__main__":
    main()
