"""Kept tables: their size on the disk, and their deletion."""

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.examples.catalog import PROMPT_EXAMPLES
from kernelsm.prompts.orders import OrderedOutcomes
from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.runtime.content_hash import is_content_hash
from kernelsm.workspace.kept import KeptItem
from kernelsm.workspace.prompt_projects import PROMPTS, PromptSource, keep_prompts
from kernelsm.workspace.tables import TABLES, load_run_orders, save_run, save_run_orders


def test_a_kept_table_is_found_by_its_content(cache_folder, make_outcomes):
    table = make_outcomes()
    key = save_run(table)
    assert is_content_hash(key)
    assert TABLES.load(key).content_hash == table.content_hash == key
    assert (cache_folder / "runs").is_dir()


@pytest.mark.parametrize("key", ["0" * 40, "../../etc/passwd", "", "A" * 40])
def test_a_table_that_is_not_there_is_told(make_outcomes, key):
    save_run(make_outcomes())
    assert not TABLES.is_here(key)
    with pytest.raises(InputError) as caught:
        TABLES.load(key)
    assert (caught.value.place, caught.value.found) == (f"table {key}", "nothing")


def test_a_deleted_table_is_gone_and_its_bytes_are_counted(make_outcomes, cache_folder):
    name = save_run(make_outcomes(seed=1))
    kept = save_run(make_outcomes(seed=2))
    size = (cache_folder / "runs" / f"{name}.parquet").stat().st_size
    assert TABLES.size(name) == size > 0
    assert TABLES.delete(name) == size
    assert not TABLES.is_here(name)
    assert TABLES.size(name) == 0
    with pytest.raises(InputError, match="nothing"):
        TABLES.load(name)
    assert TABLES.load(kept).content_hash == kept


def test_deleting_what_is_gone_frees_nothing(make_outcomes):
    name = save_run(make_outcomes())
    TABLES.delete(name)
    assert TABLES.delete(name) == 0


def test_a_deleted_table_can_be_kept_again(make_outcomes):
    table = make_outcomes()
    TABLES.delete(save_run(table))
    assert TABLES.is_here(save_run(table))


def test_each_root_has_tables_of_its_own(make_outcomes, tmp_path):
    table = make_outcomes()
    here, there = (save_run(table, tmp_path / folder) for folder in ("a", "b"))
    assert here == there
    assert TABLES.delete(here, tmp_path / "a") > 0
    assert TABLES.size(here, tmp_path / "a") == 0
    assert TABLES.load(here, tmp_path / "b").content_hash == here


@pytest.mark.parametrize("name", ["", "../victim", "victim", "runs/victim", "0" * 39, "A" * 40, "/etc/passwd"])
def test_no_name_reaches_another_file(cache_folder, make_outcomes, name):
    save_run(make_outcomes())
    victims = [cache_folder / "victim.parquet", cache_folder / "runs" / "victim.parquet"]
    for victim in victims:
        victim.write_bytes(b"mine")
    assert TABLES.size(name) == 0
    assert TABLES.delete(name) == 0
    assert all(victim.read_bytes() == b"mine" for victim in victims)


def test_a_folder_without_tables_is_no_error(tmp_path):
    assert TABLES.size("0" * 40, tmp_path / "nowhere") == 0
    assert TABLES.delete("0" * 40, tmp_path / "nowhere") == 0
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


def test_single_orders_are_counted_and_deleted_with_their_table(tmp_path, make_outcomes):
    key, other = (save_run(make_outcomes(seed=seed), tmp_path) for seed in (1, 2))
    alone = TABLES.size(key, tmp_path)
    for each in (key, other):
        save_run_orders(each, OrderedOutcomes(np.array([[0, 1], [1, 0]]), np.ones((2, 2))), tmp_path)
    orders = (tmp_path / "runs" / f"{key}.orders.npz").stat().st_size
    assert TABLES.size(key, tmp_path) == TABLES.delete(key, tmp_path) == alone + orders
    left = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert left == [f"{other}.orders.npz", f"{other}.parquet"]


def test_what_a_table_was_made_from_is_told_as_far_as_it_is_here(make_outcomes, tmp_path):
    texts = (Labelled("a", "yes"), Labelled("b", "no"))
    source = PromptSource("Mine", PromptTask(texts, texts, (), ("yes", "no"), k=1))
    prompts, task = keep_prompts(source), source.task.content_hash
    for meta, needs in (
        ({}, ()),
        ({"prompts": prompts, "task": task}, (KeptItem(PROMPTS, prompts),)),
        ({"prompts": prompts, "task": "another"}, ()),
        ({"prompts": "movie-reviews", "task": PROMPT_EXAMPLES["movie-reviews"].make().content_hash}, ()),
        ({"computed_from": "digits"}, ()),
        ({"computed_from": "0" * 40, "prompts": ["not", "text"]}, ()),
    ):
        key = save_run(make_outcomes(seed=5, meta=meta))
        assert TABLES.needs(key) == needs
    assert TABLES.needs("0" * 40) == ()
    (tmp_path / "cache" / "runs" / f"{key}.parquet").write_bytes(b"damaged")
    assert TABLES.needs(key) == ()
