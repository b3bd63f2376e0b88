"""What is seen in a user's model: family, classes, lengths, whether its logits are right, the engine of gradients."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kernelsm.files.archives import unpack
from kernelsm.files.json_text import read_json_object
from kernelsm.files.limits import limits
from kernelsm.gradients.per_sample import choose_engine
from kernelsm.models.adapter_folders import adapter_files, is_adapter, joined_with_base
from kernelsm.models.class_matching import class_names, has_own_names
from kernelsm.models.hugging_face import HuggingFaceClassifier, hugging_face, text_limits
from kernelsm.models.model_copies import copy_model
from kernelsm.models.model_folders import CONVERT, EXPECTED, model_folder
from kernelsm.models.own_forward import ALONE, made_up_texts, prove
from kernelsm.objectives.classification import Margin
from kernelsm.runtime.errors import InputError

_ENGINE_TOKENS = 32  # of the made-up texts that an engine is chosen with


def inspect_model(path: Path) -> dict[str, Any]:
    """Load a classifier from a folder or zip as a project does, try it on made-up texts, and return what was seen.

    Parameters
    ----------
    path : Path
        As `save_pretrained` writes it, or a low-rank adapter; its base model may be beside it, or is looked for under
        the name that the adapter gives.

    Returns
    -------
    dict
        JSON types: `family`, `classes` by name, `parameters` and how many are `trained`, `adapter`, `new_head`,
        `longest` text in tokens (None without end), `token_types`, `tokenizer`; the `proof`, how far its logits are
        from its own forward call alone and padded; and the `engine` of its gradients, which agree with plain backward
        passes, with the reason why faster ones are not taken.

    Raises
    ------
    InputError
        No model that can be taken: what a project would be told.
    """
    with tempfile.TemporaryDirectory(prefix="kernelsm-inspect-") as temporary_folder:
        folder = _model(path, Path(temporary_folder))
        config = read_json_object(folder / "config.json", f"{path.name}, config.json", EXPECTED, CONVERT)
        names = class_names(config)
        try:
            model = hugging_face(str(folder), reading=ALONE)
        except InputError as error:
            place = error.place.replace(f"model {folder.name!r}", path.name)
            raise InputError(place, error.found, error.expected, error.fix) from error
        longest, types = text_limits(folder)
        texts = made_up_texts(model)
        if texts is None:
            raise InputError(path.name, "a network that says nothing of its vocabulary", EXPECTED, CONVERT)
        proof = prove(model, texts, path.name)
        adapter = adapter_files(folder, path.name)
        notes = []
        if model.fresh:
            notes.append("Its head is new and random: train it further on your samples.")
        elif not has_own_names(names):
            notes.append("Its classes have no names of their own: labels that are not numbers will be asked about.")
        return {
            "file": path.name, "kind": "model", "family": proof.family, "classes": list(names),
            "parameters": sum(p.numel() for p in model.parameters()),
            "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "adapter": {"kind": "LoRA", "base": adapter.base} if adapter else None, "new_head": bool(model.fresh),
            "longest": longest, "token_types": types, "tokenizer": (folder / "tokenizer.json").is_file(),
            "proof": proof.to_dict(), "logits_equal": proof.is_equal, "notes": notes, **_engine(model, texts),
        }  # fmt: skip


def _model(path: Path, place: Path) -> Path:
    """The checked folder of a model; adapters are joined with their base model."""
    source = path
    if path.is_file():
        source = place / "model"
        unpack(path, source, path.name, limits())
    if is_adapter(source):
        return joined_with_base(source, path.name, place / "joined", copy_model)
    return model_folder(source, path.name)


def _engine(model: HuggingFaceClassifier, texts: torch.Tensor) -> dict[str, str]:
    """The engine that is taken for gradients, and why faster ones are not."""
    few = texts[..., :_ENGINE_TOKENS]
    with torch.no_grad():
        labels = model(few).argmax(dim=1)
    network: nn.Module = model
    engine, because = choose_engine(network, few, labels, Margin())
    return {"engine": engine.name, "engine_because": because}
