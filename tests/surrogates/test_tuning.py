"""Leave-one-out errors in closed form against refitting without each subset, and what is chosen by them."""

import numpy as np
import pytest
from sklearn.base import clone

from kernelsm import InputError, KernelSurrogate, KernelSurrogateCV, LinearSurrogate, LinearSurrogateCV
from kernelsm.surrogates import tuning
from kernelsm.surrogates.kernel import default_gammas
from kernelsm.surrogates.tuning import RIDGES, LooSurface, check_grid, least_error, tuning_rows

GAMMAS, FEW_RIDGES = (0.02, 0.3, 4.0), (1e-3, 0.05, 2.0)
M, K = 14, 5


@pytest.fixture
def table():
    rng = np.random.default_rng(11)
    X = (rng.random((M, K)) < 0.5).astype(float)
    X[3] = X[7]  # a subset measured twice
    return X, np.column_stack([X @ rng.normal(size=K), rng.normal(size=M), X[:, 0] * X[:, 1]]) + 2.0


def refitted(surrogate, X, values):
    """Mean squared error of predicting each row from all others, by m fits."""
    rows = range(len(X))
    missed = [
        clone(surrogate).fit(np.delete(X, i, 0), np.delete(values, i, 0)).predict(X[i : i + 1])[0] - values[i]
        for i in rows
    ]
    return np.mean(np.square(missed), axis=0)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(
    "kernel",
    [{"kernel": "rbf"}, {"kernel": "poly", "coef0": 1.0}, {"kernel": "poly", "degree": 3}, {"kernel": "linear"}],
    ids=str,
)
def test_the_surface_is_refitting_without_each_subset(table, kernel, intercept):
    X, values = table
    g = KernelSurrogateCV(**kernel, gammas=GAMMAS, ridges=FEW_RIDGES, fit_intercept=intercept).fit(X, values)
    gammas = (1.0,) if kernel["kernel"] == "linear" else GAMMAS
    assert g.surface_.errors.shape == (len(gammas), 3, 3)
    for i, gamma in enumerate(gammas):
        for r, ridge in enumerate(FEW_RIDGES):
            one = KernelSurrogate(**kernel, gamma=gamma, ridge=ridge, fit_intercept=intercept)
            np.testing.assert_allclose(g.surface_.errors[i, r], refitted(one, X, values), rtol=1e-7)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("rows", [M, 4], ids=["more subsets than tasks", "fewer"])
def test_the_linear_surface_is_refitting_without_each_subset(table, intercept, rows):
    X, values = (part[:rows] for part in table)
    g = LinearSurrogateCV(ridges=FEW_RIDGES, fit_intercept=intercept).fit(X, values)
    for r, ridge in enumerate(FEW_RIDGES):
        one = LinearSurrogate(ridge=ridge, fit_intercept=intercept)
        np.testing.assert_allclose(g.surface_.errors[0, r], refitted(one, X, values), rtol=1e-8)


@pytest.mark.parametrize("intercept", [True, False])
def test_the_baseline_is_predicting_by_the_mean_of_the_others(table, intercept):
    X, values = table
    g = LinearSurrogateCV(ridges=(1e12,), fit_intercept=intercept).fit(X, values)
    by_mean = [np.delete(values, i, 0).mean(axis=0) if intercept else 0 * values[0] for i in range(M)]
    np.testing.assert_allclose(g.surface_.baseline, ((values - by_mean) ** 2).mean(axis=0), rtol=1e-9)
    # a ridge without bounds leaves nothing but that
    np.testing.assert_allclose(g.surface_.relative, 1.0, rtol=1e-9)


