"""Whatever is brought, however broken: it ends in words that name the place and the way out, nothing else changes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import pickle
import stat
import struct
import zipfile
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path, PurePath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernelsm import InputError, Outcomes
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store, cache_root
from kernelsm.samples.reader import preview_samples, read_samples
from kernelsm.tasks.build import build_suite
from kernelsm.tasks.mapping import TARGET_TASK, SampleMapping, TaskRule, guess_mapping
from kernelsm.tasks.suite_files import load_suite
from kernelsm.workspace.projects import PROJECTS, project_key
from kernelsm.workspace.requests import FileRef, NetworkRequest, ProjectRequest
from kernelsm.workspace.session_file import read_session, write_session
from kernelsm.workspace.tables import TABLES, save_run
from kernelsm.workspace.uploads import keep_upload, upload_path

QUICK = NetworkRequest("train", architecture="logistic", training={"epochs": 2})

# --- what a user does with a file, as the page and its job do it


def prepared(name, content, mapping=None, model=QUICK):
    """Take a file of samples from its upload to a project: `mapping` changes what is guessed."""
    from kernelsm.pipelines.prepare import prepare

    ref = FileRef(keep_upload(content, name), name)
    preview = preview_samples(upload_path(ref.key, PurePath(name).suffix.lower()), name)
    guess = guess_mapping(preview.samples)
    chosen = mapping if isinstance(mapping, SampleMapping) else replace(guess, **(mapping or {}))
    job = ProjectRequest("Mine", ref, chosen.to_dict(), model).job()
    return prepare(ProjectRequest.from_json(job.arguments["request"]), silent, Store())


def samples(name, make, mapping=None):
    """Bring samples; `make` returns the content of the file or is it, `mapping` changes the guess."""
    return lambda: prepared(name, _content(make), mapping)


def kept(name, content):
    """A file that was sent."""
    return FileRef(keep_upload(content, name), name)


def given(model, data=lambda: ("good.csv", GOOD), mapping=None):
    """Bring good samples, or other ones, with a network."""
    return lambda: prepared(*data(), mapping, model())


def weights(make=lambda: tensors(), name="net.safetensors", config=None):
    """Bring good samples with weights and the description of their network."""
    config = config or described_as("mlp", sizes=[2, 4, 2])
    told = config if isinstance(config, bytes) else json.dumps(config).encode()
    return given(lambda: NetworkRequest("weights", weights=kept(name, _content(make)), config=kept("net.json", told)))


def hugging(make, data=lambda: ("good.csv", GOOD), mapping=None, name="f.zip"):
    """Bring samples with the zip of a Hugging Face folder."""
    return given(lambda: NetworkRequest("folder", archive=kept(name, _content(make))), data, mapping)


def features(make, name="f.npz"):
    """Bring a file of gradient features."""

    def bring():
        from kernelsm.pipelines.prepare import prepare

        job = ProjectRequest("Mine", kept(name, _content(make)), {}, NetworkRequest("features")).job()
        return prepare(ProjectRequest.from_json(job.arguments["request"]), silent, Store())

    return bring


def outcomes(make, name="o.csv", *others):
    """Bring a table of outcomes, of one file or several."""
    return lambda: Outcomes.from_files([(_content(make), name), *others])


def session(make, name="s.zip"):
    """Bring a session file; `make` changes the entries of a good one, or returns the whole content."""

    def bring():
        content = make(_members()) if callable(make) else make
        content = zipped(content) if isinstance(content, dict) else content
        return read_session(content, name, cache_root())

    return bring


def _content(make):
    return make() if callable(make) else make


# --- good files, to be spoiled


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


# --- the work before


class Before:
    """One project and one table that are here before anything bad comes."""

    project = run = ""
    state: object = None


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The cache of this module, with a project and a run in it."""
    patch = pytest.MonkeyPatch()
    place = tmp_path_factory.mktemp("server")
    patch.setenv("KERNELSM_CACHE", str(place / "cache"))
    Before.project = prepared("good.csv", GOOD)
    masks = np.random.default_rng(0).random((12, 3)) < 0.5
    Before.run = save_run(Outcomes(masks, masks @ [1.0, 2.0, 3.0]))
    Before.state = state(place / "cache")
    yield place
    patch.undo()


@pytest.fixture(autouse=True)
def cache_folder(home, monkeypatch):
    """In place of an empty cache for each test: what is here before must outlive them all."""
    monkeypatch.setenv("KERNELSM_CACHE", str(home / "cache"))
    return home / "cache"


@cache
def _members():
    """The entries of a session file of the work before."""
    data = write_session(
        {"run": Before.run}, {"tables": {Before.run: "mine"}, "projects": {Before.project: ""}}, cache_root()
    )
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def renamed(members, kind, key):
    """Session entries with the only project or run under another name."""
    return {name.replace(getattr(Before, kind), key): content for name, content in members.items()}


def with_sheet(**changes):
    """Change the description of the project in a session file; its name stays that of the good one."""

    def change(members):
        name = f"projects/{Before.project}/project.json"
        sheet = {**json.loads(members[name]), **changes}
        return {**members, name: json.dumps({key: value for key, value in sheet.items() if value is not None})}

    return change


def deep(levels):
    """Lists within lists."""
    found = []
    for _ in range(levels):
        found = [found]
    return found


def with_entry(name, content):
    return lambda members: {**members, name.format(run=Before.run, project=Before.project): _content(content)}


def described(**changes):
    def change(members):
        return {**members, "session.json": json.dumps({**json.loads(members["session.json"]), **changes})}

    return change


def suite_with(**changes):
    """A session file whose project has other arrays in its suite."""

    def change(members):
        name = f"projects/{Before.project}/suite.npz"
        with np.load(io.BytesIO(members[name])) as file:
            arrays = dict(file)
        info = json.loads(arrays["info"].tobytes())
        info |= {key: value for key, value in changes.items() if key in info}
        arrays |= {key: value for key, value in changes.items() if key in arrays}
        arrays["info"] = np.frombuffer(json.dumps(info).encode(), dtype=np.uint8)
        return {**members, name: npz(**arrays)}

    return change


def state(root):
    """Every file of runs and projects, and everything half done."""
    found = {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for kind in ("runs", "projects") for path in sorted((root / kind).rglob("*")) if path.is_file()
    }  # fmt: skip
    half_done = [
        path.name
        for path in [*root.glob("*"), *root.glob("[pru]*/*")]
        if path.name.startswith((".", "model-")) or path.suffix == ".part"
    ]
    return found, half_done, sorted({path.name for path in root.iterdir()} - {"uploads", "store", "arrays"})


