"""What a job is to do, how far it is, and the files that say both.

Each job has a folder named by the content hash of what is to be done:

- `spec.json`: what is to be done.
- `status.json`: the newest `JobStatus`, replaced atomically.
- `log.txt`: what the process printed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import kernelsm
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.store import content_hash

JobState = Literal["queued", "running", "done", "cancelled", "failed", "interrupted"]
ACTIVE: tuple[JobState, ...] = ("queued", "running")


@dataclass(frozen=True)
class JobSpec:
    """What is to be done.

    Parameters
    ----------
    work : str
        Dotted path of a function of kernelsm, "package.module:function".
    arguments : dict
        Its keyword arguments; JSON types only.
    """

    work: str
    arguments: dict[str, Any]

    @property
    def key(self) -> str:
        """Content hash of the spec and of kernelsm's version; the job's identity."""
        return content_hash(kernelsm.__version__, self.work, json.dumps(self.arguments, sort_keys=True))


@dataclass(frozen=True)
class JobStatus:
    """How far a job is: finished and total units of work, chunks computed and reused, seconds, and how it ended."""

    state: JobState = "queued"
    done: int = 0
    total: int = 0
    computed: int = 0
    reused: int = 0
    message: str = ""
    elapsed: float = 0.0
    eta: float | None = None
    result: dict[str, Any] | None = None
    error: str = ""
    pid: int = 0

    @property
    def active(self) -> bool:
        """Whether a process is, or soon will be, at work."""
        return self.state in ACTIVE


def write_spec(folder: Path, spec: JobSpec) -> None:
    """Write `spec.json` of a job atomically."""
    with write_whole(folder / "spec.json") as part:
        part.write_text(json.dumps(asdict(spec), indent=1))


def read_spec(folder: Path) -> JobSpec | None:
    """Read what a job is to do; None where its folder does not say."""
    try:
        return JobSpec(**json.loads((folder / "spec.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write_status(folder: Path, status: JobStatus) -> None:
    """Replace `status.json` of a job atomically."""
    with write_whole(folder / "status.json") as part:
        part.write_text(json.dumps(asdict(status)))


def read_status(folder: Path) -> JobStatus | None:
    """Read the newest status of a job; None where the job was never started."""
    damaged = JobStatus(state="interrupted", error="status.json was damaged; start again to resume")
    try:
        status = JobStatus(**json.loads((folder / "status.json").read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return damaged
    return status if status.state in get_args(JobState) else damaged


def read_log(folder: Path, lines: int = 12) -> str:
    """Return the last lines that the job printed."""
    try:
        return "\n".join((folder / "log.txt").read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
