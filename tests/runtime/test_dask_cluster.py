"""Chunks on a Dask cluster whose scheduler and workers are processes of their own, which end in the midst of work."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("distributed", reason="Dask is not installed: pip install 'kernelsm[cluster]'")

from dask_processes import HOME, dask_processes

from kernelsm import GradEx, InputError, Retraining, Store, gradient_features
from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
from kernelsm.runtime.dask_cluster import DaskCluster, check_versions, versions
from kernelsm.runtime.errors import SchedulerLostError, WorkerDiedError
from kernelsm.runtime.executor_choice import environments_executor
from kernelsm.runtime.executors import Chunk, InProcess, Task, using
from kernelsm.runtime.progress import Cancelled
from kernelsm.runtime.store import ChunkKind

SUMS = ChunkKind("sums")
MASKS = np.unique(np.random.default_rng(3).random((13, 5)) < 0.5, axis=0)


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    with dask_processes(tmp_path_factory.mktemp("dask"), workers=2) as found:
        yield found


@pytest.fixture(scope="module")
def cluster(processes):
    with DaskCluster(processes.address) as found:
        yield found


def values(cluster, compute, count=4):
    chunks = [Chunk(index, index, f"sums, block {index + 1} of {count}") for index in range(count)]
    found = {result.index: result.value for result in cluster.results(Task(compute), chunks)}
    return [found[index] for index in range(count)]


def test_what_chunks_share_goes_along_with_them(cluster):
    shared = np.arange(1000.0)
    assert values(cluster, lambda number: float(shared.sum() + number)) == [499500.0 + i for i in range(4)]


def test_all_workers_are_at_work(cluster):
    def who(_):
        time.sleep(0.05)
        return os.getpid()

    assert len(set(values(cluster, who, 12)) - {os.getpid()}) == 2


def test_an_error_is_raised_as_it_was_and_the_next_task_runs(cluster):
    def fails(number):
        raise InputError("row 3", f"{number}", "a word", "Write one.")

    with pytest.raises(InputError, match=r"row 3: found .; expected a word"):
        values(cluster, fails)
    assert values(cluster, abs) == [0, 1, 2, 3]


def test_what_cannot_be_sent_is_told_in_words(cluster):
    lock = threading.Lock()
    with pytest.raises(InputError, match="sums, block 1 of 4: found something that cannot be sent to a cluster"):
        values(cluster, lambda number: (lock.locked(), number)[1])


def test_outcomes_and_features_have_the_same_bits_as_here(cluster, blobs, blobs_model, tmp_path):
    found = []
    for name, executor in (("here", InProcess(1)), ("there", cluster)):
        store = Store(tmp_path / name)
        with using(executor):
            settings = {"batch_size": 7, "outputs": "logits", "store": store}
            train = gradient_features(blobs_model, blobs.inputs, blobs.labels, **settings)
            test = gradient_features(blobs_model, blobs.test_inputs, blobs.test_labels, **settings)
            gradex = GradEx(blobs, train, test, ridge=0.3, block=4).outcomes(MASKS, store=store).values
            retrained = Retraining(blobs, blobs_model, ridge=0.3, block=4).outcomes(MASKS, store=store).values
        found.append((train.features, test.features, gradex, retrained))
    for here, there in zip(*found, strict=True):
        np.testing.assert_array_equal(here, there)


def test_stopping_keeps_what_arrived_and_resuming_computes_the_rest(cluster):
    store, work = Store(), ChunkedWork(lambda: Task(lambda number: time.sleep(0.05) or number), SUMS, "sums")

    def stop(done, *_, **__):
        if done == 3:
            raise Cancelled

    keys, numbers = [(i,) for i in range(10)], range(10)
    with using(cluster), pytest.raises(Cancelled):
        computed_chunks(work, keys, numbers, store, stop)
    assert store.computed == 3
    with using(cluster):
        assert computed_chunks(work, keys, numbers, store) == list(numbers)
    assert (store.computed, store.reused) == (10, 3)


def test_the_environment_names_the_cluster(processes, monkeypatch):
    monkeypatch.setenv("KERNELSM_SCHEDULER", processes.address)
    with environments_executor() as chosen:
        assert isinstance(chosen, DaskCluster)
        assert values(chosen, abs) == [0, 1, 2, 3]


def test_the_command_line_computes_there(processes, tmp_path):
    out = tmp_path / "found.csv"
    command = [sys.executable, "-m", "kernelsm", "run", "--example", "digits", "--subsets", "3", "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": HOME, "KERNELSM_SCHEDULER": processes.address}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert len(out.read_text().splitlines()) == 4


def certificates(folder):
    """Dask's settings for one certificate, signed by itself, that all sides show and trust."""
    folder.mkdir()
    key, certificate = folder / "key.pem", folder / "cert.pem"
    request = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1")
    files = ("-keyout", str(key), "-out", str(certificate))
    subprocess.run(["openssl", *request, *files], check=True, capture_output=True)
    settings = {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(certificate)}
    for side in ("SCHEDULER", "WORKER", "CLIENT"):
        settings[f"DASK_DISTRIBUTED__COMM__TLS__{side}__CERT"] = str(certificate)
        settings[f"DASK_DISTRIBUTED__COMM__TLS__{side}__KEY"] = str(key)
    return settings


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which makes the certificates, is not installed")
def test_a_scheduler_with_certificates_computes_for_who_has_one_and_refuses_others(tmp_path):
    out, signed = tmp_path / "found.csv", certificates(tmp_path / "certificates")
    command = [sys.executable, "-m", "kernelsm", "run", "--example", "digits", "--subsets", "3", "--out", str(out)]
    with dask_processes(tmp_path / "dask", workers=1, **signed) as processes:
        assert processes.address.startswith("tls://")
        environment = {**os.environ, "PYTHONPATH": HOME, "KERNELSM_SCHEDULER": processes.address}
        run = partial(subprocess.run, command, capture_output=True, text=True, timeout=120, check=False)
        refused = run(env=environment)
        assert refused.returncode == 2, refused.stderr
        assert "no certificate of this side" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert not out.exists()
        done = run(env={**environment, **signed})
    assert done.returncode == 0, done.stderr
    assert len(out.read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://127.0.0.1:9", "no answer"), ("http://127.0.0.1:8787", "an address of another kind"),
        ("tls://127.0.0.1:9", "no certificate of this side"),
    ],
)  # fmt: skip
def test_a_cluster_that_is_not_there_is_told_in_words(address, words, monkeypatch):
    monkeypatch.setattr("kernelsm.runtime.dask_cluster._CONNECTING", 0.5)
    monkeypatch.setenv("KERNELSM_SCHEDULER", address)
    with pytest.raises(InputError, match=f"KERNELSM_SCHEDULER.*{words}"), environments_executor():
        pass


