"""Saved results: what was saved comes back, and nothing else is taken for one."""

import io
import json
import pickle
from collections import Counter

import numpy as np
import pytest

from kernelsm import Attribution, InputError, Interactions, KernelSurrogate, LinearSurrogate


@pytest.fixture(scope="module")
def g():
    rng = np.random.default_rng(0)
    names = ("plain", "with, comma", "naïve 任务", "a b", '"quoted"', "5")
    return KernelSurrogate().fit(
        rng.random((20, 6)) < 0.5, rng.normal(size=(20, 2)), task_names=names,
        target_names=("loss α", "b"), higher_is_better=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def saved(g, tmp_path_factory):
    """The bytes of a saved attribution and its values."""
    effects = g.attribution("shapley")
    return effects.save(tmp_path_factory.mktemp("saved") / "a.npz").read_bytes(), effects


def assert_same_names(found, expected):
    for name in ("task_names", "target_names", "higher_is_better", "meta", "degrees_of_freedom", "unit"):
        assert getattr(found, name) == getattr(expected, name), name


READOUTS = [
    {}, {"at": [1, 0, 1, 0, 1, 0]}, {"kind": "inclusion", "p": 0.3}, {"kind": "inclusion", "size": 3},
    {"kind": "banzhaf"}, {"kind": "shapley"},
]  # fmt: skip


@pytest.mark.parametrize("arguments", READOUTS, ids=str)
def test_an_attribution_comes_back_as_it_was_saved(g, tmp_path, arguments):
    effects = g.attribution(**arguments)
    path = effects.save(tmp_path / "new folder" / "effects.npz")
    found = Attribution.load(path)
    assert_same_names(found, effects)
    assert np.array_equal(found.values, effects.values)
    assert np.array_equal(found.std, effects.std)
    assert found.top(6).equals(effects.top(6))
    assert found.to_frame().equals(effects.to_frame())
    assert [file.name for file in path.parent.iterdir()] == ["effects.npz"]


@pytest.mark.parametrize("arguments", READOUTS, ids=str)
def test_interactions_come_back_with_or_without_their_deviations(g, tmp_path, arguments):
    pairs = g.interactions(**arguments)
    found = Interactions.load(pairs.save(str(tmp_path / "pairs.npz")))
    assert_same_names(found, pairs)
    assert np.array_equal(found.values, pairs.values)
    np.testing.assert_allclose(found.std, pairs.std, rtol=1e-7)
    np.testing.assert_array_equal(found.told_from_zero(1), pairs.told_from_zero(1))
    np.testing.assert_allclose(found.target("b").std, pairs.target("b").std, rtol=1e-7)
    plain = Interactions.load(pairs.save(tmp_path / "plain.npz", std=False))
    assert np.array_equal(plain.values, pairs.values)
    first, second = pairs.pairs
    assert np.isnan(plain.std[first, second]).all()
    assert "±" not in plain.sentence(0, 1)


def test_an_attribution_without_deviations_comes_back_without(tmp_path):
    plain = Attribution(np.ones((2, 1)), ("a", "b"), ("loss",))
    found = Attribution.load(plain.save(tmp_path / "a.npz"))
    assert found.std is None
    assert found.degrees_of_freedom == np.inf


def test_numbers_of_numpy_in_the_description_are_saved_too(tmp_path):
    # sizes come out of loops over arrays
    rng = np.random.default_rng(1)
    masks, F = rng.random((20, 6)) < 0.5, rng.normal(size=20)
    g = LinearSurrogate(ridge=np.float64(0.1)).fit(masks, F, higher_is_better=np.bool_(True))
    for arguments in ({"size": np.arange(5)[3]}, {"p": np.float32(0.5)}):
        effects = g.attribution("inclusion", **arguments)
        assert_same_names(Attribution.load(effects.save(tmp_path / "a.npz")), effects)


def test_saving_again_replaces_the_file(g, tmp_path):
    path = tmp_path / "a.npz"
    g.attribution("shapley").save(path)
    g.attribution("banzhaf").save(path)
    assert Attribution.load(path).meta["readout"] == "banzhaf"


def test_another_ending_is_refused_before_anything_is_written(g, tmp_path):
    for name in ("a.csv", "a", "a.npz.zip"):
        with pytest.raises(InputError, match=r"\.npz"):
            g.attribution().save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_one_kind_is_not_loaded_as_the_other(g, tmp_path):
    effects = g.attribution().save(tmp_path / "effects.npz")
    pairs = g.interactions().save(tmp_path / "pairs.npz")
    with pytest.raises(InputError, match=r"effects\.npz: found Attribution.*expected Interactions"):
        Interactions.load(effects)
    with pytest.raises(InputError, match=r"pairs\.npz: found Interactions.*expected Attribution"):
        Attribution.load(pairs)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Attribution.load(tmp_path / "none.npz")


def archive(**arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def array_file():
    content = io.BytesIO()
    np.save(content, np.ones(3))
    return content.getvalue()


INFO = {
    "format": 1, "kind": "Attribution", "task_names": ["a"], "target_names": ["b"], "higher_is_better": False,
    "degrees_of_freedom": 3, "meta": {},
}  # fmt: skip
GARBAGE = {
    "empty": b"",
    "text": b"task,target,value\na,b,1\n",
    "the start of a zip": b"PK\x03\x04 and no more",
    "an array": array_file(),
    "arrays of something else": archive(x=np.ones(3)),
    "no values": archive(info=np.array(json.dumps(INFO))),
    "no json": archive(info=np.array("{"), values=np.ones((1, 1))),
    "json of something else": archive(info=np.array("[1, 2]"), values=np.ones((1, 1))),
    "json without names": archive(info=np.array('{"format": 1, "kind": "Attribution"}'), values=np.ones((1, 1))),
    "another format": archive(info=np.array(json.dumps({**INFO, "format": 99})), values=np.ones((1, 1))),
    "names of another size": archive(info=np.array(json.dumps(INFO)), values=np.ones((4, 2))),
    "values that are no numbers": archive(info=np.array(json.dumps(INFO)), values=np.array([["x"]])),
    "deviations of another shape": archive(
        info=np.array(json.dumps(INFO)), values=np.ones((1, 1)), std=np.ones((2, 1))
    ),
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_result_is_refused_by_its_name(tmp_path, content):
    path = tmp_path / "odd.npz"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        Attribution.load(path)
    assert "odd.npz" in caught.value.place


class Trap:
    """Leaves a trace when it is unpickled."""

    touched = False

    def __reduce__(self):
        return _spring, ()


def _spring():
    Trap.touched = True
    return 1.0


def test_a_pickle_inside_is_refused_and_not_run(tmp_path):
    trap = np.array([[Trap()]], dtype=object)
    path = tmp_path / "trap.npz"
    path.write_bytes(archive(info=np.array(json.dumps(INFO)), values=trap))
    # it is a working trap
    np.load(path, allow_pickle=True)["values"]
    assert Trap.touched
    Trap.touched = False
    with pytest.raises(InputError, match=r"trap\.npz"):
        Attribution.load(path)
    path.write_bytes(pickle.dumps(trap))
    with pytest.raises(InputError, match=r"trap\.npz"):
        Attribution.load(path)
    assert not Trap.touched


def test_a_damaged_file_is_refused_or_read_right(saved, tmp_path):
    content, effects = saved
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.npz"
    refused, escaped = 0, Counter()
    for draw in range(1500):
        damaged = bytearray(content)
        for place in rng.integers(len(damaged), size=rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(len(damaged))] if draw % 10 == 0 else damaged)
        try:
            found = Attribution.load(path)
        except InputError as error:
            refused += error.place == "damaged.npz"
        except Exception as error:
            escaped[type(error).__name__] += 1
        else:  # a byte that carries no meaning
            assert np.array_equal(found.values, effects.values)
            # an entry of another name is an entry less
            assert found.std is None or np.array_equal(found.std, effects.std)
            assert found.task_names == effects.task_names
    assert not escaped
    assert refused > 1000


def test_results_can_be_sent_to_another_process(g):
    # caches and parallel jobs pickle what they hand on
    for result in (g.attribution(), g.interactions()):
        again = pickle.loads(pickle.dumps(result))
        np.testing.assert_allclose(again.std, result.std, rtol=1e-7, atol=1e-9)
