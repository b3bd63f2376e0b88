"""Chunks computed in this process and in others: the same values, and nothing lost where a worker ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from kernelsm.runtime import executors
from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
from kernelsm.runtime.errors import ConvergenceError, InputError, WorkerDiedError
from kernelsm.runtime.executor_choice import environments_executor
from kernelsm.runtime.executors import Chunk, InProcess, Task, current, fitting, using
from kernelsm.runtime.local_processes import TRIES, LocalProcesses
from kernelsm.runtime.progress import Cancelled
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.runtime.timed_store import TimedStore

SUMS = ChunkKind("sums")
HOME = Path(__file__).resolve().parents[2]


def chunks(count):
    return [Chunk(index, index, f"sums, block {index + 1} of {count}") for index in range(count)]


def values(executor, compute, count=4, **task):
    """Values of the numbered chunks of a function, in order."""
    found = {result.index: result.value for result in executor.results(Task(compute, **task), chunks(count))}
    return [found[index] for index in range(count)]


def who_computes(_):
    time.sleep(0.02)
    return os.getpid()


@pytest.fixture
def processes():
    with LocalProcesses(2, start_seconds=0) as found:
        yield found


@pytest.fixture
def at_work(tmp_path):
    """A folder in which each worker leaves a file named by its process."""
    folder = tmp_path / "at_work"
    folder.mkdir()
    return folder


@pytest.fixture
def sums():
    """Work whose chunks are the sum of what all share and their own number."""
    shared = np.arange(1000.0)
    return ChunkedWork(lambda: Task(lambda number: float(shared.sum() + number)), SUMS, "sums")


@pytest.fixture(params=["serial", "threads", "processes"])
def executor(request):
    with ExitStack() as stack:
        made = {
            "serial": lambda: InProcess(1),
            "threads": lambda: InProcess(3),
            "processes": lambda: stack.enter_context(LocalProcesses(2, start_seconds=0)),
        }
        yield made[request.param]()


def test_every_executor_gives_the_value_of_every_chunk(executor):
    shared = np.arange(5.0)
    assert values(executor, lambda x: float((shared * x).sum()), in_threads=True) == [0.0, 10.0, 20.0, 30.0]


def test_an_error_is_raised_as_it_was_and_the_next_task_runs(executor):
    def fails(number):
        raise (
            InputError("row 3", f"{number}", "a word", "Write one.")
            if number == 1
            else ConvergenceError("it", "1", "0", "Wait.")
        )

    with pytest.raises((InputError, ConvergenceError), match=r"row 3|did not converge"):
        values(executor, fails)
    assert values(executor, abs) == [0, 1, 2, 3]


def test_an_error_that_cannot_be_sent_is_told_in_words(processes):
    def fails(_):
        class OddError(Exception):
            def __init__(self, one, two):
                super().__init__(f"{one} and {two}")

        raise OddError(1, 2)

    with pytest.raises(RuntimeError, match="OddError: 1 and 2"):
        values(processes, fails)


def test_chunks_are_computed_on_one_thread_each(executor):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(2)

    def threads(_):
        import torch
        from threadpoolctl import threadpool_info

        blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
        return torch.get_num_threads(), max(blas, default=1)

    assert set(values(executor, threads, in_threads=True)) == {(1, 1)}
    assert torch.get_num_threads() == 2


def test_several_processes_are_at_work_and_stay_for_the_next_task(processes):
    first, second = (set(values(processes, who_computes, 12)) for _ in range(2))
    assert len(first) == 2
    assert first == second
    assert os.getpid() not in first


def test_work_of_a_moment_starts_no_process():
    with LocalProcesses(2) as local:
        assert set(values(local, who_computes, 6)) == {os.getpid()}


def test_long_work_is_begun_here_and_left_to_processes():
    with LocalProcesses(2, start_seconds=0.02) as local:
        found = values(local, who_computes, 30)
    assert found[0] == os.getpid()
    assert len(set(found[2:]) - {os.getpid()}) == 2


def test_finished_chunks_are_found_and_each_is_reported(executor, sums):
    told = []
    store = Store()
    store.put(SUMS, (2,), 7.0)
    with using(executor):
        for _ in range(2):
            found = computed_chunks(
                sums, [(number,) for number in range(4)], range(4), store,
                lambda done, total, message, *, reused: told.append((done, total, message, reused)),
            )  # fmt: skip
    assert found == [499500.0, 499501.0, 7.0, 499503.0]
    assert told[:4] == [(done, 4, "sums", done == 1) for done in (1, 2, 3, 4)]
    assert told[4:] == [(done, 4, "sums", True) for done in (1, 2, 3, 4)]
    assert (store.computed, store.reused) == (4, 5)


def test_chunks_of_one_content_are_computed_once(executor, tmp_path):
    store, told = Store(), []
    work = ChunkedWork(lambda: Task(abs), SUMS, "sums")
    with using(executor):
        found = computed_chunks(
            work, [(1,), (2,), (1,), (1,)], [1, 2, 1, 1], store, lambda *_, reused: told.append(reused)
        )
    assert found == [1, 2, 1, 1]
    assert sorted(told) == [False, False, True, True]
    assert (store.computed, store.reused) == (2, 2)


def test_what_chunks_share_is_not_made_where_all_are_there():
    store = Store()
    store.put(SUMS, (0,), 1.0)
    assert computed_chunks(ChunkedWork(lambda: 1 / 0, SUMS, "sums"), [(0,)], [0], store) == [1.0]


def test_processor_time_of_other_processes_is_known(processes):
    def busy(_):
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return 1

    store, work = TimedStore(), ChunkedWork(lambda: Task(busy), SUMS, "sums")
    with using(processes):
        computed_chunks(work, [(0,), (1,)], [0, 1], store)
    assert 0.1 <= store.found_seconds < 5
    later = TimedStore()
    computed_chunks(work, [(0,), (1,)], [0, 1], later)
    assert later.found_seconds == pytest.approx(store.found_seconds)


def test_a_killed_worker_has_its_chunk_done_again_and_no_other(processes, at_work):
    def killed_once(number):
        (at_work / f"{number}.{os.getpid()}").touch()
        if number == 2 and len(list(at_work.glob("2.*"))) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    assert values(processes, killed_once, 6) == [0, 1, 2, 3, 4, 5]
    assert len(list(at_work.iterdir())) == 7


def test_a_chunk_that_kills_every_worker_is_named_and_the_others_are_kept(processes, at_work):
    def killed(number):
        (at_work / f"{number}.{os.getpid()}").touch()
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    store = Store()
    work = ChunkedWork(lambda: Task(killed), SUMS, "sums")
    with (
        using(processes),
        pytest.raises(WorkerDiedError, match=r"sums, block 2 of 3: .* ended 4 times \(signal SIGKILL"),
    ):
        computed_chunks(work, [(i,) for i in range(3)], range(3), store)
    assert len(list(at_work.glob("1.*"))) == TRIES == 4
    assert store.find(SUMS, (0,)) == 0
    assert values(processes, abs) == [0, 1, 2, 3]


def test_a_worker_killed_while_it_waits_does_not_matter(processes):
    for pid in set(values(processes, who_computes, 8)):
        os.kill(pid, signal.SIGKILL)
    assert values(processes, abs) == [0, 1, 2, 3]


def test_stopping_keeps_what_arrived_and_ends_the_workers(processes, at_work):
    def slow(number):
        (at_work / str(os.getpid())).touch()
        time.sleep(600 if number else 0)
        return number

    def stop(*_, **__):
        _wait_until(lambda: len(list(at_work.iterdir())) == 2, 60)
        raise Cancelled

    store, work = Store(), ChunkedWork(lambda: Task(slow), SUMS, "sums")
    with using(processes), pytest.raises(Cancelled):
        computed_chunks(work, [(i,) for i in range(9)], range(9), store, stop)
    _wait_until(lambda: not _living(at_work), 5)
    assert store.find(SUMS, (0,)) == 0
    assert values(processes, abs) == [0, 1, 2, 3]


def test_workers_end_with_their_driver_even_by_kill_9(at_work, tmp_path):
    script = f"""
