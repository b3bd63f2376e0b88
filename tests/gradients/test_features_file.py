"""Gradient features in a file: what GradEx makes of them, and what is refused."""

import io
import json
import pickle
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from kernelsm import GradEx, GradientFeatures, InputError, bernoulli_masks, gradient_features
from kernelsm.examples.digits.suite import digits_suite
from kernelsm.gradients.features_file import load_features, save_features
from kernelsm.gradients.projections import Gaussian
from kernelsm.models.mlp import logistic
from kernelsm.objectives.training import train_base
from kernelsm.runtime.store import Store


@pytest.fixture(scope="module", params=["logits", "margin"])
def digits(request):
    """The digits with a network of one layer: suite, training and test features."""
    suite = digits_suite()
    model = train_base(logistic(64, 10), suite, epochs=2)
    made = [
        gradient_features(model, inputs, labels, Gaussian(24), outputs=request.param)
        for inputs, labels in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
    ]
    return suite, *made


def layout(n=6, t=4, classes=3, rows=3, k=2, **changes):
    """Arrays as another tool would write them."""
    rng = np.random.default_rng(0)
    arrays = {
        "train_logits": rng.normal(size=(n, classes)), "train_features": rng.normal(size=(n, rows, k)),
        "train_labels": np.arange(n) % classes, "train_task": np.arange(n) % 2,
        "test_logits": rng.normal(size=(t, classes)), "test_features": rng.normal(size=(t, rows, k)),
        "test_labels": np.arange(t) % classes, "test_target": np.arange(t) % 2,
        "task_names": np.array(["task a", "task b"]), "target_names": np.array(["x", "größe"]),
    }  # fmt: skip
    return {key: value for key, value in (arrays | changes).items() if value is not None}


def written(folder, save=np.savez, **changes):
    path = folder / "f.npz"
    save(path, **layout(**changes))
    return path


def refusal(path):
    with pytest.raises(InputError) as caught:
        load_features(path, "theirs.npz")
    error = caught.value
    assert error.place.startswith("theirs.npz")
    assert error.expected
    assert error.fix.endswith((".", "?"))
    return error


# --- what is read


def test_gradex_of_the_file_is_gradex_of_the_originals(digits, tmp_path):
    suite, train, test = digits
    masks = bernoulli_masks(suite.K, 6, seed=0)
    masks[0], masks[1] = True, False
    before = GradEx(suite, train, test).outcomes(masks)
    after = GradEx(*load_features(save_features(tmp_path / "f.npz", suite, train, test))).outcomes(masks)
    np.testing.assert_allclose(after.values, before.values, rtol=1e-4, atol=1e-6)
    assert (after.task_names, after.target_names) == (before.task_names, before.target_names)
    assert {**after.meta, "suite": ""} == {**before.meta, "suite": ""}


def test_what_was_saved_is_what_is_loaded(digits, tmp_path):
    path = save_features(tmp_path / "new folder" / "f.npz", *digits)
    suite, *sides = load_features(path)
    for side, original in zip(sides, digits[1:], strict=True):
        assert np.array_equal(side.model_outputs, original.model_outputs)
        assert np.array_equal(side.features, original.features)
        assert side.features.dtype == side.model_outputs.dtype == np.float32
        assert np.array_equal(side.labels, original.labels)
        assert (side.meta, side.outputs) == (original.meta, original.outputs)
    for name in ("labels", "task_of", "test_labels", "target_of"):
        assert np.array_equal(getattr(suite, name), getattr(digits[0], name))
    for name in ("task_names", "target_names", "classes"):
        assert getattr(suite, name) == getattr(digits[0], name)
    assert suite.inputs.shape == (len(suite.labels), 0)
    assert suite.test_inputs.shape == (len(suite.test_labels), 0)
    assert [file.name for file in path.parent.iterdir()] == ["f.npz"]


def test_features_that_lie_in_a_store_are_saved_too(blobs, blobs_model, tmp_path):
    store = Store(tmp_path / "cache")
    sides = [
        gradient_features(blobs_model, inputs, labels, store=store)
        for inputs, labels in ((blobs.inputs, blobs.labels), (blobs.test_inputs, blobs.test_labels))
    ]
    assert isinstance(sides[0].features, np.memmap)
    _, train, _ = load_features(save_features(tmp_path / "f.npz", blobs, *sides))
    assert np.array_equal(train.features, sides[0].features)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f4", ">f8"])
