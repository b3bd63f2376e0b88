"""Small files as a user may bring them: 64 samples of each format, networks, gradient features, tables."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROWS = 64
TASKS = ("north", "east", "south", "west")


def samples(seed: int = 0) -> pd.DataFrame:
    """Two numbers that say something of the label, and where a sample comes from."""
    rng = np.random.default_rng(seed)
    kind = np.arange(ROWS) % 2
    return pd.DataFrame(
        {
            "a": rng.normal(size=ROWS) + 2 * kind, "b": rng.normal(size=ROWS),
            "label": np.where(kind, "yes", "no"), "task": np.array(TASKS)[np.arange(ROWS) // 2 % 4],
        }
    )  # fmt: skip


def csv(frame: pd.DataFrame | None = None, separator: str = ",") -> bytes:
    return (samples() if frame is None else frame).to_csv(index=False, sep=separator).encode()


@cache  # a workbook says when it was written
def excel() -> bytes:
    """With the index that pandas writes unless it is told not to."""
    sink = io.BytesIO()
    samples().to_excel(sink)
    return sink.getvalue()


def tsv() -> bytes:
    """Neither tasks nor a split are named."""
    return csv(samples().rename(columns={"label": "species"}).drop(columns="task"), "\t")


def parquet() -> bytes:
    """Five labels, which may be tasks as well, and a column that says what to test with."""
    rows = np.arange(ROWS)
    split = np.where(rows % 4, "train", "test")
    sink = io.BytesIO()
    samples().drop(columns="task").assign(label=rows % 5, split=split).to_parquet(sink)
    return sink.getvalue()


def lines() -> bytes:
    """Sentences of three sources."""
    words = ["a", "fine", "film", "with", "loved", "actors", "but", "one", "dull", "plot", "which", "nobody", "hated"]
    rng = np.random.default_rng(0)
    rows = [
        {"text": " ".join(rng.choice(words, 6)), "label": ("good", "bad")[row % 2], "source": "xyz"[row // 2 % 3]}
        for row in range(ROWS)
    ]
    return "\n".join(map(json.dumps, rows)).encode()


def arrays(**named: Any) -> bytes:
    sink = io.BytesIO()
    np.savez(sink, **named)
    return sink.getvalue()


def images() -> bytes:
    rng, rows = np.random.default_rng(0), np.arange(ROWS)
    return arrays(images=rng.random((ROWS, 8, 8), dtype=np.float32), label=rows % 2, task=rows // 2 % 4)


def tokens() -> bytes:
    return arrays(tokens=np.random.default_rng(0).integers(0, 12, (ROWS, 6)), label=np.arange(ROWS) % 2)


def dataset() -> bytes:
    """The folder that save_to_disk of the Hugging Face library writes, zipped: classes are numbers with names."""
    import pyarrow as pa

    features = {
        "a": {"dtype": "float64", "_type": "Value"}, "b": {"dtype": "float64", "_type": "Value"},
        "label": {"names": ["no", "yes"], "_type": "ClassLabel"}, "task": {"dtype": "string", "_type": "Value"},
    }  # fmt: skip
    found = samples().assign(label=np.arange(ROWS) % 2)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("mine/dataset_dict.json", json.dumps({"splits": ["train", "test"]}))
        for split, rows in (("train", found[:48]), ("test", found[48:])):
            table = pa.table({name: rows[name].tolist() for name in features})
            stream = io.BytesIO()
            with pa.ipc.new_stream(stream, table.schema) as writer:
                writer.write_table(table)
            archive.writestr(f"mine/{split}/data-00000-of-00001.arrow", stream.getvalue())
            archive.writestr(f"mine/{split}/dataset_info.json", json.dumps({"features": features}))
            state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": split}
            archive.writestr(f"mine/{split}/state.json", json.dumps(state))
    return sink.getvalue()


def weights(inputs: int = 2, classes: int = 2) -> bytes:
    """Weights of a logistic regression."""
    import safetensors.torch

    from kernelsm.models.registry import build_model

    model = build_model("logistic", inputs=inputs, classes=classes, seed=1)
    return safetensors.torch.save(model.state_dict())


def description(inputs: int = 2, classes: int = 2) -> bytes:
    return json.dumps({"architecture": "logistic", "config": {"inputs": inputs, "classes": classes}}).encode()


def save_hugging_face(folder: Path) -> Path:
    """A classifier of texts with its tokenizer, as save_pretrained writes them; it knows the words of `lines`."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    found = sorted({word for row in lines().splitlines() for word in json.loads(row)["text"].split()})
    words = ["[PAD]", "[UNK]", *found]
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=12, num_labels=2,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=inner, **named).save_pretrained(folder)
    return folder


