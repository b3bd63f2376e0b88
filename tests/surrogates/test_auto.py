"""The default surrogate: what it shares and on which scales, what is read off it, and that it says how sure it is."""

import pickle
import warnings
from itertools import combinations, permutations, product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from kernelsm import (
    AutoSurrogate,
    InputError,
    KernelSurrogate,
    LinearSurrogate,
    SharedSurrogate,
    default_surrogate,
    lds,
)
from kernelsm.surrogates.outcome_scales import SCALES
from kernelsm.surrogates.results import interval_quantile
from kernelsm.surrogates.shared import principal_components

BOTH = [SharedSurrogate(), AutoSurrogate()]


@parametrize_with_checks([SharedSurrogate(), SharedSurrogate(sharing="components"), AutoSurrogate()])
def test_scikit_learns_own_checks_pass(estimator, check):
    check(estimator)


def draw(m, K, seed=0):
    return np.random.default_rng([seed, 7]).random((m, K)) < 0.5


def mixed_targets(m=60, K=6, seed=4, noise=0.1):
    """Masks and four targets: additive, two with pairs, one that is the sum of two others; all above zero."""
    rng = np.random.default_rng(seed)
    masks = rng.random((m, K)) < 0.5
    additive = masks @ rng.normal(size=K)
    pairs = masks @ rng.normal(size=K) + 2.0 * masks[:, 0] * masks[:, 1] - 1.5 * masks[:, 2] * masks[:, 3]
    xor = (masks[:, 4] != masks[:, 5]) * 1.0
    table = np.column_stack([additive, pairs, xor, additive + pairs]) + noise * rng.normal(size=(m, 4))
    return masks, table - table.min(axis=0) + 0.5


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
    assert both[0].weights_["log"][0] > 0.5


def many_targets(seed, *, latent, noise, K=30, m=80, q=60):
    """Masks, noisy outcomes, fresh masks and their outcomes without noise; additive, on `latent` directions."""
    rng = np.random.default_rng(seed)
    masks, fresh = rng.random((m, K)) < 0.5, rng.random((300, K)) < 0.5
    effects = rng.normal(size=(K, latent)) @ rng.normal(size=(latent, q)) if latent else rng.normal(size=(K, q))
    F = masks @ effects
    return masks, F + noise * F.std() * rng.normal(size=F.shape), fresh, fresh @ effects


@pytest.mark.parametrize("seed", range(2))
def test_targets_that_move_together_are_predicted_better_together(seed):
    masks, F, fresh, truth = many_targets(seed, latent=2, noise=1.0)
    score = {}
    for sharing in ("components", "targets", "auto"):
        g = SharedSurrogate(sharing=sharing).fit(masks, F)
        score[sharing] = lds(truth, g.predict(fresh))
    assert g.sharing_ == "components"
    assert score["auto"] == score["components"] > score["targets"] + 0.1
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


# --- what is read off it --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["components", "targets"])
def shared(request):
    masks, F = mixed_targets()
    return SharedSurrogate(sharing=request.param).fit(masks, F)


def test_the_parts_are_of_both_kinds(shared):
    # without this the tests below would say nothing about sums over unlike parts
    assert {type(part.surrogate) for part in shared.parts_} == {LinearSurrogate, KernelSurrogate}
    assert shared.components_ == sum(len(part.loadings) for part in shared.parts_)
    assert len(shared.parts_) > 1


@pytest.mark.parametrize("anchor", [(1, 1, 1, 1, 1, 1), (0, 0, 0, 0, 0, 0), (1, 0, 1, 1, 0, 0)])
def test_readouts_are_finite_differences_of_the_predictions(shared, anchor):
    def at(**changed):
        mask = np.array(anchor, dtype=float)
        for k, value in changed.items():
            mask[int(k[1:])] = value
        return shared.predict(mask[None])[0]

    effects = shared.attribution(at=anchor).values
    pairs = shared.interactions(at=anchor).values
    for k in range(6):
        np.testing.assert_allclose(effects[k], at(**{f"s{k}": 1}) - at(**{f"s{k}": 0}), atol=1e-7)
    for j, k in combinations(range(6), 2):
        corners = {(a, b): at(**{f"s{j}": a, f"s{k}": b}) for a in (0, 1) for b in (0, 1)}
        expected = corners[1, 1] - corners[1, 0] - corners[0, 1] + corners[0, 0]
        np.testing.assert_allclose(pairs[j, k], expected, atol=1e-7)
        np.testing.assert_allclose(pairs[j, k], pairs[k, j], rtol=1e-7, atol=1e-7)


