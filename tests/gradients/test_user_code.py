"""Gradient features of a network of one's own code: by the command line into a file, from the file to outcomes."""

import sys

import numpy as np
import pytest
import torch

from kernelsm import GradEx, InputError, gradient_features
from kernelsm.__main__ import main
from kernelsm.gradients.features_file import load_features
from kernelsm.gradients.user_code import model_and_suite
from kernelsm.pipelines.compute import compute
from kernelsm.pipelines.prepare import prepare
from kernelsm.pipelines.run_settings import RunSettings, estimate_cost, estimators
from kernelsm.runtime.executors import InProcess, using
from kernelsm.runtime.local_processes import LocalProcesses
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.requests import FileRef, NetworkRequest, ProjectRequest
from kernelsm.workspace.uploads import keep_upload

CODE = """
from __future__ import annotations
from dataclasses import dataclass
import numpy as np
import torch
from kernelsm import TaskSuite

@dataclass
class Settings:
    classes: int = 2

def samples(inputs=3):
    rng = np.random.default_rng(0)
    def draw(n):
        return rng.normal(size=(n, inputs)).astype(np.float32), np.arange(n) % Settings().classes
    train, test = draw(30), draw(8)
    return TaskSuite(*train, np.arange(30) % 3, *test, np.arange(8) % 2, ("a", "b", "c"), ("s", "t"), 2)

def make():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)), samples()

def with_neighbour():
    import neighbour
    return make() if neighbour.HERE else None

def too_wide():
    return torch.nn.Linear(4, 2), samples()

def one_logit():
    return torch.nn.Linear(3, 1), samples()

def raises():
    raise ZeroDivisionError("no network today")

def nothing():
    pass

def swapped():
    return samples(), torch.nn.Linear(3, 2)

def three():
    return (*make(), "and more")

def no_suite():
    return torch.nn.Linear(3, 2), {"inputs": []}

def frozen():
    return torch.nn.Linear(3, 2).requires_grad_(False), samples()

def needs(something):
    return make()

number = 3
"""


@pytest.fixture(autouse=True)
def _one_core(monkeypatch):
    monkeypatch.setattr("kernelsm.runtime.threads.available_cores", lambda: 1)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A user's folder of code."""
    folder = tmp_path_factory.mktemp("code")
    (folder / "mine.py").write_text(CODE)
    (folder / "neighbour.py").write_text("HERE = True\n")
    (folder / "broken.py").write_text("import no_module_of_this_name\n")
    (folder / "cut.py").write_text("def make(:\n")
    (folder / "notes.txt").write_text(CODE)
    return folder


def features(home, code, out, *options):
    return main(["features", f"{home}/{code}", str(out), *options])


# --- the code


@pytest.mark.parametrize("function", ["make", "with_neighbour"])
def test_a_function_of_a_file_makes_the_network_and_its_samples(home, function):
    before, modules = list(sys.path), set(sys.modules)
    model, suite = model_and_suite(f"{home}/mine.py:{function}")
    assert suite.task_names == ("a", "b", "c")
    assert model(torch.from_numpy(suite.inputs)).shape == (30, 2)
    assert sys.path == before
    # a file may have the name of a module that others import
    assert "mine" not in set(sys.modules) - modules


@pytest.mark.parametrize(
    ("code", "place", "words"),
    [
        ("none.py:make", "code", "FILE.py:FUNCTION"),
        ("notes.txt:make", "code", "FILE.py:FUNCTION"),
        ("mine.py", "code", "FILE.py:FUNCTION"),
        ("mine.py:", "code", "FILE.py:FUNCTION"),
        ("mine.py:make()", "code", "FILE.py:FUNCTION"),
        ("broken.py:make", "broken.py", "no_module_of_this_name"),
        ("cut.py:make", "cut.py", "SyntaxError"),
        ("mine.py:absent", "mine.py", "no function 'absent'"),
        ("mine.py:number", "mine.py", "no function 'number'"),
        ("mine.py:raises", "mine.py, raises()", "ZeroDivisionError: no network today"),
        ("mine.py:needs", "mine.py, needs()", "missing 1 required positional argument"),
        ("mine.py:nothing", "mine.py, nothing()", "found NoneType; expected (model, suite)"),
        ("mine.py:swapped", "mine.py, swapped()", "found (TaskSuite, Linear); expected (model, suite)"),
        ("mine.py:three", "mine.py, three()", "found (Sequential, TaskSuite, str); expected (model, suite)"),
        ("mine.py:no_suite", "mine.py, no_suite()", "dict in the second place; expected a kernelsm.TaskSuite"),
    ],
)
def test_what_is_no_such_function_is_refused_in_words(home, code, place, words):
    before = list(sys.path)
    with pytest.raises(InputError) as caught:
        model_and_suite(f"{home}/{code}")
    assert caught.value.place == place
    assert words in str(caught.value)
    assert sys.path == before


# --- the command


@pytest.mark.parametrize(
    ("code", "out", "words"),
    [
        ("none.py:make", "x.npz", "code: found"),
        ("mine.py:raises", "x.npz", "mine.py, raises()"),
        ("mine.py:nothing", "x.npz", "mine.py, nothing()"),
        ("mine.py:too_wide", "x.npz", "forward pass"),
        ("mine.py:one_logit", "x.npz", "one logit for each sample"),
        ("mine.py:frozen", "x.npz", "no parameter that requires a gradient"),
        ("mine.py:make", "x.txt", "a name ending in .npz"),
    ],
)
def test_a_refusal_ends_the_command_with_status_2_and_leaves_no_file(home, tmp_path, capsys, code, out, words):
    assert features(home, code, tmp_path / out) == 2
    told = capsys.readouterr()
    assert told.err.splitlines()[-1].startswith("kernelsm: ")
    assert words in told.err
    assert not (tmp_path / out).exists()


