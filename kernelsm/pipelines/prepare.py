"""The job that turns a user's files into a project: read, group, train or load, check, and time a little."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernelsm.estimators.recipe import Rates, Recipe, Size
from kernelsm.files.accepting import check_ending
from kernelsm.files.archives import unpack
from kernelsm.files.json_text import read_json_object
from kernelsm.files.limits import limits
from kernelsm.gradients.features_file import load_features
from kernelsm.models.adapter_folders import is_adapter, joined_with_base
from kernelsm.models.causal_text import language_model
from kernelsm.models.config_files import read_config
from kernelsm.models.hashing import model_hash
from kernelsm.models.hugging_face import text_limits
from kernelsm.models.language_model import of_language_model
from kernelsm.models.model_copies import copy_model
from kernelsm.models.model_folders import CONVERT, EXPECTED, local_models_allowed, model_folder, own_folder, tokenize
from kernelsm.models.presets import Preset, presets
from kernelsm.models.sentence_encoder import MAX_LENGTH, encoder_folder
from kernelsm.models.standard_units import in_standard_units
from kernelsm.models.text_embedding import embedded
from kernelsm.models.weights import save_weights
from kernelsm.objectives.registry import find
from kernelsm.pipelines.classifier_check import better_matching, matched, proved
from kernelsm.pipelines.compute import initial_model, trained
from kernelsm.pipelines.text_recipe import PULL, text_settings
from kernelsm.pipelines.timing import QUICK, features_rate, measure_rates, measure_text_rates
from kernelsm.runtime.checks import check_choice
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, Stages, silent
from kernelsm.runtime.store import Store, content_hash
from kernelsm.samples.reader import read_samples
from kernelsm.samples.samples import Samples
from kernelsm.tasks.build import build_suite
from kernelsm.tasks.mapping import SampleMapping
from kernelsm.tasks.suite import CLASSIFICATION, NEXT_TOKENS, REGRESSION, SEVERAL_LABELS, TaskSuite
from kernelsm.tasks.weighting import WEIGHTING_FIELDS
from kernelsm.workspace.projects import Project, save_project
from kernelsm.workspace.requests import NETWORK_ORIGINS, OWN_UNITS, NetworkRequest, ProjectRequest

SMALL = 4096  # parameters up to which retraining to full accuracy takes a second or so
# usual pulls of small and of larger networks; the squared loss curves by 2, eight times as much as the cross-entropy
# of two classes does at most, and is held by about as much more
_PULLS, _PULLS_OF_QUANTITIES = (0.03, 0.1), (0.3, 1.0)
_UNKNOWN = Rates(base=0.0, gradients={}, gradex={}, retraining=0.0)
# importing torch counts as reading
_STAGES = {"read": 4.0, "inputs": 1.0, "base": 8.0, "probe": 4.0}
_EMBEDDED_A_SECOND = 60
_MOST_TOKENS = 2048  # of a text for a network without a limit of its own


def run(report: Report, store: Store, *, request: str) -> dict[str, Any]:
    """Job: prepare, keep the project and return {"project": key}."""
    project_request = ProjectRequest.from_json(request)
    return {"project": prepare(project_request, report, store)}


def prepare(request: ProjectRequest, report: Report, store: Store) -> str:
    """Prepare the uploaded files and return the project's key.

    Raises
    ------
    InputError
        Names the first thing that is wrong, in the data, the mapping or the model.
    """
    root = store.root.parent
    if request.model.origin == "features":
        return _from_features(request, Stages(report, _STAGES), root)
    check_choice("model", request.model.origin, NETWORK_ORIGINS)
    mapping = SampleMapping.from_dict(request.mapping)
    samples = read_samples(request.data.path(root), request.data.name)
    follows = mapping.objective == NEXT_TOKENS
    embeds = mapping.kind == "text" and not follows and request.model.origin not in ("folder", "path")
    seconds = samples.rows / _EMBEDDED_A_SECOND if embeds else 0.0
    stages = Stages(report, {**_STAGES, "inputs": _STAGES["inputs"] + seconds})
    stages.stage("read")(1, 1, "read", reused=None)
    (root / "uploads").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="model-", dir=root / "uploads") as temporary_folder:
        place = Path(temporary_folder, "model")
        folder = _language_model_folder(request.model, place, root) if follows else _model_folder(
            request.model, place, root, text=mapping.kind == "text"
        )  # fmt: skip
        encoder = _encoder_folder(request.model, Path(temporary_folder, "encoder"), root) if embeds else None
        with _named_as_sent(request.model, folder, root, encoder):
            inputs = stages.stage("inputs")
            read = _read(samples, mapping, folder, inputs, store, most=request.model.tokens, encoder=encoder)
            known: dict[str, Any] = {"texts": read.texts} if read.texts else {}
            if folder and read.suite.objective in (CLASSIFICATION, SEVERAL_LABELS):
                config = read_json_object(folder / "config.json", f"model {folder.name!r}", EXPECTED, CONVERT)
                suite, known["classes"] = matched(read.suite, config, request.model.classes)
                read = replace(read, suite=suite)
            inputs(1, 1, "inputs", reused=None)
            recipe = _recipe(request.model, read, mapping, folder, root)
            if request.model.predicts == OWN_UNITS and recipe.weights and read.suite.objective == REGRESSION:
                recipe = _in_standard_units(recipe, read.suite, Path(temporary_folder, "weights.safetensors"))
            if recipe.architecture == "hugging_face":
                recipe, proof = proved(recipe, read.suite)
                known["proof"] = proof.to_dict()
            begun = time.perf_counter()
            model, curve = trained(recipe, read.suite, store, stages.stage("base"))
            _check_head(model, recipe)
        took, seen = time.perf_counter() - begun, dict[str, str]()
        recipe = _measured(recipe, read.suite, model, took, request.model, stages.stage("probe"), seen)
        known |= {"engine": seen} if seen else {}
        came = request.model.origin != "train"
        about = {
            "file": request.data.name, "mapping": mapping.to_dict(), "data": read.suite.meta,
            "curve": [asdict(row) for row in curve], **_seen_at_w0(model, read.suite, brought=came),
            "contents": [read.suite.content_hash, model_hash(model), *read.contents], **known,
        }  # fmt: skip
        return save_project(Project(request.title, recipe, about), read.suite, root=root, model_folder=folder)


def _measured(
    recipe: Recipe,
    suite: TaskSuite,
    model: nn.Module,
    base_seconds: float,
    network: NetworkRequest,
    report: Report,
    seen: dict[str, str],
) -> Recipe:
    """The recipe, completed with the parameter count and the timings of the network; fills in the engine `seen`."""
    d = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if suite.objective == NEXT_TOKENS:
        ridge = network.ridge or PULL
        rates = measure_text_rates(
            suite,
            model,
            base_seconds=base_seconds,
            ridge=ridge,
            epochs=recipe.retraining["epochs"],
            report=report,
            seen=seen,
        )
        return replace(recipe, parameters=d, ridge=ridge, rates=rates, counted=Size.of(suite))
    small, large = _PULLS_OF_QUANTITIES if suite.objective == REGRESSION else _PULLS
    ridge = network.ridge or (small if d <= SMALL else large)
    retraining = {} if d <= SMALL else dict(QUICK)
    rates = measure_rates(
        suite, model, base_seconds=base_seconds, ridge=ridge, quick=bool(retraining), report=report, seen=seen
    )  # fmt: skip
    return replace(recipe, parameters=d, ridge=ridge, retraining=retraining, rates=rates, counted=Size.of(suite))


def _seen_at_w0(model: nn.Module, suite: TaskSuite, *, brought: bool) -> dict[str, Any]:
    """The measure by which people judge a network, at W0 in training and test, and what to hold it against.

    For classes that is the accuracy of always saying the most common one of the same test samples, and that of a
    network that was brought with its classes numbered otherwise, if that is much better.
    """
    objective, headlines = find(suite), {}
    for name, inputs, labels in (
        ("train", suite.inputs, suite.labels), ("test", suite.test_inputs, suite.test_labels),
    ):  # fmt: skip
        rows = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), 2000)).astype(np.intp))
        with torch.no_grad():
            parts = torch.from_numpy(inputs[rows]).split(64)
            outputs = torch.cat([model(batch) for batch in parts])
        headlines[name] = objective.measure_headline(outputs, torch.from_numpy(labels[rows]))
    seen: dict[str, Any] = {objective.headline: headlines}
    if suite.objective == CLASSIFICATION:
        counts = np.bincount(suite.test_labels[rows])  # of the samples that the accuracy is measured on
        seen["majority"] = {"share": float(counts.max() / counts.sum()), "class": int(counts.argmax())}
        if brought and (better := better_matching(outputs.numpy(), suite.test_labels[rows])):
            seen["renumbered"] = {"accuracy": better[0], "of": better[1]}
    return seen


@contextmanager
def _named_as_sent(
    model: NetworkRequest, folder: Path | None, root: Path, encoder: Path | None = None
) -> Iterator[None]:
    """Errors name the files of a network as their owner does, not as they are kept here."""
    names: dict[str, str] = {}
    if folder:
        sent_name = model.archive.name if model.archive else model.path
        names = {f"model {folder.name!r}": sent_name, "tokenizer": f"{sent_name}, tokenizer"}
    elif model.weights:
        names = {model.weights.path(root).name: model.weights.name}
    if encoder:
        sent_name = model.encoder.name if model.encoder else model.encoder_path
        names |= {f"sentence encoder {encoder.name!r}": sent_name, "tokenizer": f"{sent_name}, tokenizer"}
    try:
        yield
    except InputError as error:
        for kept_name, sent_name in names.items():
            if error.place.startswith(kept_name):
                place = sent_name + error.place.removeprefix(kept_name)
                raise InputError(place, error.found, error.expected, error.fix) from error
        raise


def _in_standard_units(recipe: Recipe, suite: TaskSuite, path: Path) -> Recipe:
    """The recipe with weights that give standardised quantities, written to `path`."""
    model = in_standard_units(initial_model(recipe, 0), suite.objective_settings)
    return replace(recipe, weights=save_weights(model, path))


def _check_head(model: nn.Module, recipe: Recipe) -> None:
    """Refuse a network with a randomly initialised classification head, unless it is trained here."""
    fresh: tuple[str, ...] = getattr(model, "fresh", ())
    if recipe.training is None and fresh:
        raise InputError(
            f"model {Path(recipe.config['folder']).name!r}", "no trained head that tells classes apart",
            "a sequence classification model",
            "Switch on 'Train it further on these samples', or bring a model that was trained to classify.",
        )  # fmt: skip


def _model_folder(
    model: NetworkRequest, folder: Path, root: Path, *, text: bool, adapted: bool = True
) -> Path | None:
    """The folder of a Hugging Face model, unpacked from a zip or saved from its path or the hub; None for others.

    With `adapted` a low-rank adapter is taken too, joined with its base model.
    """
    if model.origin == "folder":
        if model.archive is None:
            raise InputError("model", "no file", "the zip of a Hugging Face folder", "Upload it.")
        expected, fix = "the zip of a Hugging Face folder", "Zip the folder that save_pretrained wrote."
        check_ending(model.archive.name, (".zip",), expected, fix, unpickle=CONVERT)
        unpack(model.archive.path(root), folder, model.archive.name, limits())
        if adapted and is_adapter(folder):
            fetch = copy_model if local_models_allowed() else None
            return joined_with_base(folder, model.archive.name, folder.with_name("joined"), fetch, text=text)
        return model_folder(folder, model.archive.name, text=text)
    if model.origin == "path":
        if not local_models_allowed():
            _refuse_paths()
        folder.mkdir()
        return copy_model(model.path, folder, text=text, adapted=adapted)
    return None


def _encoder_folder(model: NetworkRequest, folder: Path, root: Path) -> Path | None:
    """The folder of a sentence encoder, unpacked, of this computer or from the hub; None for the packaged one."""
    if model.encoder is not None:
        fix = "Zip the folder of the encoder."
        check_ending(model.encoder.name, (".zip",), "the zip of a sentence encoder", fix, unpickle=CONVERT)
        unpack(model.encoder.path(root), folder, model.encoder.name, limits())
        return model_folder(folder, model.encoder.name, text=True)
    if not model.encoder_path:
        return None
    if not local_models_allowed():
        _refuse_paths()
    own = own_folder(model.encoder_path)
    return model_folder(own, model.encoder_path, text=True) if own else copy_model(
        model.encoder_path, folder, text=True
    )  # fmt: skip


def _refuse_paths() -> NoReturn:
    raise InputError(
        "model", "a path or hub name", "an uploaded model",
        "Start the app with KERNELSM_ALLOW_PATHS=1 on your own computer to use paths and hub names.",
    )  # fmt: skip


def _language_model_folder(model: NetworkRequest, folder: Path, root: Path) -> Path | None:
    """The folder of a language model, unpacked or saved; None for the packaged one."""
    found: list[Path] = []

    def find() -> Path:
        place = _model_folder(model, folder, root, text=True, adapted=False)
        found.extend([place] if place else [])
        return place or folder

    of_language_model(find)
    return found[0] if found else None


@dataclass(frozen=True)
class _Read:
    """Samples grouped into tasks, their padding token, hashes of what the store kept meanwhile, facts on texts."""

    suite: TaskSuite
    pad_id: int | None
    contents: list[str]
    texts: dict[str, Any] = field(default_factory=dict)


def _read(
    samples: Samples,
    mapping: SampleMapping,
    folder: Path | None,
    report: Report,
    store: Store,
    *,
    most: int,
    encoder: Path | None,
) -> _Read:
    """Group the samples; text becomes tokens of the network in `folder`, or embeddings."""
    pads: list[int] = []
    contents: list[str] = []
    facts: dict[str, Any] = {}

    def tokens(texts: list[str], second: list[str] | None = None) -> NDArray[np.int64]:
        assert folder is not None
        limit, types = text_limits(folder)
        length = min(most or _MOST_TOKENS, limit or _MOST_TOKENS)
        found = tokenize(folder, texts, length, second=second, types=types)
        pads.append(found.pad_id)
        facts.update(found.facts)
        return found.inputs

    def embeddings(texts: list[str]) -> NDArray[np.float32]:
        contents.append(content_hash(texts))
        facts.update(tokenize(encoder or encoder_folder(), texts, MAX_LENGTH).facts)
        return embedded(texts, store, report, encoder=encoder)

    def cluster_embeddings(texts: list[str]) -> NDArray[np.float32]:
        contents.append(content_hash(texts))
        return embedded(texts, store, report)

    if mapping.objective == NEXT_TOKENS:
        report(0, 1, "loading the language model", reused=None)
        return _Read(build_suite(samples, mapping, encode=language_model(str(folder or "")).encode), None, contents)
    suite = build_suite(
        samples, mapping, embed=tokens if folder else embeddings, embed_pairs=tokens if folder else None,
        embed_clusters=cluster_embeddings,
    )  # fmt: skip
    return _Read(suite, pads[0] if pads else None, contents, facts)


def _recipe(model: NetworkRequest, read: _Read, mapping: SampleMapping, folder: Path | None, root: Path) -> Recipe:
    """The network before it is trained or loaded."""
    suite, pad_id = read.suite, read.pad_id
    known: dict[str, Any] = {
        "suite": lambda report=silent: suite,
        "parameters": 0,
        "ridge": model.ridge or 0.1,
        "rates": _UNKNOWN,
        "objective": suite.objective,
    }
    outputs = find(suite).outputs
    if suite.objective == NEXT_TOKENS:
        return Recipe(**known, **text_settings(model, folder))
    if folder:
        if suite.inputs.dtype != np.int64:
            raise InputError(
                "inputs", f"{mapping.kind} inputs", "text or tokens, which a Hugging Face model reads",
                "Choose a text column, or train a built-in network.",
            )  # fmt: skip
        config = {"folder": str(folder), "classes": outputs, **({} if pad_id is None else {"pad_id": pad_id})}
        return Recipe(architecture="hugging_face", config=config, training=model.training or None, **known)
    if model.origin == "weights":
        if model.weights is None or model.config is None:
            missing = "weights (.safetensors)" if model.weights is None else "their description (.json)"
            raise InputError("model", "one file", f"two: {missing} is missing", "Upload both.")
        architecture, config = read_config(model.config.path(root).read_bytes(), model.config.name)
        return Recipe(
            architecture=architecture, config=config, training=None, weights=model.weights.path(root), **known
        )
    preset = _preset(model, suite, mapping)
    training = {**preset.training, **model.training}
    sizes = np.bincount(suite.task_of)
    if sizes[sizes > 1].sum() * training.get("validation", 0.0) < 1:  # tasks so small can spare no sample
        training = {name: value for name, value in training.items() if name not in ("validation", "patience")}
    return Recipe(architecture=preset.architecture, config=preset.config, training=training, **known)


def _preset(model: NetworkRequest, suite: TaskSuite, mapping: SampleMapping) -> Preset:
    tokens = suite.inputs.dtype == np.int64
    vocabulary = int(max(suite.inputs.max(), suite.test_inputs.max())) + 1 if tokens else None
    outputs = find(suite).outputs
    fitting = presets(mapping.kind, suite.inputs.shape[1:], outputs, len(suite.inputs), vocabulary=vocabulary)
    if model.architecture and model.architecture not in fitting:
        expected = " or ".join(map(repr, fitting))
        raise InputError(
            "architecture", repr(model.architecture)[:80], f"{expected}, for these inputs", "Choose one of these."
        )
    chosen = fitting[model.architecture] if model.architecture else next(iter(fitting.values()))
    if model.hidden and chosen.architecture == "mlp":
        sizes = chosen.config["sizes"]
        chosen = replace(chosen, config={**chosen.config, "sizes": [sizes[0], model.hidden, sizes[-1]]})
    return chosen


def _from_features(request: ProjectRequest, stages: Stages, root: Path) -> str:
    """A project of gradient features that another machine computed."""
    path = request.data.path(root)
    suite, train, test = load_features(path, request.data.name)
    suite = replace(suite, **{key: value for key, value in request.mapping.items() if key in WEIGHTING_FIELDS})
    stages.stage("read")(1, 1, "read", reused=None)
    ridge = request.model.ridge or 0.1
    rates = features_rate(suite, train, test, ridge)
    stages.stage("probe")(1, 1, "timing GradEx", reused=None)
    recipe = Recipe(
        suite=lambda report=silent: suite, architecture="", config={"outputs": train.outputs},
        parameters=train.features.shape[2], ridge=ridge, rates=rates, training=None, features=path,
        counted=Size.of(suite), objective=suite.objective,
    )  # fmt: skip
    about = {"file": request.data.name, "data": suite.meta, "features": train.meta, "contents": [suite.content_hash]}
    return save_project(Project(request.title, recipe, about), suite, root=root)
