"""How a job of gradients ends: what its status says where the disk is full, the model fails or it is stopped."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from kernelsm.runtime.job import read_status

# a work of kernelsm's that is there for this test alone
JOB = """
import os, sys, types
from pathlib import Path
import numpy as np, torch
from kernelsm import gradient_features
from kernelsm.models.mlp import mlp
from kernelsm.runtime import job_process

torch.set_num_threads(1)

class Failing(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = mlp((4, 30, 3), seed=0)
    def forward(self, x):
        if bool((x > 100).any()):
            raise ValueError("too\\nlarge")
        return self.layer(x)

def work(report, store, large, kill):
    inputs = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
    if large:
        inputs[250] = 1000
    def told(done, total, message="", *, reused=False):
        report(done, total, message, reused=reused)
        if done == kill:
            os.kill(os.getpid(), 9)
    found = gradient_features(Failing(), inputs, np.arange(400) % 3, "gaussian", 256, 50, store, told)
    return {"sum": float(np.abs(found.features).sum()), "place": str(found.features.filename)}

module = types.ModuleType("kernelsm.stand_in")
module.work = work
sys.modules["kernelsm.stand_in"] = module
sys.exit(job_process.main(Path(sys.argv[1]), os.getppid()))
"""


def run(root, large=False, kill=0):
    """Run the job in a process of its own; return its code, its status and what it printed."""
    folder = root / "jobs" / "one"
    folder.mkdir(parents=True, exist_ok=True)
    spec = {"work": "kernelsm.stand_in:work", "arguments": {"large": large, "kill": kill}}
    (folder / "spec.json").write_text(json.dumps(spec))
    done = subprocess.run([sys.executable, "-c", JOB, str(folder)], capture_output=True, text=True, check=False)
    return done.returncode, read_status(folder), done.stderr


@pytest.mark.parametrize("small_disk", [2], indirect=True)
def test_a_job_on_a_disk_that_is_too_small_says_how_much_it_takes(small_disk):
    code, status, printed = run(small_disk)
    assert (code, status.state) == (1, "failed")
    assert "disk of the cache" in status.error
    assert "\n" not in status.error
    assert "Traceback" not in printed
    assert status.computed == 0
    # both numbers in one unit, and what is asked for is more than what is there
    numbers = [float(number) for number in re.findall(r"([\d.]+) MiB", status.error)]
    assert numbers[0] < numbers[1]


def test_a_killed_job_resumes_and_ends_as_if_it_had_not_been(tmp_path):
    code, status, _ = run(tmp_path / "a", kill=3)
    assert (code, status.state, status.computed) == (-9, "running", 3)
    code, status, _ = run(tmp_path / "a")
    assert (code, status.state, status.reused, status.computed) == (0, "done", 3, 5)
    # in a process of its own too: with as many threads
    code, whole, _ = run(tmp_path / "b")
    assert (code, whole.reused, whole.computed) == (0, 0, 8)
    assert status.result["sum"] == pytest.approx(whole.result["sum"], rel=1e-4)
    one, other = (np.fromfile(each.result["place"], np.float32) for each in (status, whole))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_job_whose_model_fails_in_the_middle_says_why_and_keeps_what_is_finished(tmp_path):
    code, status, printed = run(tmp_path, large=True)
    assert (code, status.state, status.done, status.total) == (1, "failed", 5, 8)
    assert "ValueError in its forward pass: too" in status.error
    assert "Run the model on these inputs by itself" in status.error
    assert "Traceback" not in printed
    assert "\n" not in status.error  # what the model raised had two lines
