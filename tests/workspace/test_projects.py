"""Projects: what a user brought, named by its content, computed with, renamed, deleted, and carried elsewhere."""

import io
import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from kernelsm import GradEx, InputError, Retraining, gradient_features
from kernelsm.estimators.recipe import Rates, Recipe
from kernelsm.examples.catalog import RECIPES
from kernelsm.models.hashing import model_hash
from kernelsm.models.mlp import mlp
from kernelsm.pipelines.compute import base_model, compute, run
from kernelsm.pipelines.gradex_check import check, check_cost
from kernelsm.pipelines.run_settings import START_SECONDS, RunSettings, estimate_cost, estimators
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store
from kernelsm.workspace.projects import PROJECTS, Project, find_recipe, project_key, save_project
from kernelsm.workspace.session_file import read_session, write_session

RATES = Rates(
    base=2.0, gradients={"exact": 0.5, "kronecker": 0.25, "gaussian": 1.0, "rademacher": 1.0, "sparse": 0.5},
    gradex={"exact": 4.0, "projected": 2.0}, retraining=0.5,
)  # fmt: skip
SIZES, RIDGE = (4, 6, 3), 1.0
D = 4 * 6 + 6 + 6 * 3 + 3


@pytest.fixture(autouse=True)
def _one_core(monkeypatch):
    monkeypatch.setattr("kernelsm.runtime.threads.available_cores", lambda: 1)


@pytest.fixture
def weights(tmp_path, blobs_model):
    path = tmp_path / "w.safetensors"
    save_file(blobs_model.state_dict(), path)
    return path


@pytest.fixture
def kept(blobs):
    """Keep a project of the small problem, with changes, and return its key."""

    def keep(title="mine", suite=blobs, *, root=None, about=None, **changes):
        known = {
            "suite": lambda report=silent: suite, "architecture": "mlp", "config": {"sizes": [*SIZES]},
            "parameters": D, "ridge": RIDGE, "rates": RATES, "training": {"epochs": 5},
        }  # fmt: skip
        about = {"contents": [suite.content_hash]} if about is None else about
        return save_project(Project(title, Recipe(**{**known, **changes}), about), suite, root=root)

    return keep


@pytest.fixture
def place(cache_folder):
    """From the key of a project to its folder."""
    return lambda key: cache_folder / "projects" / key


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rewritten(folder, **changes):
    """Change entries of a project's sheet."""
    sheet = json.loads((folder / "project.json").read_text())
    (folder / "project.json").write_text(json.dumps({**sheet, **changes}))


# --- computing with a project


def test_a_project_gives_the_outcomes_of_its_samples_and_network(kept, blobs, blobs_model, weights):
    key = kept(weights=weights, training=None)
    settings = RunSettings(key, subsets=6)
    found = compute(settings, silent, Store())
    train = gradient_features(blobs_model, blobs.inputs, blobs.labels)
    test = gradient_features(blobs_model, blobs.test_inputs, blobs.test_labels)
    masks = settings.masks()
    assert masks.shape == (6, blobs.K)
    # with more threads the solver and the search add up otherwise, and stop at another point within their tolerance
    np.testing.assert_allclose(
        found.values, GradEx(blobs, train, test, ridge=RIDGE).outcomes(masks).values, rtol=1e-3
    )
    assert (found.task_names, found.target_names) == (blobs.task_names, blobs.target_names)
    assert found.meta["computed_from"] == key
    retrained = compute(replace(settings, estimator="retraining"), silent, Store())
    truth = Retraining(blobs, blobs_model, ridge=RIDGE).outcomes(masks)
    np.testing.assert_allclose(retrained.values, truth.values, rtol=1e-2)
    assert RunSettings.like(found.meta, subsets=6) == replace(settings, outputs="logits")
    assert RunSettings.like(retrained.meta, subsets=6).estimator == "retraining"


def test_the_network_of_a_project_is_trained_once(kept):
    key, first, second = kept(), Store(), Store()
    one, two = base_model(key, first), base_model(key, second)
    assert (first.computed, second.computed, second.reused) == (1, 0, 1)
    assert model_hash(one) == model_hash(two) != model_hash(mlp(SIZES))


