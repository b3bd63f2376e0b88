"""A job panel as its owner sees it, as another visitor does, and where one has too many."""

import pytest
from app_harness import open_app, press, texts

from kernelsm.app.shell.job_panel import registry
from kernelsm.pipelines.run_settings import RunSettings

OTHER = "b" * 32


@pytest.fixture(autouse=True)
def one_at_once(monkeypatch):
    """One job at once; all are ended after the test."""
    monkeypatch.setenv("KERNELSM_JOBS_AT_ONCE", "1")
    monkeypatch.setenv("KERNELSM_JOBS_PER_SESSION", "1")
    yield
    for job in registry().jobs():
        registry().end(job.key)
    for job in registry().jobs():
        registry().wait(job.key, 20)


def busy(seed=0):
    """Start a job of somebody else that runs as long as the test."""
    return registry().start(RunSettings("digits", "retraining", subsets=5000, seed=seed).job(), OTHER)


def test_who_started_a_job_sees_its_place_and_can_cancel_it():
    busy()
    app = open_app("gradients", run="digits", subsets="8")
    press(app, "Recompute")
    assert "next in the queue" in app.get("progress")[0].proto.text
    assert app.button(key="job_start").disabled
    press(app, "Cancel")
    app.run()
    assert any("Cancelled at 0%" in warning.value for warning in app.warning)


def test_another_visitor_sees_it_and_cannot_cancel_but_can_want_it_too():
    busy()
    press(open_app("gradients", run="digits", subsets="8"), "Recompute")
    other = open_app("gradients", run="digits", subsets="8")
    assert "next in the queue" in other.get("progress")[0].proto.text
    assert other.button(key="job_cancel").disabled
    assert "only who started it can cancel it" in other.button(key="job_cancel").help
    press(other, "Recompute")
    assert not other.button(key="job_cancel").disabled
    press(other, "Cancel")
    other.run()
    assert "next in the queue" in other.get("progress")[0].proto.text  # it goes on for the one who came first


def test_who_has_as_many_jobs_as_one_may_is_told_what_to_do():
    busy()
    app = open_app("gradients", run="digits", subsets="8")
    press(app, "Recompute")
    app = open_app("gradients", browser=app, run="digits", subsets="9")
    press(app, "Recompute")
    assert "at most 1 at the same time" in app.warning[0].value
    assert "cancel one" in app.warning[0].value
    app.run()
    assert "at most 1" not in texts(app)
