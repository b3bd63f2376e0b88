"""Who started which job, and what it was expected to take: a list for each owner, from which estimates learn.

In the folder of the cache, `started/OWNER/JOB.json` is a `StartedJob`. How far a job is stands in its own folder.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.job import JobSpec, read_status

MOST_LISTED = 12
"""Jobs that an owner's list holds; older ones are forgotten."""
_LEARNED_FROM, _SHORTEST = 20, 1.0
_IN_A_KIND = ("source", "estimator", "projection", "key")
_OWNER = re.compile(r"[0-9a-f]{1,64}")


@dataclass(frozen=True)
class StartedJob:
    """A job, as who started it will find it again.

    Parameters
    ----------
    key : str
        Of the job.
    title : str
        What it does, for people.
    page : str
        Path of the page that it was started on.
    kind : str
        Jobs of one kind are expected to take alike longer or shorter than was estimated.
    estimate : float
        Seconds that it was expected to take, from measured rates alone; infinite where these were not timed.
    began : float
        Seconds since 1970.
    """

    key: str
    title: str
    page: str
    kind: str
    estimate: float
    began: float


def kind_of(spec: JobSpec) -> str:
    """Return what jobs have in common of which one tells how long the other will take."""
    chosen = {name: spec.arguments[name] for name in _IN_A_KIND if name in spec.arguments}
    return f"{spec.work} {json.dumps(chosen, sort_keys=True)}"


class StartedJobs:
    """The lists of one cache.

    Parameters
    ----------
    root : Path
        Folder of the cache.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lists = StartedJobs(Path(folder))
    ...     lists.add("ab12", StartedJob("k", "Outcomes", "gradients", "kind", 10.0, began=5.0))
    ...     [job.title for job in lists.of("ab12")], lists.of("cd34")
    (['Outcomes'], [])
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, owner: str, job: StartedJob) -> None:
        """Put a job on top of an owner's list.

        Raises
        ------
        OSError
            The cache cannot be written to.
        """
        folder = self._folder(owner)
        with write_whole(folder / f"{job.key}.json") as part:
            part.write_text(json.dumps(asdict(job)))
        for old in self._listed(folder)[MOST_LISTED:]:
            (folder / f"{old.key}.json").unlink(missing_ok=True)

    def of(self, owner: str) -> list[StartedJob]:
        """Return the jobs that an owner has started, the newest first."""
        return self._listed(self._folder(owner))

    def pace(self, kind: str) -> float:
        """Return how many times its estimate a job of a kind has taken here: the median of those that ended last.

        Only those count that found nothing of their work in the cache. 1 where there is none.
        """
        found = []
        jobs = (job for folder in (self.root / "started").glob("*") for job in self._listed(folder))
        for job in sorted((job for job in jobs if job.kind == kind), key=lambda job: -job.began):
            status = read_status(self.root / "jobs" / job.key)
            if status and status.state == "done" and status.computed and not status.reused:
                timed = min(status.elapsed, job.estimate) >= _SHORTEST and math.isfinite(job.estimate)
                found += [status.elapsed / job.estimate] if timed else []
            if len(found) == _LEARNED_FROM:
                break
        return statistics.median(found) if found else 1.0

    def _folder(self, owner: str) -> Path:
        assert _OWNER.fullmatch(owner), owner
        return self.root / "started" / owner

    @staticmethod
    def _listed(folder: Path) -> list[StartedJob]:
        return sorted(_readable(folder), key=lambda job: -job.began)


def _readable(folder: Path) -> Iterator[StartedJob]:
    for path in folder.glob("*.json"):
        try:
            yield StartedJob(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            continue  # dropped just now, or damaged: it is a list, and the job itself stays