import os, time
from pathlib import Path
from kernelsm.runtime.executors import Chunk, Task
from kernelsm.runtime.local_processes import LocalProcesses

def slow(number):
    (Path({str(at_work)!r}) / str(os.getpid())).touch()
    time.sleep(600 * (number < 2))

if __name__ == "__main__":
    list(LocalProcesses(3, start_seconds=0).results(Task(slow), [Chunk(i, i, "") for i in range(3)]))
"""
    file = tmp_path / "driver.py"
    file.write_text(script)
    driver = subprocess.Popen([sys.executable, str(file)], env={**os.environ, "PYTHONPATH": str(HOME)})
    try:
        _wait_until(lambda: len(list(at_work.iterdir())) == 3, 60)
    finally:
        driver.kill()
        driver.wait()
    _wait_until(lambda: not _living(at_work), 10)


def test_what_cannot_be_sent_is_computed_here_and_the_log_says_so(processes, caplog):
    lock = threading.Lock()
    assert values(processes, lambda number: (lock.locked(), number)[1]) == [0, 1, 2, 3]
    assert "cannot be sent to other processes (TypeError: cannot pickle '_thread.lock' object)" in caplog.text


def test_threads_gain_nothing_where_a_task_does_not_say_so():
    names = values(InProcess(3), lambda _: threading.current_thread().name)
    assert set(names) == {threading.current_thread().name}


def test_memory_bounds_the_number_of_workers(monkeypatch):
    task = Task(abs, memory=2**30)
    for memory, count in ((None, 8), (64 * 2**30, 8), (4 * 2**30, 3), (2**20, 1)):
        monkeypatch.setattr(executors, "available_memory", lambda memory=memory: memory)
        assert fitting(task, 8) == count


def test_the_environment_says_how_many_processes_there_are(monkeypatch):
    for number, kind in ((1, InProcess), (5, LocalProcesses)):
        monkeypatch.setenv("KERNELSM_WORKERS", str(number))
        with environments_executor() as chosen:
            assert isinstance(chosen, kind)
            assert current() is chosen
            assert getattr(chosen, "workers", 1) == number
    assert isinstance(current(), InProcess)


@pytest.mark.parametrize("text", ["0", "two", "-1", "1.5", "1_0"])
def test_a_number_of_workers_that_is_none_is_refused(monkeypatch, text):
    monkeypatch.setenv("KERNELSM_WORKERS", text)
    with pytest.raises(InputError, match="KERNELSM_WORKERS"), environments_executor():
        pass


def test_results_can_be_left_before_the_end(processes):
    with closing(processes.results(Task(abs), chunks(50))) as results:
        assert next(results).value in (0, 1)
    assert values(processes, abs) == [0, 1, 2, 3]


def _living(folder):
    return [file.name for file in folder.iterdir() if _alive(int(file.name))]


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _wait_until(condition, timeout):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
