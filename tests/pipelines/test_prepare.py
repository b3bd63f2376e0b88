"""From files to a project: every way to a network, what is refused, and what is known at the end."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from kernelsm import InputError
from kernelsm.estimators.recipe import Rates
from kernelsm.gradients.choices import PROJECTIONS
from kernelsm.models.mlp import logistic, mlp
from kernelsm.models.model_folders import tokenize
from kernelsm.models.sentence_encoder import encoder_folder
from kernelsm.pipelines.compute import base_model, compute
from kernelsm.pipelines.prepare import SMALL, prepare, run
from kernelsm.pipelines.run_settings import RunSettings, estimate_cost
from kernelsm.runtime.job_process import resolve
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store
from kernelsm.tasks.mapping import SampleMapping, TaskRule
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.requests import NETWORK_ORIGINS, FileRef, NetworkRequest, ProjectRequest
from kernelsm.workspace.session_file import write_session
from kernelsm.workspace.uploads import keep_upload

N = 60
BY_GROUP = TaskRule("column", ("group",))
NUMBERS = SampleMapping("label", ("a", "b", "c"), "tabular", BY_GROUP)
TEXT = SampleMapping("label", ("text",), "text", BY_GROUP)
TOKENS = SampleMapping("label", ("tokens",), "tokens", BY_GROUP)
IMAGES = SampleMapping("label", ("image",), "image", BY_GROUP)
RATES = Rates(
    base=0.0, gradients=dict.fromkeys(PROJECTIONS, 0.1), gradex={"exact": 1.0, "projected": 1.0}, retraining=1.0
)
QUICK = {"epochs": 2}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "film", "not"]


@pytest.fixture(autouse=True)
def _one_core(monkeypatch):
    monkeypatch.setattr("kernelsm.runtime.threads.available_cores", lambda: 1)


@pytest.fixture
def untimed(monkeypatch):
    """Rates made up: what is measured has tests of its own."""
    monkeypatch.setattr("kernelsm.pipelines.prepare.measure_rates", lambda *_, **named: RATES)


def sent(content, name):
    return FileRef(keep_upload(content, name), name)


def csv(**columns):
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]).encode()


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


GROUPS = [f"group {'xyz'[i % 3]}" for i in range(N)]


def numbers():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(N, 3)).round(3)
    return csv(**dict(zip("abc", values.T, strict=True)), label=(values[:, 0] > 0).astype(int), group=GROUPS)


def texts():
    rng = np.random.default_rng(0)
    said = {0: ["a bad film", "not a good film", "bad bad"], 1: ["a good film", "not a bad film", "good"]}
    return csv(text=[rng.choice(said[i % 2]) for i in range(N)], label=[i % 2 for i in range(N)], group=GROUPS)


def tokens(most=30):
    rng = np.random.default_rng(0)
    return npz(tokens=rng.integers(0, most, (N, 5)), label=np.arange(N) % 2, group=np.arange(N) % 3)


def images():
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 2
    return npz(
        image=rng.normal(size=(N, 1, 8, 8)).astype(np.float32) + labels[:, None, None, None], label=labels,
        group=np.arange(N) % 3,
    )  # fmt: skip


FILES = {
    "tabular": (numbers, "mine.csv", NUMBERS), "text": (texts, "films.csv", TEXT),
    "tokens": (tokens, "tokens.npz", TOKENS), "image": (images, "images.npz", IMAGES),
}  # fmt: skip


def prepared(model=None, kind="tabular", *, title="mine", content=None, mapping=None, store=None, report=silent):
    make, name, usual = FILES[kind]
    data = sent(make() if content is None else content, name)
    wanted = ProjectRequest(title, data, (mapping or usual).to_dict(), model or NetworkRequest())
    return prepare(wanted, report, store or Store())


def refused(*arguments, **named):
    with pytest.raises(InputError) as caught:
        prepared(*arguments, **named)
    assert caught.value.fix.endswith(".")
    assert "/tmp" not in str(caught.value)
    root = Store().root.parent
    assert not list(root.glob("projects/*"))
    assert not list(root.glob("uploads/model-*"))
    return caught.value


# --- what the job is told


@pytest.mark.parametrize("way", NETWORK_ORIGINS)
def test_a_preparation_is_read_again_as_it_was_told(way):
    ref = FileRef("0" * 40, "größe.csv")
    files = {"weights": FileRef("1" * 40, "w.safetensors"), "config": ref, "archive": FileRef("2" * 40, "m.zip")}
    training = {"epochs": 3, "learning_rate": 1e-4}
    for model in (NetworkRequest(way), NetworkRequest(way, "mlp", 16, training, 0.1, **files, path="owner/name")):
        wanted = ProjectRequest("a “title”", ref, NUMBERS.to_dict(), model)
        job = wanted.job()
        assert resolve(job.work) is run
        assert ProjectRequest.from_json(json.loads(json.dumps(job.arguments))["request"]) == wanted
        assert wanted.job().key == job.key


def test_the_job_keeps_a_project_and_its_bar_never_runs_backwards():
    wanted = ProjectRequest("mine", sent(numbers(), "mine.csv"), NUMBERS.to_dict(), NetworkRequest())
    heard = []
    store = Store()
    found = run(lambda done, total, *told, **named: heard.append((done, total)), store, **wanted.job().arguments)
    project = PROJECTS.load(found["project"])
    assert list(found) == ["project"]
    assert project.title == "mine"
    done = [step for step, _ in heard]
    assert len({total for _, total in heard}) == 1
    assert done == sorted(done)
    assert heard[-1][0] == heard[-1][1]
    # what is measured here says what follows will cost
    rates = project.recipe.rates
    assert all(0 < rate < 10_000 for rate in (rates.base, rates.retraining, *rates.gradients.values()))
    assert 0 < estimate_cost(RunSettings(found["project"], subsets=10)).seconds < 600
    assert store.computed == 1  # W0
    assert sorted(path.name for path in (store.root.parent / "uploads").iterdir()) == [wanted.data.key]


# --- train


@pytest.mark.parametrize(
    ("model", "kind", "architecture", "config"),
    [
        (NetworkRequest(), "tabular", "logistic", {"inputs": 3, "classes": 2}),
        (NetworkRequest(architecture="mlp"), "tabular", "mlp", {"sizes": [3, 64, 2]}),
        (NetworkRequest(architecture="mlp", hidden=5), "tabular", "mlp", {"sizes": [3, 5, 2]}),
        (NetworkRequest(architecture="logistic", hidden=5), "tabular", "logistic", {"inputs": 3, "classes": 2}),
        (NetworkRequest(architecture="mlp", hidden=4), "image", "mlp", {"sizes": [64, 4, 2], "flatten": True}),
        (NetworkRequest(architecture="resnet9"), "image", "resnet9", {"channels": 1, "classes": 2, "width": 8}),
        (NetworkRequest(), "tokens", "transformer", {"vocabulary": 30, "classes": 2, "length": 5}),
    ],
)
def test_a_network_that_fits_the_samples_is_trained(untimed, model, kind, architecture, config):
    model = NetworkRequest(model.origin, model.architecture, model.hidden, QUICK)
    key = prepared(model, kind)
    project = PROJECTS.load(key)
    recipe, about = project.recipe, project.about
    assert (recipe.architecture, recipe.config) == (architecture, config)
    assert [row["epoch"] for row in about["curve"]] == [1, 2]
    assert recipe.training["epochs"] == 2
    store = Store()
    network, suite = base_model(key, store), recipe.suite()
    assert (store.computed, store.reused) == (0, 1)  # W0 is that of the preparation
    assert recipe.parameters == sum(p.numel() for p in network.parameters())
    assert (recipe.size.tasks, recipe.size.classes, recipe.size.targets) == (3, 2, 1)
    assert recipe.size.samples + recipe.size.test_samples == N
    for part, inputs, labels in (
        ("train", suite.inputs, suite.labels), ("test", suite.test_inputs, suite.test_labels),
    ):  # fmt: skip
        right = network(torch.from_numpy(inputs)).argmax(dim=1).numpy() == labels
        assert about["accuracy"][part] == pytest.approx(right.mean())
    # a large network is retrained in single precision, to a hundredth, near W0
    assert bool(recipe.retraining) == (recipe.parameters > SMALL)
    assert recipe.ridge == (0.03 if recipe.parameters <= SMALL else 0.1)
    assert compute(RunSettings(key, subsets=3, projection="kronecker", dim=8), silent, Store()).K == 3


def test_training_and_pull_are_those_that_were_asked_for(untimed):
    usual = PROJECTS.load(prepared()).recipe
    asked = PROJECTS.load(prepared(NetworkRequest(training={"epochs": 3, "weight_decay": 0.5}, ridge=2.5))).recipe
    assert asked.training == {**usual.training, "epochs": 3, "weight_decay": 0.5}
    assert asked.ridge == 2.5
    assert RunSettings(prepared(NetworkRequest(ridge=2.5))).ridge == 2.5


def test_the_title_makes_no_other_project_and_a_network_does(untimed):
    assert prepared(title="one") == prepared(title="two")
    # it keeps the title that it was first brought with: who brings the same later changes nothing of another's
    assert PROJECTS.load(prepared(title="three")).title == "one"
    assert prepared(NetworkRequest(architecture="mlp")) != prepared()


def test_tasks_of_one_sample_each_are_trained_on_too(untimed):
    """A tenth is held out of a hundred samples and more; there it would take whole tasks."""
    n = 130
    values = np.random.default_rng(0).normal(size=n).round(3)
    content = csv(
        a=values, label=(values > 0).astype(int), name=[f"sample {i}" for i in range(n)],
        split=["train"] * 110 + ["test"] * 20,
    )  # fmt: skip
    mapping = SampleMapping("label", ("a",), "tabular", TaskRule("column", ("name",)), split="split")
    found = PROJECTS.load(prepared(content=content, mapping=mapping))
    assert found.recipe.size.tasks == 110
    assert found.about["accuracy"]["train"] > 0.9


@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        (NetworkRequest(architecture="transformer"), "tabular", "'logistic' or 'mlp', for these inputs"),
        (NetworkRequest(architecture="resnet9"), "tokens", "'transformer', for these inputs"),
        (NetworkRequest("steal"), "tabular", "'train' or 'weights' or 'folder'"),
        (NetworkRequest(training={"epochs": 0}), "tabular", "epochs"),
        (NetworkRequest(training={"learning_rate": -0.01}), "tabular", "a finite number above 0"),
        (NetworkRequest("folder"), "text", "the zip of a Hugging Face folder"),
    ],
)
def test_a_network_that_cannot_be_had_is_told(model, kind, words):
    assert words in str(refused(model, kind))


def test_what_is_wrong_with_the_data_comes_before_the_network():
    mapping = SampleMapping("no such", ("a",), "tabular", BY_GROUP)
    assert "no column 'no such'" in str(refused(NetworkRequest("weights"), mapping=mapping))
    assert "mine.csv" in refused(content=b"\xff\xfe\0").place
    with pytest.raises(InputError, match="Upload it again"):
        prepare(ProjectRequest("x", FileRef("0" * 40, "x.csv"), NUMBERS.to_dict(), NetworkRequest()), silent, Store())
    with pytest.raises(InputError, match="mapping"):
        prepare(ProjectRequest("x", sent(numbers(), "x.csv"), {"labels": "label"}, NetworkRequest()), silent, Store())


# --- weights


def described(architecture, **config):
    return sent(json.dumps({"architecture": architecture, "config": config}).encode(), "net.json")


def weighed(network, name="net.safetensors"):
    return sent(save(network.state_dict()), name)


def test_uploaded_weights_are_w0(untimed):
    torch.manual_seed(0)
    network = mlp((3, 5, 2))
    key = prepared(NetworkRequest("weights", weights=weighed(network), config=described("mlp", sizes=[3, 5, 2])))
    project = PROJECTS.load(key)
    inputs = torch.from_numpy(project.recipe.suite().inputs)
    torch.testing.assert_close(base_model(key, Store())(inputs), network(inputs))
    assert project.recipe.training is None
    assert project.about["curve"] == []
    assert project.recipe.weights.name == "weights.safetensors"
    for estimator in ("gradex", "retraining"):
        assert np.isfinite(compute(RunSettings(key, estimator, subsets=3), silent, Store()).values).all()


LOGISTIC = {"inputs": 3, "classes": 2}


@pytest.mark.parametrize(
    ("weights", "config", "place", "words"),
    [
        (None, lambda: described("logistic", **LOGISTIC), "model", "weights (.safetensors) is missing"),
        (lambda: weighed(logistic(3, 2)), None, "model", "their description (.json) is missing"),
        (lambda: weighed(logistic(3, 2)), lambda: sent(b"{", "net.json"), "net.json", "no JSON"),
        (lambda: weighed(logistic(3, 2)), lambda: described("vgg"), "net.json", "'logistic'"),
        (lambda: weighed(logistic(3, 2)), lambda: described("hugging_face", folder="/etc"), "net.json", "one zip"),
        (lambda: weighed(logistic(4, 2)), lambda: described("logistic", **LOGISTIC), "net.safetensors", "(2, 4)"),
        (lambda: weighed(mlp((3, 2, 2))), lambda: described("logistic", **LOGISTIC), "net.safetensors", "'2.bias'"),
        (lambda: sent(b"PK\x03\x04", "net.safetensors"), lambda: described("logistic", **LOGISTIC),
         "net.safetensors", "a zip archive"),
        (lambda: sent(b"\x80\x02}", "net.pt"), lambda: described("logistic", **LOGISTIC), "net.pt", "any code"),
        (lambda: weighed(logistic(3, 2, seed=0)), lambda: sent(b'{"model_type": "bert"}', "net.json"), "net.json",
         "whole folder"),
        (lambda: weighed(logistic(4, 2)), lambda: described("logistic", inputs=4, classes=2), "samples",
         "4 numbers a sample"),
        (lambda: weighed(logistic(3, 3)), lambda: described("logistic", inputs=3, classes=3), "network",
         "one number for each of 2 classes"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_told_by_the_name_of_their_file(weights, config, place, words):
    model = NetworkRequest("weights", weights=weights and weights(), config=config and config())
    error = refused(model)
    assert error.place.startswith(place)
    assert words in str(error)


# --- a Hugging Face folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A tiny classifier with its tokenizer, and what a repository holds besides."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("bert")
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=12, num_labels=2,
    )  # fmt: skip
    torch.manual_seed(1)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=inner, **named).save_pretrained(folder)
    for name in ("README.md", ".gitattributes", "modeling_bert.py", "pytorch_model.bin", "config (1).json"):
        (folder / name).write_text("{}")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_text("")
    return folder


def zipped(folder, *, without=(), prefix="my bert/"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in without:
                archive.write(path, prefix + path.relative_to(folder).as_posix())
    return buffer.getvalue()


def folder_of(bert, **named):
    return NetworkRequest("folder", archive=sent(zipped(bert, **{"prefix": "my bert/"} | named), "bert.zip"))


def test_a_hugging_face_folder_reads_text_as_it_is(untimed, bert, cache_folder):
    from kernelsm.models.hugging_face import hugging_face

    key = prepared(folder_of(bert), "text")
    recipe = PROJECTS.load(key).recipe
    assert (recipe.architecture, recipe.training, recipe.config["classes"]) == ("hugging_face", None, 2)
    suite = recipe.suite()
    assert suite.inputs.dtype == np.int64
    assert set(suite.inputs[:, 0]) == {2}
    network = hugging_face(str(bert), pad_id=0)
    inputs = torch.from_numpy(suite.inputs)
    torch.testing.assert_close(base_model(key, Store())(inputs), network(inputs))
    # the texts themselves: a text has the outcome that it has by itself, padded or not
    alone = tokenize(bert, ["a good film"]).ids
    row = next(row for row in suite.inputs if row[row > 0].tolist() == alone[0].tolist())
    torch.testing.assert_close(network(torch.from_numpy(row[None])), network(torch.from_numpy(alone)))
    for estimator in ("gradex", "retraining"):
        assert np.isfinite(compute(RunSettings(key, estimator, subsets=3), silent, Store()).values).all()
    # neither code nor pickles nor papers are kept, so that a session file can carry the rest
    held = {path.name for path in (cache_folder / "projects" / key / "model").iterdir()}
    assert held == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert write_session({}, {"projects": {key: ""}}, cache_folder)


def test_a_hugging_face_folder_is_trained_further(untimed, bert):
    training = {"epochs": 2, "learning_rate": 1e-2, "batch_size": 16}
    model = folder_of(bert)
    key = prepared(NetworkRequest("folder", archive=model.archive, training=training), "text")
    assert key != prepared(model, "text")
    project = PROJECTS.load(key)
    losses = [row["train_loss"] for row in project.about["curve"]]
    assert len(losses) == 2
    assert losses[1] < losses[0]
    store = Store()
    base_model(key, store)
    assert (store.computed, store.reused) == (0, 1)
    assert project.recipe.training == training


def test_tokens_are_read_by_a_hugging_face_folder_too(untimed, bert):
    content = tokens(most=len(WORDS))
    assert PROJECTS.load(prepared(folder_of(bert), "tokens", content=content)).recipe.size.classes == 2


@pytest.mark.parametrize("training", [{}, QUICK])
def test_tokens_that_the_network_does_not_know_are_told_before_it_is_trained(bert, training):
    model = NetworkRequest("folder", archive=folder_of(bert).archive, training=training)
    error = refused(model, "tokens")
    assert f"tokens from 0 to {len(WORDS) - 1}, which the network knows" in str(error)


def test_what_is_no_whole_folder_is_told(bert):
    for without, words in (
        (["config.json"], "no config.json"), (["model.safetensors"], "only pickled weights, pytorch_model.bin"),
        (["tokenizer.json"], "no tokenizer.json"),
    ):  # fmt: skip
        error = refused(folder_of(bert, without=without), "text")
        assert error.place == "bert.zip"
        assert words in str(error)
    assert "no zip" in str(refused(NetworkRequest("folder", archive=sent(b"text", "bert.zip")), "text")).lower()
    assert "../" in refused(folder_of(bert, prefix="../"), "text").place


def test_numbers_and_clusters_of_tokens_are_nothing_for_a_hugging_face_folder(bert):
    assert refused(folder_of(bert), "tabular").found == "tabular inputs"
    clustered = SampleMapping("label", ("tokens",), "tokens", TaskRule("clusters", (), 3))
    error = refused(folder_of(bert), "tokens", mapping=clustered, content=tokens(most=len(WORDS)))
    assert (error.place, error.found) == ("tasks", "clusters of tokens")


def test_a_head_for_other_classes_is_told_by_the_name_of_the_archive(bert):
    content = csv(text=["a good film", "a bad film", "not"] * 20, label=[0, 1, 2] * 20, group=GROUPS[::-1])
    error = refused(folder_of(bert, prefix=""), "text", content=content)
    assert error.place.startswith("bert.zip")
    assert "3 classes" in str(error)


# --- a path


def test_a_path_is_taken_on_ones_own_computer_alone(untimed, bert, monkeypatch):
    error = refused(NetworkRequest("path", path=str(bert)), "text")
    assert "KERNELSM_ALLOW_PATHS=1" in error.fix
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "yes")
    refused(NetworkRequest("path", path=str(bert)), "text")
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    for path in ("", " ", "/no/such/folder", "./none", "~nobody/none"):
        assert refused(NetworkRequest("path", path=path), "text").fix == "Check the path."
    key = prepared(NetworkRequest("path", path=str(bert)), "text")
    assert key == prepared(folder_of(bert), "text")


# --- text through the encoder


def test_text_becomes_embeddings_once_and_a_small_network_reads_them(untimed):
    try:
        encoder_folder()
    except InputError:
        pytest.skip("the encoder's package is not installed")
    first, second = Store(), Store()
    key = prepared(kind="text", store=first)
    assert (first.computed, first.reused) == (2, 0)  # embeddings, W0
    project = PROJECTS.load(key)
    suite = project.recipe.suite()
    assert suite.inputs.shape[1:] == (384,)
    np.testing.assert_allclose(np.linalg.norm(suite.inputs, axis=1), 1, rtol=1e-5)
    assert project.about["accuracy"]["train"] > 0.9
    assert prepared(NetworkRequest(architecture="mlp", hidden=3), "text", store=second) != key
    assert (second.computed, second.reused) == (1, 1)
    assert compute(RunSettings(key, subsets=4), silent, Store()).K == 3
    # what was computed of the texts goes with the project
    assert "text_embeddings" in {entry.kind for entry in Store().entries()}
    Store().forget(*project.about["contents"])
    assert "text_embeddings" not in {entry.kind for entry in Store().entries()}


# --- gradient features


def test_features_that_are_none_are_told(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "x")
    for content, name in (
        (b"none", "features.npz"),
        ((tmp_path / "x").read_bytes(), "features.npz"),
        (npz(), "f.npz"),
    ):
        with pytest.raises(InputError) as caught:
            prepare(ProjectRequest("x", sent(content, name), {}, NetworkRequest("features")), silent, Store())
        assert caught.value.place.startswith(name)
