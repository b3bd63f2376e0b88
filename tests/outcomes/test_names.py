"""Names of tasks and targets: refused at the door, with their position."""

import pytest

from kernelsm.outcomes.names import MAX_NAME_LENGTH, check_name, check_names, natural_key, natural_order
from kernelsm.runtime.errors import InputError


def refused(names, count=None):
    with pytest.raises(InputError) as caught:
        check_names("t.npz, task_names", names, len(names) if count is None else count, "task")
    return caught.value


def test_names_lose_the_spaces_around_them():
    assert check_names("names", [" a", "b ", "c d"], 3, "task") == ("a", "b", "c d")


@pytest.mark.parametrize("given", [None, [], ()])
def test_without_names_tasks_are_numbered(given):
    assert check_names("names", given, 2, "target") == ("target 1", "target 2")


def test_the_longest_name_passes():
    assert check_names("names", ["n" * MAX_NAME_LENGTH], 1, "task") == ("n" * 120,)


@pytest.mark.parametrize(
    ("names", "position", "found"),
    [
        (["a", " "], 2, "an empty name"),
        (["a", "b", "a "], 3, "the name 'a' a second time"),
        (["a\nb"], 1, "a line break or control character in 'a\\nb'"),
        (["a", "n" * 121], 2, "the name 'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn...' of 121 characters"),
    ],
)
def test_the_first_wrong_name_is_told_by_its_position(names, position, found):
    error = refused(names)
    assert (error.place, error.found) == (f"t.npz, task_names, position {position}", found)


def test_another_number_of_names_is_refused():
    error = refused(["a", "b"], count=3)
    assert (error.place, error.found, error.expected) == ("t.npz, task_names", "2 names", "3")


def test_a_name_is_checked_where_it_stands():
    with pytest.raises(InputError, match="column 3: found an empty name"):
        check_name("o.csv, header, column 3", "", "task")


def test_numbers_in_names_count_as_numbers():
    names = ["site_10", "site_2", "10", "9", "b2a10", "b2a9", "x", "007", "7"]
    assert [names[k] for k in natural_order(names)] == [
        "007", "7", "9", "10", "b2a9", "b2a10", "site_2", "site_10", "x"
    ]  # fmt: skip


def test_the_natural_order_takes_any_name():
    # digits of other scripts are letters here, and no number is too long
    names = ["٣", "9" * 5000, "", "1²", "−1", "A1", "a1"]
    assert sorted(sorted(names, key=natural_key)) == sorted(names)
    assert natural_order(["a1", "A1", "A0"]) == [2, 1, 0]
