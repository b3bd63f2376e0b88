"""Progress: stages of different cost joined into one bar, and the time that is left."""

import math
import pickle

import cloudpickle
import pytest

from kernelsm.runtime import progress
from kernelsm.runtime.progress import Pace, Stages, Within


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests turn."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_stages_are_joined_by_their_cost():
    heard = []

    def report(done, total, message="", *, reused=False):
        heard.append((done, total, message, reused))

    stages = Stages(report, {"gradients": 0.004, "solves": 0.020})
    gradients, solves = stages.stage("gradients"), stages.stage("solves")
    gradients(1, 4, "gradients")
    gradients(4, 4, "gradients", reused=True)
    solves(1, 2, "GradEx")
    solves(2, 2, "GradEx")
    assert heard == [
        (1, 24, "gradients: 1 of 4", False),
        (4, 24, "gradients: 4 of 4", True),
        (14, 24, "GradEx: 1 of 2", False),
        (24, 24, "GradEx: 2 of 2", False),
    ]


@pytest.mark.parametrize("unknown", [math.inf, math.nan])
def test_what_was_not_timed_takes_a_part_of_the_bar(unknown):
    heard = []
    stages = Stages(lambda done, total, *_, **__: heard.append(done / total), {"timed": 60.0, "not timed": unknown})
    stages.stage("timed")(1, 1)
    stages.stage("not timed")(1, 2)
    stages.stage("not timed")(2, 2)
    assert heard == [0.5, 0.75, 1.0]


def test_the_time_left_follows_the_chunks_that_were_computed(clock):
    pace = Pace()
    assert pace.eta(100) is None
    clock.now += 4.0
    pace.note(10, reused=False)
    assert pace.eta(100) == pytest.approx(0.4 * 90)
    clock.now += 8.0
    pace.note(20, reused=False)
    assert pace.eta(100) == pytest.approx(0.6 * 80)
    assert pace.elapsed() == pytest.approx(12.0)


def test_reused_chunks_do_not_make_the_rest_look_quick(clock):
    pace = Pace()
    for done in range(10, 60, 10):
        clock.now += 0.001
        pace.note(done, reused=True)
    assert pace.eta(100) is None  # nothing was computed yet, so nothing is known
    clock.now += 20.0
    pace.note(60, reused=False)
    assert (pace.reused, pace.computed) == (5, 1)
    assert pace.eta(100) == pytest.approx(2.0 * 40)


def test_nothing_is_left_at_the_end(clock):
    pace = Pace()
    pace.note(5, reused=True)
    assert pace.eta(5) == 0.0


def test_chunks_say_how_far_they_are_here_and_nothing_elsewhere():
    heard = []

    def report(done, total, message="", *, reused=False):
        heard.append((done / total, reused))

    within = Within(report, 2)
    within.inside(1, 4)
    within(1, 2, "one")
    within.inside(2, 4)
    pickle.loads(pickle.dumps(Within(progress.silent, 2))).inside(3, 4)
    cloudpickle.loads(cloudpickle.dumps(within)).inside(3, 4)
    assert heard == [(0.125, None), (0.5, False), (0.75, None)]


def test_what_another_bar_took_says_nothing_of_this_one(clock):
    pace = Pace()
    for done in range(1, 11):
        clock.now += 1.0
        pace.note(done, reused=False)
    pace.note(1, reused=True)  # the next bar begins, from the store
    assert pace.eta(4) is None
    clock.now += 5.0
    pace.note(2, reused=False)
    assert pace.eta(4) == pytest.approx(10.0)
