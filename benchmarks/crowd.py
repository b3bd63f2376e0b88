"""Sixty people at one server: how long each waits for a turn, whose jobs wait, and whether the memory comes back.

Sixty visitors of three examples, each over a real websocket, look around at a human pace: they turn to pages every
ten seconds on average. Each starts one job of its own and looks at it now and then, as its page does by itself; one
more A turn is timed from the message that asks
for it until the server has drawn the page. The server has shown every page of the examples once before.

    .venv/bin/python benchmarks/crowd.py
"""

from __future__ import annotations

import argparse
import asyncio
import math
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
WITHOUT_JOBS = "planted"  # a formula: its visitors' jobs are of the digits
PAGES = ("explore", "fit", "subsets", "decide", "explore", "gradients")
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
    greedy: float = math.nan
    failed: list[str] = field(default_factory=list)


async def opened(url: str, example: str, subsets: int, page: str, cookie: str = "") -> tuple[Visitor, float]:
    """A visitor of an example whose job is of so many subsets, and the seconds that the first page took."""
    visitor = Visitor(url, f"run={example}&subsets={subsets}", page, cookie)
    return visitor, await visitor.open()


async def visit(crowd: Crowd, url: str, number: int, until: float) -> None:
    """One visitor from the first page to the end of the visitor's job."""
    chance = random.Random(number)
    example = EXAMPLES[number % len(EXAMPLES)]
    await asyncio.sleep(chance.uniform(0, THINKING))
    visitor, seconds = at_work, _ = await opened(url, example, 8 + number, "explore")
    crowd.openings.append(seconds)

    async def turn(page: str) -> None:
        await visitor.look(chance.expovariate(1 / THINKING))
        crowd.turns.append(await visitor.turn(page))
        crowd.by_page.setdefault(f"{page}, {example}", []).append(crowd.turns[-1])

    try:
        await turn("gradients")
        await visitor.look(chance.expovariate(1 / THINKING))
        if example == WITHOUT_JOBS:
            at_work, _ = await opened(url, "digits", 8 + number, "gradients")
        crowd.turns.append(await at_work.press("job_start"))
        begun = time.monotonic()

        async def watch(tab: Visitor) -> None:
            await finished(tab)
            crowd.waits[number] = time.monotonic() - begun

        watching = asyncio.create_task(watch(at_work)) if at_work is not visitor else None
        while time.monotonic() < until:
            if watching is None and number not in crowd.waits and has_finished(visitor):
                crowd.waits[number] = time.monotonic() - begun
            await turn(chance.choice(PAGES))
        if watching is None and number not in crowd.waits:
            await visitor.turn("gradients")
            await watch(visitor)
        elif watching is not None:
            await watching
    except Exception as error:
        crowd.failed.append(f"visitor {number} of {example}: {type(error).__name__}: {error}")
    finally:
        for tab in (visitor, at_work):
            await tab.leave()


def has_finished(visitor: Visitor) -> bool:
    """Whether the page that the visitor looks at says that the job has ended."""
    if any("failed" in text for text in visitor.texts):
        raise RuntimeError(" ".join(visitor.texts))
    return any("Finished in" in text or "Cache hit" in text for text in visitor.texts)


async def finished(visitor: Visitor) -> None:
    """Watch a job until its page says that it has ended."""
    while not has_finished(visitor):
        await visitor.watch()


async def demand(crowd: Crowd, url: str) -> None:
    """One visitor who starts as many jobs as one may before all others, and watches each."""
    tabs, cookie = [], cookie_of(url)
    try:
        for job in range(GREEDY):
            tabs.append((await opened(url, EXAMPLES[0], 1000 + job, "gradients", cookie))[0])
            await tabs[-1].press("job_start")
        begun = time.monotonic()
        for visitor in tabs:
            await finished(visitor)
        crowd.greedy = time.monotonic() - begun
    except Exception as error:
        crowd.failed.append(f"who started {GREEDY} jobs: {type(error).__name__}: {error}")
    finally:
        for visitor in tabs:
            await visitor.leave()


async def crowded(url: str, visitors: int, seconds: float) -> Crowd:
    """All visitors at once."""
    crowd = Crowd()
    until = time.monotonic() + seconds
    await asyncio.gather(demand(crowd, url), *(visit(crowd, url, number, until) for number in range(visitors)))
    return crowd


async def warmed(url: str) -> None:
    """Draw every page of every example, so that every fit is made."""
    for example in EXAMPLES:
        visitor, _ = await opened(url, example, 8, "explore")
        for page in PAGES:
            await visitor.turn(page)
        await visitor.leave()


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
            asyncio.run(warmed(server.url))
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
            "job_seen_done_median_s": float(np.median(waits)),
            "job_seen_done_longest_s": float(waits.max()),
            "jobs_of_the_greedy": GREEDY,
            "job_wait_of_the_greedy_s": crowd.greedy,
            "jobs_left": len(left),
            "failed": crowd.failed,
            "bars": BARS,
        },
    )


if __name__ == "__main__":
    main()
