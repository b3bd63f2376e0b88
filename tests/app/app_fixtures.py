"""What tests of the app share: a cache of their own, a warm server, and jobs done at once in their own process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.jobs import JobRegistry
from kernelsm.workspace.requests import ProjectRequest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Uploads, runs and jobs of a test stay in its own folder.

    What the server keeps of that folder is forgotten; fits stay, which are named by the content that they are of.
    """
    from kernelsm.app.shell import job_panel, open_runs

    monkeypatch.setenv("KERNELSM_CACHE", str(tmp_path / "cache"))
    job_panel.registry.clear()
    open_runs.open_run.clear()
    return tmp_path / "cache"


@pytest.fixture
def warm_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run app.py first, as a server does that has run it before; the harness otherwise takes each run for the first.

    The first run of a page begins anew through app.py, and what a button without a callback said is lost on the way.
    """
    from streamlit.runtime.pages_manager import PagesManager

    class Warm(PagesManager):
        def __init__(self, *given: Any, **named: Any) -> None:
            PagesManager.uses_pages_directory = False
            super().__init__(*given, **named)

    monkeypatch.setattr("streamlit.testing.v1.app_test.PagesManager", Warm)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[JobSpec]:
    """The jobs that buttons started, each carried out before its button returns: a process of its own takes seconds.

    What a network costs is not measured but made up.
    """
    from torch import nn

    from kernelsm.estimators.recipe import Rates
    from kernelsm.gradients.choices import PROJECTIONS
    from kernelsm.pipelines import prepare
    from kernelsm.pipelines.timing import _see_engine
    from kernelsm.runtime.errors import InputError
    from kernelsm.runtime.job import write_spec
    from kernelsm.runtime.job_process import StatusReport, resolve
    from kernelsm.runtime.progress import Cancelled
    from kernelsm.runtime.store import Store
    from kernelsm.tasks.suite import TaskSuite

    started: list[JobSpec] = []

    def start(registry: JobRegistry, spec: JobSpec, owner: str = "") -> str:
        started.append(spec)
        folder = registry.folder(spec.key)
        folder.mkdir(parents=True, exist_ok=True)
        write_spec(folder, spec)
        report = StatusReport(folder)
        try:
            result = resolve(spec.work)(report, Store(registry.root.parent), **spec.arguments)
        except InputError as error:
            report.write(state="failed", error=str(error))
        except Cancelled:
            report.write(state="cancelled")
        else:
            report.write(state="done", result=result)
        return spec.key

    rates = Rates(1.0, dict.fromkeys(PROJECTIONS, 0.1), {"exact": 1.0, "projected": 1.0}, 0.1)
    monkeypatch.setattr(JobRegistry, "start", start)

    def rates_made_up(suite: TaskSuite, model: nn.Module, *, seen: dict[str, str], **_: Any) -> Rates:
        _see_engine(suite, model, seen)
        return rates

    monkeypatch.setattr(prepare, "measure_rates", rates_made_up)
    monkeypatch.setattr("kernelsm.runtime.threads.available_cores", lambda: 1)
    return started


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[ProjectRequest]:
    """What the button of the page would prepare, as it was drawn last."""
    from kernelsm.app.data import bring as bring_page

    wanted: list[ProjectRequest] = []
    draw = bring_page.job_panel

    def recorded(spec: JobSpec, *rest: Any, **named: Any) -> None:
        wanted[:] = [ProjectRequest.from_json(spec.arguments["request"])]
        draw(spec, *rest, **named)

    monkeypatch.setattr(bring_page, "job_panel", recorded)
    return wanted
