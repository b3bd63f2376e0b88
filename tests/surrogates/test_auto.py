"""The default surrogate: what it shares, on which scales, and which rows it uses."""

from itertools import product

import numpy as np
import pytest
from related_targets import draw, many_targets, mixed_targets
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from kernelsm import AutoSurrogate, InputError, SharedSurrogate, lds
from kernelsm.surrogates.outcome_scales import SCALES
from kernelsm.surrogates.shared import principal_components

BOTH = [SharedSurrogate(), AutoSurrogate()]


@parametrize_with_checks([SharedSurrogate(), SharedSurrogate(sharing="components"), AutoSurrogate()])
def test_scikit_learns_own_checks_pass(estimator, check):
    check(estimator)


def chosen_by(g):
    """What a fit chose: the kernels with λ and their number of components, and the weights of the scales."""
    own = g.effects_ if isinstance(g, AutoSurrogate) else g
    kernels = [(type(part.surrogate).__name__, part.surrogate.ridge, len(part.loadings)) for part in own.parts_]
    return own.components_, kernels, [w for weights in getattr(g, "weights_", {}).values() for w in weights]


# --- what it fits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("K", "m", "q"), [(6, 40, 1), (10, 60, 3), (5, 200, 2)])
@pytest.mark.parametrize("surrogate", BOTH, ids=str)
def test_additive_outcomes_without_noise_are_predicted_almost_exactly(surrogate, K, m, q):
    effects = np.random.default_rng(K).normal(size=(K, q))
    masks, fresh = draw(m, K), draw(200, K, seed=1)
    g = surrogate.fit(masks, 1 + masks @ effects)
    truth = 1 + fresh @ effects
    assert np.abs(g.predict(fresh) - truth).max() < 1e-3 * truth.std()
    np.testing.assert_allclose(g.attribution().values, effects, atol=1e-3)


@pytest.mark.parametrize("kind", [SharedSurrogate, AutoSurrogate])
def test_the_order_of_rows_changes_neither_what_is_chosen_nor_what_is_predicted(kind):
    # without noise, with two targets of equal weight that any turn mixes, one of them twice, and one of two values
    X = np.array(list(product((0, 1), repeat=5)))
    F = np.column_stack([X[:, 0] + X[:, 1], X[:, 2] + X[:, 3], X[:, 0] + X[:, 1], X[:, 4]]) / 3 + 1
    plain = kind(sharing="components").fit(X, F)
    expected = chosen_by(plain)
    for seed in range(5):
        rows = np.random.default_rng(seed).permutation(len(X))
        other = kind(sharing="components").fit(X[rows], F[rows])
        found = chosen_by(other)
        assert found[0] == expected[0]
        assert [(name, pytest.approx(ridge), count) for name, ridge, count in found[1]] == expected[1]
        assert found[2] == pytest.approx(expected[2])
        np.testing.assert_allclose(other.predict(X), plain.predict(X), atol=1e-7)


@pytest.mark.parametrize("turn", [0.0, 0.3, 2.0])
def test_components_of_equal_weight_are_turned_the_same_way_always(turn):
    left = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 3)))[0] * [5.0, 5.0, 2.0]
    axes = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 3)))[0].T
    turned = np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, -1]])
    columns, found = principal_components(left @ turned.T @ turned @ axes)
    np.testing.assert_allclose(columns @ found, left @ axes, atol=1e-12)
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found, principal_components(left @ axes)[1], atol=1e-9)
    # each is positive on the target that it tells most of, of which the next of that weight tells nothing
    most = int((axes[:2] ** 2).sum(axis=0).argmax())
    assert found[0, most] > 0
    assert abs(found[1, most]) < 1e-12
    assert found[2, np.abs(found[2]).argmax()] > 0


@pytest.mark.parametrize("seed", range(3))
def test_a_product_of_effects_is_predicted_better_than_on_its_own_scale_alone(seed):
    masks, fresh = draw(60, 8, seed), draw(300, 8, seed + 100)
    effects = np.random.default_rng(seed).normal(0, 0.6, 8)
    noise = np.exp(np.random.default_rng([seed, 1]).normal(0, 0.05, 60))
    F, truth = np.exp(masks @ effects) * noise, np.exp(fresh @ effects)
    both = [AutoSurrogate(scales=scales).fit(masks, F) for scales in (("identity", "sqrt", "log", "rank"), ())]
    missed = [np.abs(g.predict(fresh) - truth).mean() for g in both]
    ranks = [lds(truth, g.predict(fresh)) for g in both]
    assert missed[0] < 0.8 * missed[1]
    assert ranks[0] > ranks[1]
    assert max(both[0].weights_, key=lambda scale: both[0].weights_[scale][0]) == "log"