# --- the table


def bad(bring, place, found, **limits):
    """One row: what is brought, what the message's place names, what it says was found, and limits in force."""
    return pytest.param(bring, place, found, limits, id=f"{place}: {found}")


DAMAGED = [
    bad(samples("a.csv", GOOD + b'0.5,"0.'), "a.csv, row 61", "a quote that is not closed"),
    bad(samples("a.csv", GOOD[:-8]), "a.csv, row 60", "3 cells"),
    bad(samples("a.parquet", lambda: half(parquet(table()))), "a.parquet", "damaged"),
    bad(samples("a.npz", half(npz(**ARRAYS))), "a.npz", "no zip archive"),
    bad(samples("a.zip", half(zipped({"train.csv": GOOD}))), "a.zip", "no zip archive"),
    bad(samples("a.jsonl", lines(*[RECORD] * 30)[:-15]), "a.jsonl, line 30", "no JSON"),
    bad(weights(lambda: half(tensors())), "net.safetensors", "bytes"),
    bad(weights(config=b'{"architecture": "ml'), "net.json", "at line 1, position 18"),
    bad(hugging(lambda: half(folder()())), "f.zip", "no zip archive"),
    bad(features(lambda: half(layout()())), "f.npz", "no zip archive"),
    bad(session(lambda members: half(zipped(members))), "s.zip", "no zip archive"),
    bad(outcomes(b'{"masks": [[1, 0], [0', "o.json"), "o.json, line 1", ""),
    bad(outcomes(half(npz(masks=np.eye(3), values=np.ones(3))), "o.npz"), "o.npz", "archive"),
    bad(outcomes(half(parquet(OUT)), "o.parquet"), "o.parquet", ""),
    bad(samples("a.csv", b""), "a.csv", "empty file"),
    bad(samples("a.npz", b""), "a.npz", "empty file"),
    bad(weights(b""), "net.safetensors", "empty file"),
    bad(hugging(b""), "f.zip", "an empty file"),
    bad(features(b""), "f.npz", "empty file"),
    bad(session(b""), "s.zip", "empty file"),
    bad(outcomes(b""), "o.csv", "an empty file"),
    bad(samples("a.csv", b"x1,x2,task,label\n"), "a.csv", "no row"),
    bad(outcomes(b"task:a,target:t\n"), "o.csv", "no row"),
    bad(samples("a.csv", b"\n\n \n"), "a.csv", "no row"),
    bad(samples("a.jsonl", b"\n\n"), "a.jsonl", "no line"),
    bad(samples("a.npz", zipped({})), "a.npz", "what seems to be a zip archive"),
    bad(samples("a.zip", zipped({})), "a.zip", "files: none"),
    bad(samples("a.parquet", lambda: parquet(table(0))), "a.parquet", "no row"),
]  # fmt: skip

MISLABELLED = [
    bad(samples("a.csv", lambda: parquet(table())), "a.csv", "a Parquet file"),
    bad(samples("a.parquet", GOOD), "a.parquet", "no sign of a Parquet file"),
    bad(samples("a.npz", PNG), "a.npz", "a PNG picture"),
    bad(samples("a.csv", PAGE), "a.csv", "a web page"),
    bad(samples("a.zip", zipped(BOOK)), "a.zip", "an office program"),
    bad(samples("a.xlsx", zipped(BOOK)), "a.xlsx", "'.xlsx'"),
    bad(samples("a.csv", zipped({"a.csv": GOOD})), "a.csv", "a zip archive"),
    bad(samples("a.zip", GOOD), "a.zip", "no sign of a zip archive"),
    bad(samples("a.jsonl", json.dumps([RECORD] * 3).encode()), "a.jsonl, line 1", "a JSON list"),
    bad(samples("a.json", json.dumps([RECORD] * 3).encode()), "a.json", "'.json'"),
    bad(samples("samples", GOOD), "samples", "(none)"),
    bad(weights(PAGE), "net.safetensors", "a web page (HTML)"),
    bad(weights(tensors, "net.csv"), "net.csv", "'.csv'"),
    bad(hugging(PNG), "f.zip", "a PNG picture"),
    bad(hugging(tensors, name="net.safetensors"), "net.safetensors", "'.safetensors'"),
    bad(features(GOOD, "f.csv"), "f.csv", "'.csv'"),
    bad(features(PNG), "f.npz", "a PNG picture"),
    bad(session(GOOD), "s.zip", "no zip archive"),
    bad(session(npz(**ARRAYS)), "s.zip, session.json", "no such entry"),
    bad(outcomes(zipped(BOOK), "o.xlsx"), "o.xlsx", "'.xlsx'"),
    bad(outcomes(parquet(OUT)), "o.csv", "UTF-8"),
    bad(samples("a.csv", GOOD.decode().encode("utf-16")), "a.csv", "UTF-16"),
    bad(samples("a.csv", GOOD.decode().encode("utf-16-le")), "a.csv", "NUL byte at position 1"),
    bad(samples("a.csv", with_cell(5, "task", "größe").decode().encode("latin-1")), "a.csv", "not UTF-8 at position"),
    bad(samples("a.csv", GOOD.replace(b"task 1", b"task\x001", 1)), "a.csv", "NUL byte at position"),
    bad(samples("a.jsonl", '{"text": "größe"}\n'.encode("latin-1")), "a.jsonl", "not UTF-8"),
    bad(weights(config='{"architecture"}'.encode("utf-16")), "net.json", "not UTF-8"),
    bad(outcomes(TABLE.encode("utf-16")), "o.csv", "not UTF-8"),
    bad(outcomes(TABLE.replace("a", "ä").encode("latin-1")), "o.csv", "not UTF-8 at position 1"),
    bad(outcomes(TABLE.replace("0.5", "\0").encode()), "o.csv", "NUL"),
]  # fmt: skip

