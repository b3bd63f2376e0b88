"""Retraining with and without some tasks: as a job on the digits, and against networks trained by hand."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from kernelsm import InputError, Retraining
from kernelsm.estimators.recipe import Rates, Recipe, Size
from kernelsm.evaluation.confirmation import ANEW, FINE_TUNED
from kernelsm.models.registry import build_model
from kernelsm.objectives.training import train_base
from kernelsm.pipelines import confirm as module
from kernelsm.pipelines.compute import base_model
from kernelsm.pipelines.confirm import ConfirmSettings, confirm, ways_of
from kernelsm.runtime.executors import using
from kernelsm.runtime.job_process import resolve
from kernelsm.runtime.local_processes import LocalProcesses
from kernelsm.runtime.progress import Cancelled, silent
from kernelsm.runtime.store import Store
from kernelsm.tasks.restriction import only_tasks
from kernelsm.workspace.confirmations import CONFIRMATIONS, confirmations_of
from kernelsm.workspace.projects import PROJECTS, Project, save_project

RATES = Rates(
    1.0, {"exact": 0.1, "kronecker": 0.1, "gaussian": 0.1, "rademacher": 0.1, "sparse": 0.1},
    {"exact": 1.0, "projected": 1.0}, 0.2,
)  # fmt: skip
MEASURED = 3  # loss, accuracy, margin


@pytest.fixture
def project(blobs):
    """A small project whose W0 is trained here."""
    recipe = Recipe(
        suite=lambda report=silent: blobs, architecture="mlp", config={"sizes": [4, 6, 3]}, parameters=51, ridge=0.1,
        rates=RATES, training={"epochs": 20, "learning_rate": 0.05}, counted=Size.of(blobs),
    )  # fmt: skip
    return save_project(Project("mine", recipe, {"contents": [blobs.content_hash]}), blobs)


def measured_by_hand(model, suite):
    """Mean loss and accuracy of each target."""
    with torch.no_grad():
        logits = model(torch.from_numpy(suite.test_inputs)).double()
    losses = torch.nn.functional.cross_entropy(logits, torch.from_numpy(suite.test_labels), reduction="none").numpy()
    right = (logits.argmax(dim=1).numpy() == suite.test_labels).astype(float)
    rows = [suite.target_of == j for j in range(len(suite.target_names))]
    return np.array([[values[row].mean() for row in rows] for values in (losses, right)])


def test_both_ways_give_what_training_by_hand_gives(project, blobs):
    settings = ConfirmSettings(project, [4, 2], seeds=2)
    found = confirm(settings, silent, Store())
    assert found.left_out == (2, 4)
    assert {way: values.shape for way, values in found.values.items()} == dict.fromkeys(
        (FINE_TUNED, ANEW), (2, 2, MEASURED, 3)
    )
    mask = np.array([True, True, False, True, False])
    for seed in range(2):
        for row, suite in enumerate((blobs, only_tasks(blobs, mask))):
            model = build_model("mlp", sizes=[4, 6, 3], seed=seed)
            train_base(model, suite, epochs=20, learning_rate=0.05, seed=seed)
            assert found.values[ANEW][seed, row, :2] == pytest.approx(measured_by_hand(model, suite), abs=1e-5)
        base = base_model(project, Store(), seed=seed)
        tuned = Retraining(blobs, base, ridge=0.1).outcomes(np.array([[True] * 5, mask.tolist()]))
        assert found.values[FINE_TUNED][seed, :, 0] == pytest.approx(tuned.values, abs=1e-6)
    # the mislabelled task hurts
    assert found.change(FINE_TUNED, "loss").mean < 0
    assert found.title == "Without task C, task E"


def test_the_job_keeps_its_result_and_finds_it_again_without_training(project):
    settings = ConfirmSettings(project, [4], seeds=2)
    work = resolve("kernelsm.pipelines.confirm:run")
    arguments = json.loads(json.dumps(settings.job().arguments))
    heard = []

    def report(done, total, message="", *, reused=False):
        heard.append((done, total, reused))

    first = Store()
    result = work(report, first, **arguments)
    done = [step for step, _, _ in heard]
    assert done == sorted(done)
    assert {total for _, total, _ in heard} == {done[-1]}
    assert first.computed > 0
    again = Store()
    assert work(silent, again, **arguments) == result
    assert again.computed == 0
    assert list(confirmations_of(project)) == [result["confirmed"]]
    assert CONFIRMATIONS.load(result["confirmed"]).seeds == (0, 1)
    assert [need.key for need in CONFIRMATIONS.needs(result["confirmed"])] == [project]


def test_stopped_between_networks_it_goes_on_where_it_was(project):
    settings = ConfirmSettings(project, [4], seeds=2)
    whole = Store()
    confirm(settings, silent, whole)
    Store().clear()
    chunks = []

    def stop_after_some(done, total, message="", *, reused=False):
        chunks.extend([reused] * (reused is False))
        if len(chunks) == 4:
            raise Cancelled

    stopped, resumed = Store(), Store()
    with pytest.raises(Cancelled):
        confirm(settings, stop_after_some, stopped)
    confirm(settings, silent, resumed)
    assert stopped.computed > 0
    assert stopped.computed + resumed.computed == whole.computed


def test_more_seeds_and_another_way_train_only_what_is_new(project):
    confirm(ConfirmSettings(project, [4], seeds=1, ways=(ANEW,)), silent, Store())
    more = Store()
    confirm(ConfirmSettings(project, [4], seeds=2, ways=(ANEW,)), silent, more)
    assert more.computed == 2  # a network without, and W0, which is the one with
    other = Store()
    confirm(ConfirmSettings(project, [4], seeds=2), silent, other)
    assert other.computed == 2  # fine-tuned from each W0, both masks in one block


def test_processes_find_what_this_one_finds_and_say_how_far_they_are(project):
    settings, heard = ConfirmSettings(project, [4], seeds=3), []

    def report(done, total, message="", *, reused=False):
        heard.append((done, total, message, reused))

    alone = confirm(settings, silent, Store())
    Store().clear()
    store = Store()
    with LocalProcesses(2, start_seconds=0) as processes, using(processes):
        together = confirm(settings, report, store)
    for way in alone.values:
        assert np.array_equal(together.values[way], alone.values[way])
    done = [step for step, *_ in heard]
    assert done == sorted(done)
    assert done[-1] == heard[-1][1]
    assert len([1 for *_, reused in heard if reused is False]) == store.computed == 9  # W0, fine-tuned, anew


def test_another_drop_trains_the_network_with_all_tasks_no_more(project):
    confirm(ConfirmSettings(project, [4], seeds=1, ways=(ANEW,)), silent, Store())
    other = Store()
    confirm(ConfirmSettings(project, [3], seeds=1, ways=(ANEW,)), silent, other)
    assert other.computed == 1


def test_what_was_trained_is_deleted_with_the_project(project):
    confirm(ConfirmSettings(project, [4], seeds=1), silent, Store())
    assert Store().entries()
    PROJECTS.delete(project)
    assert Store().entries() == []


def test_w0_that_was_brought_is_fine_tuned_once_and_not_trained_anew(project, blobs):
    brought = replace(PROJECTS.load(project).recipe, training=None)
    assert ways_of(brought) == (FINE_TUNED,)
    key = save_project(Project("ready", brought, {"contents": [blobs.content_hash]}), blobs)
    settings = ConfirmSettings(key, [0], seeds=7)
    assert (settings.seeds, settings.ways) == (1, (FINE_TUNED,))
    assert settings.job().key == ConfirmSettings(key, [0], seeds=1, ways=(FINE_TUNED,)).job().key
    found = confirm(settings, silent, Store())
    assert np.isnan(found.change(FINE_TUNED, "loss").margin)
    with pytest.raises(InputError, match="came with its weights"):
        ConfirmSettings(key, [0], ways=(ANEW,))


def test_the_stages_are_those_that_the_cost_names(project, monkeypatch):
    begun = []

    class Noted(module.Stages):
        def stage(self, name):
            begun.append(name)
            return super().stage(name)

    monkeypatch.setattr(module, "Stages", Noted)
    for ways in ((FINE_TUNED,), (ANEW,), (FINE_TUNED, ANEW)):
        begun.clear()
        settings = ConfirmSettings(project, [1], seeds=2, ways=ways)
        confirm(settings, silent, Store())
        assert begun == list(settings.cost())
        assert settings.seconds() > sum(settings.cost().values()) > 0


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"left_out": []}, "left_out"), ({"left_out": [0, 1, 2, 3, 4]}, "left_out"), ({"left_out": [5]}, "left_out"),
        ({"left_out": "4"}, "left_out"), ({"left_out": [0.5]}, "left_out"), ({"seeds": 0}, "seeds"),
        ({"seeds": 51}, "seeds"), ({"ways": []}, "ways"), ({"ways": ["magic"]}, "ways"), ({"ridge": 0.0}, "ridge"),
        ({"source": "0" * 40}, "project"), ({"source": "planted"}, "project"),
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(project, changes, place):
    given = asdict(ConfirmSettings(project, [4])) | changes
    with pytest.raises(InputError) as caught:
        ConfirmSettings(**given)
    assert caught.value.place == place


def test_equal_work_is_one_job():
    assert ConfirmSettings("digits", (7, 3, 7)).job().key == ConfirmSettings("digits", [3, 7], ridge=0.03).job().key