def test_gradex_is_checked_on_a_project(kept, weights):
    settings = RunSettings(kept(weights=weights, training=None, rates=replace(RATES, inputs=0.0)), subsets=3)
    steps = []
    found = check(settings, lambda done, total, *told, **named: steps.append((done, total)), Store())
    assert found.first_order.subsets == 3
    assert 0 <= found.first_order.relative_error < 0.2
    assert {one.kind for one in found.projections} == {"kronecker", "gaussian", "rademacher", "sparse"}
    assert found.ceiling is None
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1][0] == steps[-1][1]
    assert all(seconds > 0 for seconds in check_cost(settings).values())


def test_outcomes_are_appended_to_a_table_of_the_same_project(kept):
    key = kept()
    one = run(silent, Store(), source=key, subsets=4)["run"]
    two = run(silent, Store(), source=key, subsets=3, seed=1, onto=one)["run"]
    other = kept(ridge=0.5)
    assert two != one
    with pytest.raises(InputError, match="computed in the same way"):
        run(silent, Store(), source=other, subsets=3, onto=one)


# --- keys


def test_equal_content_is_one_project_whatever_its_title_and_measured_rates(kept, cache_folder):
    key = kept("first")
    again = kept("second", rates=replace(RATES, base=9.0), about={"contents": [], "file": "other.csv"})
    assert again == key
    assert [path.name for path in (cache_folder / "projects").iterdir()] == [key]
    # what was measured last is what is known; what its owner calls it, and where it came from, stays
    found = PROJECTS.load(key)
    assert (found.title, found.recipe.rates.base, "file" in found.about) == ("first", 9.0, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"ridge": 0.2}, {"training": {"epochs": 6}}, {"training": None}, {"retraining": {"precision": "single"}},
        {"config": {"sizes": [4, 7, 3]}}, {"architecture": "logistic", "config": {"inputs": 4, "classes": 3}},
    ],
)  # fmt: skip
def test_other_content_is_another_project(kept, changes):
    assert kept(**changes) != kept()


def test_other_samples_weights_and_names_are_other_projects(kept, blobs, blobs_model, weights, tmp_path):
    other = tmp_path / "other.safetensors"
    save_file({name: value + 1 for name, value in blobs_model.state_dict().items()}, other)
    renamed = replace(blobs, task_names=("task Z", *blobs.task_names[1:]))
    moved = replace(blobs, inputs=blobs.inputs + np.float32(1e-3))
    keys = {
        kept(), kept(suite=renamed), kept(suite=moved), kept(weights=weights), kept(weights=other),
        kept(features=weights, architecture="", config={"outputs": "logits"}),
    }  # fmt: skip
    assert len(keys) == 6
    assert all(PROJECTS.is_here(key) for key in keys)


def test_the_key_is_that_of_the_folder(kept, place, tmp_path):
    key = kept()
    assert project_key(place(key)) == key
    shutil.copytree(place(key), tmp_path / "under another name")
    assert project_key(tmp_path / "under another name") == key


def test_nothing_half_written_is_left(kept, cache_folder, tmp_path):
    with pytest.raises(FileNotFoundError):
        kept(weights=tmp_path / "none.safetensors")
    assert list((cache_folder / "projects").iterdir()) == []


# --- what cannot be read


DEEP = "[" * 100_000
SHEETS = {
    "cut": "{", "empty": "", "bytes": "\udcff", "nested": DEEP, "a list": "[]", "no entry": "{}",
}  # fmt: skip
ENTRIES = {
    "one more": {"code": "import os"}, "a title of another type": {"title": 3},
    "a config of another type": {"config": []},
    "a yes for a number": {"parameters": True}, "no parameter": {"parameters": 0}, "a pull of nothing": {"ridge": 0},
    "a pull of NaN": {"ridge": float("nan")}, "a number without end": {"ridge": 10**400},
    "rates without meaning": {"rates": {"base": 1}}, "a rate below 0": {"rates": {**vars(RATES), "base": -1.0}},
    "a rate in words": {"rates": {**vars(RATES), "gradients": {"kronecker": "fast"}}},
    "a list of rates": {"rates": {**vars(RATES), "gradex": [1.0]}},
    "no rate of a projection": {"rates": {**vars(RATES), "gradients": {"kronecker": 1.0}}},
    "no rate of GradEx": {"rates": {**vars(RATES), "gradex": {}}},
    "sizes without meaning": {"size": {"samples": 1}},
    "half a sample": {"size": {"samples": 4.5, "test_samples": 1, "classes": 2, "tasks": 2, "targets": 1}},
    "a folder of this computer": {"config": {"sizes": [4, 6, 3], "folder": "/etc"}},
    "nothing to forget": {"about": {}}, "everything to forget": {"about": {"contents": [""]}},
    "what is no hash to forget": {"about": {"contents": ["kernelsm"]}},
    "a number to forget": {"about": {"contents": [7]}},
}  # fmt: skip


