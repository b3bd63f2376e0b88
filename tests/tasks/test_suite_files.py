"""A TaskSuite in a file: what is saved is loaded, and nothing else is."""

import io
import json
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelsm import InputError, TaskSuite
from kernelsm.examples.modular import modular_suite
from kernelsm.tasks.suite_files import load_group_sizes, load_suite, save_suite


def tiny(**changes):
    """Three training and two test samples."""
    parts = {
        "inputs": np.array([[0.5, 1], [2, 3], [4, 5]], dtype=np.float32), "labels": np.array([0, 1, 0]),
        "task_of": np.array([0, 1, 1]), "test_inputs": np.array([[1, 2], [3, 4]], dtype=np.float32),
        "test_labels": np.array([1, 0]), "target_of": np.array([0, 0]), "task_names": ("a", "<b> · مهمة 🙂"),
        "target_names": ("all",), "classes": 2, "meta": {"source": "f.csv", "mean": [0.1, None], "deep": {"é": True}},
    }  # fmt: skip
    return TaskSuite(**(parts | changes))


SUITE = tiny()


def members(suite=SUITE):
    """The arrays of a saved suite by name, and what stands in its JSON."""
    info = {
        "format": 1, "task_names": list(suite.task_names), "target_names": list(suite.target_names),
        "classes": suite.classes, "meta": suite.meta,
    }  # fmt: skip
    names = ("inputs", "labels", "task_of", "test_inputs", "test_labels", "target_of")
    return {name: getattr(suite, name) for name in names}, info


def write(path, arrays, info, **options):
    text = info if isinstance(info, str) else json.dumps(info)
    np.savez(path, info=np.frombuffer(text.encode(), dtype=np.uint8), **arrays, **options)


def refused(path, name=None):
    with pytest.raises(InputError) as caught:
        load_suite(path, name)
    assert caught.value.place.startswith(name or path.name)
    assert caught.value.__cause__ is None or not isinstance(caught.value.__cause__, InputError)
    return caught.value


@pytest.mark.parametrize(
    "suite",
    [
        SUITE,
        modular_suite(p=11, cell=6, test_fraction=0.3),
        # names, arrays and memory order that the content hash can tell apart
        tiny(inputs=np.asfortranarray(SUITE.inputs)),
        tiny(inputs=np.ones((3, 1, 4, 4), dtype=np.float32), test_inputs=np.ones((2, 1, 4, 4), dtype=np.float32)),
        tiny(inputs=np.array([[1], [2], [3]]), test_inputs=np.array([[1], [2]])),
        tiny(target_of=np.array([0, 1]), target_names=("a", "<b> · مهمة 🙂")),
        tiny(target_of=np.array([0, 1]), target_names=SUITE.task_names, task_names=SUITE.task_names),
        tiny(meta={}),
    ],
)
def test_what_is_saved_is_loaded(tmp_path, suite):
    path = tmp_path / "deep" / "suite.npz"
    save_suite(suite, path)
    loaded = load_suite(path)
    assert loaded.content_hash == suite.content_hash
    assert loaded.meta == suite.meta
    assert (loaded.task_names, loaded.target_names) == (suite.task_names, suite.target_names)
    for name in members()[0]:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(suite, name))
        assert getattr(loaded, name).dtype == getattr(suite, name).dtype
    assert [file.name for file in path.parent.iterdir()] == ["suite.npz"]


