"""Retrained leave-one-out: differences of outcomes, found again, added up in predictions."""

import numpy as np

from kernelsm import Retraining
from kernelsm.attributors.leave_one_out import LeaveOneOut
from kernelsm.runtime.store import Store


def test_effects_are_differences_of_retrained_outcomes(blobs, blobs_model, tmp_path):
    store = Store(tmp_path)
    trainer = Retraining(blobs, blobs_model, ridge=0.5)
    method = LeaveOneOut(trainer, seconds=0.1)
    assert method.cost().seconds == 2 * 0.1 * 6
    effects = method.attribute(store=store)
    full = np.ones((1, 5), dtype=bool)
    without = full.copy()
    without[0, 3] = False
    outcomes = trainer.outcomes(np.vstack([full, without]))
    np.testing.assert_allclose(effects.values[3], outcomes.values[0] - outcomes.values[1], atol=1e-6)
    assert effects.measured.all()
    predicted = method.predict(np.vstack([full, without]))
    np.testing.assert_allclose(predicted, outcomes.values, atol=1e-6)
    computed = store.computed
    LeaveOneOut(trainer).attribute(store=store)
    assert store.computed == computed