def zipped(folder: Path) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"model/{file.relative_to(folder)}")
    return sink.getvalue()


def features(classes: int = 2) -> bytes:
    """Gradient features of forty training and twenty test samples, as `numpy.savez` writes them."""
    rng = np.random.default_rng(0)
    made: dict[str, Any] = {"task_names": np.array(TASKS), "target_names": np.array(["old", "new"])}
    for side, rows, group in (("train", 40, "train_task"), ("test", 20, "test_target")):
        made |= {
            f"{side}_logits": rng.normal(size=(rows, classes)),
            f"{side}_features": rng.normal(size=(rows, classes, 5)),
            f"{side}_labels": np.arange(rows) % classes, group: np.arange(rows) % (4 if side == "train" else 2),
        }  # fmt: skip
    return arrays(**made)


def outcomes(names: tuple[str, ...] = TASKS, m: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Masks and outcomes of a table."""
    rng = np.random.default_rng(seed)
    masks = rng.random((m, len(names))) < 0.5
    masks[0], masks[1] = True, False
    return masks, (1.0 - masks @ np.linspace(0.1, 0.4, len(names)) + rng.normal(0, 0.01, m)).round(6)


def outcomes_csv(names: tuple[str, ...] = TASKS, m: int = 12, seed: int = 0) -> bytes:
    masks, values = outcomes(names, m, seed)
    frame = pd.DataFrame(masks.astype(int), columns=[f"task:{name}" for name in names])
    return frame.assign(**{"target:loss": values}).to_csv(index=False).encode()


def outcomes_parquet(seed: int = 0) -> bytes:
    sink = io.BytesIO()
    pd.read_csv(io.BytesIO(outcomes_csv(seed=seed))).to_parquet(sink)
    return sink.getvalue()


def outcomes_xlsx() -> bytes:
    sink = io.BytesIO()
    pd.read_csv(io.BytesIO(outcomes_csv())).to_excel(sink, index=False)
    return sink.getvalue()


def outcomes_rows() -> bytes:
    return json.dumps(pd.read_csv(io.BytesIO(outcomes_csv())).to_dict(orient="records")).encode()


def outcomes_npz() -> bytes:
    masks, values = outcomes()
    return arrays(masks=masks, values=values, task_names=np.array(TASKS), target_names=np.array(["loss"]))


def outcomes_json() -> bytes:
    masks, values = outcomes()
    table = {"masks": masks.astype(int).tolist(), "values": values.tolist(), "task_names": TASKS}
    return json.dumps({**table, "target_names": ["loss"]}).encode()


def lists() -> list[tuple[str, bytes]]:
    """The two files of the paper's authors: the tasks in each subset, and its outcomes for each query."""
    masks, values = outcomes()
    ids = [np.flatnonzero(mask).tolist() for mask in masks]
    scores = [[value, value + 0.5] for value in values.tolist()]
    return [
        ("train_ids_list.json", json.dumps(ids).encode()), ("subset_scores_loss.json", json.dumps(scores).encode()),
    ]  # fmt: skip


FORMATS: dict[str, Callable[[], bytes]] = {
    "numbers.csv": csv, "plants.tsv": tsv, "labels.parquet": parquet, "reviews.jsonl": lines, "images.npz": images,
    "tokens.npz": tokens, "dataset.zip": dataset, "numbers.xlsx": excel,
}  # fmt: skip
