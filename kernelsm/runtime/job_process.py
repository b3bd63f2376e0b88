"""The process a job runs in: `python -m kernelsm.runtime.job_process FOLDER PARENT_PID`."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from kernelsm.runtime.disk_errors import disk_words, exit_code
from kernelsm.runtime.errors import ConvergenceError, InputError, SchedulerLostError, WorkerDiedError
from kernelsm.runtime.executor_choice import environments_executor
from kernelsm.runtime.job import JobStatus, write_status
from kernelsm.runtime.progress import Cancelled, Pace
from kernelsm.runtime.secret_keys import read_handed
from kernelsm.runtime.store import Store


def main(folder: Path, parent: int) -> int:
    """Carry out the job whose spec is in `folder`; however it ends, status.json says so."""
    _end_with_parent(parent)
    signal.signal(signal.SIGTERM, _raise_cancelled)
    report = StatusReport(folder)
    try:
        report.write()
        spec = json.loads((folder / "spec.json").read_text())
        work = resolve(spec["work"])
        store = Store(folder.parents[1], must_keep=True)
        with environments_executor():
            result = work(report, store, **spec["arguments"])
        report.finish("done", result=result)
        store.shrink()
    except Cancelled:
        report.finish("cancelled", message="cancelled; finished chunks are kept")
    except SchedulerLostError as error:
        report.finish("interrupted", error=str(error))
    except (InputError, ConvergenceError, WorkerDiedError) as error:
        report.finish("failed", error=str(error))
    except MemoryError:
        report.finish("failed", error="out of memory; lower the number of subsets or the projection's dimension")
    except OSError as error:
        with suppress(OSError):  # the log is on the same disk
            traceback.print_exc()
        if not report.tell("failed", error=disk_words(error)):
            return exit_code(error)
    except Exception as error:
        traceback.print_exc()
        report.finish("failed", error=f"{type(error).__name__}: {error}")
    return 0 if report.status.state in ("done", "cancelled") else 1


def resolve(path: str) -> Callable[..., dict[str, Any]]:
    """Return the function that `package.module:function` names; only kernelsm's own are accepted.

    Raises
    ------
    InputError
        The path does not lead to a function of kernelsm.
    """
    module, _, name = path.partition(":")
    if module.split(".")[0] != "kernelsm" or not name.isidentifier():
        raise InputError("job", repr(path), "'kernelsm.module:function'", "Name a function of kernelsm.")
    function: Callable[..., dict[str, Any]] = getattr(importlib.import_module(module), name)
    return function


class StatusReport:
    """Writes each report into status.json."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pace = Pace()
        self.status = JobStatus(state="running", message="starting", pid=os.getpid())

    def __call__(self, done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
        """Write the progress after one more finished chunk."""
        self.pace.note(done, reused=reused)
        self.write(done=done, total=total, message=message, eta=self.pace.eta(total))

    def write(self, **changes: Any) -> None:
        """Replace status.json."""
        known = {
            **vars(self.status), "elapsed": self.pace.elapsed(), "reused": self.pace.reused,
            "computed": self.pace.computed, **changes,
        }  # fmt: skip
        self.status = JobStatus(**known)
        write_status(self.folder, self.status)

    def tell(self, state: str, **changes: Any) -> bool:
        """Write how the job ended where that can be written; returns whether it could."""
        try:
            self.finish(state, **changes)
        except OSError:
            return False
        return True

    def finish(self, state: str, **changes: Any) -> None:
        """Write how the job ended."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.write(state=state, eta=None, **changes)


def _raise_cancelled(signal_number: int, frame: FrameType | None) -> None:
    raise Cancelled


def _end_with_parent(parent: int) -> None:
    """End this process when the one that started it has ended, even by kill -9: nobody would see its result."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.25)
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    if hasattr(os, "nice"):  # where cores are busy, people who look at pages come before what is computed
        os.nice(10)
    read_handed(sys.stdin.buffer)
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
