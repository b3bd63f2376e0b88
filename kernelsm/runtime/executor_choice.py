"""Which executor jobs and the command line use: this computer's cores, or a cluster that the environment names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from kernelsm.runtime.dask_cluster import SCHEDULER_VARIABLE, DaskCluster
from kernelsm.runtime.executors import Executor, InProcess, using
from kernelsm.runtime.local_processes import LocalProcesses
from kernelsm.runtime.threads import chosen_cores


@contextmanager
def environments_executor() -> Iterator[Executor]:
    """Compute chunks for a while as the environment says, and end all workers afterwards.

    `KERNELSM_SCHEDULER` names a Dask cluster; else there is a process for each core, or as many as `KERNELSM_WORKERS`
    says, 1 for this process alone. Nothing else chooses: no link, no file and no setting on a page.

    Raises
    ------
    InputError
        A variable that means nothing, or a cluster that cannot be used.
    """
    if address := os.environ.get(SCHEDULER_VARIABLE, "").strip():
        with DaskCluster(address) as cluster, using(cluster):
            yield cluster
    elif chosen_cores() > 1:
        with LocalProcesses() as processes, using(processes):
            yield processes
    else:
        with using(InProcess(1)) as here:
            yield here