SPOILED = [
    bad(samples("a.csv", GOOD.replace(b"x2", b"x1", 1)), "a.csv, header, column 2", "'x1' again (as column 1)"),
    bad(samples("a.csv", GOOD.replace(b"x2", b"", 1)), "a.csv, header, column 2", "no name"),
    bad(samples("a.csv", GOOD.split(b"\n", 1)[1].replace(b"task 0", b"1").replace(b"no", b"2")),
        "a.csv, header", "numbers"),
    bad(samples("a.csv", GOOD.replace(b"task 1,yes", b"task 1,yes,more", 1)), "a.csv, row 2", "5 cells"),
    bad(samples("a.jsonl", lines(RECORD, '{"text": "a", "text": "b"}')), "a.jsonl, line 2", "'text' twice"),
    bad(samples("a.jsonl", lines(RECORD, {"text": {"en": "a"}, "label": 1})),
        "a.jsonl, line 2, field 'text'", "nested object"),
    bad(samples("a.jsonl", lines(RECORD, {"text": 3, "label": 1})),
        "a.jsonl, line 2, field 'text'", "a whole number"),
    bad(samples("a.jsonl", lines(RECORD, '{"text": "\\ud800", "label": 1}')),
        "a.jsonl, line 2, field 'text'", "surrogate"),
    bad(samples("a.jsonl", lines('{"label": 1, "te\\ud800xt": "a"}')), "a.jsonl, header, column 2", "surrogate"),
    bad(samples("a.parquet", lambda: parquet(table(x1=[b"\x00"] * 60))), "a.parquet, column 'x1'", "bytes"),
    bad(samples("a.parquet", lambda: parquet(table(x1=[{"a": 1}] * 60))), "a.parquet, column 'x1'", "struct"),
    bad(samples("a.parquet", lambda: parquet(table(x1=[[1.0]] * 59 + [[1.0, 2.0]]))),
        "a.parquet, column 'x1', row 60", "a list of 2"),
    bad(samples("a.npz", npz(**{**ARRAYS, "x": np.zeros((59, 2))})), "a.npz, array 'x'", "59 entries"),
    bad(samples("a.npz", npz(**ARRAYS, n=np.array(3))), "a.npz, array 'n'", "a single value"),
    bad(samples("a.npz", npz(**{**ARRAYS, "x": np.ones(60) * 1j})), "a.npz, array 'x'", "complex"),
    bad(samples("a.npz", npz(**{**IMAGES, "images": np.zeros((60, 2, 2, 2, 2))}), AS_IMAGES),
        "a.npz, column 'images'", "2 x 2 x 2 x 2 numbers"),
    bad(samples("a.npz", npz(**{**IMAGES, "images": np.zeros((60, 8, 8))}), AS_IMAGES),
        "a.npz, column 'images'", "every pixel"),
    bad(samples("a.npz", npz(**{**TOKENS, "tokens": TOKENS["tokens"] + 0.5}), AS_TOKENS), "a.npz, row", "0.5"),
    bad(samples("a.csv", with_cell(7, "x1", "nan"), BOTH), "a.csv, row 7, column 'x1'", "empty cell or NaN"),
    bad(samples("a.csv", with_cell(7, "x1", ""), BOTH), "a.csv, row 7, column 'x1'", "empty cell or NaN"),
    bad(samples("a.csv", with_cell(8, "x2", "inf")), "a.csv, row 8, column 'x2'", "an infinite number"),
    bad(samples("a.npz", npz(**{**ARRAYS, "x": spoiled(ARRAYS["x"], (3, 1), np.nan)}), {"inputs": ("x",)}),
        "a.npz, row 4, column 'x'", "NaN"),
    bad(samples("a.csv", with_cell(9, "x2", "many"), BOTH),
        "a.csv, row 9, column 'x2'", "'many' in a column of numbers"),
    bad(samples("a.csv", made(x1=[1] * 60, x2=[2] * 60), BOTH), "a.csv, inputs", "the same values"),
    bad(samples("a.csv", made(x2=[""] * 60), BOTH), "a.csv, column 'x2'", "no value at all"),
    bad(samples("a.csv", made(x2=[f"n{i}" for i in range(60)]), {"inputs": ("x2",), **BY_TASK}),
        "a.csv, column 'x2'", "different values"),
    bad(samples("a.csv", GOOD, {"kind": "text", "inputs": ("x1",)}), "a.csv, column 'x1'", "numbers"),
    bad(samples("a.csv", made(text=["a film"] * 4 + [" "] + ["good"] * 55), TEXT),
        "a.csv, row 5, column 'text'", "no text"),
    bad(samples("a.csv", with_cell(10, "label", "")), "a.csv, row 10, column 'label'", "no value"),
    bad(samples("a.csv", with_cell(11, "task", "")), "a.csv, row 11, column 'task'", "no value"),
    bad(samples("a.csv", made(split=["train", ""] * 30), {"split": "split"}),
        "a.csv, row 2, column 'split'", "no value"),
    bad(samples("a.csv", made(split=THIRD, group=["g", "g", "", "g"] * 15), {"target": "group"}),
        "a.csv, row 3, column 'group'", "no value"),
    bad(samples("a.csv", made(split=THIRD, label=list("abc") * 20)),
        "a.csv, row 3, column 'label'", "label 'c' on a test sample"),
    bad(samples("a.csv", made(label=["yes"] * 60), {"label": "label"}),
        "a.csv, column 'label'", "one class only, 'yes'"),
    bad(samples("a.csv", made(label=[i / 7 for i in range(60)]), {"label": "label", **BOTH}),
        "a.csv, row 2, column 'label'", "0.142857"),
    bad(samples("a.csv", made(label=list(range(60))), {"label": "label", **BOTH}),
        "a.csv, column 'label'", "60 different labels"),
    bad(samples("a.npz", npz(**ARRAYS), {"label": "x", "inputs": ("task",)}),
        "a.npz, column 'x'", "2 numbers per sample"),
    bad(samples("a.csv", made(task=["only"] * 60), BY_TASK), "a.csv, column 'task'", "one task only, 'only'"),
    bad(samples("a.csv", made(task=list("aab") * 20, split=THIRD), {"split": "split", **BY_TASK}),
        "a.csv, column 'task'", "one task only, 'a'"),
    bad(samples("a.csv", made(split=["train"] * 60), {"split": "split", **BOTH}),
        "a.csv, column 'split'", "only 'train'"),
    bad(samples("a.csv", made(split=["test"] * 60), {"split": "split", **BOTH}),
        "a.csv, column 'split'", "only 'test'"),
    bad(samples("a.csv", made(split=["A", "B"] * 30), {"split": "split", **BOTH}),
        "a.csv, column 'split'", "'A', 'B'"),
    bad(samples("a.csv", made(task=[f"t{i}" for i in range(60)]), BY_TASK), "a.csv, test samples", "each alone"),
    bad(samples("a.csv", GOOD, {"tasks": TaskRule("slices", (), 4), "target": TARGET_TASK}),
        "target", "the task of each test sample"),
    bad(samples("a.csv", GOOD, {"tasks": TaskRule("clusters", (), 90)}), "tasks, count", "90 clusters for 44"),
    bad(samples("a.csv", made(x1=[0, 1] * 30, x2=[1, 1] * 30), {"tasks": TaskRule("clusters", (), 5)}),
        "tasks, count", "2 groups of training samples that differ"),
]  # fmt: skip

