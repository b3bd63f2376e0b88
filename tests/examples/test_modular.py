"""Modular arithmetic: the table, its cells and its draws."""

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.examples.modular import modular_suite


@pytest.mark.parametrize(
    ("operation", "result"),
    [("addition", lambda a, b: (a + b) % 97), ("quadratic", lambda a, b: (a**2 + a * b + b**2) % 97)],
)
def test_the_table_is_the_papers(operation, result):
    suite = modular_suite(operation)
    assert (suite.K, len(suite.target_names), suite.classes) == (25, 25, 97)
    assert len(suite.test_inputs) == 941  # a tenth of 97²
    seen = np.concatenate([suite.inputs, suite.test_inputs])
    assert seen.dtype == np.int64
    assert len(np.unique(seen, axis=0)) == 97 * 97  # each pair once, in training or in the test
    a, operator, b, equals = seen.T
    assert (operator == 97).all()
    assert (equals == 98).all()
    labels = np.concatenate([suite.labels, suite.test_labels])
    assert [int(x) for x in labels] == [result(int(i), int(j)) for i, j in zip(a, b, strict=True)]


def test_samples_lie_in_the_cell_that_their_name_says():
    suite = modular_suite()
    assert suite.task_names == suite.target_names
    assert suite.task_names[1] == "a 0-19, b 20-39"
    assert suite.task_names[24] == "a 80-96, b 80-96"
    for inputs, cells in ((suite.inputs, suite.task_of), (suite.test_inputs, suite.target_of)):
        for (a, _, b, _), cell in zip(inputs, cells, strict=True):
            (a0, a1), (b0, b1) = (map(int, part.split()[1].split("-")) for part in suite.task_names[cell].split(", "))
            assert a0 <= a <= a1
            assert b0 <= b <= b1


def test_a_smaller_share_of_the_table_is_part_of_a_larger_one_and_leaves_the_test_alone():
    whole, most, some = (modular_suite(train_fraction=share) for share in (1.0, 0.6, 0.3))
    sets = [{tuple(row) for row in suite.inputs} for suite in (some, most, whole)]
    assert sets[0] < sets[1] < sets[2]
    assert [len(x) for x in sets] == [2540, 5081, 8468]
    np.testing.assert_array_equal(whole.test_inputs, some.test_inputs)


def test_the_draw_follows_the_seed():
    hashes = [modular_suite(p=23, cell=8, seed=seed).content_hash for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"operation": "division"}, "operation"),
        ({"p": 1}, "p"),
        ({"cell": 0}, "cell"),
        ({"cell": 98}, "cell"),
        ({"test_fraction": 1.0}, "test_fraction"),
        ({"train_fraction": 0.0}, "train_fraction"),
        ({"seed": -1}, "seed"),
        ({"test_fraction": 0.001}, "target_of"),  # nine test samples cannot fill 25 cells
        ({"train_fraction": 0.001}, "task_of"),
    ],
)
def test_what_makes_no_suite_is_refused(change, place):
    with pytest.raises(InputError) as caught:
        modular_suite(**change)
    assert caught.value.place == place