@pytest.mark.parametrize("package", ["kernelsm", "torch", "numpy", "Python"])
def test_another_version_is_refused(package):
    check_versions(versions(), dict(versions()), "tcp://there:1")
    other = {**versions(), package: "0.0.1"}
    with pytest.raises(InputError, match=f"worker tcp://there:1: found {package} 0.0.1; expected {package} "):
        check_versions(versions(), other, "tcp://there:1")


def test_workers_of_another_version_or_with_several_threads_are_refused(processes, tmp_path):
    older = tmp_path / "older.py"
    older.write_text("import kernelsm\nkernelsm.__version__ = '0.0.9'\n")
    count = len(processes.workers)
    for options, words in (
        (("--preload", str(older)), r"worker tcp://.*: found kernelsm 0\.0\.9"),
        (("--nthreads", "3"), r"worker tcp://.*: found 3 threads; expected 1 thread"),
    ):
        processes.add_worker(*options)
        processes.wait_for_workers(count + 1)
        try:
            with pytest.raises(InputError, match=words), DaskCluster(processes.address):
                pass
        finally:
            processes.workers.pop().kill()
            processes.wait_for_workers(count)


def test_a_worker_of_another_version_that_joins_later_is_refused(cluster):
    def compute(_):
        return 1

    def elsewhere(number):  # as a worker of another version would find it
        from kernelsm.runtime import dask_cluster

        with_other = {**dask_cluster.versions(), "kernelsm": "0.0.9"}
        return dask_cluster.compute_chunk(dask_cluster.pack(compute), "", with_other, number)

    with pytest.raises(InputError, match=r"process \d+: found kernelsm .*; expected kernelsm 0\.0\.9"):
        values(cluster, elsewhere)


