"""Costs of tasks from a file."""

import pytest

from kernelsm import InputError
from kernelsm.selection.costs_file import read_costs

NAMES = ("north, east", "007", "süd")


def written(tmp_path, text):
    path = tmp_path / "costs.csv"
    path.write_text(text)
    return path


def test_costs_come_in_the_order_of_the_tasks_whatever_that_of_the_rows(tmp_path):
    path = written(tmp_path, 'cost,task,note\n3,süd,x\n0,007,y\n1.5,"north, east",z\n')
    assert read_costs(path, NAMES).tolist() == [1.5, 0.0, 3.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,cost\na,1\n", "found the columns 'name', 'cost'; expected the columns 'task' and 'cost'"),
        ('task,cost\nsüd,1\n007,2\n', "found no row for 'north, east'"),
        ('task,cost\nsüd,1\nsüd,1\n', "row 2: found the task 'süd' again"),
        ('task,cost\nsud,1\n', "row 1: found the task 'sud'; expected a task of the table"),
        ('task,cost\nsüd,-1\n', "row 1, 'cost': found -1"), ('task,cost\nsüd,x\n', "row 1, 'cost': found 'x'"),
        ('task,cost\nsüd,\n', "row 1, 'cost'"), ("", "costs.csv: found No columns"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_row(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_costs(written(tmp_path, text), NAMES)