def test_a_suite_of_classes_is_written_as_when_there_was_no_other_objective(tmp_path):
    save_suite(SUITE, tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as found:
        assert found["info"].tobytes() == json.dumps(members()[1]).encode()


@pytest.mark.parametrize("tasks", ["equally", "by_size"])
@pytest.mark.parametrize("targets", ["equally", "by_size"])
def test_how_tasks_and_targets_are_weighed_is_kept(tmp_path, tasks, targets):
    suite = tiny(
        task_weighting=tasks, target_weighting=targets, target_names=("a", "b"), target_of=np.array([1, 0])
    )  # fmt: skip
    save_suite(suite, tmp_path / "s.npz")
    found = load_suite(tmp_path / "s.npz")
    assert (found.task_weighting, found.target_weighting) == (tasks, targets)
    assert found.content_hash == suite.content_hash
    assert load_group_sizes(tmp_path / "s.npz") == (suite.tasks, suite.targets)
    assert suite.tasks.sizes == (1, 2)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"task_weighting": "size"}, "task_weighting"), ({"target_weighting": 1}, "target_weighting"),
        ({"task_of": np.array([0, 1, 2])}, "task_of"), ({"task_of": np.array([0, 0, 0])}, "task_of"),
        ({"target_of": np.array([0.0, 0.0])}, "target_of"), ({"task_names": []}, "task_names"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("read", [load_suite, load_group_sizes])
def test_groups_that_mean_nothing_are_refused(tmp_path, read, changes, place):
    arrays, info = members()
    arrays |= {key: value for key, value in changes.items() if key in arrays}
    write(tmp_path / "s.npz", arrays, info | {key: value for key, value in changes.items() if key not in arrays})
    with pytest.raises(InputError) as caught:
        read(tmp_path / "s.npz", "theirs.npz")
    assert caught.value.place.startswith(f"theirs.npz, {place}")


def quantities(**changes):
    labels = {"labels": np.array([0.5, -1, 2]), "test_labels": np.array([[1.5], [0]], dtype=np.float32)}
    return tiny(**labels, classes=0, objective="quantities", objective_settings={"unit": "kg"}, **changes)


def test_labels_of_another_objective_keep_their_numbers_and_its_name(tmp_path):
    save_suite(quantities(), tmp_path / "s.npz")
    found = load_suite(tmp_path / "s.npz")
    assert found.content_hash == quantities().content_hash
    assert (found.labels.dtype, found.test_labels.shape) == (np.float64, (2, 1))
    assert (found.objective, found.objective_settings, found.classes) == ("quantities", {"unit": "kg"}, 0)


def test_objective_and_settings_are_part_of_the_content():
    with_class_labels = [tiny(), tiny(objective="a"), tiny(objective="b"), tiny(objective="b", classes=0)]
    others = [quantities(), replace(quantities(), objective_settings={"unit": "g"})]
    assert len({suite.content_hash for suite in (*with_class_labels, *others)}) == 6


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"objective": 3}, "objective"), ({"objective": None}, "objective"),
        ({"objective": "quantities", "objective_settings": ["kg"]}, "objective_settings"),
        ({"objective": "quantities", "classes": -1}, "classes"), ({"classes": 0}, "classes"),
    ],
)  # fmt: skip
def test_an_objective_is_a_name_with_settings(tmp_path, change, place):
    arrays, info = members()
    write(tmp_path / "s.npz", arrays, info | change)
    assert refused(tmp_path / "s.npz").place == f"s.npz, {place}"


@pytest.mark.parametrize(
    ("labels", "place"),
    [
        ([0.5, np.nan, 2], "labels, row 1"), ([[0.5, 1], [1, np.inf], [1, 2]], "labels, row 1"),
        ([0.5, 1], "labels"), (["1", "2", "3"], "labels"),
    ],
)  # fmt: skip
def test_labels_must_be_finite_numbers_of_every_sample(labels, place):
    with pytest.raises(InputError) as caught:
        replace(quantities(), labels=np.array(labels))
    assert caught.value.place == place


def test_saving_again_replaces_the_file(tmp_path):
    path = tmp_path / "suite.npz"
    save_suite(SUITE, path)
    save_suite(tiny(classes=3), path)
    assert load_suite(path).classes == 3


@pytest.mark.parametrize("name", ["suite", "suite.pkl", "suite.NPZ.zip"])
def test_the_ending_is_npz(tmp_path, name):
    with pytest.raises(InputError, match="ending"):
        save_suite(SUITE, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.float32(1), {1, 2}, b"x", object()])
