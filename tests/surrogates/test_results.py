"""Attribution and Interactions: names, order, signs and words."""

import numpy as np
import pytest

from kernelsm import InputError, KernelSurrogate, KernelSurrogateCV, LinearSurrogate, Outcomes
from kernelsm.surrogates.wording import effect_word, interaction_word


def game(higher_is_better=False):
    """Task "good" lowers the outcome by 2, "bad" raises it by 1, "pair" and "mate" lower it by 4 together."""
    subsets = np.array(np.meshgrid(*[[0, 1]] * 5)).reshape(5, -1).T
    values = 10 - 2 * subsets[:, 0] + subsets[:, 1] - 4 * subsets[:, 2] * subsets[:, 3]
    names = ("good", "bad", "pair", "mate", "idle")
    return Outcomes(
        subsets, np.column_stack([values, -values]), task_names=names, target_names=("loss", "gain"),
        higher_is_better=higher_is_better,
    )  # fmt: skip


@pytest.fixture(params=[False, True], ids=["loss", "score"])
def better(request):
    return request.param


def test_names_flow_from_the_table_into_the_results():
    g = KernelSurrogate().fit_outcomes(game())
    for result in (g.attribution(), g.interactions()):
        assert result.task_names == game().task_names
        assert result.target_names == ("loss", "gain")


def test_the_attribution_frame_has_a_row_for_each_task_and_target():
    effects = KernelSurrogate().fit_outcomes(game()).attribution("shapley")
    frame = effects.to_frame()
    assert frame.columns.tolist() == ["task", "target", "value", "std"]
    assert len(frame) == 10
    cells = frame.set_index(["task", "target"])
    for k, j in ((0, 0), (1, 1), (4, 0)):
        cell = cells.loc[(effects.task_names[k], effects.target_names[j])]
        assert cell["value"] == effects.values[k, j]
        assert cell["std"] == effects.std[k, j]


def test_the_attribution_of_a_known_game_has_its_sign_and_size():
    effect = LinearSurrogate(ridge=1e-9).fit_outcomes(game()).attribution().values[:, 0]
    np.testing.assert_allclose(effect, [-2, 1, -2, -2, 0], atol=1e-6)
    at_full = KernelSurrogate(ridge=1e-9).fit_outcomes(game()).attribution().values[:, 0]
    np.testing.assert_allclose(at_full, [-2, 1, -4, -4, 0], atol=1e-4)


def test_words_follow_the_direction_of_the_outcome(better):
    top = KernelSurrogate(ridge=1e-6).fit_outcomes(game(better)).attribution().top(5)
    effect = dict(zip(top["task"], top["effect"], strict=True))
    assert effect["good"] == ("hurts" if better else "helps")
    assert effect["bad"] == ("helps" if better else "hurts")
    sentence = dict(zip(top["task"], top["words"], strict=True))["good"]
    assert sentence.startswith(f"Including good lowers the {'score' if better else 'loss'} by ")
    assert sentence.endswith("hurts." if better else "helps.")


def test_interaction_words_follow_the_direction_of_the_outcome(better):
    interactions = KernelSurrogate(ridge=1e-6).fit_outcomes(game(better)).interactions()
    strongest = interactions.top(1).iloc[0]
    assert (strongest["first"], strongest["second"]) == ("pair", "mate")
    assert strongest["value"] == pytest.approx(-4, abs=0.01)
    assert strongest["kind"] == ("redundancy or conflict" if better else "synergy")
    assert "With pair and mate together the " in strongest["words"]


def test_top_is_sorted_by_strength_and_limited():
    g = KernelSurrogate().fit_outcomes(game())
    for top, count in ((g.attribution().top(3), 3), (g.interactions().top(4), 4), (g.interactions().top(99), 10)):
        strength = top["value"].abs().to_numpy()
        assert len(top) == count
        # what is equally strong but for rounding stands in the order of the tasks
        assert (np.diff(strength) <= 1e-9 * strength.max()).all()


def orders_of_rows(outcomes, count=6):
    """The same table with its rows in other orders: the same fits, rounded otherwise."""
    yield outcomes
    for seed in range(count):
        yield outcomes.take(np.random.default_rng(seed).permutation(outcomes.m))