def test_shapley_values_are_means_over_orders_and_add_up(shared):
    values = shared.attribution("shapley").values
    ends = shared.predict(np.array([[1.0] * 6, [0.0] * 6]))
    np.testing.assert_allclose(values.sum(axis=0), ends[0] - ends[1], atol=1e-7)
    every = (np.arange(64)[:, None] >> np.arange(6) & 1).astype(float)
    g = shared.predict(every)
    mean = np.zeros_like(values)
    for order in permutations(range(6)):
        place = 0
        for k in order:
            mean[k] += g[place | 1 << k] - g[place]
            place |= 1 << k
    np.testing.assert_allclose(values, mean / 720, atol=1e-7)


def test_means_of_a_pair_and_changes_are_those_of_the_predictions(shared):
    grid = np.array(list(product((0.0, 1.0), repeat=6)))
    g = shared.predict(grid)
    means = shared.pair_means(1, 4, "inclusion", size=3)
    for a, b in product((0, 1), repeat=2):
        rows = (grid[:, 1] == a) & (grid[:, 4] == b) & (grid.sum(axis=1) == 3)
        np.testing.assert_allclose(means[a, b], g[rows].mean(axis=0), rtol=1e-7)
    difference = means[1, 1] - means[1, 0] - means[0, 1] + means[0, 0]
    np.testing.assert_allclose(difference, shared.interactions("inclusion", size=3).values[1, 4], atol=1e-7)
    change, std = shared.predict_change(grid, grid[5])
    np.testing.assert_allclose(change, g - g[5], atol=1e-7)
    np.testing.assert_allclose(std[5], 0, atol=1e-7)
    # one task added: the change is its effect there, and as sure
    effects = shared.attribution(at=grid[5])
    (row,) = np.flatnonzero((grid == grid[5] + np.eye(6)[0]).all(axis=1))
    np.testing.assert_allclose(change[row], effects.values[0], atol=1e-7)
    np.testing.assert_allclose(std[row], effects.std[0], rtol=1e-6)


def test_what_the_default_says_of_pairs_and_changes_is_of_the_outcomes_own_scale():
    masks, F = mixed_targets()
    g = AutoSurrogate().fit(masks, F)
    own = g.on_own_scale()
    assert np.array_equal(g.pair_means(0, 1), own.pair_means(0, 1))
    for found, expected in zip(g.predict_change(masks, masks[0]), own.predict_change(masks, masks[0]), strict=True):
        assert np.array_equal(found, expected)


def test_variances_are_sums_over_the_parts(shared):
    masks = draw(9, 6, seed=3).astype(float)
    first, second = np.triu_indices(6, 1)
    variance = {"predict": 0.0, "shapley": 0.0, "pairs": 0.0}
    for part in shared.parts_:
        own = clone(part.surrogate).fit(*training(shared, part))
        share = part.loadings**2
        variance["predict"] += own.predict(masks, return_std=True)[1] ** 2 @ share
        variance["shapley"] += own.attribution("shapley").std ** 2 @ share
        variance["pairs"] += own.interactions("banzhaf").std[first, second] ** 2 @ share
    np.testing.assert_allclose(shared.predict(masks, return_std=True)[1] ** 2, variance["predict"], rtol=1e-7)
    np.testing.assert_allclose(shared.attribution("shapley").std ** 2, variance["shapley"], rtol=1e-7)
    found = shared.interactions("banzhaf").std[first, second]
    np.testing.assert_allclose(found**2, variance["pairs"], rtol=1e-7)


def training(shared, part):
    """Masks and what a part was fitted to, from the definition: targets over the root of their spread, turned."""
    masks, F = mixed_targets()
    root = np.sqrt(F.std(axis=0))
    scaled = (F - F.mean(axis=0)) / root
    axes = np.linalg.svd(scaled, full_matrices=False)[2] if shared.sharing_ == "components" else np.eye(4)
    every = axes * root
    # the sign of an axis is free
    chosen = [int(np.abs(np.abs(every) - np.abs(row)).sum(axis=1).argmin()) for row in part.loadings]
    signs = [1.0 if np.allclose(every[c], row) else -1.0 for c, row in zip(chosen, part.loadings, strict=True)]
    np.testing.assert_allclose(every[chosen] * np.array(signs)[:, None], part.loadings, atol=1e-9)
    return masks, (scaled @ axes.T)[:, chosen] * signs


