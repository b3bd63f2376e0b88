"""How contenders are scored, kept and told apart."""

import json

import numpy as np
import pytest
from comparison.answers import KeptAnswers, Problem
from comparison.cells import cell
from comparison.contenders import RIVALS, Rival, contender, targets_of
from comparison.expert_methods import EachTarget, LassoOnPairs, ProxySpex, RelevanceProcess, _Evidence
from comparison.planted_games import GAMES, effects_at_all_tasks, pairs_asked
from comparison.problems import Group
from comparison.report import clearly_ahead, holds, summary
from comparison.scores import SCORES, paired_gain, r_squared, r_squared_of_effects, r_squared_pooled
from rivals import started
from scipy.stats import t
from sklearn.linear_model import LinearRegression

from kernelsm import LinearSurrogateCV, bernoulli_masks


@pytest.fixture
def problem():
    K = 8
    game = GAMES["sparse_pairs"](K, np.random.default_rng(0))
    masks, asked = bernoulli_masks(K, 60, seed=0), bernoulli_masks(K, 50, seed=1)
    pairs = pairs_asked(K)
    effects, second_differences = effects_at_all_tasks(game, K, *pairs)
    return Problem(
        "games/of/this/test", masks, game(masks)[:, None], asked, game(asked)[:, None], pairs=pairs, effects=effects,
        second_differences=second_differences,
    )  # fmt: skip


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 3))
    return truth, truth + 0.3 * rng.normal(size=truth.shape), truth + 0.5 * rng.normal(size=truth.shape)


def test_r_squared_is_that_of_scikit_learn(tables):
    from sklearn.metrics import r2_score

    truth, predicted, _ = tables
    truth = truth * [1.0, 10.0, 0.1]
    assert r_squared(truth, predicted) == pytest.approx(r2_score(truth, predicted))
    assert r_squared_pooled(truth, predicted) == pytest.approx(
        r2_score(truth, predicted, multioutput="variance_weighted")
    )


