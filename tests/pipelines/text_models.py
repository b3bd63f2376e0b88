"""Zips of small classifiers of texts with tokenizers, and files of texts that they read."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from families import family_network

from kernelsm.pipelines.prepare import prepare
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store
from kernelsm.tasks.mapping import SampleMapping, TaskRule
from kernelsm.workspace.projects import PROJECTS, Project
from kernelsm.workspace.requests import FileRef, NetworkRequest, ProjectRequest
from kernelsm.workspace.uploads import keep_upload

# numbers of the marks as in `families`: 1 pads, 2 ends
VOCABULARY = (
    "<s>", "<pad>", "</s>", "<unk>", "a", "good", "bad", "film", "not", "is", "was", "the", "plot", "actors", "dull",
    "fine", "loved", "hated",
)  # fmt: skip
MAPPING = SampleMapping("label", ("text",), "text", TaskRule("column", ("group",)))


def save_words(folder: Path, *, marked: bool = True, **named: Any) -> None:
    """Save a tokenizer that cuts at blanks, marks the ends of a text, and joins pairs with token types."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    numbers = {word: number for number, word in enumerate(VOCABULARY)}
    inner = Tokenizer(models.WordLevel(numbers, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    marks = [(mark, numbers[mark]) for mark in ("<s>", "</s>")]
    if marked:
        inner.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=marks
        )
    special = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=inner, **special, **named).save_pretrained(folder)


def saved(folder: Path, family: str = "Bert", *, words: dict[str, Any] | None = None, **config: Any) -> Path:
    """Save a classifier of a family with its tokenizer; `config` changes what config.json says."""
    network = family_network(family)
    for name, value in config.items():
        setattr(network.config, name, value)
    network.save_pretrained(folder)
    save_words(folder, **(words or {}))
    return folder


def zipped(folder: Path, prefix: str = "mine/") -> bytes:
    """Zip a model's folder, or with no prefix one that holds several."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, f"{prefix}{path.relative_to(folder)}")
    return sink.getvalue()


def reviews(labels: list[Any] | None = None, **columns: list[Any]) -> bytes:
    """Sixty texts of different lengths in three groups, as CSV."""
    words = VOCABULARY[4:]
    texts = [" ".join(words[(row + 3 * at) % len(words)] for at in range(1 + row % 5)) for row in range(60)]
    named: dict[str, list[Any]] = {"text": texts, "label": labels or [row % 3 for row in range(60)],
                                   "group": ["xyz"[row // 3 % 3] for row in range(60)], **columns}  # fmt: skip
    rows = zip(*named.values(), strict=True)
    return "\n".join([",".join(named), *(",".join(map(str, row)) for row in rows)]).encode()


def sent(content: bytes, name: str) -> FileRef:
    """A file that was sent."""
    return FileRef(keep_upload(content, name), name)


def brought(
    folder: Path,
    content: bytes | None = None,
    mapping: SampleMapping = MAPPING,
    *,
    prefix: str = "mine/",
    **named: Any,
) -> Project:
    """Prepare a project of texts and the model of a folder, and open it."""
    model = NetworkRequest("folder", archive=sent(zipped(folder, prefix), "mine.zip"), **named)
    request = ProjectRequest("Mine", sent(content or reviews(), "reviews.csv"), mapping.to_dict(), model)
    job = ProjectRequest.from_json(request.job().arguments["request"])
    return PROJECTS.load(prepare(job, silent, Store()))