@pytest.mark.parametrize("seed", range(2))
def test_targets_that_move_together_are_predicted_better_together(seed):
    masks, F, fresh, truth = many_targets(seed, latent=2, noise=1.0)
    score = {}
    for sharing in ("components", "targets", "auto"):
        g = SharedSurrogate(sharing=sharing).fit(masks, F)
        score[sharing] = lds(truth, g.predict(fresh))
    assert g.sharing_ == "components"
    assert score["auto"] == pytest.approx(score["components"])
    assert score["components"] > score["targets"] + 0.1
    assert AutoSurrogate().fit(masks, F).effects_.sharing_ == "components"


@pytest.mark.parametrize(("noise", "little"), [(1.0, 0.03), (0.3, 0.01)])
def test_targets_of_their_own_lose_little_by_the_choice(noise, little):
    scores = []
    for seed in range(3):
        masks, F, fresh, truth = many_targets(seed, latent=None, noise=noise)
        scores.append(
            [lds(truth, SharedSurrogate(sharing=s).fit(masks, F).predict(fresh)) for s in ("auto", "targets")]
        )
    auto, targets = np.mean(scores, axis=0)
    assert auto > targets - little


def test_a_tiny_target_is_predicted_beside_a_huge_one():
    masks, F = mixed_targets()
    small = F[:, 1] * 1e-6
    table = np.column_stack([F[:, 0] * 1e6, small])
    for surrogate in (SharedSurrogate(), SharedSurrogate(sharing="components"), AutoSurrogate()):
        predicted = surrogate.fit(masks, table).predict(masks)[:, 1]
        assert np.corrcoef(predicted, small)[0, 1] > 0.9, surrogate


# --- scales ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shift", "tried"), [(0.0, {"identity", "sqrt", "log", "rank"}), (-2.0, {"identity", "rank"})]
)
def test_the_root_and_the_logarithm_need_outcomes_above_zero(shift, tried):
    masks, F = mixed_targets()
    g = AutoSurrogate().fit(masks, F + shift)
    assert set(g.weights_) == tried
    zero = np.maximum(F - F.min(), 0.0)
    assert set(AutoSurrogate().fit(masks, zero).weights_) == {"identity", "rank"}


def test_weights_of_the_scales_are_shares():
    masks, F = mixed_targets()
    for table in (F, F - 2, np.column_stack([F, np.ones(60)])):
        g = AutoSurrogate().fit(masks, table)
        weights = np.array(list(g.weights_.values()))
        assert ((weights > 0).all(axis=0) | (g.own_scale_only_ & (g.weights_["identity"] == 1))).all()
        np.testing.assert_allclose(weights.sum(axis=0), 1.0)
        assert weights.shape[1] == table.shape[1]


@pytest.mark.parametrize("multiplies", [False, True])
def test_other_scales_are_taken_only_where_they_predict_better(multiplies):
    rng = np.random.default_rng(0)
    masks = rng.random((120, 8)) < 0.5
    outcome = 3 + masks @ rng.normal(0, 0.5, 8)
    outcome = (np.exp(outcome) if multiplies else outcome) + rng.normal(0, 0.01, 120)
    g = AutoSurrogate().fit(masks, outcome)
    assert g.own_scale_only_.tolist() == [not multiplies]
    fresh = rng.random((50, 8)) < 0.5
    for mine, own in zip(
        g.predict(fresh, return_std=True), g.on_own_scale().predict(fresh, return_std=True), strict=True
    ):
        assert np.array_equal(mine, own) != multiplies


def test_only_the_scales_asked_for_are_tried_and_others_refused():
    masks, F = mixed_targets()
    assert set(AutoSurrogate(scales=("log",)).fit(masks, F).weights_) == {"identity", "log"}
    for scales in (("square",), "log"):
        with pytest.raises(InputError, match="scales"):
            AutoSurrogate(scales=scales).fit(masks, F)
    with pytest.raises(InputError, match="sharing"):
        SharedSurrogate(sharing="all").fit(masks, F)


