"""Small example files of each format that can be read, made from real data: to look at, fill in and send back."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kernelsm.examples.digits.suite import digits_suite
from kernelsm.examples.instructions.sources import INSTRUCTIONS
from kernelsm.examples.sentiment.sentences import SENTENCES, load_sentences

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

# sentences of each source and band in the folder of arrow files
_FEW = {"train": 10, "test": 3}
_CLASSES = ("negative", "positive")


@dataclass(frozen=True)
class Template:
    """A file to download.

    Parameters
    ----------
    name, mime : str
        File name and media type.
    data : bytes
        Content; the same on every call.
    about : str
        What it holds, in a sentence or two.
    """

    name: str
    mime: str
    data: bytes
    about: str


def templates() -> dict[str, Callable[[], Template]]:
    """Return the templates by file name; each is made when its function is called, in under a second."""
    return {
        "sentiment.csv": _sentiment_csv,
        "sentiment.parquet": _sentiment_parquet,
        "sentiment.jsonl": _sentiment_jsonl,
        "sentiment.zip": _sentiment_zip,
        "digits.csv": _digits_csv,
        "digits.npz": _digits_npz,
        "wine.csv": _wine_csv,
        "diabetes.csv": _diabetes_csv,
        "sentiment_labels.csv": _sentiment_labels_csv,
        "instructions.jsonl": _instructions_jsonl,
    }


def _sentiment_csv() -> Template:
    about = (
        "2,400 real sentences from four sources, one a row, with the sentiment that people saw in them, how strong "
        "it is, and whether to train or to test with them. From Hutto & Gilbert (2014), MIT licence."
    )
    return Template("sentiment.csv", "text/csv", SENTENCES.read_bytes(), about)


def _sentiment_parquet() -> Template:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(_arrow(load_sentences()), sink)
    about = "The 2,400 sentences of sentiment.csv as a Parquet file, which keeps the type of each column."
    return Template("sentiment.parquet", "application/vnd.apache.parquet", sink.getvalue(), about)


def _sentiment_jsonl() -> Template:
    rows = load_sentences().to_dict("records")
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    about = "The 2,400 sentences of sentiment.csv as JSON lines: one object a line."
    return Template("sentiment.jsonl", "application/x-ndjson", text.encode(), about)


def _sentiment_zip() -> Template:
    """The files that DatasetDict.save_to_disk of the Hugging Face library `datasets` writes, zipped."""
    import pandas as pd

    sentences = load_sentences()
    sentences.insert(0, "label", pd.Categorical(sentences.pop("sentiment"), _CLASSES).codes.astype(np.int64))
    features = {
        **{name: {"dtype": "string", "_type": "Value"} for name in ("text", "source", "band", "task")},
        "rating": {"dtype": "float64", "_type": "Value"},
        "label": {"names": list(_CLASSES), "_type": "ClassLabel"},
    }
    files = {"dataset_dict.json": json.dumps({"splits": list(_FEW)}).encode()}
    for split, count in _FEW.items():
        of_split = sentences[sentences["split"] == split]
        files |= _dataset_files(split, of_split.groupby(["source", "band"]).head(count)[list(features)], features)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            # a ZipInfo without a date is of 1980, whenever it is made
            archive.writestr(zipfile.ZipInfo(f"sentiment/{name}"), data, zipfile.ZIP_DEFLATED)
    about = (
        "208 of the sentences as the folder that save_to_disk of the Hugging Face library datasets writes, zipped; "
        "classes are numbers with names beside them."
    )
    return Template("sentiment.zip", "application/zip", sink.getvalue(), about)


def _dataset_files(split: str, rows: pd.DataFrame, features: dict[str, object]) -> dict[str, bytes]:
    import pyarrow as pa

    table = _arrow(rows).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    arrow, name = sink.getvalue(), "data-00000-of-00001.arrow"
    licence = "MIT; Hutto & Gilbert (2014), VADER, ICWSM-14"
    state: dict[str, object] = {
        "_data_files": [{"filename": name}], "_fingerprint": hashlib.sha256(arrow).hexdigest()[:16],
        "_format_columns": None, "_format_kwargs": {}, "_format_type": None, "_output_all_columns": False,
        "_split": split,
    }  # fmt: skip
    info = {"citation": "", "description": "", "features": features, "homepage": "", "license": licence}
    return {
        f"{split}/{name}": arrow,
        f"{split}/dataset_info.json": json.dumps(info, indent=2).encode(),
        f"{split}/state.json": json.dumps(state, indent=2).encode(),
    }


def _digits_csv() -> Template:
    import pandas as pd

    images, labels, tasks, splits = _digits()
    frame = pd.DataFrame(images.reshape(len(images), 64), columns=[f"p{i}" for i in range(64)])
    frame = frame.assign(label=labels, task=tasks, split=splits)
    about = (
        "The digits example: 8 x 8 handwritten digits, one a row, as 64 columns of grey values from 0 to 1. Three "
        "tasks carry a wrong label on purpose."
    )
    return Template("digits.csv", "text/csv", frame.to_csv(index=False, lineterminator="\n").encode(), about)


def _digits_npz() -> Template:
    images, labels, tasks, splits = _digits()
    sink = io.BytesIO()
    np.savez_compressed(sink, images=images, label=labels, task=tasks, split=splits)
    about = "The digits example as NumPy arrays: images of shape (n, 8, 8), and a label, task and split for each."
    return Template("digits.npz", "application/octet-stream", sink.getvalue(), about)


def _digits() -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.str_], NDArray[np.str_]]:
    """Images (n, 8, 8), labels, tasks (of test images: their digit) and splits of the digits example, mixed."""
    suite = digits_suite()
    images = np.concatenate([suite.inputs, suite.test_inputs]).reshape(-1, 8, 8).astype(np.float32)
    labels = np.concatenate([suite.labels, suite.test_labels])
    tasks = np.concatenate([np.array(suite.task_names)[suite.task_of], np.array(suite.target_names)[suite.target_of]])
    splits = np.repeat(["train", "test"], [len(suite.labels), len(suite.test_labels)])
    order = np.random.default_rng(0).permutation(len(images))  # so that the first rows show what there is
    return images[order], labels[order], tasks[order], splits[order]


def _wine_csv() -> Template:
    from sklearn.datasets import load_wine

    wine = load_wine(as_frame=True)
    frame = wine.data.assign(cultivar=[f"cultivar {c + 1}" for c in wine.target])
    about = (
        "178 Italian wines of three cultivars, one a row, with 13 chemical measurements each. It names neither tasks "
        "nor test rows: both can be drawn."
    )
    return Template("wine.csv", "text/csv", frame.to_csv(index=False, lineterminator="\n").encode(), about)


def _diabetes_csv() -> Template:
    from sklearn.datasets import load_diabetes

    patients = load_diabetes(as_frame=True, scaled=False).frame
    ages = np.array(["under 40", "40 to 54", "55 and older"])[np.digitize(patients["age"], (40, 55))]
    # what the sexes are numbered by is not told
    groups = [f"sex {sex:.0f} · {age}" for sex, age in zip(patients["sex"], ages, strict=True)]
    frame = patients.assign(group=groups)
    about = (
        "442 patients with diabetes, one a row: age, body mass index, blood pressure, six serum values. The target "
        "is a quantity: how far the disease had progressed a year later. Tasks are groups by sex and age. From Efron "
        "et al. (2004)."
    )
    return Template("diabetes.csv", "text/csv", frame.to_csv(index=False, lineterminator="\n").encode(), about)


def _sentiment_labels_csv() -> Template:
    sentences = load_sentences()
    bands = sentences["band"].astype(str)
    frame = sentences[["text", "source"]].assign(
        label_positive=(sentences["sentiment"] == "positive").astype(int),
        label_strong=bands.str.startswith("strongly").astype(int), split=sentences["split"],
    )  # fmt: skip
    about = (
        "The 2,400 sentences of sentiment.csv with two labels each, of which both, one or none apply: whether people "
        "saw a positive sentiment, and whether they saw a strong one."
    )
    return Template(
        "sentiment_labels.csv", "text/csv", frame.to_csv(index=False, lineterminator="\n").encode(), about
    )


def _instructions_jsonl() -> Template:
    about = (
        "312 real texts of ten sources for a language model, one a row, as a prompt and its completion: rated "
        "sentences, docstrings, prose, names. One source is in it a second time, and one has its answers swapped."
    )
    return Template("instructions.jsonl", "application/x-ndjson", INSTRUCTIONS.read_bytes(), about)


def _arrow(frame: pd.DataFrame) -> pa.Table:
    """The frame with plain string columns and without the metadata that pandas would add."""
    import pyarrow as pa

    kinds = {"f": pa.float64(), "i": pa.int64()}
    columns = {str(name): pa.array(frame[name].tolist(), kinds.get(frame[name].dtype.kind)) for name in frame}
    return pa.table(columns)
