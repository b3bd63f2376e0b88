"""Files with a quantity, or several labels, to the end: project, outcomes in every measure, checks, confirmation."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from kernelsm import Outcomes, lds, relative_error
from kernelsm.__main__ import main
from kernelsm.evaluation.confirmation import FINE_TUNED
from kernelsm.models.mlp import mlp
from kernelsm.objectives.registry import find
from kernelsm.pipelines.compute import base_model, compute
from kernelsm.pipelines.confirm import ConfirmSettings, confirm
from kernelsm.pipelines.gradex_check import check
from kernelsm.pipelines.prepare import prepare
from kernelsm.pipelines.pull_sweep import PullSweep, try_pulls
from kernelsm.pipelines.run_settings import RunSettings, estimate_cost, measures_of
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store, cache_root
from kernelsm.samples.reader import read_samples
from kernelsm.tasks.mapping import SampleMapping, TaskRule
from kernelsm.tasks.mapping_guess import guess_mapping
from kernelsm.workspace.mapping_files import mapping_file
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.requests import OWN_UNITS, FileRef, NetworkRequest, ProjectRequest
from kernelsm.workspace.session_file import read_session, write_session
from kernelsm.workspace.uploads import keep_upload

DIABETES = Path(__file__).resolve().parents[1] / "own_data" / "diabetes.csv"
LINEAR = NetworkRequest("train", architecture="logistic", training={"epochs": 30})


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One cache for all tests of this module: projects are prepared once."""
    place = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERNELSM_CACHE", str(place))
        patch.setattr("kernelsm.runtime.threads.available_cores", lambda: 1)
        yield place


@pytest.fixture(autouse=True)
def _same_cache(home, monkeypatch):
    monkeypatch.setenv("KERNELSM_CACHE", str(home))


def brought(content, name, mapping, model=LINEAR):
    request = ProjectRequest("Mine", FileRef(keep_upload(content, name), name), mapping.to_dict(), model)
    return prepare(ProjectRequest.from_json(request.job().arguments["request"]), silent, Store())


@pytest.fixture(scope="module")
def diabetes(home):
    return brought(DIABETES.read_bytes(), "diabetes.csv", guess_mapping(read_samples(DIABETES)))