@pytest.mark.parametrize("surrogate", [KernelSurrogate(), KernelSurrogateCV(), LinearSurrogate()], ids=str)
def test_equally_strong_ones_stand_in_the_order_of_the_tasks_whatever_rounding_says(surrogate):
    # tasks 0 to 3 do the same, and so do their six pairs
    subsets = np.array(np.meshgrid(*[[0, 1]] * 6)).reshape(6, -1).T
    table = Outcomes(subsets, subsets[:, :4].sum(axis=1) ** 2 / 7 + 0.1 * subsets[:, 5])
    for same in orders_of_rows(table):
        g = surrogate.fit_outcomes(same)
        assert g.attribution("shapley").strongest(4).tolist() == [0, 1, 2, 3]
        assert g.attribution("shapley").top(4)["task"].tolist() == ["task 1", "task 2", "task 3", "task 4"]
        if not isinstance(surrogate, LinearSurrogate):
            first, second = g.interactions("shapley").strongest(6)
            pairs = list(zip(first.tolist(), second.tolist(), strict=True))
            assert pairs == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


@pytest.mark.parametrize("surrogate", [KernelSurrogate(), LinearSurrogate()], ids=str)
def test_what_is_nothing_on_paper_neither_helps_nor_hurts(surrogate):
    # each task of an XOR does nothing by itself: what comes out is rounding of either sign
    subsets = np.array(np.meshgrid(*[[0, 1]] * 5)).reshape(5, -1).T
    said = set()
    for same in orders_of_rows(Outcomes(subsets, subsets[:, 0] ^ subsets[:, 1])):
        effects = surrogate.fit_outcomes(same).attribution("banzhaf")
        assert set(effects.top(5)["effect"]) == {"no effect"}
        assert effects.top(5)["task"].tolist() == list(effects.task_names)
        pairs = surrogate.fit_outcomes(same).interactions("banzhaf")
        assert pairs.top(10)["kind"].tolist()[1:] == ["none"] * 9
        said.add((effects.sentence(1), pairs.sentence(2, 3)))
    ((effect, _),) = said
    assert effect.startswith("Including task 2 changes the loss by 0.00")


def test_top_of_another_target_reads_that_target():
    g = KernelSurrogate().fit_outcomes(game())
    loss, gain = (g.attribution().top(5, target=j).set_index("task")["value"] for j in (0, 1))
    np.testing.assert_allclose(gain[loss.index], -loss, rtol=1e-9)


def test_every_pair_and_target_is_in_the_interaction_frame_once():
    found = KernelSurrogate().fit_outcomes(game()).interactions("banzhaf")
    frame = found.to_frame()
    assert frame.columns.tolist() == ["first", "second", "target", "value", "std"]
    assert len(frame) == 20
    cells = zip(frame["first"], frame["second"], frame["target"], strict=True)
    assert len({(frozenset((first, second)), target) for first, second, target in cells}) == 20
    cell = frame.set_index(["first", "second", "target"]).loc[("bad", "mate", "gain")]
    assert cell["value"] == found.values[1, 3, 1]
    assert cell["std"] == pytest.approx(found.std[1, 3, 1], rel=1e-9)
    # a thousand pairs of standard deviations need not be waited for
    assert found.to_frame(std=False).equals(frame.drop(columns="std"))


def test_no_effect_is_said_to_be_none(better):
    assert effect_word(0.0, better) == "no effect"
    assert interaction_word(0.0, better) == "none"


def test_the_readout_is_named_in_the_results():
    g = KernelSurrogate(gamma=0.25).fit_outcomes(game())
    assert g.attribution("inclusion", size=2).meta["size"] == 2
    assert "gamma=0.25" in g.attribution().meta["surrogate"]
    assert g.interactions().meta["readout"] == "second_difference"
    assert repr(g.interactions()).startswith("Interactions(second_difference, K=5, q=2)")
    assert "mate" in repr(g.attribution())


def test_the_anchor_is_named_in_the_results():
    # a number read off at another subset is another number: the result must say which
    at = np.array([1, 0, 1, 1, 0])
    g = KernelSurrogate().fit_outcomes(game())
    for result in (g.attribution(at=at), g.interactions(at=at)):
        assert [int(x) for x in result.meta["at"]] == at.tolist()


def test_wrong_names_are_refused_at_the_fit():
    with pytest.raises(InputError, match="task_names"):
        KernelSurrogate().fit([[1, 0], [0, 1]], [1.0, 2.0], task_names=("one",))
    with pytest.raises(InputError, match="target_names"):
        LinearSurrogate().fit([[1, 0], [0, 1]], [1.0, 2.0], target_names=("a", "b"))