def test_other_precisions_and_byte_orders_are_read_in_single_precision(tmp_path, save, kind):
    half = layout()
    numbers = {key: array.astype("f2").astype(kind) for key, array in half.items() if array.dtype == np.float64}
    kinds = {"train_labels": half["train_labels"].astype("u1"), "train_task": half["train_task"].astype(">i2")}
    suite, train, test = load_features(written(tmp_path, save, **numbers, **kinds))
    for found, key in (
        (train.model_outputs, "train_logits"),
        (train.features, "train_features"),
        (test.model_outputs, "test_logits"),
    ):
        assert found.dtype == np.float32
        assert np.array_equal(found, half[key].astype("f2").astype("f4"))
    assert suite.labels.dtype == suite.task_of.dtype == np.int64
    assert suite.labels.tolist() == half["train_labels"].tolist()


def test_the_suite_has_one_content_hash_however_the_file_is_written(tmp_path):
    plain = layout()
    variants = [
        {},
        {"train_features": np.asfortranarray(plain["train_features"]).astype("f4")},
        {"train_labels": plain["train_labels"].astype("i1"), "task_names": plain["task_names"].astype("<U40")},
        {"meta": np.array('{"made": "elsewhere"}')},
    ]
    hashes = {
        load_features(written(tmp_path, **changes), name)[0].content_hash
        for name, changes in zip("abcd", variants, strict=True)
    }
    hashes.add(load_features(written(tmp_path, np.savez_compressed))[0].content_hash)
    assert len(hashes) == 1
    others = [
        {"train_labels": (plain["train_labels"] + 1) % 3},
        {"train_task": 1 - plain["train_task"]},
        {"task_names": np.array(["a", "b"])},
    ]
    assert len(hashes | {load_features(written(tmp_path, **changes))[0].content_hash for changes in others}) == 4


def test_arrays_in_fortran_order_are_read_right(tmp_path):
    plain = layout()
    path = written(tmp_path, **{key: np.asfortranarray(array) for key, array in plain.items()})
    _, train, test = load_features(path)
    assert np.array_equal(train.features, plain["train_features"].astype("f4"))
    assert np.array_equal(test.model_outputs, plain["test_logits"].astype("f4"))
    assert train.features.flags.c_contiguous


def test_one_gradient_per_sample_is_that_of_the_margin(tmp_path):
    _, train, test = load_features(written(tmp_path, rows=1))
    assert train.outputs == test.outputs == "margin"
    assert load_features(written(tmp_path))[1].outputs == "logits"
    # of two classes too
    assert load_features(written(tmp_path, classes=2, rows=1))[1].outputs == "margin"


def test_saving_again_gives_the_same_bytes(digits, tmp_path):
    first, second = (save_features(tmp_path / name, *digits).read_bytes() for name in ("a.npz", "b.npz"))
    assert first == second


# --- what is refused


