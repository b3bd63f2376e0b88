"""The administrator's page: only with its password, and then all jobs, whoever started them."""

import pytest
from app_harness import open_app, press, texts

from kernelsm.app.shell.job_panel import registry
from kernelsm.pipelines.run_settings import RunSettings

PASSWORD = "a password of the server"
LONG = RunSettings("digits", "retraining", subsets=5000).job()
SHORT = RunSettings("planted", "game", subsets=10).job()


@pytest.fixture
def two_jobs(monkeypatch):
    """One job that runs and one that waits, of two owners."""
    monkeypatch.setenv("KERNELSM_ADMIN_PASSWORD", PASSWORD)
    monkeypatch.setenv("KERNELSM_JOBS_AT_ONCE", "1")
    jobs = registry()
    jobs.start(LONG, "a" * 32)
    jobs.start(SHORT, "b" * 32)
    yield jobs
    for job in jobs.jobs():
        jobs.end(job.key)
        jobs.wait(job.key, 20)


@pytest.mark.parametrize("password", [None, "", "short"])
def test_it_is_off_without_a_password_that_is_long_enough(monkeypatch, password):
    monkeypatch.delenv("KERNELSM_ADMIN_PASSWORD", raising=False)
    if password is not None:
        monkeypatch.setenv("KERNELSM_ADMIN_PASSWORD", password)
    app = open_app("administration")
    assert "KERNELSM_ADMIN_PASSWORD" in app.info[0].value
    assert not app.dataframe
    assert not app.text_input


def test_a_wrong_password_shows_nothing(two_jobs):
    app = open_app("administration")
    assert not app.dataframe
    app.text_input(key="admin_password").set_value("a password of the Server").run()
    assert "not the password" in app.error[0].value
    assert not app.dataframe
    assert LONG.key[:8] not in texts(app)


def test_all_jobs_are_listed_and_ended(two_jobs):
    app = open_app("administration")
    app.text_input(key="admin_password").set_value(PASSWORD).run()
    table = app.dataframe[0].value
    assert list(table["job"]) == [LONG.key[:8], SHORT.key[:8]]
    assert list(table["started by"]) == ["aaaaaa", "bbbbbb"]
    assert table["state"][1] == "waiting, turn 1"
    assert "1** at work" in texts(app) or "0** at work" in texts(app)  # the first may not have begun yet
    app.selectbox(key="admin_job").set_value(SHORT.key).run()
    press(app, "End it")
    assert two_jobs.wait(SHORT.key, 20).message.startswith("ended by the administrator")
    press(app, "End all")
    assert two_jobs.wait(LONG.key, 20).message.startswith("ended by the administrator")
    app.run()
    assert "No job waits or runs" in texts(app)