def test_the_surrogate_of_one_target_is_that_column_of_all(shared):
    masks = draw(9, 6, seed=4)
    name = shared.target_names_[2]
    one = shared.of_target(name)
    assert one.target_names_ == (name,)
    mean, std = one.predict(masks, return_std=True)
    every = shared.predict(masks, return_std=True)
    np.testing.assert_allclose(mean[:, 0], every[0][:, 2], atol=1e-7)
    np.testing.assert_allclose(std[:, 0], every[1][:, 2], rtol=1e-7)
    for kind in ("leave_one_out", "shapley", "inclusion"):
        both = one.attribution(kind), shared.attribution(kind).target(name)
        np.testing.assert_allclose(both[0].values, both[1].values, atol=1e-7)
        np.testing.assert_allclose(both[0].std, both[1].std, rtol=1e-7)
    np.testing.assert_allclose(one.interactions().values[..., 0], shared.interactions().values[..., 2], atol=1e-7)
    np.testing.assert_allclose(one.noise_variance_, shared.noise_variance_[[2]], rtol=1e-7)
    np.testing.assert_allclose(one.left_out_[:, 0], shared.left_out_[:, 2])
    # the original is untouched
    assert shared.predict(masks).shape == (9, 4)
    with pytest.raises(KeyError, match="the targets are"):
        shared.of_target("nothing")


def dense_posterior(part, masks, at):
    """Posterior variance of each component of a part at new masks, by inverting the full covariance."""
    g, (X, columns) = part.surrogate, masks
    X, at = X.astype(float), at.astype(float)
    linear = isinstance(g, LinearSurrogate)

    def kernel(a, b):
        return a @ b.T if linear else np.exp(-g.gamma_ * ((a[:, None] - b[None]) ** 2).sum(axis=2))

    inverse = np.linalg.inv(kernel(X, X) + g.ridge_ * np.eye(len(X)))
    ones = np.ones(len(X))
    off = inverse - np.outer(inverse @ ones, ones @ inverse) / (ones @ inverse @ ones)
    scale = np.einsum("iq,ij,jq->q", columns, off, columns) / (len(X) - 1)
    cross = kernel(at, X)
    left = 1 - cross @ inverse @ ones
    shape = np.einsum("ij->i", kernel(at, at) * np.eye(len(at))) - np.einsum("ai,ij,aj->a", cross, inverse, cross)
    return np.outer(shape + left**2 / (ones @ inverse @ ones), scale)


def test_the_spread_is_that_of_a_dense_posterior_over_the_parts(shared):
    masks = draw(7, 6, seed=5)
    expected = np.zeros((7, 4))
    for part in shared.parts_:
        expected += dense_posterior(part, training(shared, part), masks) @ part.loadings**2
    std = shared.predict(masks, return_std=True)[1]
    np.testing.assert_allclose(std, np.sqrt(expected), rtol=1e-4)  # an explicit inverse is less exact


def test_readouts_are_on_the_outcomes_own_scale():
    masks, F = mixed_targets()
    g = default_surrogate().fit(masks, F, target_names=list("abcd"), higher_is_better=True)
    own = g.on_own_scale()
    alone = SharedSurrogate().fit(masks, F)
    for kind in ("leave_one_out", "shapley", "inclusion"):
        results = [surrogate.attribution(kind) for surrogate in (g, own, alone)]
        for other in results[1:]:
            np.testing.assert_array_equal(results[0].values, other.values)
            np.testing.assert_array_equal(results[0].std, other.std)
            assert results[0].degrees_of_freedom == other.degrees_of_freedom == 59
    pairs = [surrogate.interactions("shapley") for surrogate in (g, own, alone)]
    for other in pairs[1:]:
        np.testing.assert_array_equal(pairs[0].values, other.values)
        np.testing.assert_array_equal(pairs[0].std, other.std)
    assert own.attribution().target_names == tuple("abcd")
    assert own.attribution().higher_is_better
    np.testing.assert_array_equal(own.predict(masks), alone.predict(masks))


def test_the_own_scale_stands_alone_after_a_fit_on_a_data_frame():
    masks, F = mixed_targets()
    table = pd.DataFrame(masks.astype(float), columns=list("abcdef"))
    own = default_surrogate().fit(table, F).on_own_scale()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # a data frame keeps its columns together, and is added up in another order
        np.testing.assert_allclose(own.predict(table), SharedSurrogate().fit(masks, F).predict(masks), rtol=1e-9)


