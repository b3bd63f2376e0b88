"""Files as users bring them: makers of good ones, and of what can be wrong with them."""

from __future__ import annotations

import csv
import io
import json
import pickle
import stat
import struct
import zipfile
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kernelsm.runtime.store import cache_root
from kernelsm.tasks.mapping import TaskRule


def text_of(rows):
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()


def table(rows=60, **changes):
    """Columns of good samples; a change replaces a column, or drops it."""
    rng = np.random.default_rng(0)
    columns = {
        "x1": rng.normal(size=rows).round(3).tolist(), "x2": rng.normal(size=rows).round(3).tolist(),
        "task": [f"task {i % 3}" for i in range(rows)], "label": ["yes" if i % 2 else "no" for i in range(rows)],
    }  # fmt: skip
    columns |= changes
    return {name: column for name, column in columns.items() if column is not None}


def made(rows=60, **changes):
    """The good samples as a CSV file, with some columns replaced."""
    columns = table(rows, **changes)
    return text_of([list(columns), *zip(*columns.values(), strict=True)]).encode()


def with_cell(row, column, value):
    """The good samples with one cell replaced; rows from 1."""
    cells = list(table()[column])
    cells[row - 1] = value
    return made(**{column: cells})


def parquet(columns, metadata=None):
    file = io.BytesIO()
    held = columns if isinstance(columns, pa.Table) else pa.table(columns)
    pq.write_table(held.replace_schema_metadata(metadata) if metadata else held, file)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def lines(*objects):
    return "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in objects).encode()


def zipped(members, mode=0o644, compression=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr, entry.compress_type = (mode or stat.S_IFREG | 0o644) << 16, compression
            archive.writestr(entry, content)
    return file.getvalue()


def encrypted(data):
    """The archive with the mark of a password on every entry."""
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data = data[: at + place] + b"\x01" + data[at + place + 1 :]
            at = data.find(mark, at + 4)
    return data


def lying(data, size):
    """The archive with another size of its last file in the list."""
    at = data.rfind(b"PK\x01\x02")
    return data[: at + 24] + struct.pack("<I", size) + data[at + 28 :]


def half(data):
    return data[: len(data) // 2]


GOOD = made()
ARRAYS = {"x": np.random.default_rng(0).normal(size=(60, 2)), "y": np.arange(60) % 2, "task": np.arange(60) % 3}
TOKENS = {"tokens": np.arange(240).reshape(60, 4) % 50, "y": np.arange(60) % 2, "task": np.arange(60) % 3}
IMAGES = {"images": np.random.default_rng(0).random((60, 4, 4, 1)), "y": np.arange(60) % 2, "task": np.arange(60) % 3}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)
PAGE = b"<!DOCTYPE html>\n<html><body>Sign in</body></html>"
BOOK = {"[Content_Types].xml": "<Types/>", "xl/workbook.xml": "<workbook/>"}
TABLE = "task:a,task:b,target:t\n1,0,0.5\n0,1,0.25\n1,1,0.75\n"
RECORD = {"text": "a good film", "label": 1}
AS_TOKENS = {"kind": "tokens", "inputs": ("tokens",)}
AS_IMAGES = {"kind": "image", "inputs": ("images",)}
BOTH = {"inputs": ("x1", "x2")}
CLASSES = {"label": "label", "objective": "classification"}
BY_TASK = {"tasks": TaskRule("column", ("task",))}
TEXT = {"kind": "text", "inputs": ("text",)}
OUT = {"task:a": [0, 1], "target:t": [1.0, 2.0]}
THIRD = ["train", "train", "test"] * 20
NO_WEIGHTS = {"model.safetensors": None}
SIZE = {"samples": 45, "test_samples": 15, "classes": 2, "tasks": 3, "targets": 3}
HOSTILE = [
    "<script>alert(1)</script>", "**bold** [link](http://x.y) $E=mc^2$ `code`", "🧪🇩🇪👩‍🔬", "עברית \u202etxt.exe",
    "größe, \"quoted\"; 'a'|b\\c", "日本語のデータ", "n" * 120, "__proto__", "NaN", "a:b #1 {x} %s", "-1", "=1+1",
]  # fmt: skip


class Tripwire:
    """Unpickled, it writes a file."""

    def __reduce__(self):
        return open, (str(cache_root().parent / "ran"), "w")


def trap():
    """A pickle that is seen when it is loaded."""
    return pickle.dumps({"weight": Tripwire()})


def objects(**others):
    """An NPZ file with an array of Python objects."""
    cells = np.empty(60, dtype=object)
    cells[:] = [Tripwire()] * 60
    return npz(**others, x=cells)


def torch_file():
    """What torch.save writes: a zip archive with a pickle in it."""
    return zipped({"archive/data.pkl": trap(), "archive/version": "3\n"})


def tensors(sizes=(2, 4, 2), **changes):
    """Weights of a perceptron as a safetensors file; a change replaces an array, or drops it."""
    from safetensors.numpy import save

    rng, good = np.random.default_rng(0), {}
    for number, (wide, narrow) in enumerate(pairwise(sizes)):
        good |= {f"{2 * number}.weight": rng.normal(size=(narrow, wide)), f"{2 * number}.bias": np.zeros(narrow)}
    good = {name: value.astype(np.float32) for name, value in good.items()}
    chosen = {name.replace("_", "."): value for name, value in changes.items()}
    return save({name: value for name, value in {**good, **chosen}.items() if value is not None})


def described_as(architecture, **config):
    """The description of a network."""
    return {"architecture": architecture, "config": config}


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "film"]


