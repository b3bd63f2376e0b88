"""Controls that choose the network: train one, upload weights, or a Hugging Face model."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kernelsm.app.data.class_choice import class_controls, described
from kernelsm.app.data.network_facts import expected_way
from kernelsm.app.shell import frame
from kernelsm.app.shell.uploaded_files import dropped_file
from kernelsm.app.shell.view import PULLS
from kernelsm.app.shell.words import W0, plain
from kernelsm.files.limits import limits
from kernelsm.models.config_files import config_template
from kernelsm.models.known_families import BUILT_IN, family_way
from kernelsm.models.model_folders import local_models_allowed
from kernelsm.models.presets import presets
from kernelsm.pipelines.text_recipe import LAYERS_OF_PACKAGED, RANK, SUBSETS
from kernelsm.tasks.mapping import SampleMapping
from kernelsm.tasks.suite import CLASSIFICATION, NEXT_TOKENS, REGRESSION
from kernelsm.workspace.requests import ALL_TOKENS, OWN_UNITS, USUAL_TOKENS, FileRef, NetworkRequest

_ORIGINS = {
    "train": "Train one for me", "weights": "My weights (safetensors)", "folder": "Hugging Face folder (zip)",
    "path": "Path or hub name",
}  # fmt: skip
_LANGUAGE_MODELS = {
    "packaged": "SmolLM2-135M-Instruct (packaged)", "folder": "Hugging Face folder (zip)", "path": "Path or hub name",
}  # fmt: skip
_ENCODERS = {
    "packaged": "all-MiniLM-L6-v2 (packaged)", "folder": "Folder (zip)", "path": "Path or hub name",
}  # fmt: skip
_TITLES = {"": "what fits best", "logistic": "Logistic regression", "mlp": "Small neural network",
           "resnet9": "ResNet-9", "transformer": "Small transformer"}  # fmt: skip
_TITLES_OF_QUANTITIES = {**_TITLES, "logistic": "Linear regression"}
_PREDICTS = {OWN_UNITS: "The label in its own units", "": "The standardised label"}
_OFFERED = {"tabular": ("logistic", "mlp"), "text": ("logistic", "mlp"), "tokens": ("transformer",),
            "image": ("logistic", "mlp", "resnet9")}  # fmt: skip


def model_controls(mapping: SampleMapping, ref: FileRef) -> NetworkRequest | None:
    """Draw the controls and return the network wanted for a file of samples; None while something is missing."""
    st.markdown("### Network")
    if mapping.objective == NEXT_TOKENS:
        return _language_model()
    origins = [origin for origin in _ORIGINS if origin != "path" or local_models_allowed()]
    origin = st.segmented_control(
        "Where from", origins, format_func=_ORIGINS.__getitem__, key="bring_way", default="train", required=True,
        help="A network of your own code: compute its gradient features with the library or the command line, and "
        "bring those.", wrap=True,
    )  # fmt: skip
    if origin == "train":
        return _train(mapping)
    if origin == "weights":
        return _weights(mapping)
    return _hugging_face(origin, mapping, ref)


def _language_model() -> NetworkRequest | None:
    """Which language model is fine-tuned, and how; None while its files are missing."""
    origins = [origin for origin in _LANGUAGE_MODELS if origin != "path" or local_models_allowed()]
    origin = st.segmented_control(
        "Language model", origins, format_func=_LANGUAGE_MODELS.__getitem__, key="bring_language_model",
        default="packaged", required=True, wrap=True,
    )  # fmt: skip
    st.caption(
        "Its own weights stay as they are: low-rank adapters (LoRA) of its queries and values, in the packaged model "
        f"those of the last {LAYERS_OF_PACKAGED} layers, are trained on all texts for W0, and from there on each "
        "subset. Models are read from safetensors with their tokenizer; code that comes with one is never run."
    )
    archive: FileRef | None = None
    path = ""
    if origin == "folder":
        archive = dropped_file("Folder (.zip)", "bring_folder", limits().megabytes)
    elif origin == "path":
        path = st.text_input("Folder of this computer, or name on the hub", key="bring_path").strip()
    one, two, three, four = frame.panels(4, 160)
    with one:
        rank = st.select_slider(
            "Rank of the adapters", (1, 2, 4, 8, 16), RANK, key="bring_rank",
            help="A matrix of the model gets a correction of this rank. More can be learned, and takes longer.",
        )  # fmt: skip
    with two:
        epochs = st.number_input(
            "Passes over a subset", 1, 20, SUBSETS["epochs"], key="bring_passes",
            help="Of real fine-tuning, which GradEx' estimates are compared with.",
        )  # fmt: skip
    with three:
        rate = st.select_slider(
            "Learning rate", (None, 1e-4, 3e-4, 1e-3, 2e-3, 5e-3), None, key="bring_text_rate", format_func=_usual
        )
    with four:
        pull = _pull()
    if origin != "packaged" and archive is None and not path:
        return None
    training: dict[str, Any] = {} if epochs == SUBSETS["epochs"] else {"epochs": int(epochs)}
    training |= {"learning_rate": rate} if rate else {}
    changed = None if rank == RANK else rank
    if archive is not None:
        return NetworkRequest("folder", training=training, ridge=pull, archive=archive, rank=changed)
    return NetworkRequest("path" if path else "packaged", training=training, ridge=pull, path=path, rank=changed)


def _train(mapping: SampleMapping) -> NetworkRequest | None:
    offered, titles = _OFFERED[mapping.kind], _TITLES
    if mapping.objective == REGRESSION:
        titles = _TITLES_OF_QUANTITIES
    one, two, three = frame.panels(3, 220)
    with one:
        architecture = st.selectbox(
            "Architecture",
            offered,
            format_func=titles.__getitem__,
            key=f"bring_architecture_{mapping.kind}",
        )
    hidden = None
    if architecture == "mlp":
        with two:
            hidden = st.select_slider("Hidden units", (8, 16, 32, 64, 128, 256, 512), 64, key="bring_hidden")
    training: dict[str, Any] = {}
    with three:
        pull = _pull()
    st.caption(expected_way(BUILT_IN[architecture]))
    with st.expander("Training", icon=":material/school:"):
        one, two, three = frame.panels(3, 180)
        with one:
            if epochs := st.number_input("Most epochs", 1, 5000, None, key="bring_epochs", placeholder="usual"):
                training["epochs"] = int(epochs)
        with two:
            rate = st.select_slider(
                "Learning rate",
                (None, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03),
                None,
                key="bring_rate",
                format_func=_usual,
            )
            training |= {"learning_rate": rate} if rate else {}
        with three:
            decay = st.select_slider(
                "Weight decay", (None, 0.0, 1e-3, 1e-2, 0.1, 1.0), None, key="bring_decay", format_func=_usual
            )
            training |= {"weight_decay": decay} if decay is not None else {}
        st.caption(
            "AdamW. Where there are enough samples, a tenth is held out, and training stops when its loss has not "
            "improved for ten epochs; the best weights are kept."
        )
    chosen = _encoder() if mapping.kind == "text" else (None, "")
    if chosen is None:
        return None
    encoder, path = chosen
    return NetworkRequest(
        "train", architecture=architecture, hidden=hidden, training=training, ridge=pull, encoder=encoder,
        encoder_path=path,
    )  # fmt: skip


def _encoder() -> tuple[FileRef | None, str] | None:
    """The zip, or the path or hub name, of another sentence encoder; None while its file is missing."""
    with st.expander("Encoder of the texts", icon=":material/translate:"):
        origins = [origin for origin in _ENCODERS if origin != "path" or local_models_allowed()]
        origin = st.segmented_control(
            "Encoder",
            origins,
            format_func=_ENCODERS.__getitem__,
            key="bring_encoder",
            default="packaged",
            required=True,
            wrap=True,
        )
        st.caption(
            "It turns a text of up to 128 tokens into numbers. The packaged one knows English best. Another one is a "
            "network such as BERT or MPNet that averages over tokens, with safetensors and its tokenizer."
        )
        if origin == "packaged":
            return None, ""
        if origin == "path":
            path = st.text_input("Folder of this computer, or name on the hub", key="bring_encoder_path").strip()
            return (None, path) if path else None
        file = dropped_file("Folder (.zip)", "bring_encoder_file", limits().megabytes)
        return (file, "") if file is not None else None


def _usual(value: float | None) -> str:
    return "usual" if value is None else f"{value:g}"


def _pull() -> float | None:
    """The pull towards W0, None for what suits the network's size."""
    ridge: float | None = st.select_slider(
        "Pull towards W0", (None, *PULLS), None, key="bring_pull", format_func=_usual,
        help=f"{W0} The pull is how strongly fine-tuning on a subset is held near them; Gradients can change it.",
    )  # fmt: skip
    return ridge