def test_the_default_is_untuned_by_hand_and_survives_a_pickle():
    masks, F = mixed_targets()
    assert default_surrogate().get_params() == AutoSurrogate().get_params()
    g = default_surrogate().fit(masks, F)
    again = pickle.loads(pickle.dumps(g))
    for first, second in zip(again.predict(masks, return_std=True), g.predict(masks, return_std=True), strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(again.attribution().std, g.attribution().std)


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
        weights = np.array(list(AutoSurrogate().fit(masks, table).weights_.values()))
        assert (weights > 0).all()
        np.testing.assert_allclose(weights.sum(axis=0), 1.0)
        assert weights.shape[1] == table.shape[1]


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
    wild[clean.argmin()] += 1e6  # it should be low
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


# --- how sure it is -------------------------------------------------------------------------------------------------


def planted(seed, K=10):
    """F without noise as a function of masks, its leave-one-out effects and second differences, and its noise."""
    rng = np.random.default_rng([seed, 3])
    single, noise = rng.normal(0, 0.3, K), float(np.exp(rng.uniform(np.log(0.03), np.log(0.2))))
    upper = np.triu(rng.normal(0, 0.2, (K, K)) * (rng.random((K, K)) < 0.3), 1)
    pairs = upper + upper.T

    def truth(masks):
        s = masks.astype(float)
        return s @ single + np.einsum("ij,jk,ik->i", s, upper, s)

    return truth, single + pairs.sum(axis=1), pairs, noise


def test_nine_in_ten_intervals_hold_the_truth_and_fresh_outcomes():
    first, second = np.triu_indices(10, 1)
    effects, pairs, outcomes = [], [], []
    for seed in range(20):
        truth, singles, doubles, noise = planted(seed)
        rng = np.random.default_rng(seed)
        masks, fresh = rng.random((120, 10)) < 0.5, rng.random((200, 10)) < 0.5
        g = default_surrogate().fit(masks, truth(masks) + rng.normal(0, noise, 120))
        effects.append(np.abs(g.attribution().values[:, 0] - singles) <= g.attribution().margin()[:, 0])
        found = g.interactions()
        margin = found.quantile() * found.std_of(first, second)[:, 0]
        pairs.append(np.abs(found.values[first, second, 0] - doubles[first, second]) <= margin)
        mean, std = g.predict(fresh, return_std=True)
        reach = interval_quantile(g.degrees_of_freedom_) * np.sqrt(std**2 + g.noise_variance_)
        outcomes.append(np.abs(truth(fresh) + rng.normal(0, noise, 200) - mean) <= reach)
    assert 0.85 <= np.mean(effects) <= 0.95
    assert 0.85 <= np.mean(pairs) <= 0.97
    assert 0.85 <= np.mean(outcomes) <= 0.96


@pytest.mark.parametrize("latent", [2, None])
def test_nine_in_ten_intervals_hold_the_outcomes_of_many_targets(latent):
    inside, of_g = [], []
    for seed in range(3):
        masks, F, fresh, truth = many_targets(seed, latent=latent, noise=0.3)
        g = default_surrogate().fit(masks, F)
        mean, std = g.predict(fresh, return_std=True)
        noise = np.random.default_rng([seed, 9]).normal(0, 0.3 * truth.std(), truth.shape)
        reach = interval_quantile(g.degrees_of_freedom_)
        inside.append(np.abs(truth + noise - mean) <= reach * np.sqrt(std**2 + g.noise_variance_))
        of_g.append(np.abs(truth - mean) <= reach * std)
    assert 0.85 <= np.mean(inside) <= 0.96
    assert np.mean(of_g) > 0.85


def test_nine_in_ten_intervals_hold_effects_that_the_noise_drowns():
    inside = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        masks, effects = rng.random((60, 8)) < 0.5, 0.1 * rng.choice([-1.0, 1.0], 8)
        found = default_surrogate().fit(masks, masks @ effects + rng.normal(0, 1, 60)).attribution()
        inside.append(np.abs(found.values[:, 0] - effects) <= found.margin()[:, 0])
    assert np.mean(inside) > 0.85


@pytest.mark.parametrize("kind", [SharedSurrogate, AutoSurrogate])
def test_outcomes_that_nothing_predicts_leave_effects_uncertain_not_zero(kind):
    rng = np.random.default_rng(0)
    masks = rng.random((60, 8)) < 0.5
    g = kind().fit(masks, 1 + rng.normal(0, 0.1, 60))
    # the mean of 60 outcomes of spread 0.1 is itself uncertain by 0.013
    assert (g.predict(masks, return_std=True)[1] > 0.01).all()
    assert (g.attribution().std > 0).all()
    assert "leaves the loss as it is" not in g.attribution().sentence(0)