def unusable(key, folder):
    """The error of every way to read a project; in words, and without the place on this computer."""
    for read in (lambda: PROJECTS.load(key), lambda: project_key(folder), lambda: RunSettings(key)):
        with pytest.raises(InputError) as caught:
            read()
        assert str(folder.parent) not in str(caught.value)
        assert caught.value.fix == "Bring the data again."
    return caught.value


@pytest.mark.parametrize("damage", SHEETS)
def test_a_description_that_cannot_be_read_is_told(kept, place, damage):
    key = kept()
    (place(key) / "project.json").write_bytes(SHEETS[damage].encode(errors="surrogateescape"))
    assert unusable(key, place(key)).place == f"{key}/project.json"


@pytest.mark.parametrize("damage", ENTRIES)
def test_a_description_that_means_nothing_is_told(kept, place, damage):
    key = kept()
    rewritten(place(key), **ENTRIES[damage])
    assert unusable(key, place(key)).place.startswith(f"{key}/project.json")


@pytest.mark.parametrize("outputs", [{}, {"outputs": "labels"}, {"outputs": ["logits"]}])
def test_features_without_known_outputs_are_told(kept, place, weights, outputs):
    key = kept(features=weights, architecture="", config={"outputs": "logits"})
    rewritten(place(key), config=outputs)
    assert unusable(key, place(key)).place == f"{key}/project.json, 'config'"


def test_counts_that_are_not_those_of_the_samples_are_told(kept, place):
    key = kept()
    size = {**vars(PROJECTS.load(key).recipe.size), "tasks": 4}
    rewritten(place(key), size=size)
    with pytest.raises(InputError, match="those of the samples"):
        project_key(place(key))


