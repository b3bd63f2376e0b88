"""A class of sixty at one server: how long each waits for a turn while all of them work on lessons.

Sixty students, each over a real websocket, walk through the lessons at a human pace: they predict, move the control
and go on, every ten seconds on average. The server has drawn the first lesson for one visitor, and computed none of
the others. A turn is timed from the message that asks for it until the server has drawn the page.

    .venv/bin/python benchmarks/class.py
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
from typing import Any

import numpy as np
from machine import publish
from streamlit.proto.Common_pb2 import StringArray
from websocket_client import Visitor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "browser"))
from app_server import Server

from kernelsm.app.learn.lesson import Lesson
from kernelsm.app.learn.lesson_files import BUILT_IN, lesson_files, read_lesson_file
from kernelsm.surrogates.wording import number

THINKING = 10.0
BARS = {"median": 1.0, "p95": 2.0}


@dataclass
class Class:
    """What is measured of all students."""

    turns: list[float] = field(default_factory=list)
    openings: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    answered: int = 0
    failed: list[str] = field(default_factory=list)


def chosen(text: str) -> dict[str, Any]:
    """What a choice or a slider sends."""
    return {"string_array_value": StringArray(data=[text])}


async def study(found: Class, url: str, student: int, lessons: list[Lesson], until: float) -> None:
    """One student, who begins with one of the lessons and walks on."""
    chance = random.Random(student)
    await asyncio.sleep(chance.uniform(0, THINKING))
    at = student % len(lessons) + 1
    visitor = Visitor(url, f"mode=class&lesson={at}", "learn")

    async def think() -> bool:
        await asyncio.sleep(min(chance.expovariate(1 / THINKING), max(until - time.monotonic(), 0.0)))
        return time.monotonic() < until

    try:
        found.openings.append(await visitor.open())
        while await think():
            lesson = lessons[at - 1]
            prediction = lesson.prediction
            guess = (
                {"string_value": prediction.answers[0]}
                if prediction.answers
                else chosen(number(prediction.steps[len(prediction.steps) // 2]))
            )
            found.turns.append(await visitor.set(f"view_guess_{at}", **guess))
            if not await think():
                break
            found.turns.append(await visitor.set(f"view_at_{at}", **chosen(lesson.positions[-1].label)))
            if not any("redict" in text and "**" in text for text in visitor.texts):
                raise RuntimeError(f"lesson {at} did not say its answer: {visitor.texts}")
            found.answered += 1
            if not await think():
                break
            visitor.states.clear()
            if at < len(lessons):
                found.turns.append(await visitor.press("lesson_next"))
                at += 1
            else:
                found.turns.append(await visitor.press("lesson_again"))
    except Exception as error:
        found.failed.append(f"student {student}, lesson {at}: {type(error).__name__}: {error}")
    finally:
        await visitor.leave()


async def opened(url: str, count: int) -> list[float]:
    """Open every lesson for the first time; returns the seconds of each, the first with all that is imported."""
    visitor = Visitor(url, "mode=class", "learn")
    waited = [await visitor.open()]
    waited += [await visitor.press("lesson_next") for _ in range(count - 1)]
    await visitor.leave()
    return waited


async def studied(url: str, students: int, seconds: float) -> Class:
    """All students at once."""
    found = Class()
    lessons = [read_lesson_file(file) for file in lesson_files(BUILT_IN)]
    found.first = await opened(url, len(lessons))
    until = time.monotonic() + seconds
    await asyncio.gather(*(study(found, url, student, lessons, until) for student in range(students)))
    return found


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=120.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        server.start()
        try:
            found = asyncio.run(studied(server.url, options.students, options.seconds))
        finally:
            server.stop()
    if not found.turns:
        raise SystemExit(f"no student took a turn: {found.failed}")
    turns = np.array(found.turns)
    publish(
        "class",
        {
            "students": options.students,
            "seconds": options.seconds,
            "thinking_s": THINKING,
            "turns": len(turns),
            "turn_median_s": float(np.median(turns)),
            "turn_p95_s": float(np.quantile(turns, 0.95)),
            "turn_longest_s": float(turns.max()),
            "opening_median_s": float(np.median(found.openings)),
            "opening_longest_s": float(max(found.openings)),
            "first_opening_of_each_lesson_s": found.first,
            "lessons_answered": found.answered,
            "failed": found.failed,
            "bars": BARS,
        },
    )


if __name__ == "__main__":
    main()