@pytest.mark.parametrize(
    ("changes", "place", "found"),
    [
        ({"train_logits": None}, "", "no array train_logits"),
        ({"test_labels": None, "task_names": None}, "", "no array test_labels, task_names"),
        ({"weights": np.ones(3)}, ", 'weights.npy'", "an unknown array"),
        ({"train_logits": np.ones(6)}, ", train_logits", "shape (6,)"),
        ({"train_logits": np.ones((6, 1))}, ", train_logits", "one logit for each sample"),
        ({"train_logits": np.ones((6, 1001)), "test_logits": np.ones((4, 1001))}, ", train_logits", "1,001 outputs"),
        ({"train_logits": np.ones((0, 3))}, ", train_logits", "0 samples"),
        ({"train_logits": np.ones((6, 3)) * 1j}, ", train_logits", "complex128"),
        ({"train_logits": np.ones((6, 3)).astype(str)}, ", train_logits", "<U"),
        ({"train_features": np.ones((6, 3))}, ", train_features", "shape (6, 3)"),
        ({"train_features": np.ones((6, 2, 2))}, ", train_features", "shape (n, 2, 2)"),
        ({"train_features": np.ones((6, 3, 0))}, ", train_features", "shape (n, 3, 0)"),
        ({"train_features": np.ones((5, 3, 2))}, ", train_features", "shape (5, 3, 2)"),
        ({"test_features": np.ones((4, 1, 2))}, ", test_features", "shape (4, 1, 2)"),
        ({"test_features": np.ones((4, 3, 5))}, ", test_features", "shape (4, 3, 5)"),
        ({"test_logits": np.ones((4, 2))}, ", test_logits", "shape (4, 2)"),
        ({"test_logits": np.ones((0, 3))}, ", test_logits", "0 samples"),
        ({"train_labels": np.zeros(5, int)}, ", train_labels", "shape (5,)"),
        ({"train_labels": np.zeros(6)}, ", train_labels", "float64"),
        ({"train_labels": np.zeros(6, bool)}, ", train_labels", "bool"),
        ({"train_labels": np.array([0, 1, 3, 0, 0, 0])}, ", train_labels, row 2", "label 3"),
        ({"train_labels": np.array([0, 1, 2, -1, 0, 0])}, ", train_labels, row 3", "label -1"),
        ({"train_labels": np.full(6, 2**64 - 1, np.uint64)}, ", train_labels, row 0", "label"),
        ({"test_labels": np.array([0, 1, 2, 3])}, ", test_labels, row 3", "label 3"),
        ({"train_task": np.array([0, 1, 2, 0, 0, 0])}, ", train_task", "group 2"),
        ({"train_task": np.zeros(6, int)}, ", train_task", "no sample of 'task b'"),
        ({"test_target": np.array([0, -1, 1, 0])}, ", test_target", "group -1"),
        ({"test_target": np.ones(4, int)}, ", test_target", "no sample of 'x'"),
        ({"task_names": np.array([], str)}, ", task_names", "0 names"),
        ({"task_names": np.array([f"t{i}" for i in range(501)])}, ", task_names", "501 names"),
        ({"task_names": np.array(["a", "a "])}, ", task_names, position 2", "'a' a second time"),
        ({"task_names": np.array(["a", ""])}, ", task_names, position 2", "empty name"),
        ({"task_names": np.array(["a", "b\nc"])}, ", task_names, position 2", "b\\nc"),
        ({"task_names": np.array(["a", "b" * 121])}, ", task_names, position 2", "bbb"),
        ({"task_names": np.array([1, 2])}, ", task_names", "int64"),
        ({"target_names": np.array([b"a", b"b"])}, ", target_names", "|S1"),
        ({"target_names": np.array("ab")}, ", target_names", "shape ()"),
        ({"meta": np.array("{")}, ", meta", "no JSON"),
        ({"meta": np.array("[1]")}, ", meta", "a JSON list"),
        ({"meta": np.array("[" * 100_000)}, ", meta", "lists within lists"),
        ({"meta": np.array(["{}"])}, ", meta", "shape (1,)"),
        ({"meta": np.array('{"outputs": "margin"}')}, ", meta", "outputs 'margin'"),
        ({"meta": np.array('{"outputs": {}}')}, ", meta", "outputs {}"),
        ({"rows": 1, "meta": np.array('{"outputs": "logits"}')}, ", meta", "outputs 'logits'"),
        ({"meta": np.array("x" * (2**22 + 1))}, ", meta", "16 MiB of text"),
    ],
)  # fmt: skip
def test_wrong_arrays_are_refused_by_name(tmp_path, changes, place, found):
    error = refusal(written(tmp_path, **changes))
    assert error.place == "theirs.npz" + place
    assert found in error.found


@pytest.mark.parametrize("key", ["train_logits", "train_features", "test_logits", "test_features"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e39])
@pytest.mark.filterwarnings("error")
def test_numbers_that_are_not_finite_in_single_precision_are_refused_with_their_row(tmp_path, key, wrong):
    array = layout()[key]
    array[2].flat[-1] = wrong
    error = refusal(written(tmp_path, **{key: array}))
    assert error.place == f"theirs.npz, {key}, row 2"


def test_a_wrong_number_far_down_is_found_in_its_row(tmp_path):
    # past the rows that are looked at together
    n, k = 5_000, 600
    features = np.zeros((n, 3, k), dtype=np.float32)
    features[4_321, 1, 5] = np.nan
    sides = {"train_logits": np.zeros((n, 3)), "train_labels": np.zeros(n, int), "train_task": np.arange(n) % 2}
    path = written(tmp_path, k=k, train_features=features, **sides)
    assert refusal(path).place == "theirs.npz, train_features, row 4321"


class Trap:
    """Leaves a trace when it is unpickled."""

    touched = False

    def __reduce__(self):
        return _spring, ()


def _spring():
    Trap.touched = True
    return 1.0


@pytest.mark.parametrize("key", ["train_features", "train_labels", "task_names", "meta", "other"])
def test_a_pickle_is_refused_and_not_run(tmp_path, key):
    path = written(tmp_path, **{key: np.array([Trap(), Trap()], dtype=object)})
    Trap.touched = False
    np.load(path, allow_pickle=True)[key]
    assert Trap.touched, "it is a working trap"
    Trap.touched = False
    error = refusal(path)
    assert "pickle" in error.found or "unknown" in error.found
    path.write_bytes(pickle.dumps(Trap()))
    refusal(path)
    assert not Trap.touched


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.8, 0.99, 0.9999])
def test_a_truncated_file_is_refused(tmp_path, save, kept):
    path = written(tmp_path, save)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    assert "whole .npz file" in refusal(path).expected


