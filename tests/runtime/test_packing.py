"""Objects that other processes share: equal, on one memory where that can be, and never changed for the others."""

import tempfile

import numpy as np
import pytest

from kernelsm.runtime.packing import pack, unpack_file

torch = pytest.importorskip("torch")


def through_a_file(value, times=1):
    packed = pack(value)
    with tempfile.TemporaryFile() as file:
        packed.write(file)
        return [unpack_file(file.fileno(), packed.places) for _ in range(times)]


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).reshape(2, 3), torch.arange(6).reshape(2, 3).T, torch.tensor(3.5), torch.zeros(0, 2),
        torch.tensor([True, False]), torch.arange(4).to(torch.bfloat16), torch.tensor([1 + 2j]),
        torch.ones(3, requires_grad=True), torch.eye(3).to_sparse(), torch.arange(10.0)[2:5], torch.ones(2).conj(),
    ],
    ids=str,
)  # fmt: skip
def test_tensors_come_back_as_they_were(tensor):
    for found in (*through_a_file(tensor), pack(tensor).unpack()):
        assert found.dtype == tensor.dtype
        assert found.requires_grad == tensor.requires_grad
        assert torch.equal(found.to_dense(), tensor.to_dense())


def test_a_network_keeps_its_weights_and_what_they_share():
    first = torch.nn.Linear(4, 4)
    network = torch.nn.Sequential(first, torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 4))
    network[2].weight = first.weight
    network[0].bias.requires_grad_(False)
    (found,) = through_a_file(network.eval())
    x = torch.randn(5, 4)
    assert torch.equal(found(x), network(x))
    assert found[2].weight is found[0].weight
    assert [p.requires_grad for p in found.parameters()] == [p.requires_grad for p in network.parameters()]


def test_a_process_that_changes_an_array_changes_it_for_nobody_else():
    first, second = through_a_file({"array": np.zeros(1000), "tensor": torch.zeros(1000)}, times=2)
    first["array"][:] = 1.0
    first["tensor"].fill_(1.0)
    assert not second["array"].any()
    assert not second["tensor"].any()


def test_large_arrays_stand_apart_and_begin_where_torch_would_put_them():
    packed = pack([np.ones(1001, np.float32), torch.ones(777), "words"])
    assert len(packed.pickled) < 1000
    assert all(start % 64 == 0 for start, _ in packed.places)
    array, tensor, words = packed.unpack()
    assert array.ctypes.data % 64 == 0 or tensor.data_ptr() % 64 == 0
    assert (array.sum(), tensor.sum().item(), words) == (1001, 777, "words")


def test_equal_content_has_one_digest_and_other_content_another():
    digests = [pack(np.full(10, number)).digest for number in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_a_memory_map_is_opened_by_its_path_or_sent_whole(tmp_path):
    path = tmp_path / "numbers.bin"
    np.arange(1200, dtype=np.float32).tofile(path)
    whole = np.memmap(path, dtype=np.float32, mode="r", shape=(400, 3))
    by_path, by_content, part = pack(whole), pack(whole, by_path=False), pack(whole[5:7])
    assert sum(buffer.nbytes for buffer in by_path.buffers) == 0
    assert isinstance(by_path.unpack(), np.memmap)
    assert sum(buffer.nbytes for buffer in by_content.buffers) == 4800
    for found, wanted in ((by_path, whole), (by_content, whole), (part, whole[5:7])):
        np.testing.assert_array_equal(found.unpack(), wanted)


def test_functions_of_a_moment_go_along_with_what_they_hold():
    shared = np.arange(4.0)
    assert pack(lambda x: float(shared.sum() + x)).unpack()(1) == 7.0
