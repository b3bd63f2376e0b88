"""One visitor may send and keep so much; beyond it the page says what to delete, and the rest of it is there."""

import numpy as np
import pytest
from app_harness import bring, open_app, texts

from kernelsm import Outcomes, bernoulli_masks


@pytest.fixture(autouse=True)
def one_megabyte(monkeypatch):
    monkeypatch.setenv("KERNELSM_SESSION_MEGABYTES", "1")


def numbers(rows, seed):
    """Samples as a CSV."""
    columns = np.random.default_rng(seed).normal(size=(rows, 4)).round(6)
    lines = [",".join([*map(str, row), str(place % 2), f"source {place % 3}"]) for place, row in enumerate(columns)]
    return "\n".join(["a,b,c,d,label,source", *lines]).encode()


def table(rows, seed):
    masks = bernoulli_masks(5, rows, seed=seed)
    outcomes = Outcomes(masks, np.random.default_rng(seed).normal(size=(rows, 3)))
    return outcomes.to_frame().to_csv(index=False).encode()


def test_files_are_counted_together_and_the_one_too_many_is_refused():
    app = bring("first.csv", numbers(14_000, 0))
    assert not app.error
    app.file_uploader(key="bring_samples").upload("second.csv", numbers(14_000, 1)).run()
    assert "at most 1 MiB for each visitor" in app.error[0].value
    assert "Delete what you do not need" in app.error[0].value
    app.file_uploader(key="bring_samples").upload("small.csv", numbers(200, 2)).run()
    assert not app.error


def test_a_table_counts_too_and_what_was_brought_is_still_listed():
    app = open_app("data")
    app.segmented_control(key="kernelsm_bring").set_value("A table of outcomes").run()
    app.file_uploader(key="kernelsm_upload").upload("small.csv", table(100, 0)).run()
    assert not app.error
    app.file_uploader(key="kernelsm_upload").upload("large.csv", table(19_000, 1)).run()
    assert "at most 1 MiB for each visitor" in app.error[0].value
    assert "What you brought and computed" in texts(app)