def test_the_chunks_of_a_killed_worker_are_done_by_another(processes, cluster, tmp_path):
    def killed_once(number):
        (tmp_path / f"{number}.{os.getpid()}").touch()
        if number == 1 and len(list(tmp_path.glob("1.*"))) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    shared = np.arange(9.0)
    try:
        assert values(cluster, lambda number: killed_once(number) + 0 * shared.sum()) == [0, 1, 2, 3]
    finally:
        processes.add_worker()
        processes.wait_for_workers(2)


def test_a_chunk_that_kills_its_workers_is_named(tmp_path):
    once = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with dask_processes(tmp_path / "dask", workers=2, **once) as processes, DaskCluster(processes.address) as cluster:
        processes.wait_for_workers(2)
        with pytest.raises(WorkerDiedError, match=r"sums, block \d of 4: .* ended 1 times"):
            values(cluster, lambda number: os.kill(os.getpid(), signal.SIGKILL) if number == 2 else number)


def test_a_lost_scheduler_interrupts_and_keeps_what_arrived(tmp_path):
    store, work = Store(), ChunkedWork(lambda: Task(lambda number: time.sleep(0.2) or number), SUMS, "sums")
    with dask_processes(tmp_path / "dask", workers=1) as processes, DaskCluster(processes.address) as cluster:

        def lose(done, *_, **__):
            if done == 1:
                processes.scheduler.kill()

        with using(cluster), pytest.raises(SchedulerLostError, match=processes.address):
            computed_chunks(work, [(i,) for i in range(50)], range(50), store, lose)
    assert store.computed >= 1
    assert computed_chunks(work, [(0,)], [0], store) == [0]


def test_a_cluster_without_any_worker_interrupts(tmp_path, monkeypatch):
    monkeypatch.setattr("kernelsm.runtime.dask_cluster._WITHOUT_WORKERS", 3.0)
    with dask_processes(tmp_path / "dask", workers=1) as processes, DaskCluster(processes.address) as cluster:
        threading.Timer(0.3, processes.workers[0].kill).start()
        with pytest.raises(SchedulerLostError):
            values(cluster, lambda _: time.sleep(600))


def test_a_job_whose_scheduler_is_lost_is_interrupted(tmp_path, cache_folder):
    from kernelsm.pipelines.run_settings import RunSettings
    from kernelsm.runtime.job import read_status
    from kernelsm.runtime.jobs import JobRegistry

    settings = RunSettings("digits", "retraining", subsets=300)
    with dask_processes(tmp_path / "dask", workers=1) as processes, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERNELSM_SCHEDULER", processes.address)
        registry = JobRegistry(cache_folder)
        key = registry.start(settings.job())
        end = time.monotonic() + 60
        while (read_status(registry.folder(key)).computed or 0) < 2:
            assert time.monotonic() < end, registry.log(key)
            time.sleep(0.05)
        processes.scheduler.kill()
        status = registry.wait(key, timeout=60)
    assert status.state == "interrupted"
    assert "was lost" in status.error
    kept = len(list(Path(cache_folder).glob("store/retraining.v*/*/value.pkl")))
    assert kept >= status.computed >= 2