MEANT = [
    bad(samples("a.csv", GOOD, {"label": "lable"}), "a.csv, label", "no column 'lable'"),
    bad(samples("a.csv", GOOD, {"inputs": ("x1", "x3")}), "a.csv, inputs", "no column 'x3'"),
    bad(samples("a.csv", GOOD, {"tasks": TaskRule("column", ("tsk",))}), "a.csv, tasks", "no column 'tsk'"),
    bad(samples("a.csv", GOOD, {"split": "split"}), "a.csv, split", "no column 'split'"),
    bad(samples("a.csv", GOOD, {"target": "tasks"}), "a.csv, target", "no column 'tasks'"),
    bad(samples("a.csv", GOOD, {"label": ""}), "a.csv, label", "no column"),
    bad(samples("a.csv", GOOD, {"inputs": ()}), "a.csv, inputs", "no column"),
    bad(samples("a.csv", GOOD, {"inputs": ("x1", "label")}), "inputs", "the label column 'label'"),
    bad(samples("a.csv", GOOD, {"test_fraction": 1.0}), "test_fraction", "1.0"),
    bad(samples("a.csv", GOOD, {"kind": "numbers"}), "kind", "'numbers'"),
    bad(given(lambda: NetworkRequest("train", architecture="resnet9")), "architecture", "'resnet9'"),
    bad(given(lambda: NetworkRequest("pickle")), "model", "'pickle'"),
    bad(lambda: FileRef("0" * 40, "a.csv").path(cache_root()), "upload", "not here any more"),
    bad(lambda: FileRef("../../etc", "a.csv").path(cache_root()), "upload", "not here any more"),
]  # fmt: skip

LIMITED = [
    bad(samples("a.csv", lambda: made(20_000, task=[f"t{i // 2}" for i in range(20_000)]), BY_TASK),
        "a.csv, column 'task'", "10,000 different tasks"),
    bad(samples("a.csv", GOOD, BY_TASK), "a.csv, column 'task'", "3 different tasks", TASKS=2),
    bad(samples("a.csv", GOOD, {"tasks": TaskRule("clusters", (), 5)}), "tasks, count", "5 clusters", TASKS=4),
    bad(samples("a.csv", GOOD, {"target": TARGET_TASK}), "a.csv, column 'task'", "3 different targets", TARGETS=2),
    bad(samples("a.csv", made(label=["a", "b", "c"] * 20), {"label": "label"}),
        "a.csv, column 'label'", "3 classes", CLASSES=2),
    bad(samples("a.csv", GOOD), "a.csv, header", "4 columns", COLUMNS=3),
    bad(samples("a.npz", npz(**ARRAYS)), "a.npz", "3 arrays", COLUMNS=2),
    bad(samples("a.jsonl", lines(RECORD, {"text": "b", "label": 1, "more": 2})),
        "a.jsonl, line 2", "more than 2 fields", COLUMNS=2),
    bad(samples("a.csv", GOOD), "a.csv", "more than 59 rows", ROWS=59),
    bad(samples("a.csv", lambda: GOOD + b"\n" * 2**20), "a.csv", "2 MiB", MEGABYTES=1),
    bad(samples("a.npz", lambda: npz(x=np.zeros((60, 3000)), y=np.arange(60) % 2)),
        "a.npz", "2 MiB", UNPACKED_MEGABYTES=1),
    bad(samples("a.zip", zipped({f"{i}.csv": GOOD for i in range(3)})), "a.zip", "more than 2 files", FILES=2),
    bad(hugging(folder()), "f.zip", "more than 3 files", FILES=3),
    bad(features(layout(train_features=np.zeros((6, 3, 50_000)), test_features=np.zeros((4, 3, 50_000)))),
        "f.npz", "12 MiB", MEGABYTES=1),
    bad(features(layout()), "f.npz, task_names", "2 names", TASKS=1),
    bad(features(layout()), "f.npz, train_logits", "6 samples", ROWS=5),
    bad(session(lambda members: zipped({**members, "x": np.random.default_rng(0).bytes(2**20)})),
        "s.zip", "2 MiB", MEGABYTES=1),
    bad(session(dict), "s.zip", "more than 2 files", FILES=2),
    bad(samples("a.csv", GOOD), "environment variable KERNELSM_MAX_ROWS", "'many'", ROWS="many"),
    bad(features(layout()), "environment variable KERNELSM_MAX_TASKS", "'0'", TASKS=0),
    bad(outcomes(lambda: (",".join([f"task:{i}" for i in range(10_000)] + ["target:t"]) + "\n").encode()),
        "o.csv, header", "10,001 columns"),
    bad(outcomes(lambda: npz(masks=np.eye(3), values=np.zeros((3, 1001))), "o.npz"),
        "o.npz, values", "1,001 targets"),
]  # fmt: skip

