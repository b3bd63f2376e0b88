"""Damaged files of every format, over all doors: a part of the ten thousand that the benchmark brings."""

import mutated_files
import pytest

EACH = 12


@pytest.mark.parametrize("door", range(len(mutated_files.good_files())))
def test_a_damaged_file_ends_in_data_or_in_one_clear_refusal(tmp_path, door):
    doors = len(mutated_files.good_files_once())
    ends = [mutated_files.attempt(door + doors * number, tmp_path)[1] for number in range(EACH)]
    assert set(ends) <= {"read", "refused"}


def test_good_files_are_read_through_every_door(tmp_path):
    for door, name, data, _ in mutated_files.good_files_once():
        door(data, name, tmp_path)
