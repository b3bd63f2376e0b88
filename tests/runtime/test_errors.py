"""Errors that are told to users, and what a job says of them."""

import json
import os
import pickle
import subprocess
import sys

import pytest

from kernelsm import ConvergenceError, InputError
from kernelsm.runtime.job import read_status

UNFINISHED = ConvergenceError(
    "GradEx", "a gradient norm of 1e-3 after 50 passes", "at most 9e-05", "Raise the ridge."
)


def test_no_convergence_is_no_fault_of_the_input():
    assert not isinstance(UNFINISHED, InputError)
    assert str(UNFINISHED) == (
        "GradEx did not converge: it reached a gradient norm of 1e-3 after 50 passes; wanted at most 9e-05. "
        "Raise the ridge."
    )


@pytest.mark.parametrize("error", [UNFINISHED, InputError("row 3", "x", "a number", "Write one.")])
def test_errors_survive_the_way_between_processes(error):
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error)
    assert str(found) == str(error)


FAILING_JOB = """
import os, sys
from pathlib import Path
from kernelsm.pipelines import compute
from kernelsm.runtime import job_process
from kernelsm.runtime.errors import ConvergenceError

def fails(*_, **__):
    raise ConvergenceError("GradEx", "a norm of 1", "0", "Raise the ridge.")

compute.compute = fails
sys.exit(job_process.main(Path(sys.argv[1]), os.getppid()))
"""


def test_a_job_tells_it_in_words_and_without_a_traceback(tmp_path):
    folder = tmp_path / "jobs" / "one"
    folder.mkdir(parents=True)
    arguments = {"source": "planted", "estimator": "game", "subsets": 5}
    (folder / "spec.json").write_text(json.dumps({"work": "kernelsm.pipelines.compute:run", "arguments": arguments}))
    done = subprocess.run(
        [sys.executable, "-c", FAILING_JOB, str(folder)], capture_output=True, text=True, check=False,
        env={**os.environ, "KERNELSM_CACHE": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    status = read_status(folder)
    assert status.state == "failed"
    assert status.error == "GradEx did not converge: it reached a norm of 1; wanted 0. Raise the ridge."
