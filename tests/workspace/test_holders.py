"""Who holds what is kept is written beside it, said of nobody by name, and decides when it goes."""

from __future__ import annotations

import stat

import pytest

from kernelsm.workspace.holders import all_kept, hold, holders_of, is_owned, let_go
from kernelsm.workspace.kept import KeptItem
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.tables import TABLES, save_run

A, B = "a" * 32, "b" * 32


@pytest.fixture
def item(make_outcomes, cache_folder):
    return KeptItem(TABLES, save_run(make_outcomes()))


def test_nobody_owns_what_says_nothing_of_its_owner(item):
    assert holders_of(item).everybody == frozenset()
    assert not is_owned(item, [A, B])
    assert let_go(item, [A]) == 0
    assert TABLES.is_here(item.key)


def test_it_goes_with_the_last_who_holds_it(item):
    hold(item, A, "owner")
    hold(item, B, "viewer")
    assert holders_of(item).owners == {A}
    assert (is_owned(item, [A]), is_owned(item, [B])) == (True, False)
    assert let_go(item, [A]) == 0
    assert TABLES.is_here(item.key)
    hold(item, A, "owner")
    assert let_go(item, [B]) == 0
    assert let_go(item, [A]) > 0
    assert not TABLES.is_here(item.key)
    assert not TABLES.holders_folder(item.key).exists()


def test_only_the_server_reads_who_holds_it(item):
    hold(item, A, "owner")
    folder = TABLES.holders_folder(item.key)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) & 0o077 for path in folder.iterdir()] == [0]


@pytest.mark.parametrize("holder", ["", "x" * 32, "../" * 10 + "ab", "a" * 31, f"{A}\n"])
def test_a_holder_that_is_no_id_is_written_nowhere(item, holder):
    with pytest.raises(ValueError, match="no ID"):
        hold(item, holder, "owner")
    assert not is_owned(item, [holder])


def test_what_is_not_here_is_held_by_nobody(cache_folder):
    gone = KeptItem(PROJECTS, "0" * 40)
    hold(gone, A, "owner")
    assert not PROJECTS.holders_folder(gone.key).exists()
    assert holders_of(gone).everybody == frozenset()
    assert holders_of(KeptItem(PROJECTS, "../../etc")).everybody == frozenset()


def test_however_many_look_at_it_their_marks_do_not_fill_the_disk(item):
    hold(item, A, "owner")
    for number in range(300):
        hold(item, f"{number + 1:032x}", "viewer")
    marks = list(TABLES.holders_folder(item.key).iterdir())
    assert len(marks) <= 101
    assert let_go(item, [A]) == 0
    assert TABLES.is_here(item.key)


def test_all_that_is_kept_is_listed_once(item, make_outcomes):
    other = save_run(make_outcomes(seed=5))
    hold(item, A, "owner")
    assert {one.key for one in all_kept()} == {item.key, other}
    assert len(list(all_kept())) == 2
