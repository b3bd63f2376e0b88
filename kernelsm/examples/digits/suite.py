"""The digits example: real handwritten digits as twenty tasks, some spoilt so that there is truth to find."""

from __future__ import annotations

from functools import cache

import numpy as np

from kernelsm.tasks.suite import TaskSuite

MISLABELLED = {"1B": 7, "3B": 8, "6B": 0}
NEAR_COPY = "4B"
TEST_PER_DIGIT = 60


@cache
def digits_suite(seed: int = 0) -> TaskSuite:
    """Return scikit-learn's 1,797 handwritten digits as K = 20 tasks and q = 10 targets.

    Each digit's training images are cut into halves A and B, one task each. Three halves carry a wrong label, and
    4B is not a half of its own but 4A again with a little noise. Sixty clean images of each digit are kept for
    testing, so that the mean over the ten targets is the overall test loss.
    """
    from sklearn.datasets import load_digits

    pixels, digit = load_digits(return_X_y=True)
    pixels = (pixels / 16.0).astype(np.float32)
    rng = np.random.default_rng(seed)
    inputs, labels, names, test = [], [], [], []
    for d in range(10):
        order = rng.permutation(np.flatnonzero(digit == d))
        test.append(order[:TEST_PER_DIGIT])
        half_a, half_b = np.array_split(order[TEST_PER_DIGIT:], 2)
        for half, rows in (("A", half_a), ("B", half_b)):
            key = f"{d}{half}"
            images, label, name = pixels[rows], d, f"digit {key}"
            if key in MISLABELLED:
                label = MISLABELLED[key]
                name += f" (labelled {label})"
            elif key == NEAR_COPY:
                images = np.clip(pixels[half_a] + rng.normal(0.0, 0.02, (len(half_a), 64)), 0, 1).astype(np.float32)
                name += f" (near copy of {d}A)"
            inputs.append(images)
            labels.append(np.full(len(images), label, dtype=np.int64))
            names.append(name)
    test_rows = np.concatenate(test)
    return TaskSuite(
        inputs=np.concatenate(inputs),
        labels=np.concatenate(labels),
        task_of=np.repeat(np.arange(20), [len(x) for x in inputs]),
        test_inputs=pixels[test_rows],
        test_labels=digit[test_rows].astype(np.int64),
        target_of=np.repeat(np.arange(10), TEST_PER_DIGIT),
        task_names=tuple(names),
        target_names=tuple(f"digit {d}" for d in range(10)),
        classes=10,
        meta={"source": "scikit-learn load_digits", "seed": seed},
    )