def test_meta_that_is_not_json_is_refused_before_anything_is_written(tmp_path, value):
    path = tmp_path / "suite.npz"
    save_suite(SUITE, path)
    with pytest.raises(InputError) as caught:
        save_suite(tiny(meta={"x": value}), path)
    assert caught.value.place == "meta"
    assert load_suite(path).content_hash == SUITE.content_hash


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "suite.npz"
    save_suite(SUITE, path)

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        save_suite(tiny(classes=3), path)
    assert [file.name for file in tmp_path.iterdir()] == ["suite.npz"]
    assert load_suite(path).classes == 2


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_suite(tmp_path / "nothing.npz")


class Evil:
    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x05\x06",
        b"a,b\n1,2\n",
        pickle.dumps(Evil()),
        b"\x93NUMPY" + b"\0" * 90,
        b"PK\x03\x04" + b"\xff" * 200,
    ],
)
def test_a_file_that_is_no_npz_is_refused_by_name(tmp_path, data):
    path = tmp_path / "upload-7f.npz"
    path.write_bytes(data)
    assert refused(path, "<mine>.npz").place.startswith("<mine>.npz")


def test_a_folder_is_no_suite(tmp_path):
    refused(tmp_path)


@pytest.mark.parametrize("key", [*members()[0], "info"])
def test_a_missing_array_is_named(tmp_path, key):
    arrays, info = members()
    path = tmp_path / "s.npz"
    write(path, arrays, info)
    with zipfile.ZipFile(path) as archive:
        kept = {n: archive.read(n) for n in archive.namelist() if n != f"{key}.npy"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in kept.items():
            archive.writestr(name, data)
    error = refused(path)
    assert (error.place, error.found) == ("s.npz", f"no array {key}")


@pytest.mark.parametrize("key", members()[0])
@pytest.mark.parametrize("kind", [np.float64, np.int32, np.uint8, np.bool_, np.complex64, "U3", "datetime64[s]"])
def test_arrays_of_another_type_are_refused(tmp_path, key, kind):
    arrays, info = members()
    write(tmp_path / "s.npz", arrays | {key: arrays[key].astype(np.int64).astype(kind)}, info)
    assert refused(tmp_path / "s.npz").place == f"s.npz, {key}"


@pytest.mark.parametrize("key", [*members()[0], "info"])
def test_pickled_objects_are_refused(tmp_path, key):
    arrays, info = members()
    objects = np.array([Evil(), Evil(), Evil()], dtype=object)
    np.savez(
        tmp_path / "s.npz", **({"info": np.frombuffer(json.dumps(info).encode(), np.uint8)} | arrays | {key: objects})
    )
    error = refused(tmp_path / "s.npz")
    assert (error.place, error.found) == (f"s.npz, {key}", "Python objects (a pickle, which can run code)")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"inputs": SUITE.inputs[:, 0]}, "inputs"),
        ({"inputs": SUITE.inputs[:, :0]}, "test_inputs"),
        ({"inputs": SUITE.inputs * np.nan}, "inputs"),
        ({"inputs": SUITE.inputs[:2]}, "task_of"),
        ({"inputs": SUITE.inputs[:0], "labels": SUITE.labels[:0], "task_of": SUITE.labels[:0]}, "inputs"),
        ({"test_inputs": SUITE.test_inputs[:, :1]}, "test_inputs"),
        ({"test_inputs": SUITE.test_inputs.astype(np.int64)}, "test_inputs"),
        ({"test_inputs": SUITE.test_inputs[:0]}, "test_inputs"),
        ({"test_inputs": SUITE.test_inputs + np.float32(np.inf)}, "test_inputs"),
        ({"labels": SUITE.labels + 1}, "labels, row 1"),
        ({"labels": SUITE.labels - 1}, "labels, row 0"),
        ({"labels": SUITE.labels[:2]}, "labels"),
        ({"task_of": SUITE.task_of * 0}, "task_of"),
        ({"task_of": SUITE.task_of + 1}, "task_of"),
        ({"task_of": SUITE.task_of[:, None]}, "task_of"),
        ({"target_of": SUITE.target_of - 1}, "target_of"),
        ({"target_of": np.array(0)}, "target_of"),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(tmp_path, change, place):
    arrays, info = members()
    write(tmp_path / "s.npz", arrays | change, info)
    assert refused(tmp_path / "s.npz").place == f"s.npz, {place}"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"format": 2}, "info"),
        ({"format": None}, "info"),
        ({"task_names": None}, "task_names"),
        ({"task_names": []}, "task_names"),
        ({"task_names": "ab"}, "task_names"),
        ({"task_names": ["a", 2]}, "task_names"),
        ({"task_names": ["a", ""]}, "task_names"),
        ({"task_names": ["a", "a"]}, "task_names, position 2"),
        ({"task_names": ["a", "b", "c"]}, "task_of"),
        ({"task_names": [f"t{i}" for i in range(501)]}, "task_names"),
        ({"target_names": [f"t{i}" for i in range(1_001)]}, "target_names"),
        ({"target_names": ["u", "v"]}, "target_of"),
        ({"target_names": None}, "target_names"),
        ({"target_names": {"all": 1}}, "target_names"),
        ({"classes": "2"}, "classes"),
        ({"classes": True}, "classes"),
        ({"classes": 0}, "classes"),
        ({"classes": 2.0}, "classes"),
        ({"classes": 10**9}, "classes"),
        ({"meta": None}, "meta"),
        ({"meta": [1]}, "meta"),
    ],
)
def test_names_and_numbers_are_checked(tmp_path, change, place):
    arrays, info = members()
    write(tmp_path / "s.npz", arrays, info | change)
    assert refused(tmp_path / "s.npz").place == f"s.npz, {place}"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, '"text"', "[1]", "null", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")],
)
def test_text_that_is_not_json_is_refused(tmp_path, text):
    write(tmp_path / "s.npz", members()[0], text)
    refused(tmp_path / "s.npz")


