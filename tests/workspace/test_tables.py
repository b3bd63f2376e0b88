"""Kept tables: their size on the disk, and their deletion."""

import numpy as np
import pytest

from kernelsm.prompts.orders import OrderedOutcomes
from kernelsm.workspace.tables import (
    delete_run,
    has_run,
    load_run,
    load_run_orders,
    run_bytes,
    save_run,
    save_run_orders,
)


def test_a_deleted_table_is_gone_and_its_bytes_are_counted(make_outcomes, cache_folder):
    name = save_run(make_outcomes(seed=1))
    kept = save_run(make_outcomes(seed=2))
    size = (cache_folder / "runs" / f"{name}.parquet").stat().st_size
    assert run_bytes(name) == size > 0
    assert delete_run(name) == size
    assert not has_run(name)
    assert run_bytes(name) == 0
    with pytest.raises(KeyError):
        load_run(name)
    assert load_run(kept).content_hash == kept


def test_deleting_what_is_gone_frees_nothing(make_outcomes):
    name = save_run(make_outcomes())
    delete_run(name)
    assert delete_run(name) == 0


def test_a_deleted_table_can_be_kept_again(make_outcomes):
    table = make_outcomes()
    delete_run(save_run(table))
    assert has_run(save_run(table))


def test_each_root_has_tables_of_its_own(make_outcomes, tmp_path):
    table = make_outcomes()
    here, there = (save_run(table, tmp_path / folder) for folder in ("a", "b"))
    assert here == there
    assert delete_run(here, tmp_path / "a") > 0
    assert run_bytes(here, tmp_path / "a") == 0
    assert load_run(here, tmp_path / "b").content_hash == here


@pytest.mark.parametrize("name", ["", "../victim", "victim", "runs/victim", "0" * 39, "A" * 40, "/etc/passwd"])
def test_no_name_reaches_another_file(cache_folder, make_outcomes, name):
    save_run(make_outcomes())
    victims = [cache_folder / "victim.parquet", cache_folder / "runs" / "victim.parquet"]
    for victim in victims:
        victim.write_bytes(b"mine")
    assert run_bytes(name) == 0
    assert delete_run(name) == 0
    assert all(victim.read_bytes() == b"mine" for victim in victims)


def test_a_folder_without_tables_is_no_error(tmp_path):
    assert run_bytes("0" * 40, tmp_path / "nowhere") == 0
    assert delete_run("0" * 40, tmp_path / "nowhere") == 0
    assert not (tmp_path / "nowhere").exists()


def test_single_orders_are_kept_beside_their_table_and_damage_is_told(tmp_path, caplog):
    rng = np.random.default_rng(1)
    orders = np.array([rng.permutation(6)[:3] for _ in range(40)])
    found, name = OrderedOutcomes(orders, rng.normal(size=(40, 5))), "a" * 40
    assert load_run_orders(name, tmp_path) is None
    assert not caplog.records
    save_run_orders(name, found, tmp_path)
    again = load_run_orders(name, tmp_path)
    assert again.orders.tolist() == orders.tolist()
    np.testing.assert_allclose(again.values, found.values, atol=1e-6)
    (path,) = (tmp_path / "runs").iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    assert load_run_orders(name, tmp_path) is None
    assert "damaged" in caplog.text