def _weights(mapping: SampleMapping) -> NetworkRequest | None:
    one, two = frame.panels()
    with one:
        weights = dropped_file("Weights (.safetensors)", "bring_weights", limits().megabytes)
        config = dropped_file("Description (.json)", "bring_config", 1)
    with two:
        st.markdown(
            "The weights of a built-in architecture, by `safetensors.torch.save_file(model.state_dict(), FILE)`, and "
            "a JSON file that says which architecture it is. Pickled weights (`.pt`, `.bin`) are never read: they "
            "can run any code."
        )
        st.download_button(
            "Download a description to fill in", _template(mapping), "model.json", "application/json",
            icon=":material/download:",
        )  # fmt: skip
        pull = _pull()
        predicts = _predicts(mapping)
    if weights is None or config is None:
        return None
    return NetworkRequest("weights", weights=weights, config=config, ridge=pull, predicts=predicts)


def _predicts(mapping: SampleMapping) -> str:
    """What the network gives for a quantity; "" is the standardised quantity, as built-in networks learn it."""
    if mapping.objective != REGRESSION:
        return ""
    chosen = st.segmented_control(
        "The network predicts", list(_PREDICTS), format_func=_PREDICTS.__getitem__, default=OWN_UNITS, required=True,
        key="bring_predicts",
        help="Inside kernelsm quantities are standardised, (label - mean) / standard deviation of the training "
        "samples. A network that predicts the label in its own units has its last layer rescaled accordingly.",
        wrap=True,
    )  # fmt: skip
    return str(chosen)


