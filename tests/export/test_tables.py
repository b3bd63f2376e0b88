"""Tables that are taken away hold the numbers of the result, in files that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from results import evil, one_task, planted

from kernelsm.export.csv_text import is_formula
from kernelsm.export.tables import (
    effects_table,
    pairs_table,
    predictions_table,
    seconds_for_all_pairs,
    square_table,
    tables_zip,
)


def test_effects_have_their_interval_and_verdict() -> None:
    result = planted()
    table = effects_table(result)
    low, high = result.readout.attribution.interval()
    assert np.allclose(table["effect"], result.readout.attribution.values[:, 0])
    assert np.allclose(table["low"], low[:, 0])
    assert np.allclose(table["high"], high[:, 0])
    assert set(table["verdict"]) == {"helps", "hurts", "no effect"}


def test_long_and_square_tables_of_pairs_agree() -> None:
    result = planted()
    long = pairs_table(result)
    square = square_table(result).set_index("task")
    assert len(long) == 45
    assert (long["low"] <= long["interaction"]).all()
    for row in long.itertuples():
        assert square.loc[row.first, row.second] == square.loc[row.second, row.first] == row.interaction
    assert np.isnan(np.diag(square.to_numpy())).all()
    tested = pairs_table(result, all_pairs=False)
    assert sorted(map(tuple, tested[["first", "second"]].to_numpy())) == sorted(
        map(tuple, long[["first", "second"]].to_numpy())
    )
    assert list(tested["verdict"][:3]) == ["synergy", "synergy", "redundancy or conflict"]


def test_predictions_are_those_of_the_surrogate() -> None:
    result = planted()
    table = predictions_table(result)
    predicted = result.surrogate.predict(result.outcomes.masks).ravel()
    assert np.allclose(table["predicted"], predicted)
    assert np.allclose(table["observed"], result.outcomes.values[:, 0])
    assert ((table["low"] <= table["predicted"]) & (table["predicted"] <= table["high"])).all()


def test_the_files_read_back_the_same_and_hold_no_formula() -> None:
    archive = zipfile.ZipFile(io.BytesIO(tables_zip(evil())))
    names = {name.rpartition(".")[0] for name in archive.namelist()}
    assert names == {
        "effects", "interactions", "interactions_square_interaction", "interactions_square_low",
        "interactions_square_high", "predictions",
    }  # fmt: skip
    for name in names:
        rows = list(csv.reader(io.StringIO(archive.read(f"{name}.csv").decode())))
        assert not [cell for row in rows for cell in row if is_formula(cell)], name
        table = pd.read_parquet(io.BytesIO(archive.read(f"{name}.parquet")))
        assert len(table) == len(rows) - 1
    assert "=1+1" in set(pd.read_parquet(io.BytesIO(archive.read("effects.parquet")))["task"])


def test_one_task_has_no_pairs() -> None:
    archive = zipfile.ZipFile(io.BytesIO(tables_zip(one_task())))
    assert {name.rpartition(".")[0] for name in archive.namelist()} == {"effects", "predictions"}


def test_the_time_for_all_pairs_grows_with_pairs_and_subsets_squared() -> None:
    assert seconds_for_all_pairs(10, 600) == pytest.approx(4 * seconds_for_all_pairs(10, 300))
    assert seconds_for_all_pairs(20, 300) == pytest.approx(190 / 45 * seconds_for_all_pairs(10, 300))