def test_what_was_computed_is_found_again(home, tmp_path, capsys):
    for name in ("one.npz", "two.npz"):
        assert features(home, "mine.py:make", tmp_path / "new" / name) == 0
        assert "3 tasks, 30 + 8 samples" in capsys.readouterr().out
    one, two = ((tmp_path / "new" / name).read_bytes() for name in ("one.npz", "two.npz"))
    assert one == two


@pytest.mark.parametrize("option", [(), ("--task-weighting", "by_size"), ("--target-weighting", "by_size")])
def test_tasks_and_targets_are_weighed_as_the_suite_says_or_as_asked(home, tmp_path, capsys, option):
    assert features(home, "mine.py:make", tmp_path / "f.npz", *option) == 0
    suite, train, _ = load_features(tmp_path / "f.npz")
    asked = dict([option] if option else [])
    assert suite.task_weighting == asked.get("--task-weighting", "equally")
    assert suite.target_weighting == asked.get("--target-weighting", "equally")
    assert not {"task_weighting", "target_weighting"} & set(train.meta)
    told = capsys.readouterr().out
    assert f"tasks are weighed {suite.task_weighting.replace('_', ' ')} and have " in told
    assert f"{min(suite.tasks.sizes)} to {max(suite.tasks.sizes)} samples" in told
    assert ("fewer than 10 samples: " in told) == (min(suite.tasks.sizes) < 10)


def test_another_weighting_is_not_known(home, tmp_path, capsys):
    with pytest.raises(SystemExit):
        features(home, "mine.py:make", tmp_path / "f.npz", "--task-weighting", "size")
    assert "equally" in capsys.readouterr().err


# --- from the file to outcomes


def brought(path, **named):
    ref = FileRef(keep_upload(path.read_bytes(), "features.npz"), "features.npz")
    return prepare(ProjectRequest("mine", ref, {}, NetworkRequest("features", **named)), silent, Store())


@pytest.mark.parametrize("options", [(), ("--outputs", "margin"), ("--projection", "gaussian", "--dim", "5")])
def test_the_file_gives_the_outcomes_that_gradex_gives_directly(home, tmp_path, options):
    path = tmp_path / "x.npz"
    assert features(home, "mine.py:make", path, *options) == 0
    key = brought(path, ridge=0.2)
    settings = RunSettings(key, subsets=6)
    assert settings.ridge == 0.2
    outcomes = compute(settings, silent, Store())
    directly = GradEx(*load_features(path), ridge=0.2).outcomes(settings.masks())
    np.testing.assert_allclose(outcomes.values, directly.values, rtol=1e-4, atol=1e-6)
    assert (outcomes.task_names, outcomes.target_names) == (("a", "b", "c"), ("s", "t"))
    assert RunSettings.like(outcomes.meta, subsets=6) == settings


def test_features_know_their_cost_and_cannot_be_retrained(home, tmp_path):
    path = tmp_path / "x.npz"
    features(home, "mine.py:make", path)
    key = brought(path)
    recipe = PROJECTS.load(key).recipe
    d = 3 * 4 + 4 + 4 * 2 + 2
    assert (recipe.parameters, recipe.architecture, recipe.size.tasks) == (d, "", 3)
    cost, twice = (estimate_cost(RunSettings(key, subsets=m)) for m in (100, 200))
    assert set(cost.stages) == {"gradex"}
    assert twice.stages["gradex"] == pytest.approx(2 * cost.stages["gradex"])
    assert cost.stages["gradex"] > 0
    assert cost.disk == twice.disk == 4 * (30 + 8) * 2 * d
    assert cost.memory == twice.memory > 2 * cost.disk
    assert (cost.coordinates, cost.outputs) == (d, "logits")
    assert estimators(key) == ("gradex",)
    with pytest.raises(InputError) as caught:
        RunSettings(key, "retraining")
    assert caught.value.expected == "'gradex'"
    # projection and dimensions were chosen where the features were computed
    assert RunSettings(key, projection="sparse", dim=64, outputs="margin") == RunSettings(key)


def test_a_file_that_holds_no_features_is_refused_by_the_name_its_owner_gave_it(tmp_path):
    np.savez(tmp_path / "x.npz", inputs=np.zeros(3))
    with pytest.raises(InputError) as caught:
        brought(tmp_path / "x.npz")
    assert caught.value.place.startswith("features.npz")
    assert not (Store().root.parent / "projects").exists()


def test_a_network_of_own_classes_is_sent_to_other_processes(tmp_path):
    (tmp_path / "beside_own_network.py").write_text(
        "import torch\n\nclass Squares(torch.nn.Module):\n    def forward(self, x):\n        return x.square()\n"
    )
    own = (
        "import beside_own_network\n\n"
        "class Mine(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.inner = torch.nn.Sequential(torch.nn.Linear(3, 2), beside_own_network.Squares())\n\n"
        "    def forward(self, x):\n"
        "        return self.inner(x)\n\n"
        "def own():\n"
        "    return Mine(), samples()\n"
    )
    (tmp_path / "own_network.py").write_text(CODE + own)
    model, suite = model_and_suite(f"{tmp_path}/own_network.py:own")
    found = []
    with LocalProcesses(2, start_seconds=0) as processes:
        for executor in (InProcess(1), processes):
            with using(executor):
                found.append(gradient_features(model, suite.inputs, suite.labels, batch_size=7).features)
    np.testing.assert_array_equal(*found)
