"""Weights from safetensors files: what is read, what is refused, and what fits a network."""

import json
import struct
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from kernelsm import InputError
from kernelsm.models.mlp import mlp
from kernelsm.models.resnet import resnet9
from kernelsm.models.weights import load_weights, read_weights


@pytest.fixture
def saved(tmp_path):
    """A file with the weights of a small network."""
    path = tmp_path / "upload"
    save_file(mlp((4, 5, 3), seed=1).state_dict(), path)
    return path


def refused(path, name="mine.safetensors"):
    with pytest.raises(InputError) as caught:
        read_weights(path, name)
    assert caught.value.place.startswith(name)
    assert str(path.parent) not in str(caught.value)
    return caught.value


def header(**entries):
    """A file with this header and 16 bytes of tensors."""
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + bytes(16)


def test_weights_come_back_as_they_were_saved_and_outlive_the_file(saved):
    found = read_weights(saved, "mine.safetensors")
    saved.write_bytes(b"")
    model = mlp((4, 5, 3), seed=0)
    load_weights(model, found, "mine.safetensors")
    for name, value in mlp((4, 5, 3), seed=1).state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_brought_to_that_of_the_network(tmp_path, dtype):
    original = mlp((4, 5, 3), seed=1).state_dict()
    save_file({name: value.to(dtype) for name, value in original.items()}, tmp_path / "w")
    found = read_weights(tmp_path / "w", "w.safetensors")
    assert {value.dtype for value in found.values()} == {dtype}
    model = mlp((4, 5, 3), seed=0)
    load_weights(model, found, "w.safetensors")
    for name, value in model.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, original[name].to(dtype).float())


def test_buffers_of_whole_numbers_are_part_of_the_weights(tmp_path):
    original = resnet9(1, 3, width=2, seed=1)
    original.stem.norm.num_batches_tracked += 7
    save_file(original.state_dict(), tmp_path / "w")
    model = resnet9(1, 3, width=2, seed=0)
    load_weights(model, read_weights(tmp_path / "w", "w.safetensors"), "w.safetensors")
    assert model.stem.norm.num_batches_tracked == 7


@pytest.mark.parametrize("name", ["model.pt", "model.PTH", "pytorch_model.bin", "a.b.ckpt", "m.pkl", "m.joblib"])
def test_pickles_are_refused_by_their_ending_with_the_way_to_convert_them(saved, name):
    error = refused(saved, name)
    assert "pickle" in error.found
    assert "safetensors.torch.save_file" in error.fix


@pytest.mark.parametrize("name", ["model.h5", "model.npz", "safetensors", "", "model.safetensors.txt"])
def test_other_endings_are_refused(saved, name):
    assert "the ending" in refused(saved, name).found


def test_pickles_with_another_ending_are_refused_by_their_content(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    for zipped in (True, False):
        torch.save({"0.weight": Bomb()}, tmp_path / "w", _use_new_zipfile_serialization=zipped)
        error = refused(tmp_path / "w")
        assert "pickle" in error.found
        assert "safetensors.torch.save_file" in error.fix
    assert not (tmp_path / "ran").exists()


def test_a_header_as_long_as_a_pickle_begins_is_no_pickle(tmp_path):
    """Its length, 640 bytes, is written as the two bytes that begin pickles of protocol 2."""
    weight = torch.arange(3.0)
    header = {"weight": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}, "__metadata__": {"made by": ""}}
    header["__metadata__"]["made by"] = "x" * (640 - len(json.dumps(header)))
    path = tmp_path / "w"
    path.write_bytes((640).to_bytes(8, "little") + json.dumps(header).encode() + weight.numpy().tobytes())
    assert path.read_bytes().startswith(b"\x80\x02")
    assert torch.equal(read_weights(path, "net.safetensors")["weight"], weight)


def test_a_zip_archive_is_no_file_of_weights(tmp_path):
    with zipfile.ZipFile(tmp_path / "w", "w") as archive:
        archive.writestr("a.txt", "a")
    assert "zip" in refused(tmp_path / "w").found


