"""An outcomes table of one's own: read, refused in words, explored; nothing else is lost."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from app_harness import ROOT, as_read, open_app, texts

from kernelsm import Outcomes

GOOD = "task:a,task:b,target:loss\n" + "".join(
    f"{a},{b},{0.9 - 0.3 * a + 0.1 * b}\n" for a in (0, 1) for b in (0, 1) for _ in range(4)
)


def upload(data: bytes, name: str):
    app = open_app("data", run="planted")
    app.segmented_control(key="kernelsm_bring").set_value("A table of outcomes").run()
    app.file_uploader(key="kernelsm_upload").upload(name, data).run()
    assert not app.exception
    return app


def wrong_tables() -> dict[str, tuple[str, bytes, tuple[str, ...]]]:
    """Case -> file name, content, words that its refusal must hold."""
    rows = GOOD.splitlines()

    def parquet(frame: pd.DataFrame) -> bytes:
        buffer = io.BytesIO()
        frame.to_parquet(buffer)
        return buffer.getvalue()

    wide = {f"task:{k}": [0, 1, 1] for k in range(1999)} | {"target:loss": [1.0, 2.0, 3.0]}
    return {
        "missing target column": ("t.csv", b"task:a,task:b\n0,1\n1,1\n", ("header", "no target column")),
        "no task column": ("t.csv", b"x,target:loss\n0,1\n1,1\n", ("header", "no task column")),
        "text in a value": (
            "t.csv", "\n".join([*rows[:3], "0,1,high"]).encode(), ("row 3", "column 'target:loss'", "'high'"),
        ),
        "NaN": ("t.csv", "\n".join([*rows[:4], "0,1,NaN"]).encode(), ("row 4", "column 'target:loss'", "NaN")),
        "one row": ("t.csv", "\n".join(rows[:2]).encode(), ("1 row", "at least 2 rows")),
        "duplicate names": (
            "t.csv", b"task:a,task:a,target:loss\n0,1,1\n1,1,2\n", ("column 2", "'task:a' again (as column 1)"),
        ),
        "0 bytes": ("t.csv", b"", ("0 bytes",)),
        "a binary file": ("t.csv", bytes(range(256)) * 20, ("a byte that is not UTF-8", "Save it as UTF-8")),
        "a broken Parquet file": ("t.parquet", parquet(pd.DataFrame({"task:a": [0]}))[:-20], ("whole Parquet file",)),
        "2,000 columns": ("t.parquet", parquet(pd.DataFrame(wide)), ("header", "2,000 columns", "at most 1,500")),
        "non-binary mask": ("t.csv", b"task:a,target:loss\n0,1\n2,1\n", ("row 2", "column 'task:a'", "2", "0 or 1")),
        "a ragged row": ("t.csv", b"task:a,target:loss\n0,1\n1,1,7\n", ("row 2", "3 cells")),
        "a pickle": ("t.pkl", b"\x80\x04.", ("pickle", "can run code")),
    }  # fmt: skip


@pytest.mark.parametrize("case", list(wrong_tables()))
def test_a_wrong_table_is_refused_with_its_place_and_the_page_goes_on(case: str) -> None:
    name, data, words = wrong_tables()[case]
    app = upload(data, name)
    (error,) = app.error
    message = as_read(error.value)
    for word in words:
        assert word in message
    assert "Nothing else changed" in texts(app)
    # the run shown before is still there, and a good file is taken after the wrong one
    assert any(caption.value.startswith("Planted game") for caption in app.caption)
    app.file_uploader(key="kernelsm_upload").upload("good.csv", GOOD.encode()).run()
    assert not app.error
    assert "16 subsets of 2 tasks, 1 target" in texts(app)


@pytest.mark.parametrize("page", ["start", "gradients", "subsets", "fit", "explore"])
def test_an_uploaded_table_is_shown_on_every_page(page: str) -> None:
    app = upload(GOOD.encode(), "mine.csv")
    next(button for button in app.button if button.label == "Explore it").click().run()
    assert not app.exception
    (file,) = ROOT.glob(f"pages/?_{page}.py")
    app.switch_page(f"pages/{file.name}").run()
    assert not app.exception
    assert any(caption.value.startswith("mine\\.csv · 16 subsets · 2 tasks") for caption in app.caption)


def test_names_that_look_like_markup_are_shown_as_they_are() -> None:
    names = ["<b>bold</b>", "*star* $x$", "[link](http://example.org)", "😀 ضد"]
    rng = np.random.default_rng(0)
    masks = rng.random((40, 4)) < 0.5
    outcomes = Outcomes(masks, masks @ [-0.5, 0.2, 0.1, 0.3], task_names=names, target_names=["<i>t</i>"])
    app = upload(outcomes.to_frame().to_csv(index=False).encode(), "names.csv")
    next(button for button in app.button if button.label == "Explore it").click().run()
    assert not app.exception
    words = texts(app)
    assert "<b>" not in words
    assert r"\<b\>bold\</b\>" in words
    spec = json.dumps([str(chart.proto) for chart in app.get("plotly_chart")])
    assert "&lt;b&gt;" in spec


@pytest.mark.parametrize("tasks", [1, 2])
def test_tiny_tables_are_explored(tasks: int) -> None:
    header = ",".join([*(f"task:{k}" for k in range(tasks)), "target:loss"])
    rows = [",".join([*("1" if (i >> k) & 1 else "0" for k in range(tasks)), f"{i}.5"]) for i in range(3)]
    app = upload("\n".join([header, *rows]).encode(), "tiny.csv")
    next(button for button in app.button if button.label == "Explore it").click().run()
    assert not app.exception
    for page in ("0_start", "3_subsets", "4_fit"):
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception


def test_the_authors_coin_flip_outcomes_are_explored_without_any_model() -> None:
    folder = ROOT.parent / "shared" / "data" / "coin_flip"
    if not Path(folder).exists():
        pytest.skip("../shared/data/coin_flip is not here: the authors' outcomes are not part of the project")
    chosen = json.loads((folder / "coin_flip_train_ids_list.json").read_text())
    losses = np.array(json.loads((folder / "coin_flip_subset_scores_loss.json").read_text()))
    masks = np.zeros((len(chosen), 50), dtype=bool)
    for row, demonstrations in enumerate(chosen):
        masks[row, demonstrations] = True
    table = Outcomes(masks, losses).to_frame().to_csv(index=False).encode()
    app = upload(table, "coin-flip.csv")
    assert "200 subsets of 50 tasks, 869 targets" in texts(app)
    next(button for button in app.button if button.label == "Fit it").click().run()
    assert not app.exception
    assert float(app.metric[0].value) > 0.35  # held-out LDS over all 869 targets
    app.switch_page("pages/5_explore.py").run()
    assert not app.exception