def test_effects_that_are_all_alike_have_no_r_squared():
    assert np.isnan(r_squared_of_effects(np.zeros(5), np.ones(5)))
    assert r_squared_of_effects(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == 1.0


@pytest.mark.parametrize("score", ["lds", "r2"])
def test_the_interval_of_one_fit_is_the_jackknife_over_rows(tables, score):
    truth, first, second = tables
    gain = paired_gain([truth], [first], [second], score, "games")
    measure = SCORES[score]
    assert gain.mean == pytest.approx(measure(truth, first) - measure(truth, second))
    left = []
    for row in range(len(truth)):
        kept = np.arange(len(truth)) != row
        left.append(measure(truth[kept], first[kept]) - measure(truth[kept], second[kept]))
    n = len(truth)
    margin = t.ppf(0.95, n - 1) * np.sqrt((n - 1) * np.var(left))
    assert gain.high - gain.mean == pytest.approx(margin, rel=0.2 if score == "lds" else 1e-6)  # ranks are kept


def test_the_interval_over_games_is_students(tables):
    truth, first, second = tables
    firsts = [first, truth, second]
    gains = [r_squared(truth, one) - r_squared(truth, second) for one in firsts]
    gain = paired_gain([truth] * 3, firsts, [second] * 3, "r2", "games")
    assert gain.mean == pytest.approx(np.mean(gains))
    assert gain.high - gain.mean == pytest.approx(t.ppf(0.95, 2) * np.std(gains, ddof=1) / np.sqrt(3))


def test_draws_of_one_table_add_what_rows_and_what_draws_could_change(tables):
    truth, first, second = tables
    firsts = [first, first + 0.1, second]
    gains = [r_squared(truth, one) - r_squared(truth, second) for one in firsts]
    n = len(truth)
    left = []
    for row in range(n):
        kept = np.arange(n) != row
        own = r_squared(truth[kept], second[kept])
        left.append(np.mean([r_squared(truth[kept], one[kept]) - own for one in firsts]))
    rows, draws = (n - 1) * np.var(left), np.var(gains, ddof=1) / 3
    degrees = (rows + draws) ** 2 / (rows**2 / (n - 1) + draws**2 / 2)
    gain = paired_gain([truth] * 3, firsts, [second] * 3, "r2", "draws")
    assert gain.high - gain.mean == pytest.approx(t.ppf(0.95, degrees) * np.sqrt(rows + draws))
    assert gain.mean - gain.low == pytest.approx(gain.high - gain.mean)


def test_answers_are_kept_until_what_they_hang_on_changes(problem, tmp_path):
    computed = []
    answers = KeptAnswers(tmp_path, computed.append)
    found = answers(problem, "tuned_linear")
    again = KeptAnswers(tmp_path, computed.append)(problem, "tuned_linear")
    assert len(computed) == 1
    assert found.keys() == again.keys()
    assert (found["predicted"] == again["predicted"]).all()
    other = Problem(problem.name, problem.masks, problem.values + 1.0, problem.asked, problem.truth)
    assert answers(other, "tuned_linear")["predicted"] == pytest.approx(found["predicted"] + 1.0, abs=1e-6)
    answers(problem, "tuned_rbf")
    assert len(computed) == 3


def test_readouts_of_a_surrogate_are_its_own_and_of_anything_else_differences(problem, tmp_path, monkeypatch):
    monkeypatch.setitem(RIVALS, "least_squares", Rival(lambda: EachTarget(LinearRegression), "scikit-learn"))
    answers = KeptAnswers(tmp_path)
    surrogate = LinearSurrogateCV().fit(problem.masks, problem.values)
    assert answers(problem, "tuned_linear")["effects"] == pytest.approx(surrogate.coef_[:, 0])
    plain = LinearRegression().fit(problem.masks, problem.values)
    assert answers(problem, "least_squares")["effects"] == pytest.approx(plain.coef_[0])
    assert answers(problem, "least_squares")["second_differences"] == pytest.approx(0.0, abs=1e-9)


def test_a_cell_says_which_rival_is_ahead(problem, tmp_path):
    group = Group("games/of/this/test", lambda: iter([problem]), "games")
    found = cell(group, "tuned_linear", ["lasso_pairs", "authors"], KeptAnswers(tmp_path))
    assert found["scores"]["lasso_pairs"]["r2"] > found["scores"]["tuned_linear"]["r2"]
    assert found["gains"]["lasso_pairs"]["r2"][1] > 0
    assert not holds(found, "r2")
    assert "lasso_pairs" in clearly_ahead(found, "r2")
    assert found["scores"]["lasso_pairs"]["r2_second_differences"] > 0.9
    assert json.loads(json.dumps(found)) == found


def test_a_rival_that_answers_some_targets_is_compared_on_these(tmp_path):
    rng = np.random.default_rng(0)
    masks, asked = bernoulli_masks(6, 40, seed=0), bernoulli_masks(6, 30, seed=1)
    effects = rng.normal(size=(6, 3))
    many = Problem("tables/of/m40/draw0", masks, masks @ effects, asked, asked @ effects)
    assert targets_of("hist_boosting", 869)[[0, -1]].tolist() == [0, 868]
    assert len(targets_of("hist_boosting", 869)) == 25
    assert targets_of("default", 869).tolist() == list(range(869))
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(
            RIVALS, "some", type(RIVALS["gp_ard"])(lambda: EachTarget(LinearRegression), "numpy", most_targets=2)
        )
        found = cell(Group("tables/of", lambda: iter([many]), "draws"), "authors", ["some"], KeptAnswers(tmp_path))
    assert found["scores"]["some"]["targets"] == 2
    assert "targets" not in found["scores"]["authors"]
    own = contender("authors").fit(masks.astype(float), masks @ effects).predict(asked.astype(float))
    expected = 1.0 - SCORES["r2"]((asked @ effects)[:, [0, 2]], own[:, [0, 2]])
    assert found["gains"]["some"]["r2"][0] == pytest.approx(expected, abs=1e-4)


def test_a_summary_clips_wild_effects_before_their_mean_but_not_their_median():
    def one(effect, gain):
        gains = {"lds": [gain, gain - 0.1, gain + 0.1], "r2": [0.0005, 0.0001, 1.0]}
        scores = {"mine": {"r2_second_differences": effect}}
        return {"cell": "games/x", "gains": {"other": gains}, "scores": scores}

    found = summary([one(0.5, 0.05), one(0.7, 0.2), one(-9.0, -0.3)], "mine")
    assert found["held_lds"] == pytest.approx(2 / 3, abs=1e-4)
    assert (found["held_r2"], found["held_or_negligible_r2"]) == (0.0, 1.0)
    assert found["r2_second_differences"]["mine"] == {"mean": round(0.2 / 3, 4), "median": 0.5, "cells": 3}


def test_a_result_of_other_code_is_not_continued(tmp_path, capsys):
    path = tmp_path / "rivals.json"
    fresh = started(path, "tuned_linear")
    path.write_text(json.dumps({**fresh, "cells": [{"cell": "games/x"}]}))
    assert started(path, "tuned_linear")["cells"] == [{"cell": "games/x"}]
    assert started(path, "tuned_rbf")["cells"] == []
    assert "another surrogate" in capsys.readouterr().out


def test_a_surrogate_is_found_by_name_or_by_its_place_with_arguments():
    assert type(contender("tuned_linear")) is LinearSurrogateCV
    found = contender("kernelsm.surrogates.kernel:KernelSurrogate(ridge=0.5, kernel='linear')")
    assert (found.ridge, found.kernel) == (0.5, "linear")
    with pytest.raises(SystemExit, match="no contender 'nobody'"):
        contender("nobody")


def test_the_evidence_and_its_gradient_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    X = bernoulli_masks(5, 30, seed=0).astype(float)
    y = X @ rng.normal(size=5) + 0.3 * rng.normal(size=30)
    fitted = RelevanceProcess().fit(X, y)
    theta = rng.normal(size=7)
    value, gradient = _Evidence(X, (y - y.mean()) / y.std())(theta)
    expected, slope = fitted.process.log_marginal_likelihood(theta, eval_gradient=True)
    assert value == pytest.approx(-expected, rel=1e-6)
    assert gradient == pytest.approx(-slope, rel=1e-5, abs=1e-6)
    assert fitted.process.log_marginal_likelihood_value_ > expected


def test_a_sparse_fourier_series_is_a_sum_of_signs():
    series = ProxySpex()
    series.mean, series.tasks, series.coefficients = 1.0, np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([2.0, 0.5])
    assert series.predict(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])).tolist() == [
        3.5,
        -1.5,
        2.5,
        -0.5,
    ]


def test_lasso_takes_the_coding_that_predicts_left_out_rows():
    masks = bernoulli_masks(12, 60, p=0.9, seed=0).astype(float)
    lasso = LassoOnPairs().fit(masks, masks[:, 0] * masks[:, 1] + 2.0 * masks[:, 3] * masks[:, 4])
    mean, spread = lasso.coding
    assert (mean == 0).all()
    assert (spread == 1).all()
    asked = bernoulli_masks(12, 100, p=0.9, seed=1).astype(float)
    truth = asked[:, 0] * asked[:, 1] + 2.0 * asked[:, 3] * asked[:, 4]
    assert np.corrcoef(truth, lasso.predict(asked))[0, 1] > 0.97