@cache
def bert():
    """The files of a tiny Hugging Face classifier and its tokenizer."""
    import tempfile

    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=12, num_labels=2,
    )  # fmt: skip
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    with tempfile.TemporaryDirectory() as folder:
        transformers.BertForSequenceClassification(config).save_pretrained(folder)
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]"
        ).save_pretrained(folder)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def folder(prefix="mine/", **changes):
    """The zip of the classifier; a change replaces a file ("config" stands for config.json), or drops it."""
    chosen = {f"{name}.json" if f"{name}.json" in bert() else name: told for name, told in changes.items()}
    return lambda: zipped({prefix + name: told for name, told in {**bert(), **chosen}.items() if told is not None})


def configured(code=lambda: None, **changes):
    """The zip of the classifier with other entries in its config.json, and perhaps a Python file beside it."""

    def make():
        config = json.dumps({**json.loads(bert()["config.json"]), **changes})
        return folder(config=config, **{"code.py": code()})()

    return make


def code():
    """A Python file that is seen when it is run."""
    return f"open({str(cache_root().parent / 'ran')!r}, 'w')\n"


def causal():
    """The zip of a model that predicts words and has no head for classes."""
    import tempfile

    import transformers

    config = transformers.GPT2Config(
        vocab_size=len(WORDS), n_embd=8, n_layer=1, n_head=2, n_positions=12, bos_token_id=2, eos_token_id=3
    )
    with tempfile.TemporaryDirectory() as place:
        transformers.GPT2LMHeadModel(config).save_pretrained(place)
        made = {path.name: path.read_bytes() for path in Path(place).iterdir()}
    return zipped({**bert(), **made})


def gpt_described():
    """The zip of the classifier with the description of another kind of network."""
    return folder("", config=json.dumps({"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 2}))()


def films(**changes):
    """Samples of text."""
    texts = [f"a {'good' if i % 2 else 'bad'} film number {i}" for i in range(60)]
    return lambda: ("films.csv", made(**{"x1": None, "x2": None, "text": texts, **changes}))


def wide():
    return "tokens.npz", npz(**TOKENS)


EMPTY = {name: np.zeros((0, *shape)) for name, shape in (("logits", (3,)), ("features", (3, 2)))}
EMPTY |= {name: np.zeros(0, int) for name in ("labels", "target")}


def layout(**changes):
    """Gradient features of six training and four test samples, three classes, two numbers each."""

    def make():
        rng = np.random.default_rng(0)
        arrays = {
            "train_logits": rng.normal(size=(6, 3)), "train_features": rng.normal(size=(6, 3, 2)),
            "train_labels": np.arange(6) % 3, "train_task": np.arange(6) % 2,
            "test_logits": rng.normal(size=(4, 3)), "test_features": rng.normal(size=(4, 3, 2)),
            "test_labels": np.arange(4) % 3, "test_target": np.arange(4) % 2,
            "task_names": np.array(["a", "b"]), "target_names": np.array(["s", "t"]),
        }  # fmt: skip
        told = {name: value() if callable(value) else value for name, value in changes.items()}
        return npz(**{name: value for name, value in (arrays | told).items() if value is not None})

    return make


def object_array():
    cells = np.empty(6, dtype=object)
    cells[:] = [Tripwire()] * 6
    return cells


def spoiled(array, at, value):
    array = np.array(array, dtype=float)
    array[at] = value
    return array
