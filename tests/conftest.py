"""What all tests share: which run alone, a cache of their own, fixed threads, and a small training problem."""

import os
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import settings

from kernelsm import Outcomes, TaskSuite
from kernelsm.runtime.threads import limit_blas_threads, use_torch_threads

ALONE = {"test_jobs.py", "test_job_parent_killed.py", "test_gradient_jobs.py", "test_dask_cluster.py"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == "browser" or item.path.name in ALONE:
            item.add_marker("alone")


def pytest_make_parametrize_id(val, argname):
    """Name bytes after their argument: packed ones hold the time, and processes must collect the same names."""
    return argname if isinstance(val, bytes) else None


# no deadline: the machine may be shared; derandomised: a failure on one machine is a failure on all
settings.register_profile("kernelsm", deadline=None, derandomize=True, database=None)
settings.load_profile("kernelsm")


@pytest.fixture(scope="session", autouse=True)
def _one_blas_thread():
    limit_blas_threads(1)


@pytest.fixture(autouse=True)
def _one_torch_thread():
    """Before each test anew: a run of the pipeline takes all cores, which slows the small problems after it down."""
    use_torch_threads(1)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    """An empty cache for each test: none reads or writes the user's."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("KERNELSM_CACHE", str(folder))
    return folder


@pytest.fixture
def make_outcomes():
    """Return a function that draws a random table."""

    def make(m=12, K=4, q=2, seed=0, **named):
        rng = np.random.default_rng(seed)
        return Outcomes(rng.random((m, K)) < 0.5, rng.normal(size=(m, q)), **named)

    return make


@pytest.fixture(scope="session")
def blobs():
    """Five tasks of three overlapping classes in four dimensions; the last task is mislabelled."""
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(3, 4)) * 1.5
    sizes = (8, 12, 10, 6, 9)
    labels = rng.integers(0, 3, sum(sizes))
    task_of = np.repeat(np.arange(5), sizes)
    inputs = (centres[labels] + rng.normal(size=(len(labels), 4))).astype(np.float32)
    test_labels = np.repeat(np.arange(3), 7)
    test_inputs = (centres[test_labels] + rng.normal(size=(21, 4))).astype(np.float32)
    given = np.where(task_of == 4, (labels + 1) % 3, labels)
    return TaskSuite(
        inputs,
        given.astype(np.int64),
        task_of.astype(np.int64),
        test_inputs,
        test_labels.astype(np.int64),
        test_labels.astype(np.int64),
        tuple(f"task {letter}" for letter in "ABCDE"),
        ("class 0", "class 1", "class 2"),
        3,
    )


@pytest.fixture(scope="session")
def blobs_model(blobs):
    """A small network trained on all five tasks; tests must not change it."""
    from kernelsm.models.mlp import mlp
    from kernelsm.objectives.training import train_base

    return train_base(mlp((4, 6, 3)), blobs, epochs=40)


@pytest.fixture
def small_disk(request, tmp_path):
    """A disk of `request.param` MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    command = ["mount", "-t", "tmpfs", "-o", f"size={request.param}m", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let root mount a disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