@pytest.fixture(scope="module")
def labelled(home):
    """Three sources, two labels; the last source is labelled at random."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(180, 4)).round(3)
    marks = (inputs @ rng.normal(size=(4, 2)) > 0).astype(int)
    source = np.arange(180) % 3
    marks[source == 2] = rng.integers(0, 2, ((source == 2).sum(), 2))
    rows = [",".join(["a", "b", "c", "d", "label_sport", "label_politics", "source"])]
    rows += [",".join(map(str, (*x, *y, "xyz"[s]))) for x, y, s in zip(inputs, marks, source, strict=True)]
    content = "\n".join(rows).encode()
    path = cache_root().parent / "labels.csv"
    path.write_bytes(content)
    return brought(content, "labels.csv", guess_mapping(read_samples(path)))


def test_a_project_of_a_quantity_knows_what_it_is(diabetes):
    project = PROJECTS.load(diabetes)
    assert project.recipe.objective == "regression"
    assert project.recipe.size.classes == 1
    assert project.recipe.ridge == 0.3
    assert project.about["R²"]["test"] > 0.2
    assert measures_of(diabetes) == ("loss", "R²", "absolute error", "squared error")
    assert estimate_cost(RunSettings(diabetes)).outputs == "quantities"


def test_gradex_agrees_with_retraining_and_every_measure_is_kept(diabetes):
    store = Store()
    settings = RunSettings(diabetes, subsets=40, seed=3)
    first = compute(settings, silent, store)
    computed = store.computed
    found = {
        name: compute(RunSettings(diabetes, subsets=40, seed=3, measure=name), silent, store)
        for name in measures_of(diabetes)
    }
    assert store.computed == computed
    np.testing.assert_array_equal(found["loss"].values, first.values)
    scale = PROJECTS.load(diabetes).recipe.suite().objective_settings["scale"][0]
    np.testing.assert_allclose(found["squared error"].values, first.values * scale**2, rtol=1e-4)
    assert found["R²"].higher_is_better
    assert found["absolute error"].meta["unit"] == "label units"
    truth = compute(RunSettings(diabetes, "retraining", subsets=40, seed=3), silent, store)
    assert truth.meta["unit"] == "label variances"
    assert lds(truth.values, first.values) > 0.999  # a linear network is what GradEx takes it to be
    assert relative_error(truth.values, first.values) < 1e-3


def test_like_finds_the_settings_of_a_table_in_another_measure(diabetes):
    settings = RunSettings(diabetes, subsets=8, measure="R²")
    table = compute(settings, silent, Store())
    again = RunSettings.like(table.meta, subsets=8)
    assert (again.measure, again.outputs) == ("R²", "quantities")
    assert "measure" not in RunSettings(diabetes, subsets=8).arguments()


def test_retraining_confirms_in_all_measures(diabetes):
    found = confirm(ConfirmSettings(diabetes, (1,), 2), silent, Store())
    assert [one.name for one in found.measures] == list(measures_of(diabetes))
    change = found.change(FINE_TUNED, "absolute error")
    assert 20 < change.with_all < 100  # as people tell it: tens of units of the disease's progression


def test_the_checks_and_pulls_of_the_gradients_page_work(diabetes):
    checks = check(RunSettings(diabetes, subsets=6), silent, Store())
    assert checks.first_order.of_logits < 1e-3
    assert checks.first_order.lds > 0.99
    tried = try_pulls(PullSweep(RunSettings(diabetes, subsets=8, measure="R²"), (0.03, 1.0)), silent, Store())
    assert all(one.run and not one.error for one in tried)


def test_a_project_of_a_quantity_travels_in_a_session_file(diabetes, tmp_path):
    data = write_session({"run": "digits"}, {"tables": {}, "projects": {diabetes: ""}}, cache_root())
    (tmp_path / "other").mkdir()
    read_session(data, "session.zip", tmp_path / "other")
    assert PROJECTS.load(diabetes, tmp_path / "other").recipe.objective == "regression"


@pytest.mark.parametrize("objective", ["ranking", 3, None])
def test_a_project_of_an_unknown_objective_is_refused(diabetes, tmp_path, objective):
    from kernelsm import InputError

    folder = tmp_path / "projects" / diabetes
    folder.parent.mkdir()
    source = cache_root() / "projects" / diabetes
    folder.mkdir()
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    sheet = json.loads((folder / "project.json").read_text())
    (folder / "project.json").write_text(json.dumps({**sheet, "objective": objective}))
    with pytest.raises(InputError, match="objective"):
        PROJECTS.load(diabetes, tmp_path)


def test_weights_that_predict_in_own_units_are_brought_to_standardised_ones(diabetes, home):
    torch.manual_seed(0)
    suite = PROJECTS.load(diabetes).recipe.suite()
    centre, scale = (suite.objective_settings[name][0] for name in ("centre", "scale"))
    network = mlp((10, 4, 1))
    with torch.no_grad():
        network[2].weight.mul_(scale)
        network[2].bias.fill_(centre)
    sent = FileRef(keep_upload(save(network.state_dict()), "net.safetensors"), "net.safetensors")
    told = json.dumps({"architecture": "mlp", "config": {"sizes": [10, 4, 1]}}).encode()
    model = NetworkRequest(
        "weights", weights=sent, config=FileRef(keep_upload(told, "net.json"), "net.json"), predicts=OWN_UNITS
    )
    key = brought(DIABETES.read_bytes(), "diabetes.csv", guess_mapping(read_samples(DIABETES)), model)
    inputs = torch.from_numpy(suite.inputs)
    found = base_model(key, Store())(inputs)
    torch.testing.assert_close(found, (network(inputs) - centre) / scale, rtol=1e-4, atol=1e-4)


def test_several_labels_go_the_same_way(labelled):
    project, store = PROJECTS.load(labelled), Store()
    assert (project.recipe.objective, project.recipe.size.classes) == ("several labels", 2)
    assert find(project.recipe.suite()).names == ("label_sport", "label_politics")
    first = compute(RunSettings(labelled, design="all"), silent, store)
    computed = store.computed
    for name in ("accuracy", "F1", "AUC"):
        found = compute(RunSettings(labelled, design="all", measure=name), silent, store)
        assert found.higher_is_better
        assert 0 <= found.values.min() <= found.values.max() <= 1
    assert store.computed == computed
    truth = compute(RunSettings(labelled, "retraining", design="all"), silent, store)
    assert relative_error(truth.values, first.values) < 1e-3
    good = [first.masks.tolist().index(mask) for mask in ([True, True, False], [False, False, True])]
    assert first.mean_target().values[good[0], 0] < first.mean_target().values[good[1], 0]


def test_the_command_line_computes_a_quantity_in_a_measure_and_fits_it(diabetes, tmp_path, capsys):
    mapping = guess_mapping(read_samples(DIABETES))
    (tmp_path / "mapping.json").write_text(mapping_file("diabetes.csv", mapping, LINEAR))
    out = tmp_path / "outcomes.parquet"
    asked = ["run", f"--samples={DIABETES}", f"--mapping={tmp_path / 'mapping.json'}", "--subsets=12"]
    assert main([*asked, "--measure=absolute error", f"--out={out}"]) == 0
    table = Outcomes.load(out)
    assert (table.meta["measure"], table.higher_is_better) == ("absolute error", False)
    capsys.readouterr()
    assert main(["fit", str(out), "--kernel=linear"]) == 0
    said = capsys.readouterr().out
    assert "absolute error, label units" in said
    assert "the absolute error" in said
    assert main([*asked, "--measure=accuracy", f"--out={out}"]) == 2
    assert "absolute error" in capsys.readouterr().err


def test_features_of_own_code_hold_quantities_and_come_back(home, tmp_path, monkeypatch):
    code = tmp_path / "mine.py"
    code.write_text(
        "import numpy as np\nimport torch\nfrom kernelsm import TaskSuite\n"
        "from kernelsm.tasks.label_values import standardised\n"
        "def make():\n"
        "    rng = np.random.default_rng(0)\n"
        "    x = rng.normal(size=(60, 3)).astype(np.float32)\n"
        "    y = 200 + 50 * x @ [1.0, 2.0, 0.5] + rng.normal(size=60)\n"
        "    train, test, settings = standardised(y[:40], y[40:], ['price'])\n"
        "    suite = TaskSuite(x[:40], train, np.arange(40) % 4, x[40:], test, np.arange(20) % 2, tuple('abcd'),\n"
        "                      ('s', 't'), objective='regression', objective_settings=settings)\n"
        "    torch.manual_seed(0)\n"
        "    return torch.nn.Linear(3, 1), suite\n"
    )
    assert main(["features", f"{code}:make", str(tmp_path / "f.npz")]) == 0
    ref = FileRef(keep_upload((tmp_path / "f.npz").read_bytes(), "f.npz"), "f.npz")
    key = prepare(ProjectRequest("Mine", ref, {}, NetworkRequest("features")), silent, Store())
    assert PROJECTS.load(key).recipe.objective == "regression"
    found = compute(RunSettings(key, subsets=8, measure="absolute error"), silent, Store())
    assert found.values.max() > 5  # in units of the price
    assert find(PROJECTS.load(key).recipe.suite()).names == ("price",)


def test_tasks_of_clusters_and_slices_need_no_classes(home):
    mine = read_samples(DIABETES)
    for kind in ("clusters", "slices"):
        mapping = SampleMapping(
            "target", ("age", "bmi", "bp"), "tabular", TaskRule(kind, (), 4), objective="regression"
        )
        key = brought(DIABETES.read_bytes(), "diabetes.csv", mapping)
        assert PROJECTS.load(key).recipe.size.tasks == 4
    assert mine.rows == 442