def test_changed_numbers_are_noticed(tmp_path):
    path = written(tmp_path)
    data = bytearray(path.read_bytes())
    data[data.index(struct.pack("<d", layout()["train_features"][3, 1, 0]))] ^= 1
    path.write_bytes(data)
    assert "CRC" in refusal(path).found


def test_what_is_larger_than_the_limits_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = written(tmp_path, np.savez_compressed, n=4_000, train_features=np.zeros((4_000, 3, 100)))
    monkeypatch.setenv("KERNELSM_MAX_UNPACKED_MEGABYTES", "9")
    assert refusal(path).found == "at least 10 MiB when unpacked"
    # small in the file, large in single precision: half precision doubles
    path = written(tmp_path, np.savez_compressed, n=4_000, k=300, train_features=np.zeros((4_000, 3, 300), "f2"))
    assert refusal(path).found == "14 MiB when unpacked"
    monkeypatch.setenv("KERNELSM_MAX_UNPACKED_MEGABYTES", "100")
    load_features(path)
    monkeypatch.setenv("KERNELSM_MAX_ROWS", "3999")
    assert refusal(path).found == "4,000 samples"
    monkeypatch.setenv("KERNELSM_MAX_MEGABYTES", "1")
    path.write_bytes(path.read_bytes() + bytes(2**20))
    assert refusal(path).found == "2 MiB"


def test_a_header_that_claims_more_than_there_is_is_refused(tmp_path):
    path = written(tmp_path)
    lie = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (6, 3, 10**11)}
    np.lib.format.write_array_header_1_0(lie, header)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"train_features.npy": lie.getvalue()}).items():
            archive.writestr(name, content)
    assert "0 bytes for float32" in refusal(path).found


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_features(tmp_path / "none.npz")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_damaged_file_is_refused_or_read_right(tmp_path):
    path = written(tmp_path, meta=np.array(json.dumps({"projection": "exact"})))
    content = path.read_bytes()
    whole = load_features(path)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        for place in rng.integers(len(damaged), size=rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            suite, train, test = load_features(path, "f.npz")
        except InputError as error:
            refused += error.place.startswith("f.npz")
        else:  # a byte that carries no meaning
            assert suite.content_hash == whole[0].content_hash
            assert np.array_equal(train.features, whole[1].features)
            assert np.array_equal(test.model_outputs, whole[2].model_outputs)
    assert refused > 300


# --- what is not written


def test_features_that_do_not_belong_together_are_not_written(digits, tmp_path):
    suite, train, test = digits
    wrong = [
        (suite, test, test),
        (suite, replace(train, labels=(train.labels + 1) % 10), test),
        (suite, train, replace(test, meta={**test.meta, "weights": "others"})),
        (suite, replace(train, features=train.features[:, :, :5]), test),
        (suite, replace(train, model_outputs=train.model_outputs[:, :9]), test),
        (suite, replace(train, model_outputs=np.full_like(train.model_outputs, np.nan)), test),
        (replace(suite, task_names=(*suite.task_names[:-1], suite.task_names[0])), train, test),
    ]
    for arguments in wrong:
        with pytest.raises(InputError):
            save_features(tmp_path / "f.npz", *arguments)
    meta = {"model": object()}
    with pytest.raises(InputError, match="JSON"):
        save_features(tmp_path / "f.npz", suite, replace(train, meta=meta), replace(test, meta=meta))
    with pytest.raises(InputError, match=r"\.npz"):
        save_features(tmp_path / "f.bin", *digits)
    assert not list(tmp_path.iterdir())


def test_a_failed_save_keeps_the_old_file(digits, tmp_path):
    path = save_features(tmp_path / "f.npz", *digits)
    before = path.read_bytes()
    with pytest.raises(InputError):
        save_features(path, digits[0], digits[2], digits[2])
    assert path.read_bytes() == before


def test_features_made_by_hand_need_no_meta(tmp_path):
    suite, train, test = load_features(written(tmp_path))
    plain = [GradientFeatures(side.model_outputs, side.features, side.labels) for side in (train, test)]
    masks = np.array([[True, True], [True, False]])
    expected = GradEx(suite, train, test).outcomes(masks).values
    again = load_features(save_features(tmp_path / "plain.npz", suite, *plain))
    np.testing.assert_allclose(GradEx(*again).outcomes(masks).values, expected, rtol=1e-4, atol=1e-6)
