"""Correlation of attributions with leave-one-out by retraining."""

import numpy as np
import pytest

from kernelsm import LinearSurrogateCV, leave_one_out_effects, load_example, load_leave_one_out
from kernelsm.paper.findings import load_findings
from kernelsm.paper.leave_one_out import MEASURED, leave_one_out_check
from kernelsm.runtime.store import Store


@pytest.fixture(scope="module")
def lines():
    (found,) = (found for found in load_findings() if found.key == "leave_one_out")
    return {(line["task"], line["readout"]): line["per target"] for line in found.table}


def test_readouts_without_gradients_are_compared_target_by_target(tmp_path):
    name = "modular-addition"
    assert name not in MEASURED
    check = leave_one_out_check(name, Store(tmp_path))
    true = leave_one_out_effects(load_leave_one_out(name)).values
    linear = LinearSurrogateCV().fit_outcomes(load_example(name)).coef_
    expected = [np.corrcoef(true[:, j], linear[:, j])[0, 1] for j in range(true.shape[1])]
    np.testing.assert_allclose(check.correlations["tuned linear, before"], expected)
    assert not any("after" in key for key in check.correlations)


def test_measuring_leave_outs_mends_a_kernel_that_extrapolates(lines):
    digits = "handwritten digits"
    assert lines[digits, "tuned RBF, before"] < 0.6
    assert lines[digits, "tuned RBF, after"] > 0.99
    for task in (digits, "sentiment of sentences"):
        assert lines[task, "default, after"] > lines[task, "tuned linear, after"] + 0.04
        assert lines[task, "default, after"] > 0.95
        assert lines[task, "another network's leave-one-out"] > 0.9
