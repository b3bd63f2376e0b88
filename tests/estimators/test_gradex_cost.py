"""What GradEx says of its cost before it starts, and what it refuses."""

import numpy as np
import pytest

from kernelsm import GradEx, InputError, gradient_features
from kernelsm.estimators.gradex_cost import solve_cost
from kernelsm.pipelines import compute
from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime import memory
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store


@pytest.mark.parametrize(
    "larger", [{"n": 2000}, {"width": 20}, {"k": 4096}, {"masks": 400}, {"masks": 400, "k": 4096}]
)
def test_memory_and_time_grow_with_every_size(larger: dict[str, int]) -> None:
    def cost(n: int = 500, width: int = 5, k: int = 512, masks: int = 20):
        return solve_cost((n, width, k), masks, tasks=10, block=1000, test_samples=100)

    assert cost(**larger).memory > cost().memory
    assert cost(**larger).seconds > cost().seconds


def test_the_rows_are_counted_at_least_twice() -> None:
    n, width, k = 3000, 10, 4096
    assert solve_cost((n, width, k), 4, tasks=6).memory > 2 * 4 * n * width * k


def test_more_masks_than_a_block_take_no_more_memory_and_more_time() -> None:
    few, many = (solve_cost((500, 5, 512), masks, tasks=10, block=64) for masks in (64, 6400))
    assert many.memory == few.memory
    assert many.seconds > 10 * few.seconds


def test_the_solver_says_before_it_starts_that_memory_does_not_suffice(blobs, blobs_model, monkeypatch) -> None:
    train = gradient_features(blobs_model, blobs.inputs, blobs.labels)
    test = gradient_features(blobs_model, blobs.test_inputs, blobs.test_labels)
    everything = np.ones((1, blobs.K), dtype=np.bool_)
    gradex = GradEx(blobs, train, test)
    monkeypatch.setattr(memory, "available_memory", lambda: gradex.cost(gradex.block).memory - 1)
    with pytest.raises(InputError, match=r"GradEx: found .* coordinates, which takes about .* GiB"):
        gradex.outcomes(everything)
    monkeypatch.setattr(memory, "available_memory", lambda: gradex.cost(gradex.block).memory)
    assert gradex.outcomes(everything).m == 1


def test_a_job_refuses_before_any_gradient_is_computed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 2**20)
    store = Store(tmp_path)
    with pytest.raises(InputError, match="GradEx of digits: found gradients of 2,410 coordinates"):
        compute.compute(RunSettings("digits"), silent, store)
    assert store.computed == 0