@pytest.mark.parametrize("size", [1, 7, 8, 9, 40, -1, -50])
def test_files_cut_short_are_refused(saved, size):
    whole = saved.read_bytes()
    saved.write_bytes(whole[:size])
    error = refused(saved)
    if size in (40, -1, -50):
        assert f"{len(whole[:size]):,} bytes" in error.found
        assert "cut short" in error.fix


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(100),
        b"\xff" * 100,
        b"{" * 100,
        b"weights, honestly",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 3) + b"{]}",
        header(a=3),
        header(a={"dtype": "F32", "shape": [4]}),
        header(a={"dtype": "F32", "shape": [4], "data_offsets": "none"}),
        header(a={"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 16]}),
        header(a={"dtype": "F32", "shape": [4], "data_offsets": [0, 2**62]}),
        header(a={"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}),
        header(a={"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}),
        header(a={"dtype": "what", "shape": [4], "data_offsets": [0, 16]}),
        struct.pack("<Q", 50_000) + b"{" + b'"a":{' * 9_999 + b"1",
    ],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    (tmp_path / "w").write_bytes(content)
    refused(tmp_path / "w")


@pytest.mark.parametrize("dtype", ["F8_E4M3", "C64"])
def test_numbers_of_other_kinds_are_refused_with_the_tensor(tmp_path, dtype):
    size = 16 if dtype == "F8_E4M3" else 2
    (tmp_path / "w").write_bytes(header(odd={"dtype": dtype, "shape": [size], "data_offsets": [0, 16]}))
    error = refused(tmp_path / "w")
    assert error.place == "mine.safetensors, 'odd'"
    assert "float32" in error.expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_weights_that_are_not_finite_are_refused_with_the_tensor(tmp_path, value, dtype):
    tensors = {name: v.to(dtype) for name, v in mlp((4, 5, 3)).state_dict().items()}
    tensors["2.weight"][1, 3] = value
    save_file(tensors, tmp_path / "w")
    error = refused(tmp_path / "w")
    assert error.place == "mine.safetensors, '2.weight'"
    assert error.found == f"{value} at position 8"
    tensors["2.weight"][2] = value
    save_file(tensors, tmp_path / "w")
    assert refused(tmp_path / "w").found.endswith("5 more like it")


def changed(**changes):
    """Weights of a network (4, 5, 3), some of them replaced or, where None, left out."""
    tensors = {**mlp((4, 5, 3)).state_dict(), **{key.replace("_", "."): value for key, value in changes.items()}}
    return {name: value for name, value in tensors.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "found", "expected"),
    [
        ({"2_bias": None}, "no '2.bias' (1 missing)", "'2.bias' of shape (3,); 4 tensors in all"),
        ({"0_weight": None, "2_bias": None}, "no '0.weight' (2 missing)", "'0.weight' of shape (5, 4)"),
        ({"extra": torch.ones(2)}, "'extra', which the network does not have (1 such)", "4 tensors in all"),
        ({"0_weight": torch.ones(6, 4)}, "'0.weight' of shape (6, 4) (1 of a wrong shape)", "of shape (5, 4)"),
        ({"2_bias": torch.tensor(1.0)}, "'2.bias' of shape ()", "'2.bias' of shape (3,)"),
        ({"2_bias": None, "x": torch.ones(1), "0_bias": torch.ones(2)}, "; 'x', which", "(3,); '0.bias' of"),
    ],
)
def test_tensors_that_do_not_fit_are_named_and_change_nothing(changes, found, expected):
    model = mlp((4, 5, 3), seed=3)
    with pytest.raises(InputError) as caught:
        load_weights(model, changed(**changes), "mine.safetensors")
    assert found in caught.value.found
    assert expected in caught.value.expected
    for name, value in mlp((4, 5, 3), seed=3).state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_a_prefix_before_every_name_is_seen():
    tensors = {f"module.{name}": value for name, value in mlp((4, 5, 3)).state_dict().items()}
    with pytest.raises(InputError, match=r"Take 'module\.' off the names"):
        load_weights(mlp((4, 5, 3)), tensors, "mine.safetensors")


def test_numbers_that_the_precision_of_the_network_cannot_hold_are_refused():
    large = torch.full((3,), 1e300, dtype=torch.float64)
    with pytest.raises(InputError, match=r"'2\.bias', in torch\.float32: found inf"):
        load_weights(mlp((4, 5, 3)), changed(**{"2_bias": large}), "mine.safetensors")


def test_whole_numbers_are_no_weights():
    with pytest.raises(InputError, match=r"'2\.bias': found torch\.int64; expected torch\.float32"):
        load_weights(mlp((4, 5, 3)), changed(**{"2_bias": torch.tensor([1, 2, 3])}), "mine.safetensors")