@pytest.mark.parametrize(
    "surrogate",
    [
        KernelSurrogateCV(gammas=GAMMAS, ridges=FEW_RIDGES),
        KernelSurrogateCV(kernel="poly", coef0=1.0, gammas=GAMMAS, ridges=FEW_RIDGES),
        KernelSurrogateCV(kernel="linear", ridges=FEW_RIDGES),
        LinearSurrogateCV(ridges=FEW_RIDGES),
        LinearSurrogateCV(ridges=FEW_RIDGES, fit_intercept=False),
    ],
    ids=str,
)
def test_the_least_error_of_the_grid_is_chosen_and_fitted(table, surrogate):
    X, values = table
    g = surrogate.fit(X, values)
    is_linear = isinstance(g, LinearSurrogate)
    fixed, left_out = {}, []
    for gamma in (None,) if is_linear or g.kernel == "linear" else GAMMAS:
        for ridge in FEW_RIDGES:
            named = {"ridge": ridge, "fit_intercept": g.fit_intercept}
            if not is_linear:
                named |= {"kernel": g.kernel, "gamma": gamma, "coef0": g.coef0}
            one = (LinearSurrogate if is_linear else KernelSurrogate)(**named)
            fixed[gamma, ridge] = one
            left_out.append((refitted(one, X, values) / g.surface_.baseline).mean())
    chosen = list(fixed)[int(np.argmin(left_out))]
    assert g.ridge_ == chosen[1]
    if not is_linear:
        assert np.isnan(g.gamma_) if g.kernel == "linear" else g.gamma_ == chosen[0]
    # and the fit is that of the same numbers given by hand, intervals included
    by_hand = fixed[chosen].fit(X, values)
    np.testing.assert_allclose(g.predict(X), by_hand.predict(X), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(g.attribution().std, by_hand.attribution().std, rtol=1e-7, atol=1e-9)


def test_targets_count_alike_whatever_their_unit(table):
    X, values = table
    plain = KernelSurrogateCV(gammas=GAMMAS).fit(X, values)
    scaled = KernelSurrogateCV(gammas=GAMMAS).fit(X, values * np.array([1e6, 1.0, 1e-6]))
    np.testing.assert_allclose(scaled.surface_.relative, plain.surface_.relative, rtol=1e-6)
    assert (scaled.gamma_, scaled.ridge_) == (plain.gamma_, plain.ridge_)


@pytest.mark.parametrize("cv", [KernelSurrogateCV, LinearSurrogateCV])
def test_constant_targets_have_no_say(table, cv):
    X, values = table
    alone = cv().fit(X, values[:, 0])
    # 0.1 summed up is not exact: a variance of rounding must not be taken for one
    beside = cv().fit(X, np.column_stack([np.full(M, 0.1), values[:, 0], np.full(M, 1e9)]))
    assert beside.ridge_ == alone.ridge_
    assert np.array_equal(beside.surface_.baseline > 0, [False, True, False])
    np.testing.assert_allclose(beside.surface_.relative, alone.surface_.relative, rtol=1e-9)


def test_without_a_target_that_varies_the_paper_s_gamma_is_kept(table):
    X, _ = table
    g = KernelSurrogateCV().fit(X, np.full((M, 2), 0.1))
    gammas, ridges = np.array(default_gammas(K)), np.array(RIDGES)
    assert g.gamma_ == gammas[np.abs(np.log(gammas * K)).argmin()]
    assert g.ridge_ == ridges[np.abs(np.log(ridges / 0.1)).argmin()]
    assert (g.surface_.relative == 1).all()
    exact = KernelSurrogateCV(gammas=(0.01, 1 / K, 9.0), ridges=(1e-3, 0.1, 5.0)).fit(X, np.ones(M))
    assert (exact.gamma_, exact.ridge_) == (1 / K, 0.1)


@pytest.mark.parametrize("m", [1, 2])
@pytest.mark.parametrize(
    "cv", [KernelSurrogateCV(), KernelSurrogateCV(kernel="linear"), LinearSurrogateCV()], ids=str
)
def test_too_few_subsets_to_choose_by_leave_the_default(cv, m):
    # predicting one of two from the other is the same under any parameters
    g = cv.fit(np.eye(3)[:m], np.array([1.0, 5.0])[:m])
    assert g.ridge_ == pytest.approx(0.1, rel=0.5)
    if getattr(g, "kernel", "") == "rbf":
        assert g.gamma_ == pytest.approx(1 / 3, rel=0.5)
    np.testing.assert_allclose(g.predict(np.full((1, 3), 1 / 3)), 1.0 if m == 1 else 3.0, rtol=0.3)


def test_the_order_and_repeats_of_a_grid_do_not_matter(table):
    X, values = table
    plain = KernelSurrogateCV(gammas=GAMMAS, ridges=FEW_RIDGES).fit(X, values)
    mixed = KernelSurrogateCV(gammas=(4.0, 0.02, 0.3, 0.3), ridges=(2.0, 1e-3, 2.0, 0.05)).fit(X, values)
    assert (mixed.gamma_, mixed.ridge_) == (plain.gamma_, plain.ridge_)
    np.testing.assert_allclose(mixed.surface_.errors, plain.surface_.errors, rtol=1e-7)
    assert mixed.surface_.gammas.tolist() == list(GAMMAS)


def test_equal_errors_are_settled_by_the_default():
    def surface(errors):
        return LooSurface(
            np.array([0.1, 0.25, 1.0]), np.array([0.01, 0.1]), np.array(errors)[:, :, None], np.ones(1), 0.2
        )

    assert surface(np.full((3, 2), 0.7)).best == (0.25, 0.1)
    assert surface(np.full((3, 2), 0.0)).best == (0.25, 0.1)
    # rounding is no difference, a real one is
    assert surface([[0.7, 0.7], [0.7, 0.7], [0.7, 0.7 * (1 - 1e-14)]]).best == (0.25, 0.1)
    assert surface([[0.7, 0.7], [0.7, 0.7], [0.699, 0.7]]).best == (1.0, 0.01)


@pytest.mark.parametrize("bits", [0.0, 1e-15, -1e-15])
def test_of_equal_errors_the_smoothest_surrogate_is_chosen(bits):
    errors = np.array([[0.9, 0.8, 0.8], [0.2, 0.2, 0.9], [0.2, 0.5, 0.3]])
    errors[1, 0] += bits
    errors[2, 0] -= bits
    gammas, ridges = np.array([0.1, 0.25, 1.0]), np.array([0.01, 0.1, 1.0])
    surface = LooSurface(gammas, ridges, errors[:, :, None], np.ones(1), 0.2)
    # the smaller γ, then the larger λ
    assert surface.best == (0.25, 0.1)
    assert surface.best_cell == (1, 1)
    assert surface.best_ridges.tolist() == [1.0, 0.1, 0.01]
    assert least_error(errors[::-1, ::-1], gammas[::-1], ridges[::-1]) == (1, 1)


def test_the_order_of_the_rows_does_not_change_what_is_chosen():
    # all subsets of a game without noise, in which the first three tasks are alike
    rng = np.random.default_rng(0)
    X = np.array(np.meshgrid(*[[0.0, 1.0]] * 5)).reshape(5, -1).T
    F = np.column_stack([X[:, :3].sum(axis=1) / 3, np.prod(2 * X[:, :3] - 1, axis=1)])
    for surrogate in (KernelSurrogateCV(), LinearSurrogateCV(), KernelSurrogateCV(kernel="poly", coef0=1.0)):
        found = {(g.ridge_, getattr(g, "gamma_", None)) for g in _in_other_orders(surrogate, X, F, rng)}
        assert len(found) == 1


def _in_other_orders(surrogate, X, F, rng):
    for _ in range(8):
        rows = rng.permutation(len(X))
        yield clone(surrogate).fit(X[rows], F[rows])


@pytest.mark.parametrize("grid", [[], [0.0, 1.0], [-1.0], [float("nan")], [1.0, float("inf")]], ids=str)
@pytest.mark.parametrize("place", ["gammas", "ridges"])
def test_an_impossible_grid_is_refused_by_name(table, place, grid):
    with pytest.raises(InputError) as caught:
        KernelSurrogateCV(**{place: grid}).fit(*table)
    assert caught.value.place == place
    assert caught.value.expected == "numbers above 0"
    if place == "ridges":
        with pytest.raises(InputError, match="ridges"):
            LinearSurrogateCV(ridges=grid).fit(*table)


def test_a_grid_comes_back_sorted_and_without_repeats():
    assert check_grid("ridges", (3, 1.0, 2, 1)).tolist() == [1.0, 2.0, 3.0]
    assert check_grid("ridges", np.array([5.0])).tolist() == [5.0]


def test_tuning_rows_are_all_or_a_fixed_draw_without_repeats():
    assert tuning_rows(10, None) == slice(None)
    assert tuning_rows(10, 10) == slice(None)
    rows = tuning_rows(1000, 30)
    assert len(set(rows.tolist())) == 30
    assert (np.diff(rows) > 0).all()
    assert 0 <= rows[0] <= rows[-1] < 1000
    # a draw, not the first rows: those may be of one kind
    assert rows[-1] > 500
    assert np.array_equal(rows, tuning_rows(1000, 30))


def test_only_the_tuning_rows_choose_and_all_are_fitted():
    rng = np.random.default_rng(2)
    X = (rng.random((60, K)) < 0.5).astype(float)
    F = X @ rng.normal(size=K) + rng.normal(0, 0.3, 60)
    rows = tuning_rows(60, 25)
    g = KernelSurrogateCV(tuning_rows=25).fit(X, F)
    part = KernelSurrogateCV(tuning_rows=None).fit(X[rows], F[rows])
    np.testing.assert_allclose(g.surface_.errors, part.surface_.errors, rtol=1e-7)
    assert (g.gamma_, g.ridge_) == (part.gamma_, part.ridge_)
    assert g.masks_.shape == (60, K)
    assert g.degrees_of_freedom_ == 59


def test_work_in_blocks_of_targets_gives_the_same_surface(table, monkeypatch):
    X, values = table
    many = np.hstack([values] * 4)
    whole = KernelSurrogateCV(gammas=GAMMAS).fit(X, many).surface_.errors
    monkeypatch.setattr(tuning, "_FLOATS_AT_ONCE", 5 * M * len(RIDGES))  # five of the twelve targets at a time
    np.testing.assert_allclose(KernelSurrogateCV(gammas=GAMMAS).fit(X, many).surface_.errors, whole, rtol=1e-6)
    np.testing.assert_allclose(whole[:, :, :3], whole[:, :, 9:], rtol=1e-6)


def test_tuning_finds_a_known_scale_of_smoothness():
    # a parity of three tasks needs a large gamma, a sum of tasks a small one
    rng = np.random.default_rng(3)
    X = (rng.random((150, 10)) < 0.5).astype(float)
    parity = np.prod(2 * X[:, :3] - 1, axis=1)
    straight = X @ rng.normal(size=10)
    wide, narrow = (KernelSurrogateCV().fit(X, F + rng.normal(0, 0.1, 150)).gamma_ for F in (straight, parity))
    assert 5 * wide < narrow
    # and noise is met with more ridge
    noisy = KernelSurrogateCV().fit(X, straight + rng.normal(0, 3.0, 150))
    clean = KernelSurrogateCV().fit(X, straight + rng.normal(0, 0.01, 150))
    assert noisy.ridge_ / (1 - np.exp(-noisy.gamma_)) > 10 * clean.ridge_ / (1 - np.exp(-clean.gamma_))


def test_a_kernel_without_gamma_has_no_gamma_on_its_surface(table):
    g = KernelSurrogateCV(kernel="linear").fit(*table)
    assert g.surface_.gammas.tolist() == [1.0]
    assert np.isnan(g.gamma_)
