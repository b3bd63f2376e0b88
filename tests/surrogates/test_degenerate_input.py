"""Tables at the edge of what can be fitted: what comes out is finite, honest about what is unknown, or refused."""

import warnings

import numpy as np
import pytest
from scipy.linalg import LinAlgWarning

from kernelsm import InputError, KernelSurrogate, KernelSurrogateCV, LinearSurrogate, LinearSurrogateCV, Outcomes
from kernelsm.surrogates.wording import is_unclear

SURROGATES = [
    LinearSurrogate(), LinearSurrogateCV(), KernelSurrogate(), KernelSurrogateCV(), KernelSurrogate(kernel="linear"),
    KernelSurrogate(kernel="poly"), KernelSurrogate(kernel="poly", degree=3, coef0=1.0),
    KernelSurrogateCV(kernel="poly", coef0=1.0), KernelSurrogateCV(kernel="linear"),
    KernelSurrogate(fit_intercept=False),
]  # fmt: skip
each = pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
with_intercept = pytest.mark.parametrize("surrogate", [g for g in SURROGATES if g.fit_intercept], ids=str)


def attributions(g, K):
    yield g.attribution()
    yield g.attribution(at=np.zeros(K))
    for kind in ("inclusion", "banzhaf", "shapley"):
        yield g.attribution(kind)
    if K > 1:
        yield g.attribution("inclusion", size=1)


def interactions(g, K):
    yield g.interactions()
    yield g.interactions(at=np.zeros(K))
    for kind in ("inclusion", "banzhaf", "shapley"):
        yield g.interactions(kind)
    if K > 3:
        yield g.interactions("inclusion", size=2)