def _template(mapping: SampleMapping) -> str:
    """A description with the sizes that the columns suggest."""
    shape = {"tabular": (len(mapping.inputs),), "text": (384,), "image": (1, 28, 28), "tokens": (32,)}[mapping.kind]
    outputs = 2 if mapping.objective == CLASSIFICATION else len(mapping.labels)
    fitting = presets(mapping.kind, shape, outputs, 1000, vocabulary=1000 if mapping.kind == "tokens" else None)
    return config_template(list(fitting.values())[-1])


def _hugging_face(origin: str, mapping: SampleMapping, ref: FileRef) -> NetworkRequest | None:
    st.caption(
        "A sequence classification model with safetensors and its tokenizer, as `save_pretrained` writes them. Code "
        "that comes with a model is never run."
    )
    if mapping.objective == REGRESSION:
        st.caption("It is to give the standardised label; a new head learns that where it is trained further here.")
    if mapping.kind == "text" and len(mapping.inputs) == 2:
        first, second = map(plain, mapping.inputs)
        st.caption(f"{first} and {second} go to its tokenizer as a pair, in this order.")
    one, two = frame.panels()
    archive: FileRef | None = None
    path = ""
    with one:
        if origin == "folder":
            archive = dropped_file("Folder (.zip)", "bring_folder", limits().megabytes)
        else:
            path = st.text_input("Folder of this computer, or name on the hub", key="bring_path").strip()
    with two:
        further = st.toggle(
            "Train it further on these samples", key="bring_further",
            help="For a model whose classification head is new. Otherwise it is taken as it is.",
        )  # fmt: skip
        pull = _pull()
        tokens = _most_tokens() if mapping.kind == "text" else USUAL_TOKENS
    if archive is None and not path:
        return None
    training = {"epochs": 3, "learning_rate": 5e-5, "batch_size": 16} if further else {}
    # a head that is new, or is trained further, learns the order of the labels
    st.caption(expected_way(family_way(described(archive, path))))
    classes = {} if further else class_controls(ref, mapping, archive, path)
    if classes is None:
        return None
    if archive is not None:
        return NetworkRequest(
            "folder", training=training, ridge=pull, archive=archive, classes=classes, tokens=tokens
        )
    return NetworkRequest("path", training=training, ridge=pull, path=path, classes=classes, tokens=tokens)


def _most_tokens() -> int:
    """At how many tokens texts are cut."""
    chosen: int = st.select_slider(
        "Tokens of a text", (32, 64, 128, 256, 512, 1024, ALL_TOKENS), ALL_TOKENS, key="bring_tokens",
        format_func=lambda count: f"{count:,}" if count else "all that the model reads",
        help="Longer texts are cut, which is said. Time and memory grow with the length of the longest text, in "
        "attention with its square.",
    )  # fmt: skip
    return chosen
