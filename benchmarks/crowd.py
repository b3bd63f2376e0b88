"""Sixty people at one server: how long each waits for a turn, whose jobs wait, and whether the memory comes back.

Sixty visitors of three examples, each over a real websocket, look around at a human pace: they turn to pages every
ten seconds on average. Each starts one job of its own, except one who starts as many as one may before all others. A
turn is timed from the message that asks for it until the server has drawn the page.

    .venv/bin/python benchmarks/crowd.py
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from machine import publish
from websocket_client import Visitor, cookie_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "browser"))
from app_server import Server

from kernelsm.runtime.job_queue import JobQueue

EXAMPLES = ("digits", "sentiment", "planted")
WITH_JOBS = ("digits", "sentiment")
PAGES = ("explore", "fit", "subsets", "decide", "explore")
THINKING = 10.0
GREEDY = 4
BARS = {"median": 1.0, "p95": 2.0, "memory": 1.2}


@dataclass
class Crowd:
    """What is measured of all visitors."""

    turns: list[float] = field(default_factory=list)
    by_page: dict[str, list[float]] = field(default_factory=dict)
    openings: list[float] = field(default_factory=list)
    waits: dict[int, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


async def visit(crowd: Crowd, url: str, number: int, until: float) -> None:
    """One visitor from the first page to the last turn."""
    chance = random.Random(number)
    example = EXAMPLES[number % len(EXAMPLES)]
    with_job = WITH_JOBS[number % len(WITH_JOBS)]
    await asyncio.sleep(chance.uniform(0, THINKING))
    visitor = Visitor(url, f"run={example}", "explore")
    try:
        crowd.openings.append(await visitor.open())
        while time.monotonic() < until:
            await asyncio.sleep(chance.expovariate(1 / THINKING))
            page = chance.choice(PAGES)
            crowd.turns.append(await visitor.turn(page))
            crowd.by_page.setdefault(f"{page}, {example}", []).append(crowd.turns[-1])
    except Exception as error:
        crowd.failed.append(f"visitor {number} of {example}, {with_job}: {type(error).__name__}: {error}")
    finally:
        await visitor.leave()


async def work(crowd: Crowd, url: str, number: int, jobs: int, delay: float) -> None:
    """One visitor who starts jobs, each in a tab of its own, and stays until all of them have ended."""
    await asyncio.sleep(delay)
    started = []
    cookie = cookie_of(url)
    try:
        for job in range(jobs):
            query = f"run={WITH_JOBS[number % len(WITH_JOBS)]}&subsets={8 + number + 100 * job}"
            visitor = Visitor(url, query, "gradients", cookie)
            await visitor.open()
            await visitor.press("job_start")
            started.append((visitor, time.monotonic()))
        for visitor, begun in started:
            while not any("Finished in" in text or "Cache hit" in text for text in visitor.texts):
                if any("failed" in text for text in visitor.texts):
                    raise RuntimeError(" ".join(visitor.texts))
                await visitor.watch()
            crowd.waits[number] = max(crowd.waits.get(number, 0.0), time.monotonic() - begun)
    except Exception as error:
        crowd.failed.append(f"worker {number}: {type(error).__name__}: {error}")
    finally:
        for visitor, _ in started:
            await visitor.leave()


async def crowded(url: str, visitors: int, seconds: float) -> Crowd:
    """All visitors at once."""
    crowd = Crowd()
    until = time.monotonic() + seconds
    looking = [visit(crowd, url, number, until) for number in range(visitors)]
    working = [work(crowd, url, number, 1, 5 + number * 0.2) for number in range(1, visitors)]
    await asyncio.gather(*looking, work(crowd, url, 0, GREEDY, 0.0), *working)
    return crowd


def resident(pid: int) -> float:
    """MiB of memory that a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--afterwards", type=float, default=180.0, help="until the server has forgotten the sessions")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        server.start()
        assert server.process is not None
        try:
            asyncio.run(crowded(server.url, len(EXAMPLES), 20.0))  # warm: every page drawn, every fit made
            time.sleep(5.0)
            before = resident(server.process.pid)
            crowd = asyncio.run(crowded(server.url, options.visitors, options.seconds))
            peak = resident(server.process.pid)
            time.sleep(options.afterwards)
            after = resident(server.process.pid)
            left = JobQueue(Path(folder)).jobs()
        finally:
            server.process.terminate()
            server.process.wait()
    turns, waits = np.array(crowd.turns), np.array([crowd.waits[number] for number in sorted(crowd.waits)])
    publish(
        "crowd",
        {
            "visitors": options.visitors,
            "examples": list(EXAMPLES),
            "seconds": options.seconds,
            "thinking_s": THINKING,
            "turns": len(turns),
            "turn_median_s": float(np.median(turns)),
            "turn_p95_s": float(np.quantile(turns, 0.95)),
            "turn_p95_by_page_s": {
                page: float(np.percentile(found, 95)) for page, found in sorted(crowd.by_page.items())
            },
            "opening_median_s": float(np.median(crowd.openings)),
            "memory_before_mib": before,
            "memory_with_the_crowd_mib": peak,
            "memory_afterwards_mib": after,
            "memory_ratio": after / before,
            "jobs_done": len(waits),
            "job_wait_median_s": float(np.median(waits)),
            "job_wait_longest_s": float(waits.max()),
            "job_wait_of_the_greedy_s": crowd.waits.get(0, float("nan")),
            "jobs_left": len(left),
            "failed": crowd.failed,
            "bars": BARS,
        },
    )


if __name__ == "__main__":
    main()