def assert_finite(g, K):
    """Every value and deviation is a number, and nothing is warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for array in g.predict(np.eye(K), return_std=True):
            assert np.isfinite(array).all()
        for result in (*attributions(g, K), *interactions(g, K)):
            assert np.isfinite(result.values).all()
            assert np.isfinite(result.std).all()
            assert (result.std >= 0).all()


def random_masks(m, K, seed=0):
    return (np.random.default_rng(seed).random((m, K)) < 0.5).astype(float)


@with_intercept
@pytest.mark.parametrize("constant", [0.0, 0.1, 3.3, -1e8])
def test_a_constant_target_has_no_effects_and_no_doubt(surrogate, constant):
    rng = np.random.default_rng(0)
    g = surrogate.fit(random_masks(20, 5), np.column_stack([np.full(20, constant), rng.normal(size=20)]))
    assert_finite(g, 5)
    size = max(abs(constant), 1.0)
    mean, std = g.predict(np.eye(5), return_std=True)
    np.testing.assert_allclose(mean[:, 0], constant, rtol=1e-9)
    np.testing.assert_allclose(std[:, 0], 0.0, atol=1e-9 * size)
    assert (std[:, 1] > 0).all()
    for result in (*attributions(g, 5), *interactions(g, 5)):
        np.testing.assert_allclose(result.values[..., 0], 0.0, atol=1e-9 * size)
        np.testing.assert_allclose(result.std[..., 0], 0.0, atol=1e-9 * size)


@with_intercept
@pytest.mark.parametrize("constant", [0.1, 1 / 3, 1e8 / 7])
def test_rounding_in_a_constant_target_is_not_taken_for_an_effect(surrogate, constant):
    for seed in range(8):
        g = surrogate.fit(random_masks(37, 6, seed), np.full(37, constant))
        assert not g.interactions().told_from_zero().any()
        effects = g.attribution()
        for k in range(6):
            value, margin = effects.values[k, 0], effects.margin()[k, 0]
            assert value == 0 or is_unclear(value, margin), effects.sentence(k)


@each
def test_one_subset_gives_its_outcome_and_knows_no_spread(surrogate):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        g = surrogate.fit([[1.0, 0.0, 1.0]], [[2.0, -5.0]])
        mean, std = g.predict([[1, 0, 1], [0, 1, 1]], return_std=True)
        effect, pairs = g.attribution(), g.interactions("shapley")
        assert np.isfinite(effect.values).all()
        assert np.isfinite(pairs.values).all()
    if g.fit_intercept:
        np.testing.assert_allclose(mean, [[2.0, -5.0]] * 2, rtol=1e-9)
        np.testing.assert_allclose(effect.values, 0.0, atol=1e-9)
        # a linear surrogate knows without data that it has no interactions
        for unknown in (std, effect.std, g.noise_variance_):
            assert np.isnan(unknown).all()
        assert not pairs.told_from_zero().any()
    else:
        assert np.isfinite(std).all()
    assert g.degrees_of_freedom_ == (0 if g.fit_intercept else 1)
    assert "task 1" in effect.sentence(0)


@each
def test_two_subsets_have_finite_readouts(surrogate):
    g = surrogate.fit([[1, 0, 1, 0], [0, 1, 1, 0]], [1.0, 3.0])
    assert_finite(g, 4)
    effect = g.attribution("inclusion").values[:, 0]
    assert effect[0] < effect[1]


@each
def test_one_task_has_finite_readouts_and_no_pairs(surrogate):
    g = surrogate.fit([[1], [0], [1], [0], [1]], [1.0, 2.0, 1.1, 2.2, 0.9])
    assert_finite(g, 1)
    values = [result.values[0, 0] for result in attributions(g, 1)]
    np.testing.assert_allclose(values, values[0], rtol=1e-9)
    for result in interactions(g, 1):
        assert result.values.shape == result.std.shape == (1, 1, 1)
        assert not result.told_from_zero().any()
        assert len(result.to_frame()) == len(result.top()) == 0


@pytest.mark.parametrize("fill", [0.0, 1.0], ids=["empty", "full"])
@each
def test_one_subset_measured_many_times_says_nothing_about_tasks(surrogate, fill):
    F = np.array([1.0, 2.0, 3.0, 6.0])
    g = surrogate.fit(np.full((4, 3), fill), F)
    assert_finite(g, 3)
    if g.fit_intercept:
        np.testing.assert_allclose(g.predict(np.full((1, 3), fill)), 3.0, rtol=1e-4)
        effect = g.attribution("shapley")
        # symmetric, far from certain
        np.testing.assert_allclose(effect.values, effect.values[0, 0], atol=1e-9)
        assert (np.abs(effect.values) <= effect.margin() + 1e-9).all()


@pytest.mark.parametrize(
    "surrogate",
    [
        KernelSurrogate(ridge=0.6),
        KernelSurrogate(kernel="poly", ridge=0.6),
        KernelSurrogate(kernel="linear", ridge=0.6),
    ],
    ids=str,
)
def test_three_measurements_of_a_subset_are_their_mean_with_a_third_of_the_noise(surrogate):
    masks, rng = random_masks(12, 4, seed=2), np.random.default_rng(2)
    F = rng.normal(size=12)
    three = surrogate.fit(np.vstack([masks] * 3), np.concatenate([F - 0.5, F, F + 0.5]))
    mean, std = three.predict(np.eye(4), return_std=True)
    spread, scale = three.attribution().std, three.scale_
    one = surrogate.set_params(ridge=0.2).fit(masks, F)
    np.testing.assert_allclose(one.predict(np.eye(4)), mean, rtol=1e-9)
    # in units of the scale, which the disagreement of the three enlarges
    np.testing.assert_allclose(one.attribution().std / np.sqrt(one.scale_), spread / np.sqrt(scale), rtol=1e-8)
    assert (std > 0).all()


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("kernel", ["rbf", "poly", "linear"])
def test_without_a_ridge_repeats_are_averaged_with_a_warning(kernel, intercept):
    masks = np.array([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    F = np.array([1.0, 3.0, 5.0, -1.0])
    with pytest.warns(LinAlgWarning, match="raise ridge"):
        g = KernelSurrogate(kernel=kernel, gamma=0.5, ridge=0.0, fit_intercept=intercept).fit(masks, F)
    assert_finite(g, 3)
    # of all weights that give this fit those of least norm: repeats share theirs
    assert g.dual_coef_[0] == pytest.approx(g.dual_coef_[1], abs=1e-9)
    if kernel != "linear" or not intercept:
        np.testing.assert_allclose(g.predict(masks), [2.0, 2.0, 5.0, -1.0], atol=1e-7)


def test_without_a_ridge_distinct_subsets_are_interpolated_without_doubt():
    masks = np.unique(random_masks(30, 4), axis=0)
    F = np.random.default_rng(0).normal(size=len(masks))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        g = KernelSurrogate(gamma=0.7, ridge=0.0).fit(masks, F)
    mean, std = g.predict(masks, return_std=True)
    np.testing.assert_allclose(mean, F, atol=1e-9)
    # the root of the rounding of a variance
    np.testing.assert_allclose(std, 0.0, atol=1e-5)
    assert (g.noise_variance_ == 0).all()


@pytest.mark.parametrize("q", [1, 9])
@pytest.mark.parametrize("gamma", [1e-12, 1e-6, 50.0, 800.0, 1e6])
@pytest.mark.parametrize("kernel", ["rbf", "poly"])
def test_extreme_gamma_gives_finite_readouts_and_deviations(kernel, gamma, q):
    masks = random_masks(30, 5)
    F = np.random.default_rng(1).normal(size=(30, q))
    g = KernelSurrogate(kernel=kernel, gamma=gamma).fit(masks, F)
    assert_finite(g, 5)


def test_a_huge_gamma_interval_is_the_prior_s():
    # subsets tell nothing of each other: away from the data a difference has twice the variance of the process
    masks = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    g = KernelSurrogate(gamma=1e6, ridge=0.5).fit(masks, [1.0, 2.0, 4.0])
    np.testing.assert_allclose(g.attribution().std ** 2, 2 * g.scale_[0], rtol=1e-9)
    pairs = g.interactions(at=np.array([1, 1, 1, 1]))
    np.testing.assert_allclose(pairs.std[0, 1] ** 2, 4 * g.scale_[0], rtol=1e-9)


def test_a_huge_and_a_tiny_unit_change_nothing_but_the_unit():
    masks, F = random_masks(25, 5), np.random.default_rng(3).normal(size=25)
    for surrogate in SURROGATES:
        plain = surrogate.fit(masks, F).attribution()
        for unit in (1e-100, 1e100):
            scaled = surrogate.fit(masks, unit * F).attribution()
            np.testing.assert_allclose(scaled.values / unit, plain.values, rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(scaled.std / unit, plain.std, rtol=1e-7, atol=1e-9)


@each
def test_inputs_that_are_no_masks_are_fitted_but_not_read(surrogate):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(15, 3))
    g = surrogate.fit(X, X[:, 0] + 0.1 * rng.normal(size=15))
    for array in g.predict(rng.normal(size=(4, 3)), return_std=True):
        assert np.isfinite(array).all()
    for kind in ("inclusion", "shapley"):
        for read in (g.attribution, g.interactions):
            with pytest.raises(InputError, match="not 0/1") as caught:
                read(kind)
            assert "fit on masks" in caught.value.fix
    # a fit on masks afterwards reads again
    assert np.isfinite(g.fit(np.eye(3), [1.0, 2.0, 3.0]).attribution().values).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@each
def test_values_that_are_no_numbers_are_refused(surrogate, bad):
    masks, F = random_masks(8, 3), np.arange(8.0)
    F[5] = bad
    with pytest.raises(InputError, match="y, row 5: found NaN or inf"):
        surrogate.fit(masks, F)
    masks[2, 1] = bad
    with pytest.raises(InputError, match="X, row 2: found NaN or inf"):
        surrogate.fit(masks, np.arange(8.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_table_names_the_row_that_is_no_number(bad):
    F = np.zeros((8, 2))
    F[5, 1] = bad
    with pytest.raises(InputError, match="row 5, target 1"):
        Outcomes(random_masks(8, 3), F)
    masks = random_masks(8, 3)
    masks[2, 1] = bad
    with pytest.raises(InputError, match="row 2, task 1"):
        Outcomes(masks, np.zeros(8))


@each
def test_another_number_of_tasks_is_refused_at_the_prediction(surrogate):
    g = surrogate.fit(np.eye(4), np.arange(4.0))
    with pytest.raises(ValueError, match="3 features"):
        g.predict(np.eye(3))
    with pytest.raises(ValueError, match="inconsistent"):
        surrogate.fit(np.eye(4), np.arange(5.0))


@each
def test_messages_say_what_was_found_and_what_to_give(surrogate):
    g = surrogate.fit(np.eye(4), np.arange(4.0))
    for arguments, message in (
        ({"kind": "inclusion", "size": 4}, "size: found 4 of 4 tasks; expected 1 to 3"),
        ({"kind": "inclusion", "p": 1.5}, "p: found 1.5; expected a probability between 0 and 1"),
        ({"at": [1, 0]}, "at: found shape (2,); expected 4 values of 0 or 1"),
        ({"kind": "shapley", "p": 0.5}, "readout: found p; expected no argument with 'shapley'"),
        ({"kind": "banzhaf", "size": 2}, "readout: found size; expected p with 'banzhaf'"),
        ({"kind": "inclusion", "p": 0.5, "size": 2}, "readout: found both p and size"),
    ):
        with pytest.raises(InputError) as caught:
            g.attribution(**arguments)
        assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "arguments", [{"at": "abcd"}, {"kind": "inclusion", "p": "half"}, {"kind": "inclusion", "size": "2"}], ids=str
)
def test_text_for_a_number_is_refused_as_bad_input(arguments):
    # they come from links and files
    g = KernelSurrogate().fit(np.eye(4), np.arange(4.0))
    with pytest.raises(InputError):
        g.attribution(**arguments)


@pytest.mark.parametrize(("scale", "found"), [(1e200, "e\\+200"), (1e-200, "differ by")])
def test_outcomes_beyond_double_precision_are_refused_where_they_stand(scale, found):
    F = np.column_stack([np.arange(8.0), scale * np.arange(8.0)])
    with pytest.raises(InputError, match=f"values, row 7, target 1: found .*{found}"):
        Outcomes(random_masks(8, 3), F)
    frame = Outcomes(random_masks(8, 3), np.arange(8.0)).to_frame().assign(**{"target:{b}": F[:, 1]})
    with pytest.raises(InputError, match=r"mine\.csv, row 8, column 'target:\{b\}'"):
        Outcomes.from_frame(frame, source="mine.csv")