HARMFUL = [
    bad(samples("a.pkl", trap), "a.pkl", "a pickle (.pkl)"),
    bad(samples("a.pt", torch_file), "a.pt", "a pickle (.pt)"),
    bad(samples("a.joblib", trap), "a.joblib", "a pickle (.joblib)"),
    bad(samples("a.csv", trap), "a.csv", "a pickle"),
    bad(samples("a.zip", torch_file), "a.zip", "a PyTorch file"),
    bad(samples("a.npz", lambda: objects(y=np.arange(60))), "a.npz, array 'x'", "a pickle"),
    bad(samples("a.npz", lambda: zipped({"x.npy": trap()})), "a.npz, array 'x'", "damaged header"),
    bad(samples("a.zip", lambda: zipped({"train.pkl": trap()})), "a.zip", "1 .pkl"),
    bad(weights(trap, "net.pkl"), "net.pkl", "a pickle (.pkl)"),
    bad(weights(torch_file, "net.pt"), "net.pt", "a pickle (.pt)"),
    bad(weights(trap), "net.safetensors", "a pickle"),
    bad(weights(torch_file), "net.safetensors", "a pickle"),
    bad(hugging(torch_file, name="pytorch_model.bin"), "pytorch_model.bin", "a pickle"),
    bad(hugging(folder(**NO_WEIGHTS, **{"pytorch_model.bin": b"\x80\x04"}), films()),
        "f.zip", "only pickled weights, pytorch_model.bin"),
    bad(hugging(lambda: folder(**{"model.safetensors": trap()})(), films()), "f.zip", "nothing that can be loaded"),
    bad(features(trap, "f.pkl"), "f.pkl", "a pickle"),
    bad(features(trap), "f.npz", "a pickle"),
    bad(features(layout(train_features=object_array)), "f.npz, train_features", "a pickle"),
    bad(outcomes(trap, "o.joblib"), "o.joblib", "a pickle (.joblib)"),
    bad(outcomes(trap), "o.csv", "not UTF-8"),
    bad(outcomes(lambda: npz(masks=object_array(), values=np.ones(6)), "o.npz"), "o.npz, masks", "a pickle"),
    bad(session(with_entry("projects/{project}/evil.pkl", trap)), "evil.pkl", "no session has"),
    bad(session(with_entry("runs/{run}.parquet", trap)), "runs/", ""),
    bad(session(with_entry("projects/{project}/suite.npz", trap)), "suite.npz", "a pickle, which can run code"),
    bad(samples("a.zip", lambda: zipped({"train.csv": bytes(3 * 2**20)})),
        "a.zip", "3 MiB when unpacked", UNPACKED_MEGABYTES=2),
    bad(samples("a.zip", lambda: lying(zipped({"train.csv": bytes(3 * 2**20)}), 100)),
        "a.zip", "damaged", UNPACKED_MEGABYTES=2),
    bad(samples("a.npz", lambda: npz(x=np.zeros((60, 9000)), y=np.arange(60) % 2)),
        "a.npz", "MiB", UNPACKED_MEGABYTES=2),
    bad(hugging(lambda: zipped({"config.json": bytes(3 * 2**20)})),
        "f.zip", "3 MiB when unpacked", UNPACKED_MEGABYTES=2),
    bad(session(with_entry("projects/{project}/x.json", bytes(3 * 2**20))),
        "s.zip", "4 MiB when unpacked", UNPACKED_MEGABYTES=2),
    bad(samples("a.zip", zipped({"train.csv": GOOD, "../../evil.csv": GOOD})),
        "a.zip, entry '../../evil.csv'", "'..'"),
    bad(samples("a.zip", zipped({"/etc/evil.csv": GOOD})), "a.zip, entry '/etc/evil.csv'", "an absolute path"),
    bad(samples("a.zip", zipped({"C:/evil.csv": GOOD})), "a.zip, entry 'C:/evil.csv'", "an absolute path"),
    bad(samples("a.zip", zipped({"": GOOD})), "a.zip, entry 1", "no name"),
    bad(samples("a.zip", zipped({"..\\evil.csv": GOOD})), "a.zip, entry", "a backslash"),
    bad(samples("a.zip", zipped({"train.csv": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)),
        "a.zip, entry 'train.csv'", "a link"),
    bad(samples("a.zip", encrypted(zipped({"train.csv": GOOD}))), "a.zip, entry 'train.csv'", "an encrypted file"),
    bad(samples("a.zip", zipped({"train.csv": GOOD}, compression=zipfile.ZIP_LZMA)),
        "a.zip, entry 'train.csv'", "lzma"),
    bad(samples("a.zip", zipped({"inner.zip": zipped({"train.csv": GOOD})})), "a.zip", "1 .zip"),
    bad(samples("a.zip", lambda: zipped({"train.csv": GOOD, "test.parquet": parquet(table())})),
        "a.zip", ".csv, .parquet"),
    bad(samples("a.zip", zipped({"train.csv": GOOD, "test.csv": made(x2=None)})), "a.zip, train", "a column 'x2'"),
    bad(samples("a.zip", zipped({"state.json": '{"_data_files": [{"filename": "../../etc/passwd"}]}'})),
        "a.zip/state.json", "'../../etc/passwd'"),
    bad(hugging(zipped({"config.json": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)),
        "f.zip, entry 'config.json'", "a link"),
    bad(hugging(lambda: encrypted(folder()())), "f.zip, entry", "an encrypted file"),
    bad(session(with_entry("../../evil.json", b"{}")), "s.zip, entry '../../evil.json'", "'..'"),
    bad(session(lambda members: zipped({"session.json": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)),
        "s.zip, entry 'session.json'", "a link"),
]  # fmt: skip

NETWORKS = [
    bad(weights(lambda: tensors(**{"0_weight": None, "net_0_weight": np.zeros((4, 2), np.float32)})),
        "net.safetensors", "no '0.weight' (1 missing)"),
    bad(weights(lambda: tensors(**{"0_weight": np.zeros((5, 2), np.float32)})),
        "net.safetensors", "'0.weight' of shape (5, 2)"),
    bad(weights(lambda: tensors(**{"0_weight": np.zeros((4, 2), np.int64)})), "net.safetensors, '0.weight'", "int64"),
    bad(weights(lambda: tensors(**{"0_bias": np.full(4, np.nan, np.float32)})),
        "net.safetensors, '0.bias'", "nan at position 0 and 3 more"),
    bad(weights(lambda: tensors(**{"0_bias": np.full(4, 1e300)})), "net.safetensors, '0.bias'", "inf"),
    bad(weights(lambda: tensors(sizes=(1,))), "net.safetensors", "no tensor"),
    bad(given(lambda: NetworkRequest("weights", weights=kept("net.safetensors", tensors()))), "model", "one file"),
    bad(weights(config=described_as("mlpp")), "net.json, architecture", "'mlpp'"),
    bad(weights(config=described_as("mlp", size=[2, 2])), "net.json, mlp, size", "an argument it does not have"),
    bad(weights(config=described_as("logistic", inputs=2)), "net.json, logistic, classes", "nothing"),
    bad(weights(config=described_as("mlp", sizes=["two", 2])), "net.json, sizes, number 1", "'two'"),
    bad(weights(config=described_as("mlp", sizes=[2, 10**9, 2])), "net.json, config", "5,000,000,002 parameters"),
    bad(weights(config=described_as("transformer", vocabulary=9, classes=2, length=4, layers=10**5, width=4)),
        "net.json, config", "layers"),
    bad(weights(config=described_as("hugging_face", folder="/etc")), "net.json, architecture", "'hugging_face'"),
    bad(weights(config={**described_as("mlp", sizes=[2, 4, 2]), "code": "import os"}),
        "net.json, 'code'", "without meaning"),
    bad(weights(config=b"[" * 100_000), "net.json", "lists within lists"),
    bad(weights(config={"model_type": "bert"}), "net.json", "config.json of a Hugging Face model"),
    bad(weights(lambda: tensors(sizes=(5, 4, 2)), config=described_as("mlp", sizes=[5, 4, 2])),
        "samples", "samples of shape (2,)"),
    bad(weights(lambda: tensors(sizes=(2, 4, 7)), config=described_as("mlp", sizes=[2, 4, 7])),
        "network", "7 outputs a sample"),
    bad(hugging(folder(config=None)), "f.zip", "no config.json"),
    bad(hugging(folder(tokenizer=None), films()), "f.zip", "no tokenizer.json"),
    bad(hugging(folder(**NO_WEIGHTS)), "f.zip", "no weights"),
    bad(hugging(folder(config=b"{"), films()), "f.zip, config.json", "no JSON"),
    bad(hugging(folder("", tokenizer=b"{}"), films()), "f.zip, tokenizer.json", "nothing that reads text"),
    bad(hugging(configured(code, model_type="mine", auto_map={"AutoConfig": "code.Mine"}), films()),
        "f.zip", "code of its own, which is never run"),
    bad(hugging(gpt_described, films()), "f.zip", "no weights for"),
    bad(hugging(folder(), films(label=list("abc") * 20)), "f.zip, classifier.bias", "shape (2,)"),
    bad(hugging(configured(num_hidden_layers=10**6), films()), "f.zip, config.json, num_hidden_layers", "1000000"),
    bad(hugging(folder()), "inputs", "tabular inputs"),
    bad(hugging(causal, films()), "f.zip", "no trained head"),
    bad(hugging(folder(), films(text=["good"] * 6 + ["[PAD]"] + ["bad"] * 53), TEXT),
        "films.csv, row 7, column 'text'", "no token"),
    bad(hugging(folder(), films(text=["a good film " * 8] * 60), TEXT), "samples", "sequences of 24 tokens"),
    bad(given(lambda: NetworkRequest("folder", archive=kept("f.zip", folder()()), training={"epochs": 1}), wide,
              AS_TOKENS), "training samples", "token 49"),
    bad(hugging(folder(), wide, AS_TOKENS), "training samples", "token 49"),
    bad(hugging(lambda: zipped({"a/config.json": b"{}", "b/config.json": b"{}"})), "f.zip", "2 models ('a', 'b')"),
    bad(given(lambda: NetworkRequest("path", path=str(Path.home()))), "model", "a path or hub name"),
]  # fmt: skip

FEATURES = [
    bad(features(layout(train_labels=None)), "f.npz", "no array train_labels"),
    bad(features(layout(model=np.zeros(3))), "f.npz, 'model.npy'", "an unknown array"),
    bad(features(layout(train_features=np.zeros((6, 3)))), "f.npz, train_features", "shape (6, 3)"),
    bad(features(layout(test_features=np.zeros((4, 3, 5)))), "f.npz, test_features", "shape (4, 3, 5)"),
    bad(features(layout(train_labels=np.array([0, 1, 2, 3, 0, 1]))), "f.npz, train_labels, row 3", "label 3"),
    bad(features(layout(train_task=np.array([0, 1, 9, 0, 1, 0]))), "f.npz, train_task", "group 9"),
    bad(features(layout(train_task=np.zeros(6, int))), "f.npz, train_task", "no sample of 'b'"),
    bad(features(layout(test_target=np.zeros(4, int))), "f.npz, test_target", "no sample of 't'"),
    bad(features(layout(train_features=spoiled(np.ones((6, 3, 2)), (4, 1, 0), np.nan))),
        "f.npz, train_features, row 4", "not finite"),
    bad(features(layout(test_logits=spoiled(np.ones((4, 3)), (2, 0), np.inf))),
        "f.npz, test_logits, row 2", "not finite"),
    bad(features(layout(test_logits=spoiled(np.ones((4, 3)), (2, 0), 1e300))),
        "f.npz, test_logits, row 2", "not finite"),
    bad(features(layout(train_labels=np.array(list("abcabc")))), "f.npz, train_labels", "type <U1"),
    bad(features(layout(task_names=np.array(["a", "b\nc"]))), "f.npz, task_names, position 2", "'b\\nc'"),
    bad(features(layout(meta=np.array('{"outputs": "margin"}'))), "f.npz, meta", "outputs 'margin'"),
    bad(features(layout(**{f"test_{name}": EMPTY[name] for name in EMPTY})), "f.npz, test_logits", "0 samples"),
]  # fmt: skip

SESSIONS = [
    bad(session(described(version=2)), "s.zip, session.json", "version 2"),
    bad(session(with_entry("session.json", b"{")), "s.zip, session.json", "no JSON"),
    bad(session(with_entry("session.json", b"[" * 100_000)), "s.zip, session.json", "lists within lists"),
    bad(session(described(code="import os")), "s.zip, session.json", "'code'"),
    bad(session(described(view={"gamma": 1})), "s.zip, session.json, view, 'gamma'", "1"),
    bad(session(lambda members: described(titles={Before.run: "n" * 301})(members)),
        "s.zip, session.json, titles", "nnn"),
    bad(session(lambda members: described(titles={Before.run: "a\nb"})(members)),
        "s.zip, session.json, titles", "'a\\nb'"),
    bad(session(described(titles={"0" * 40: "gone"})), "s.zip, session.json, titles", "000"),
    bad(session(described(pinned=["../../etc/passwd"])), "s.zip, session.json, pinned", "../../etc/passwd"),
    bad(session(with_entry("README.md", b"hello")), "s.zip, 'README.md'", "an entry that no session has"),
    bad(session(lambda members: renamed(described(titles={}, view={})(members), "run", "1" * 40)),
        "s.zip, runs/" + "1" * 40, "content of the hash"),
    bad(session(lambda members: renamed(members, "project", "1" * 40)),
        "s.zip, projects/" + "1" * 40, "content of the hash"),
    bad(session(with_sheet(ridge=0.5)), "s.zip, projects/", "content of the hash"),
    bad(session(lambda members: {name: told for name, told in members.items() if "suite" not in name}),
        "suite.npz", "no such file"),
    bad(session(lambda members: {name: told for name, told in members.items() if "project.json" not in name}),
        "project.json", "no such file"),
    bad(session(with_entry("projects/{project}/project.json", b"[]")), "project.json", "a JSON list"),
    bad(session(with_entry("projects/{project}/project.json", b"[" * 100_000)),
        "project.json", "lists within lists"),
    bad(session(with_sheet(title=None)), "project.json", "no entry 'title'"),
    bad(session(with_sheet(title="a\u2028b")), "project.json, 'title'", "'a\\u2028b'"),
    bad(session(with_sheet(title="a\ud800")), "project.json, 'title'", "\\ud800"),
    bad(session(with_sheet(ridge=-1.0)), "project.json", "mean nothing"),
    bad(session(with_sheet(ridge=10**400)), "project.json", "mean nothing"),
    bad(session(with_sheet(config={"folder": "/etc"})), "project.json, 'config'", "a folder of another computer"),
    bad(session(with_sheet(retraining={"a": deep(500)})), "project.json, 'retraining'", "objects within it"),
    bad(session(with_sheet(config={"inputs": 10**9, "classes": 2})),
        "project.json, config", "2,000,000,002 parameters"),
    bad(session(with_sheet(architecture="logistics")), "project.json, architecture", "'logistics'"),
    bad(session(with_sheet(size={**SIZE, "tasks": 10**9})), "project.json, 'size'", "other counts"),
    bad(session(with_sheet(about={"contents": [""]})), "project.json, 'about'", "['']"),
    bad(session(with_sheet(about={})), "project.json, 'about'", "None"),
    bad(session(with_sheet(size={"samples": 1})), "project.json", "mean nothing"),
    bad(session(suite_with(classes=1)), "suite.npz, labels", "label 1"),
    bad(session(suite_with(task_names=["a", "b\nc", "d"])), "suite.npz, task_names", "line break"),
    bad(session(suite_with(task_names=["a", "b\ud800", "d"])), "suite.npz, task_names", "\\ud800"),
    bad(session(suite_with(test_inputs=np.full((15, 2), np.nan, np.float32))), "suite.npz, test_inputs", "NaN"),
    bad(session(with_entry("runs/{run}.parquet", TABLE.encode())), "runs/", ""),
]  # fmt: skip

OUTCOMES = [
    bad(outcomes(b'{"masks": [[1]]}', "o.json"), "o.json", "no 'values'"),
    bad(outcomes(b'{"masks": [[1]], "value": [1]}', "o.json"), "o.json, field 'value'", "an unknown field"),
    bad(outcomes(b'{"masks": [[1, 0], [1, "x"]], "values": [1, 2]}', "o.json"),
        "o.json, masks, row 2, position 2", "text"),
    bad(outcomes(b'{"masks": [[1], [0]], "values": [1, NaN]}', "o.json"),
        "o.json, row 2, column 'target:target 1'", "NaN"),
    bad(outcomes(b'{"masks": [[1], [2]], "values": [1, 2]}', "o.json"), "o.json, row 2, column 'task:task 1'", "2"),
    bad(outcomes(b'{"ids": [[0], [1, 1]], "values": [1, 2]}', "o.json"), "o.json, ids, row 2", "a task twice"),
    bad(outcomes(b"[" * 100_000, "o.json"), "o.json", "without end"),
    bad(outcomes(b'{"masks": [[1, 0]], "values": [1], "task_names": ["a"]}', "o.json"),
        "o.json, task_names", "1 names"),
    bad(outcomes(b'{"masks": [[1]], "values": [1], "higher_is_better": "yes"}', "o.json"),
        "o.json, higher_is_better", "'yes'"),
    bad(outcomes(b"[[1]]", "o.json", (b"[1]", "p.json"), (b"[1]", "q.json")), "files", "o.json, p.json, q.json"),
    bad(outcomes(b"[[0], [1]]", "ids.json", (b"[1.5]", "p.json")), "p.json", "outcomes of 1 subsets"),
    bad(outcomes(npz(masks=np.eye(3)), "o.npz"), "o.npz", "no array values"),
    bad(outcomes(npz(masks=np.eye(3), values=np.ones(3), x=np.ones(3)), "o.npz"),
        "o.npz, 'x.npy'", "an unknown array"),
    bad(outcomes(npz(masks=np.eye(3) / 2, values=np.ones(3)), "o.npz"), "o.npz, row 1", "0.5"),
    bad(outcomes(b"task:a,target:t\n1,2\n"), "o.csv", "1 row"),
    bad(outcomes(b"a,target:t\n1,2\n0,3\n"), "o.csv, header", "no task column"),
    bad(outcomes(b"task:a,target:t,n\n1,2,3\n0,3,4\n"), "o.csv, header, column 3", "'n'"),
    bad(outcomes(b"task:a,task:a,target:t\n1,1,2\n0,0,3\n"), "o.csv, header, column 2", "'task:a' again"),
    bad(outcomes(b"task:a,target:t\n1,2\n0\n"), "o.csv, row 2", "1 cell"),
    bad(outcomes(b"task:a,target:t\n1,2\n0,\n"), "o.csv, row 2, column 'target:t'", "an empty cell"),
    bad(outcomes(b"task:a,target:t\n1,3 nats\n0,2\n"), "o.csv, row 1, column 'target:t'", "'3 nats'"),
    bad(outcomes(b"task:a,target:t\n1,1e200\n0,2\n"), "o.csv, row 1, column 'target:t'", "1e+200"),
    bad(outcomes(lambda: parquet(OUT, {b"kernelsm": b"[" * 100_000}), "o.parquet"), "o.parquet, metadata", "JSON"),
    bad(outcomes(lambda: parquet({"task:a": [0, 1], "target:t": pa.array([1, 2], pa.date32())}), "o.parquet"),
        "o.parquet, row 1, column 'target:t'", "date32"),
]  # fmt: skip

NAMED = [
    bad(samples("a.csv", made(task=["a", "b\nc"] * 30), BY_TASK),
        "a.csv, column 'task'", "a line break or control character in 'b\\nc'"),
    bad(samples("a.csv", made(task=["a", "b\x07c"] * 30), BY_TASK), "a.csv, column 'task'", "'b\\x07c'"),
    bad(samples("a.csv", made(group=["a", "b\u2028c"] * 30), {"target": "group"}),
        "a.csv, column 'group'", "'b\\u2028c'"),
    bad(samples("a.csv", made(task=["a", "n" * 121] * 30), BY_TASK), "a.csv, column 'task'", "121 characters"),
    bad(samples("a.csv", made(label=["a", "b\rc"] * 30), {"tasks": TaskRule("label")}),
        "a.csv, column 'label'", "'b\\rc'"),
    bad(outcomes(b'"task:a\nb",target:t\n1,2\n0,3\n'), "o.csv, header, column 1", "'a\\nb'"),
    bad(outcomes(npz(masks=np.eye(2), values=np.ones(2), task_names=np.array(["a", "b\x07"])), "o.npz"),
        "o.npz, task_names, position 2", "'b\\x07'"),
    bad(outcomes(b'{"masks": [[1], [0]], "values": [1, 2], "task_names": ["a\\ud800"]}', "o.json"),
        "o.json, task_names", "\\ud800"),
    bad(outcomes(("task:" + "n" * 121 + ",target:t\n1,2\n0,3\n").encode()),
        "o.csv, header, column 1", "121 characters"),
]  # fmt: skip

BAD = [
    *DAMAGED, *MISLABELLED, *SPOILED, *MEANT, *LIMITED, *HARMFUL, *NETWORKS, *FEATURES, *SESSIONS, *OUTCOMES, *NAMED,
]  # fmt: skip


# what stands in messages of Python, and where this server keeps things
NEVER_TOLD = ("Traceback", 'File "', "site-packages", "/tmp", "object at 0x", "uploads/", "<class")


@pytest.mark.parametrize(("bring", "place", "found", "limits"), BAD)
def test_what_is_wrong_is_told_and_nothing_else_changes(bring, place, found, limits, home, monkeypatch):
    with monkeypatch.context() as patch:
        for name, value in limits.items():
            patch.setenv(f"KERNELSM_MAX_{name}", str(value))
        with pytest.raises(InputError) as caught:
            bring()
    error = caught.value
    assert place in error.place
    assert found in error.found
    for part in (error.place, error.found, error.expected, error.fix):
        assert part.strip()
        assert part.isprintable()
        assert len(part) <= 400
    assert error.fix.strip()[-1] in ".?)"
    assert not [word for word in (*NEVER_TOLD, str(home)) if word in str(error)]
    assert not (home / "ran").exists()
    assert state(cache_root()) == Before.state


def test_the_work_before_still_opens():
    assert TABLES.load(Before.run).content_hash == Before.run
    assert PROJECTS.load(Before.project).title == "Mine"
    assert project_key(cache_root() / "projects" / Before.project) == Before.project


def test_every_kind_of_harm_would_be_seen(home):
    pickle.loads(trap())
    assert (home / "ran").exists()
    (home / "ran").unlink()
    with np.load(io.BytesIO(objects()), allow_pickle=True) as file:
        assert len(file["x"]) == 60
    assert (home / "ran").exists()
    (home / "ran").unlink()
    exec(code())
    assert (home / "ran").exists()
    (home / "ran").unlink()


# --- names that must arrive as they are

NAMES = sorted(HOSTILE)


def named():
    """Good samples whose tasks, targets and labels have hostile names."""
    rows = 12 * len(NAMES)
    names = [NAMES[i % len(NAMES)] for i in range(rows)]
    return table(rows, task=names, label=[NAMES[i // 2 % 2] for i in range(rows)], group=names[::-1])


def as_csv():
    return made(**named())


def as_tsv():
    columns = named()
    file = io.StringIO()
    csv.writer(file, delimiter="\t").writerows([list(columns), *zip(*columns.values(), strict=True)])
    return file.getvalue().encode()


def as_parquet():
    return parquet(named())


def as_lines():
    columns = named()
    return lines(*(dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)))


def as_npz():
    return npz(**{name: np.array(column) for name, column in named().items()})


@pytest.mark.parametrize(
    ("name", "make"),
    [("a.csv", as_csv), ("a.tsv", as_tsv), ("a.parquet", as_parquet), ("a.jsonl", as_lines), ("a.npz", as_npz)],
)
def test_odd_names_of_tasks_targets_and_labels_arrive_unchanged(name, make):
    path = upload_path(keep_upload(make(), name), PurePath(name).suffix)
    mapping = SampleMapping("label", ("x1", "x2"), "tabular", TaskRule("column", ("task",)), target="group")
    suite = build_suite(read_samples(path, name), mapping)
    assert suite.task_names == suite.target_names == tuple(NAMES)
    assert suite.meta["classes"] == NAMES[:2]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
def test_odd_names_of_columns_arrive_unchanged(name, ending):
    columns = {name: table()["x1"], **table(x1=None)}
    rows = list(zip(*columns.values(), strict=True))
    make = {
        ".csv": lambda: text_of([list(columns), *rows]).encode(),
        ".parquet": lambda: parquet(columns),
        ".jsonl": lambda: lines(*(dict(zip(columns, row, strict=True)) for row in rows)),
    }
    path = upload_path(keep_upload(make[ending](), f"a{ending}"), ending)
    read = read_samples(path, f"a{ending}")
    assert read.names == (name, "x2", "task", "label")
    suite = build_suite(read, SampleMapping("label", (name, "x2"), "tabular", TaskRule("column", ("task",))))
    assert suite.meta["feature_names"] == [name, "x2"]


@pytest.mark.parametrize("name", HOSTILE)
def test_odd_names_of_files_and_projects_are_kept_and_stay_out_of_paths(name, home):
    told = f"../../{name}.csv"
    before = {*home.parent.glob("*.csv")}
    key = keep_upload(GOOD, told)
    assert FileRef(key, told).path(cache_root()).parent == cache_root() / "uploads" / key
    assert read_samples(upload_path(key, ".csv"), told).name == told
    assert {*home.parent.glob("*.csv")} == before


def test_odd_names_go_the_whole_way_and_through_a_session_file(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNELSM_CACHE", str(tmp_path / "here"))
    key = prepared("🧪 <b>.csv", as_csv(), {"tasks": TaskRule("column", ("task",)), "target": "group", **BOTH})
    suite = load_suite(cache_root() / "projects" / key / "suite.npz")
    assert suite.task_names == suite.target_names == tuple(NAMES)
    assert suite.meta["source"] == PROJECTS.load(key).about["file"] == "🧪 <b>.csv"
    titles = {save_run(Outcomes(np.eye(len(NAMES)), np.ones((len(NAMES), 1)), task_names=NAMES)): NAMES[3]}
    data = write_session({}, {"tables": titles, "projects": {key: ""}}, cache_root())
    session = read_session(data, "s.zip", tmp_path / "there")
    assert session.kept["tables"] == titles
    assert TABLES.load(*titles, tmp_path / "there").task_names == tuple(NAMES)
    assert load_suite(tmp_path / "there" / "projects" / key / "suite.npz").task_names == tuple(NAMES)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".npz", ".json"])
def test_odd_names_of_outcomes_arrive_unchanged(ending, tmp_path):
    masks, values = np.eye(len(NAMES), dtype=int), np.arange(2.0 * len(NAMES)).reshape(len(NAMES), 2)
    told = {"task_names": NAMES, "target_names": NAMES[-2:]}
    if ending == ".npz":
        data = npz(masks=masks, values=values, **{key: np.array(names) for key, names in told.items()})
    elif ending == ".json":
        data = json.dumps({"masks": masks.tolist(), "values": values.tolist(), **told}).encode()
    else:
        data = Outcomes(masks, values, **told).save(tmp_path / f"o{ending}").read_bytes()
    found = Outcomes.from_files([(data, f"o{ending}")])
    assert found.task_names == tuple(NAMES)
    assert found.target_names == tuple(NAMES[-2:])
