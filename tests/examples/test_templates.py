"""The templates: each can be read back by the usual libraries and is the same on every call."""

import io
import json
import zipfile
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernelsm.examples.digits.suite import digits_suite
from kernelsm.examples.sentiment.sentences import load_sentences
from kernelsm.examples.templates import templates

MADE = {name: make() for name, make in templates().items()}


@pytest.mark.parametrize("name", MADE)
def test_a_template_is_named_small_and_the_same_on_every_call(name):
    template = MADE[name]
    assert template.name == name
    assert template.about.endswith(".")
    assert 0 < len(template.data) < 700_000
    assert templates()[name]().data == template.data


def test_all_formats_are_there():
    assert {PurePosixPath(name).suffix for name in MADE} == {".csv", ".parquet", ".jsonl", ".zip", ".npz"}


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("sentiment.csv", lambda data: pd.read_csv(data, keep_default_na=False)),
        ("sentiment.parquet", pd.read_parquet),
        ("sentiment.jsonl", lambda data: pd.read_json(data, lines=True, dtype=False)),
    ],
)
def test_the_sentences_are_the_same_in_every_format(name, read):
    found = read(io.BytesIO(MADE[name].data))
    pd.testing.assert_frame_equal(found, load_sentences(), check_dtype=False)


def test_the_parquet_columns_have_plain_types():
    schema = pq.read_schema(io.BytesIO(MADE["sentiment.parquet"].data))
    assert schema.field("rating").type == pa.float64()
    assert {schema.field(name).type for name in ("text", "source", "band", "sentiment", "split")} == {pa.string()}
    assert not schema.metadata


def test_the_dataset_folder_is_as_its_library_writes_it():
    shipped = load_sentences().set_index("text")
    with zipfile.ZipFile(io.BytesIO(MADE["sentiment.zip"].data)) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"sentiment"}
        assert json.loads(archive.read("sentiment/dataset_dict.json")) == {"splits": ["train", "test"]}
        for split, rows in (("train", 160), ("test", 48)):
            folder = f"sentiment/{split}"
            state = json.loads(archive.read(f"{folder}/state.json"))
            info = json.loads(archive.read(f"{folder}/dataset_info.json"))
            (file,) = state["_data_files"]
            table = pa.ipc.open_stream(archive.read(f"{folder}/{file['filename']}")).read_all()
            assert table.num_rows == rows
            assert list(info["features"]) == table.column_names
            assert json.loads(table.schema.metadata[b"huggingface"])["info"]["features"] == info["features"]
            of_text = shipped.loc[table["text"].to_pylist()]
            names = np.array(info["features"]["label"]["names"])
            assert names[table["label"].to_numpy()].tolist() == of_text["sentiment"].tolist()
            assert table["rating"].to_pylist() == of_text["rating"].tolist()
            assert set(of_text["split"]) == {split}
            assert set(of_text.groupby(["source", "band"]).size()) == {rows // 16}


def test_the_digits_are_those_of_the_example():
    suite = digits_suite()
    frame = pd.read_csv(io.BytesIO(MADE["digits.csv"].data))
    with np.load(io.BytesIO(MADE["digits.npz"].data), allow_pickle=False) as arrays:
        images, label, task, split = (arrays[name] for name in ("images", "label", "task", "split"))
    assert images.shape == (len(suite.labels) + len(suite.test_labels), 8, 8)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(frame[[f"p{i}" for i in range(64)]].astype("float32"), images.reshape(-1, 64))
    for name, values in (("label", label), ("task", task), ("split", split)):
        assert frame[name].tolist() == values.tolist()
    for rows, inputs, labels, names in (
        (split == "train", suite.inputs, suite.labels, np.array(suite.task_names)[suite.task_of]),
        (split == "test", suite.test_inputs, suite.test_labels, np.array(suite.target_names)[suite.target_of]),
    ):
        found = zip((image.tobytes() for image in images[rows]), label[rows], task[rows], strict=True)
        expected = zip((image.tobytes() for image in inputs), labels, names, strict=True)
        assert sorted(found) == sorted(expected)


def test_the_wines_have_named_measurements_and_three_classes():
    frame = pd.read_csv(io.BytesIO(MADE["wine.csv"].data))
    assert frame.shape == (178, 14)
    assert frame["cultivar"].value_counts().to_dict() == {"cultivar 1": 59, "cultivar 2": 71, "cultivar 3": 48}
    assert {"alcohol", "od280/od315_of_diluted_wines"} <= set(frame)
    assert all(frame.drop(columns="cultivar").dtypes == np.float64)