def missing(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def pickled(path):
    np.save(path.with_suffix(".npy"), np.array([{}]), allow_pickle=True)
    path.with_suffix(".npy").replace(path)


@pytest.mark.parametrize("damage", [missing, cut, pickled])
def test_samples_that_cannot_be_read_are_told_and_mended_by_bringing_them_again(kept, place, damage):
    key = kept()
    whole = files(place(key))
    damage(place(key) / "suite.npz")
    for read in (lambda: project_key(place(key)), lambda: compute(RunSettings(key, subsets=3), silent, Store())):
        with pytest.raises(InputError) as caught:
            read()
        assert caught.value.place.startswith(f"{key}/suite.npz")
    assert kept() == key
    assert files(place(key)) == whole
    assert compute(RunSettings(key, subsets=3), silent, Store()).m == 3


@pytest.mark.parametrize("key", ["", "digits", "0" * 40, "../projects", "A" * 40])
def test_a_key_of_no_project_is_told(kept, key):
    kept()
    assert not PROJECTS.is_here(key)
    with pytest.raises(InputError) as caught:
        PROJECTS.load(key)
    assert caught.value.expected == "a project that is here"
    assert PROJECTS.delete(key) == 0


@pytest.mark.parametrize("source", ["", "letters", "0" * 40, "../projects/x"])
def test_settings_of_an_unknown_source_say_which_there_are(source):
    with pytest.raises(InputError) as caught:
        RunSettings(source)
    assert caught.value.place == "source"
    assert "'digits'" in caught.value.expected
    assert "project" in caught.value.expected


def test_an_example_is_found_by_its_name():
    assert find_recipe("digits") is RECIPES["digits"]


# --- rename, delete, forget


def test_a_project_is_renamed_and_stays_the_same(kept, place):
    key = kept("first")
    before = PROJECTS.load(key)
    PROJECTS.rename(key, "größe, 日本語")
    after = PROJECTS.load(key)
    assert after.title == "größe, 日本語"
    assert (after.recipe.config, after.about) == (before.recipe.config, before.about)
    assert project_key(place(key)) == key
    assert sorted(files(place(key))) == ["project.json", "suite.npz"]
    with pytest.raises(InputError):
        PROJECTS.rename("0" * 40, "none")


def test_deleting_frees_the_bytes_of_the_project_alone(kept, place):
    one, two = kept(), kept(ridge=0.5)
    size = PROJECTS.size(one)
    assert size == sum(len(content) for content in files(place(one)).values()) > 1000
    assert PROJECTS.delete(one) == size
    assert not PROJECTS.is_here(one)
    assert not place(one).exists()
    assert (PROJECTS.size(one), PROJECTS.delete(one)) == (0, 0)
    assert project_key(place(two)) == two


def test_forgetting_drops_what_was_computed_for_a_project_and_nothing_else(kept, blobs):
    moved = replace(blobs, inputs=blobs.inputs + np.float32(0.5))
    one, two = kept(), kept(suite=moved)
    contents = [blobs.content_hash, model_hash(base_model(one, Store()))]
    for key in (one, two):
        for estimator in ("gradex", "retraining"):
            compute(RunSettings(key, estimator, subsets=3), silent, Store())
    everything = sum(entry.size for entry in Store().entries())
    freed = Store().forget(*contents)
    assert freed == pytest.approx(everything / 2, rel=0.1)
    assert sum(entry.size for entry in Store().entries()) == everything - freed
    for key, computed_again in ((two, False), (one, True)):
        for estimator in ("gradex", "retraining"):
            store = Store()
            compute(RunSettings(key, estimator, subsets=3), silent, store)
            assert bool(store.computed) == computed_again
    assert Store().forget("0" * 40) == 0


# --- what it will cost


def test_costs_are_above_zero_and_grow_with_the_subsets(kept, blobs):
    key = kept()
    for estimator, last in (("gradex", "gradex"), ("retraining", "retraining")):
        one, two, three = (estimate_cost(RunSettings(key, estimator, subsets=m)) for m in (100, 200, 300))
        assert one.seconds == pytest.approx(START_SECONDS + sum(one.stages.values()))
        assert two.seconds - one.seconds == pytest.approx(three.seconds - two.seconds)
        assert two.stages[last] == pytest.approx(2 * one.stages[last])
        assert all(seconds > 0 for seconds in one.stages.values())
        assert one.stages["base"] == two.stages["base"] < RATES.base  # W0 was kept when the project was prepared
    assert two.memory == 0
    samples = len(blobs.inputs) + len(blobs.test_inputs)
    exact = estimate_cost(RunSettings(key))
    assert (exact.disk, exact.coordinates) == (4 * samples * blobs.classes * D, D)
    random = estimate_cost(RunSettings(key, projection="gaussian", dim=64))
    assert (random.disk, random.coordinates) == (4 * samples * blobs.classes * 64, 64)
    # the features as loaded and as prepared, and the processes beside them
    assert random.memory - exact.memory == 2 * (random.disk - exact.disk)
    assert random.memory > 2 * random.disk
    margin = estimate_cost(RunSettings(key, projection="gaussian", dim=64, outputs="margin"))
    assert margin.disk == random.disk / blobs.classes
    assert margin.seconds < random.seconds


def test_settings_are_checked_against_the_project(kept, weights):
    key = kept()
    assert (RunSettings(key).ridge, RunSettings(key).projection) == (RIDGE, "exact")
    assert estimators(key) == ("gradex", "retraining")
    large = {**RATES.gradients}
    del large["exact"]
    rates = replace(RATES, gradients=large, gradex={"projected": 1.0})
    other = kept(parameters=5_000, config={"sizes": [4, 600, 3]}, rates=rates)
    assert RunSettings(other).projection == "adapted"
    brought = kept(features=weights, config={"outputs": "margin"}, architecture="")
    for settings, place in (
        ({"source": key, "size": 6}, "size"), ({"source": key, "chosen": ["0101"]}, "chosen, subset 1"),
        ({"source": other, "projection": "exact"}, "projection"), ({"source": key, "estimator": "game"}, "estimator"),
        ({"source": brought, "estimator": "retraining"}, "estimator"),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            RunSettings(**settings)
        assert caught.value.place.startswith(place)
    # what was chosen before the features were computed cannot be chosen again
    assert RunSettings(brought, projection="sparse", dim=64).dim == 512


# --- a session file


@pytest.mark.parametrize("way", ["trained", "weights"])
def test_a_session_file_carries_a_project_to_another_computer(kept, cache_folder, weights, way):
    key = kept(**({} if way == "trained" else {"weights": weights, "training": None}))
    before = run(silent, Store(), source=key, subsets=5)["run"]
    kept_things = {"projects": {key: "mine"}, "tables": {before: "mine"}}
    data = write_session({"project": key}, kept_things, cache_folder)
    shutil.rmtree(cache_folder)
    assert not PROJECTS.is_here(key)
    found = read_session(data, "s.zip", cache_folder)
    assert found.kept == {
        "projects": {key: ""}, "tables": {before: "mine"}, "prompts": {}, "confirmations": {}
    }  # fmt: skip
    assert PROJECTS.load(key).title == "mine"
    store = Store()
    assert run(silent, store, source=key, subsets=5)["run"] == before
    assert store.computed > 0  # nothing but the files came along
    assert write_session({"project": key}, kept_things, cache_folder) == data


def repacked(data, change):
    """A session file whose files a stranger changed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def changed(name, content):
    def change(members):
        entry = next(entry for entry in members if entry.endswith(name))
        if content is None:
            del members[entry]
        else:
            members[entry] = content(members[entry]) if callable(content) else content

    return change


def described(**changes):
    return changed("project.json", lambda text: json.dumps({**json.loads(text), **changes}).encode())


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (changed("suite.npz", None), "suite.npz"),
        (changed("suite.npz", b"none"), "suite.npz"),
        (changed("project.json", None), "project.json"),
        (changed("project.json", b"{"), "project.json"),
        (described(ridge=0.7), ""),
        (described(training={"epochs": 50}), ""),
        (described(about={"contents": [""]}), "project.json"),
        (described(size={"samples": 9, "test_samples": 9, "classes": 3, "tasks": 5, "targets": 3}), "project.json"),
        (changed("weights.safetensors", lambda content: content[:-4] + bytes(4)), ""),
        (changed("weights.safetensors", None), ""),
    ],
)
def test_a_session_file_with_a_changed_project_is_refused(kept, cache_folder, weights, tmp_path, change, place):
    key = kept(weights=weights)
    data = repacked(write_session({}, {"projects": {key: ""}}, cache_folder), change)
    with pytest.raises(InputError) as caught:
        read_session(data, "s.zip", tmp_path / "here")
    assert caught.value.place.startswith(f"s.zip, projects/{key}" + (f", {place}" if place else ""))
    assert str(tmp_path) not in str(caught.value)
    assert not (tmp_path / "here" / "projects").exists()


def test_a_title_of_a_session_file_is_the_strangers_to_choose(kept, cache_folder, tmp_path):
    """Only content is named by the key: another title is no other project."""
    key = kept()
    data = repacked(write_session({}, {"projects": {key: ""}}, cache_folder), described(title="theirs"))
    assert read_session(data, "s.zip", tmp_path / "here").kept["projects"] == {key: ""}
    assert PROJECTS.load(key, tmp_path / "here").title == "theirs"


def test_projects_of_another_root_are_apart(kept, tmp_path):
    key = kept(root=tmp_path / "there")
    assert PROJECTS.is_here(key, tmp_path / "there")
    assert not PROJECTS.is_here(key)
    assert PROJECTS.load(key, tmp_path / "there").recipe.suite().K == 5
    PROJECTS.rename(key, "new", tmp_path / "there")
    assert PROJECTS.load(key, tmp_path / "there").title == "new"
    assert PROJECTS.size(key, tmp_path / "there") == PROJECTS.delete(key, tmp_path / "there")


def test_weights_that_do_not_fit_are_told_when_they_are_loaded(kept, tmp_path):
    save_file({"0.weight": torch.zeros(2, 2)}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="missing"):
        base_model(kept(weights=tmp_path / "w.safetensors", training=None), Store())
