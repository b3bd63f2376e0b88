"""What projections do to the inner products of a model's own gradients."""

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.gradients import distortion as module
from kernelsm.gradients.distortion import distortion
from kernelsm.gradients.features import gradient_features
from kernelsm.gradients.projections import RANDOM, Exact, Gaussian


@pytest.fixture
def found_for(blobs, blobs_model):
    """Return a function that measures the distortion of projections on the gradients of the blobs."""

    def measure(*projections, **named):
        return distortion(blobs_model, blobs.inputs, blobs.labels, projections, **named)

    return measure


def test_the_exact_basis_distorts_nothing(found_for, blobs_model):
    (found,) = found_for(Exact())
    np.testing.assert_allclose(found.errors, 0, atol=1e-6)
    np.testing.assert_allclose(found.norm_errors, 0, atol=1e-6)
    assert found.size == pytest.approx(0, abs=1e-6)
    assert found.dim == sum(p.numel() for p in blobs_model.parameters())


def test_cosines_and_errors_are_those_of_the_margins_gradients(found_for, blobs, blobs_model):
    (found,) = found_for(Gaussian(8), samples=6)
    rows = np.linspace(0, len(blobs.inputs) - 1, 6).astype(int)

    def gram(projection):
        features = (
            gradient_features(blobs_model, blobs.inputs[rows], blobs.labels[rows], projection, outputs="margin")
            .features[:, 0]
            .astype(float)
        )
        return features @ features.T

    exact, kept = gram(Exact()), gram(Gaussian(8))
    norm = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    above = np.triu_indices(6, k=1)
    assert found.exact == pytest.approx((exact / norm)[above])
    assert found.errors == pytest.approx(((kept - exact) / norm)[above])
    assert found.norm_errors == pytest.approx(np.diag(kept) / np.diag(exact) - 1)


@pytest.mark.parametrize("dim", [16, 64])
def test_errors_of_a_gaussian_are_as_large_as_its_variance_says(found_for, dim):
    found = found_for(*(Gaussian(dim, seed) for seed in range(100)))
    (cosines,) = {tuple(one.exact) for one in found}
    size = np.sqrt(np.mean([one.size**2 for one in found]))
    # one standard deviation is 1/√k at right angles, and never more than √2 times as much
    assert 0.9 < size * np.sqrt(dim) < 1.5
    assert size == pytest.approx(np.sqrt(np.mean(1 + np.square(cosines)) / dim), rel=0.1)
    # without bias: over 100 maps the mean error of a pair is a tenth of the error of one
    assert abs(np.mean([one.errors for one in found], axis=0)).max() < 6 * size / 10


def test_four_times_the_dimensions_halve_the_error(found_for):
    for kind in RANDOM.values():
        few, many = (
            np.sqrt(np.mean([one.size**2 for one in found_for(*(kind(dim, seed) for seed in range(40)))]))
            for dim in (16, 64)
        )
        assert few / many == pytest.approx(2, rel=0.35), kind


def test_the_same_samples_and_maps_give_the_same_errors(found_for):
    first, again, other = (found_for(Gaussian(16, seed))[0] for seed in (0, 0, 1))
    assert np.array_equal(first.errors, again.errors)
    assert not np.array_equal(first.errors, other.errors)


def test_every_random_projection_is_named_and_has_its_dimensions(found_for):
    heard = []
    found = found_for(
        *(kind(16) for kind in RANDOM.values()),
        samples=5,
        report=lambda done, total, message="", **_: heard.append((done, total, message)),
    )
    assert [(one.name.split(",")[0].lower(), one.dim) for one in found] == [(name, 16) for name in RANDOM]
    assert [one.errors.shape for one in found] == [(10,)] * len(RANDOM)
    steps = len(RANDOM) + 1
    assert [heard[0][2], *(one.name for one in found)] == [message for _, _, message in heard]
    assert [(done, total) for done, total, _ in heard] == [(done, steps) for done in range(1, steps + 1)]


def test_a_large_model_is_measured_on_fewer_samples_and_one_too_large_refused(found_for, blobs_model, monkeypatch):
    d = sum(p.numel() for p in blobs_model.parameters())
    monkeypatch.setattr(module, "_BUDGET", 4 * d * 7)
    assert len(found_for(Gaussian(8))[0].norm_errors) == 7
    monkeypatch.setattr(module, "_BUDGET", 4 * d * 4 - 1)
    with pytest.raises(InputError, match="skip it for this model") as caught:
        found_for(Gaussian(8))
    assert caught.value.place == "model"
    assert f"{d:,} parameters" in str(caught.value)
