"""Files of samples, made in memory: arrays, tables, archives, and datasets as Hugging Face saves them."""

import io
import json
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def parquet(columns, **options):
    buffer = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), buffer, **options)
    return buffer.getvalue()


def arrow(columns, rows=3):
    buffer = io.BytesIO()
    table = pa.table(columns)
    with pa.ipc.new_stream(buffer, table.schema) as stream:
        stream.write_table(table, max_chunksize=rows)
    return buffer.getvalue()


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def saved(columns, features=None, files=1, place=""):
    """Files of a dataset as Hugging Face's save_to_disk lays them out."""
    table = pa.table(columns)
    share = -(-len(table) // files)
    names = [f"data-{number:05}-of-{files:05}.arrow" for number in range(files)]
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "f", "_split": "train"}
    return {
        **{
            place + name: arrow({c: table[c].slice(i * share, share) for c in columns})
            for i, name in enumerate(names)
        },
        place + "state.json": json.dumps(state),
        place + "dataset_info.json": json.dumps({"features": features or {}}),
    }


CLASSES = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}, "text": {"dtype": "string", "_type": "Value"}}
REVIEWS = {"text": ["good", "bad", "fine", "awful", "odd"], "label": [1, 0, 1, 0, -1]}