def test_names_are_never_paths(tmp_path):
    path = tmp_path / "s.npz"
    save_suite(tiny(task_names=("../../x", "/etc/passwd"), meta={"source": "../y"}), path)
    assert load_suite(path).task_names == ("../../x", "/etc/passwd")
    assert [file.name for file in tmp_path.iterdir()] == ["s.npz"]


def test_a_header_that_promises_more_than_there_is_takes_no_memory(tmp_path):
    arrays, info = members()
    path = tmp_path / "s.npz"
    write(path, arrays, info)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**11, 10)})
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (kept | {"inputs.npy": header.getvalue()}).items():
            archive.writestr(name, data)
    assert refused(path).place == "s.npz, inputs"


def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused(tmp_path, monkeypatch):
    suite = tiny(inputs=np.zeros((3, 400_000), np.float32), test_inputs=np.zeros((2, 400_000), np.float32))
    path = tmp_path / "s.npz"
    arrays, info = members(suite)
    np.savez_compressed(path, info=np.frombuffer(json.dumps(info).encode(), np.uint8), **arrays)
    assert path.stat().st_size < 2**20
    assert load_suite(path).content_hash == suite.content_hash
    monkeypatch.setenv("KERNELSM_MAX_UNPACKED_MEGABYTES", "7")
    assert refused(path).found == "at least 8 MiB when unpacked"


def test_limits_of_names_come_from_the_environment(tmp_path, monkeypatch):
    save_suite(SUITE, tmp_path / "s.npz")
    monkeypatch.setenv("KERNELSM_MAX_TASKS", "1")
    assert refused(tmp_path / "s.npz").place == "s.npz, task_names"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("suite") / "good.npz"
    save_suite(SUITE, path)
    return path.read_bytes()


@settings(max_examples=300)
@given(data=st.data())
def test_a_file_with_changed_bytes_is_loaded_whole_or_refused(tmp_path_factory, good, data):
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([0, 0, 1, 50, 700]))
    path = tmp_path_factory.getbasetemp() / "changed.npz"
    path.write_bytes(bytes(bad[: len(bad) - cut]))
    try:
        suite = load_suite(path)
    except InputError as error:
        assert error.place.startswith("changed.npz")  # noqa: PT017 - either end is fine
        return
    assert replace(suite, meta={}).K == 2