@pytest.mark.parametrize("scales", [*((name,) for name in SCALES), tuple(SCALES)])
def test_the_order_of_predictions_is_kept_on_the_way_back(scales):
    masks, F = mixed_targets()
    g = AutoSurrogate(scales=scales).fit(masks, F)
    fresh = draw(40, 6, seed=9)
    average = g._average({name: part._predict(fresh.astype(float)) for name, part in g._scaled.items()})
    order = np.argsort(average, axis=0)
    rising = np.take_along_axis(g.predict(fresh), order, axis=0)
    assert (np.diff(rising, axis=0) >= -1e-9).all()


def test_outcomes_whose_size_is_an_accident_keep_only_their_ranks():
    rng = np.random.default_rng(0)
    masks = rng.random((100, 8)) < 0.5
    clean = 3 + masks @ rng.normal(0, 0.3, 8) + rng.normal(0, 0.05, 100)
    wild = clean.copy()
    wild[rng.choice(100, 12, replace=False)] += 1e6  # too many to be set aside
    g = AutoSurrogate().fit(masks, np.column_stack([clean, wild]))
    assert g.ranks_only_.tolist() == [False, True]
    predicted = g.predict(masks)
    assert np.corrcoef(rankdata(predicted[:, 0]), rankdata(clean))[0, 1] > 0.9
    noise = AutoSurrogate().fit(masks, rng.normal(size=(100, 3)))
    assert not noise.ranks_only_.any()  # it predicts no order either


@pytest.mark.parametrize("factor", [1000.0, 1e-3])
@pytest.mark.parametrize("shift", [0.0, -2.0])
def test_predictions_keep_the_outcomes_unit(factor, shift):
    masks, F = mixed_targets()
    fresh = draw(50, 6, seed=2)
    one = AutoSurrogate().fit(masks, F + shift)
    other = AutoSurrogate().fit(masks, factor * (F + shift))
    for first, second in zip(one.predict(fresh, return_std=True), other.predict(fresh, return_std=True), strict=True):
        np.testing.assert_allclose(second, factor * first, rtol=1e-6, atol=1e-8 * factor)
    np.testing.assert_allclose(other.noise_variance_, factor**2 * one.noise_variance_, rtol=1e-5)
    np.testing.assert_allclose(other.attribution().values, factor * one.attribution().values, rtol=1e-6, atol=1e-9)


def test_a_constant_added_to_all_outcomes_moves_predictions_alone():
    masks, F = mixed_targets()
    fresh = draw(50, 6, seed=2)
    one, other = (AutoSurrogate(scales=("identity", "rank")).fit(masks, F + shift) for shift in (0.0, -40.0))
    np.testing.assert_allclose(other.predict(fresh), one.predict(fresh) - 40, atol=1e-6)
    np.testing.assert_allclose(other.attribution().values, one.attribution().values, atol=1e-6)


# --- what it uses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("surrogate", [*BOTH, AutoSurrogate(tuning_rows=30)], ids=str)
def test_the_fit_is_the_same_every_time_and_leaves_its_inputs_alone(surrogate):
    masks, F = mixed_targets()
    X = masks.astype(float)
    before = X.copy(), F.copy()
    first = clone(surrogate).fit(X, F).predict(X, return_std=True)
    second = clone(surrogate).fit(X, F).predict(X, return_std=True)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(F, before[1])
    # nor does the fitted one look at the caller's arrays again
    g = clone(surrogate).fit(X, F)
    X[:], F[:] = 0.0, 99.0
    np.testing.assert_array_equal(g.predict(before[0]), first[0])


def test_few_rows_choose_and_all_rows_are_fitted():
    rng = np.random.default_rng(0)
    masks, fresh = rng.random((300, 12)) < 0.5, rng.random((300, 12)) < 0.5
    effects = rng.normal(size=12)

    def game(s):
        return s @ effects + 1.5 * s[:, 0] * s[:, 1] - 1.5 * s[:, 2] * s[:, 3] + 4

    F = game(masks) + rng.normal(0, 0.3, 300)
    for kind in (AutoSurrogate, SharedSurrogate):
        g = kind(tuning_rows=50).fit(masks, F)
        rows = (g.effects_ if kind is AutoSurrogate else g).tuning_rows_
        assert len(np.unique(rows)) == 50
        alone = kind().fit(masks[rows], F[rows])
        error = [((s.predict(fresh) - game(fresh)) ** 2).mean() for s in (g, alone)]
        assert error[0] < 0.6 * error[1]
        assert g.degrees_of_freedom_ == 299
        assert g.predict(fresh, return_std=True)[1].mean() < alone.predict(fresh, return_std=True)[1].mean()
