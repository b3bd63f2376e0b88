"""Which objective a suite has."""

from dataclasses import replace

import pytest
from squared_error import SquaredError

from kernelsm import InputError
from kernelsm.objectives.classification import Classification
from kernelsm.objectives.registry import find, find_class, register


def test_a_suite_that_names_none_has_classes(blobs):
    found = find(blobs)
    assert type(found) is Classification
    assert found.outputs == blobs.classes == 3
    assert find_class("classification") is Classification


def test_an_objective_of_ones_own_is_found_by_its_name():
    assert find_class(SquaredError.name) is SquaredError
    assert register(SquaredError) is SquaredError


def test_an_unknown_objective_is_refused_with_the_known_ones(blobs):
    with pytest.raises(InputError, match="'hinge'; expected 'classification' or"):
        find(replace(blobs, objective="hinge"))


def test_settings_that_an_objective_does_not_have_are_refused(blobs):
    with pytest.raises(InputError, match="settings of the objective 'classification'"):
        find(replace(blobs, objective_settings={"smoothing": 0.1}))


def test_no_other_class_takes_the_name_of_one_of_kernelsms_own():
    mine = type("Mine", (SquaredError,), {"name": "classification"})
    with pytest.raises(InputError, match="a name that is free"):
        register(mine)


def test_a_suite_of_classes_says_how_many_there_are(blobs):
    with pytest.raises(InputError, match="classes"):
        replace(blobs, classes=0)
