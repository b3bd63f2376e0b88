"""Ten thousand damaged files over all doors: each ends in data or in one clear refusal, never in another error.

A door is what the pages do with a file: samples are read, their columns looked through, guessed and made a suite;
tables of outcomes are read; files of prompts become a task. Files are good ones of every format with bytes changed,
cut out, doubled or put in, and for text also pieces that readers stumble over. A number always makes the same file.

    .venv/bin/python benchmarks/mutated_files.py [COUNT]
"""

from __future__ import annotations

import gzip
import io
import json
import random
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from machine import publish

from kernelsm import InputError, Outcomes
from kernelsm.files.limits import Limits
from kernelsm.prompts.task_files import read_prompt_task
from kernelsm.samples.column_facts import facts_of
from kernelsm.samples.reader import preview_samples, read_samples
from kernelsm.tasks.build import build_suite
from kernelsm.tasks.mapping_guess import explain_guess

COUNT = 10_000
SLOWEST_S = 10  # that a damaged file may keep a door busy
LIMITS = Limits(megabytes=8, unpacked_megabytes=32, rows=20_000, columns=200)
ODD = [
    b'"', b'""', b'\\"', b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b"\r", b",", b";", b"\t", b"|",
    b"sep=;\n", b"{", b"[", b"}", b"]", b"null", b"NaN", b"1e999", b"9" * 30, b"-1", b"\\ud800", b"\xe2\x80\xa8",
    b"\xc3", b"\x1b", b"true", b": {", b'": "', b"\xe9\xe8", b"0,5", b"=1+1",
]  # fmt: skip


def embed(texts: list[str]) -> np.ndarray[Any, Any]:
    """Stands for an encoder."""
    return np.array([[len(text), sum(map(ord, text)) % 97, 1 + len(text) % 7] for text in texts], dtype=np.float32)


def encode(texts: Any) -> list[list[int]]:
    """Stands for a tokenizer."""
    return [[1, *(2 + ord(letter) % 50 for letter in text[:40])] for text in texts]


def samples_door(data: bytes, name: str, folder: Path) -> None:
    """What *Data & model* does with samples."""
    path = folder / "upload"
    path.write_bytes(data)
    preview_samples(path, name, LIMITS)
    samples = read_samples(path, name, LIMITS)
    build_suite(samples, explain_guess(facts_of(samples)).mapping, embed=embed, encode=encode, limits=LIMITS)


def outcomes_door(data: bytes, name: str, folder: Path) -> None:
    """What *Data & model* does with a table of outcomes."""
    Outcomes.from_files([(data, name)])


def prompts_door(data: bytes, name: str, folder: Path) -> None:
    """What *Data & model* does with candidates and queries."""
    read_prompt_task((data, name), (_PROMPTS.encode(), "queries.csv"), seed=0)


def _frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    films = [f"a {word} film, of sorts" for word in ("rude", "fresh", "stale", "clear", "warm", "kind")]
    return pd.DataFrame({
        "x": rng.normal(size=24).round(3), "text": films * 4, "label": ["neg", "pos"] * 12,
        "source": ["shop 1", "shop 2", "shop 3"] * 8, "count": rng.integers(0, 9, 24),
    })  # fmt: skip


_PROMPTS = "text,label\n" + "".join(f"ticket {i} asks,{('billing', 'account')[i % 2]}\n" for i in range(8))


