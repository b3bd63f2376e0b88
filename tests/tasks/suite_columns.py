"""Twelve samples in columns, to be changed, and the suite or the refusal that building it ends in."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from kernelsm import InputError
from kernelsm.samples.samples import Samples
from kernelsm.tasks.build import build_suite
from kernelsm.tasks.mapping import SampleMapping, TaskRule

# the task of each row; the last four rows are for testing
SOURCE = ["a", "a", "a", "b", "b", "b", "c", "c", "a", "b", "d", "d"]
SPLIT = ["train"] * 8 + ["test"] * 4
LABEL = ["cat", "dog", "cat", "dog", "cat", "dog", "cat", "dog", "cat", "dog", "cat", "dog"]
AGE = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]
N, TRAINED = 12, 8
BASE = {"source": SOURCE, "split": SPLIT, "label": LABEL, "age": AGE}
MAPPING = SampleMapping("label", ("age",), "tabular", TaskRule("column", ("source",)), "split")
RNG = np.random.default_rng(0)


def samples(**columns):
    def held(values):
        return values if isinstance(values, np.ndarray) else pa.chunked_array([pa.array(values)])

    return Samples({name: held(values) for name, values in (BASE | columns).items()}, "file.csv")


def build(mapping=MAPPING, *, embed=None, limits=None, columns=None, **changes):
    return build_suite(samples(**(columns or {})), replace(mapping, **changes), embed=embed, limits=limits)


def refused(**arguments):
    with pytest.raises(InputError) as caught:
        build(**arguments)
    assert all((caught.value.place, caught.value.found, caught.value.expected, caught.value.fix))
    return caught.value


def of(values):
    """Values of the rows that make one column of a table."""
    return {"columns": {"x": values}, "inputs": ("x",)}


def lengths(texts):
    return np.array([[len(text), text.count("e")] for text in texts], dtype=np.float64)


def images(*shape, high=255):
    return RNG.integers(0, high + 1, (N, *shape)).astype(np.uint8)


TEXTS = [f"text number {i}" * (i + 1) for i in range(N)]