def _bytes(write: Callable[[io.BytesIO], Any]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def _zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def _lines(table: str) -> bytes:
    return pd.read_csv(io.StringIO(table)).to_json(orient="records", lines=True).encode()


def good_files() -> list[tuple[Callable[[bytes, str, Path], None], str, bytes, bool]]:
    """Doors, names and contents of the files that are damaged, and whether they are text."""
    frame = _frame()
    table = frame.to_csv(index=False)
    rows = json.loads(frame.to_json(orient="records"))
    nested = [{**row, "tags": [1, 2], "meta": {"page": 1}} for row in rows]
    parquet = _bytes(frame.to_parquet)
    outcomes = Outcomes(
        np.random.default_rng(0).random((12, 3)) < 0.5, np.random.default_rng(1).normal(size=(12, 2)),
        task_names=("a", "b", "é"), target_names=("u", "v"),
    )  # fmt: skip
    shown = outcomes.to_frame()
    arrays = {"masks": outcomes.masks, "values": outcomes.values}
    numbers = {"x": frame[["x", "count"]].to_numpy(), "label": frame["count"].to_numpy() % 3}
    parts = {"train.csv": table.encode(), "validation.csv": table.encode()}
    parts["test.csv"] = frame.drop(columns="label").to_csv(index=False).encode()  # as benchmarks publish it
    asked = pd.read_csv(io.StringIO(_PROMPTS))
    return [
        (samples_door, "t.csv", table.encode(), True),
        (samples_door, "t.csv", ("sep=;\n" + frame.to_csv(index=False, sep=";", decimal=",")).encode(), True),
        (samples_door, "t.csv", table.replace("rude", "café “noir”").encode("cp1252"), True),
        (samples_door, "t.csv", table.encode("utf-16"), True),
        (samples_door, "t.tsv", frame.to_csv(sep="\t").encode(), True),
        (samples_door, "t.csv", table.replace(", of", ' \\"of\\"').encode(), True),
        (samples_door, "t.csv.gz", gzip.compress(table.encode(), mtime=0), False),
        (samples_door, "t.jsonl", "\n".join(map(json.dumps, nested)).encode(), True),
        (samples_door, "t.json", json.dumps(nested).encode(), True),
        (samples_door, "t.xlsx", _bytes(lambda file: frame.to_excel(file, index=False)), False),
        (samples_door, "t.parquet", parquet, False),
        (samples_door, "t.npz", _bytes(lambda file: np.savez(file, **numbers)), False),  # type: ignore[arg-type]
        (samples_door, "t.zip", _zipped({"train.csv": table.encode(), "test_hard.csv": table.encode()}), False),
        (samples_door, "t.zip", _zipped({"train.parquet": parquet, "validation.parquet": parquet}), False),
        (samples_door, "t.zip", _zipped(parts), False),
        (outcomes_door, "o.csv", shown.to_csv().encode(), True),
        (outcomes_door, "o.parquet", _bytes(shown.to_parquet), False),
        (outcomes_door, "o.npz", _bytes(lambda file: np.savez(file, **arrays)), False),  # type: ignore[arg-type]
        (outcomes_door, "o.json", json.dumps({key: held.tolist() for key, held in arrays.items()}).encode(), True),
        (outcomes_door, "o.xlsx", _bytes(lambda file: shown.to_excel(file, index=False)), False),
        (outcomes_door, "o.csv.gz", gzip.compress(shown.to_csv(index=False).encode(), mtime=0), False),
        (outcomes_door, "o.jsonl", shown.to_json(orient="records", lines=True).encode(), True),
        (outcomes_door, "o.json", shown.to_json(orient="records").encode(), True),
        (prompts_door, "p.csv", _PROMPTS.encode(), True),
        (prompts_door, "p.csv", _PROMPTS.replace("asks", "café").encode("cp1252"), True),
        (prompts_door, "p.jsonl", _lines(_PROMPTS), True),
        (prompts_door, "p.json", asked.to_json(orient="records").encode(), True),
        (prompts_door, "p.xlsx", _bytes(lambda file: asked.to_excel(file, index=False)), False),
        (prompts_door, "p.tsv.gz", gzip.compress(asked.to_csv(index=False, sep="\t").encode(), mtime=0), False),
    ]  # fmt: skip


def damaged(data: bytes, draw: random.Random, *, text: bool) -> bytes:
    """A file with one to four faults."""
    bad = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 4])):
        at = draw.randrange(len(bad) + 1)
        length = draw.choice([1, 1, 2, 8, 40])
        fault = draw.choice(
            ["change", "cut", "double", "put", "odd", "end"] if text else ["change", "change", "cut", "put"]
        )
        if fault == "change":
            bad[at : at + length] = draw.randbytes(len(bad[at : at + length]))
        elif fault == "cut":
            del bad[at : at + length]
        elif fault == "double":
            bad[at:at] = bad[at : at + length]
        elif fault == "put":
            bad[at:at] = draw.randbytes(length)
        elif fault == "odd":
            bad[at:at] = draw.choice(ODD)
        else:
            del bad[at:]
    return bytes(bad)


def attempt(number: int, folder: Path) -> tuple[str, str, float]:
    """Bring damaged file of this number; return its name, what came of it, and the seconds that it took."""
    files = good_files_once()
    door, name, data, text = files[number % len(files)]
    bad = damaged(data, random.Random(number), text=text)
    begun = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            door(bad, name, folder)
        end = "read"
    except InputError as error:
        end = "refused" if error.place and error.found and error.expected and error.fix else "refused without a word"
    except Exception as error:  # what this looks for
        end = f"{type(error).__name__}: {error}"[:200]
    return name, end, time.perf_counter() - begun


_FILES: list[Any] = []


def good_files_once() -> list[Any]:
    """The good files, made once."""
    if not _FILES:
        _FILES.extend(good_files())
    return _FILES


def main(count: int) -> None:
    """Bring the files, and write how they ended."""
    ends: Counter[str] = Counter()
    faults: list[dict[str, Any]] = []
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            name, end, seconds = attempt(number, Path(folder))
            slowest = max(slowest, seconds)
            ends[end if end in ("read", "refused") else "another error"] += 1
            if end not in ("read", "refused"):
                faults.append({"number": number, "name": name, "error": end})
                print(faults[-1])
    result = {
        "files": count, "doors": len(good_files_once()), "read": ends["read"], "refused": ends["refused"],
        "other_errors": len(faults), "slowest_s": round(slowest, 2),
    }  # fmt: skip
    print(result)
    assert not faults
    assert slowest <= SLOWEST_S
    publish("mutated_files", result)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT)
