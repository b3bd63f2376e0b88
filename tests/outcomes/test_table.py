"""Outcomes: names, shapes, splits, content and immutability."""

import json

import numpy as np
import pytest

from kernelsm import InputError, Outcomes


def test_one_target_may_be_given_as_a_vector():
    outcomes = Outcomes([[1, 0], [0, 1], [1, 1]], [1.0, 2.0, 3.0])
    assert (outcomes.m, outcomes.K, outcomes.q) == (3, 2, 1)
    assert outcomes.values.tolist() == [[1.0], [2.0], [3.0]]


def test_names_are_counted_from_one_where_not_given():
    outcomes = Outcomes([[1, 0], [0, 1]], [[1.0, 2.0], [3.0, 4.0]])
    assert outcomes.task_names == ("task 1", "task 2")
    assert outcomes.target_names == ("target 1", "target 2")


def test_arrays_cannot_be_written(make_outcomes):
    outcomes = make_outcomes()
    with pytest.raises(ValueError, match="read-only"):
        outcomes.masks[0, 0] = True
    with pytest.raises(ValueError, match="read-only"):
        outcomes.values[0, 0] = 1.0


def test_the_callers_arrays_are_copied():
    masks, values = np.array([[True, False], [False, True]]), np.array([[1.0], [2.0]])
    outcomes = Outcomes(masks, values)
    masks[0, 0], values[0, 0] = False, 9.0
    assert outcomes.masks[0, 0]
    assert outcomes.values[0, 0] == 1.0


def test_split_is_disjoint_and_complete(make_outcomes):
    outcomes = make_outcomes(m=25, K=20, q=1)  # all different
    train, test = outcomes.split(0.8, seed=3)
    assert (train.m, test.m) == (20, 5)
    # values are distinct random numbers, so they name the rows
    together = sorted([*train.values[:, 0], *test.values[:, 0]])
    assert together == sorted(outcomes.values[:, 0])


def test_split_is_reproducible_and_seeded(make_outcomes):
    outcomes = make_outcomes(m=25)
    first, again, other = (outcomes.split(0.6, seed=seed)[0].content_hash for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(("fraction", "sizes"), [(0.001, (1, 4)), (0.999, (4, 1))])
def test_split_leaves_no_side_empty(make_outcomes, fraction, sizes):
    train, test = make_outcomes(m=5).split(fraction)
    assert (train.m, test.m) == sizes


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, 1.5, float("nan")])
def test_split_refuses_a_fraction_outside_zero_to_one(make_outcomes, fraction):
    with pytest.raises(InputError, match="fraction"):
        make_outcomes().split(fraction)


def test_split_refuses_a_single_subset():
    with pytest.raises(InputError, match="at least 2"):
        Outcomes([[1, 0]], [1.0]).split(0.5)


def test_a_mean_target_weighs_its_targets_by_what_they_were_given(make_outcomes):
    noise = np.arange(6.0).reshape(3, 2)
    outcomes = make_outcomes(q=2, noise=noise, target_weights=[3, 1])
    mean = outcomes.mean_target()
    np.testing.assert_allclose(mean.values[:, 0], outcomes.values @ [0.75, 0.25])
    np.testing.assert_allclose(mean.noise[:, 0], noise @ [0.75, 0.25])
    np.testing.assert_allclose(outcomes.mean_over_targets(-outcomes.values), -mean.values[:, 0])
    assert mean.target_weights is None
    assert outcomes.target("target 2").target_weights is None
    np.testing.assert_array_equal(outcomes.take([0, 3]).target_weights, [3, 1])


def test_a_table_whose_targets_weigh_the_same_is_that_without_weights(make_outcomes):
    plain, equal, uneven = (make_outcomes(target_weights=weights) for weights in (None, [2, 2], [2, 1]))
    assert equal.target_weights is None
    assert plain.content_hash == equal.content_hash != uneven.content_hash


@pytest.mark.parametrize(
    "weights", [[1.0], [1, 0], [1, -2], [1, np.nan], [1, np.inf], ["1", "2"], "12", [[1], [2, 3]]]
)
def test_target_weights_are_one_number_above_0_per_target(make_outcomes, weights):
    with pytest.raises(InputError, match="target_weights"):
        make_outcomes(target_weights=weights)


def test_target_weights_are_kept_in_files(make_outcomes, tmp_path):
    outcomes = make_outcomes(target_weights=[5, 2])
    loaded = Outcomes.load(outcomes.save(tmp_path / "o.parquet"))
    np.testing.assert_array_equal(loaded.target_weights, [5, 2])
    assert loaded.content_hash == outcomes.content_hash
    assert Outcomes.load(make_outcomes().save(tmp_path / "p.parquet")).target_weights is None
    masks, values = outcomes.masks, outcomes.values
    np.savez(tmp_path / "o.npz", masks=masks, values=values, target_weights=[5, 2])
    table = {"masks": masks.astype(int).tolist(), "values": values.tolist()}
    (tmp_path / "o.json").write_text(json.dumps({**table, "target_weights": [5, 2]}))
    for name in ("o.npz", "o.json"):
        np.testing.assert_array_equal(Outcomes.load(tmp_path / name).target_weights, [5, 2])
    for bad in ([5], [5, -1], [5, None], 7, {"a": 1}, ["a", "b"], [[5], [2, 1]], 10**400):
        (tmp_path / "o.json").write_text(json.dumps({**table, "target_weights": bad}))
        with pytest.raises(InputError, match=r"o\.json, target_weights"):
            Outcomes.load(tmp_path / "o.json")


def test_mean_target_is_the_unweighted_mean(make_outcomes):
    outcomes = make_outcomes(q=3, higher_is_better=True, meta={"a": 1})
    mean = outcomes.mean_target("overall")
    assert mean.target_names == ("overall",)
    assert np.allclose(mean.values[:, 0], outcomes.values.sum(axis=1) / 3, rtol=1e-12)
    assert mean.higher_is_better
    assert mean.meta == {"a": 1}
    assert mean.task_names == outcomes.task_names


def test_target_picks_one_column_by_name(make_outcomes):
    outcomes = make_outcomes(target_names=("easy", "hard"))
    hard = outcomes.target("hard")
    assert hard.target_names == ("hard",)
    assert np.array_equal(hard.values[:, 0], outcomes.values[:, 1])
    with pytest.raises(KeyError, match="easy, hard"):
        outcomes.target("unknown")


def test_take_accepts_indices_and_row_masks(make_outcomes):
    outcomes = make_outcomes(m=6)
    by_index = outcomes.take([4, 1])
    assert np.array_equal(by_index.values, outcomes.values[[4, 1]])
    assert np.array_equal(by_index.masks, outcomes.masks[[4, 1]])
    by_mask = outcomes.take(outcomes.masks[:, 0])
    assert by_mask.masks[:, 0].all()
    assert by_mask.m == outcomes.masks[:, 0].sum()


def test_content_hash_ignores_meta_and_nothing_else(make_outcomes):
    base = make_outcomes()
    masks = base.masks.copy()
    masks[0, 0] = not masks[0, 0]
    values = base.values.copy()
    values[0, 0] = np.nextafter(values[0, 0], np.inf)
    same = [
        Outcomes(base.masks, base.values, meta={"made by": "someone else"}),
        Outcomes(base.masks.astype(int), base.values),
        Outcomes(np.asfortranarray(base.masks), np.asfortranarray(base.values)),
    ]
    different = [
        Outcomes(masks, base.values),
        Outcomes(base.masks, values),
        Outcomes(base.masks, base.values, task_names=("a", "b", "c", "d")),
        Outcomes(base.masks, base.values, target_names=("a", "b")),
        Outcomes(base.masks, base.values, higher_is_better=True),
    ]
    assert {table.content_hash for table in same} == {base.content_hash}
    assert len({table.content_hash for table in [base, *different]}) == 6


@pytest.mark.parametrize(
    ("masks", "values", "place"),
    [
        ([[1, 0], [0, 2]], [1, 2], "masks, row 1, task 1"),
        ([[1, 0], [0, float("nan")]], [1, 2], "masks, row 1, task 1"),
        ([[1, 0], [0, 1]], [1, float("inf")], "values, row 1, target 0"),
        ([[1, 0], [0, 1]], [[1, 2], [float("nan"), 3]], "values, row 1, target 0"),
        ([[1, 0], [0, 1]], [1, 2, 3], "values"),
        ([[1, 0], [0, 1]], np.zeros((2, 0)), "values"),
        ([1, 0], [1, 2], "masks"),
        (np.zeros((0, 3)), np.zeros((0, 1)), "masks"),
        (np.zeros((3, 0)), np.zeros((3, 1)), "masks"),
        ([["a"], ["b"]], [1, 2], "masks"),
        ([[1, 0], [0, 1]], ["good", "bad"], "values"),
        ([[1, 0], [0]], [1, 2], "masks"),
        ([[1, 0], [0, 1]], [[1.0], [1.0, 2.0]], "values"),
        ([[1, 0], [0, 1]], [1 + 2j, 1], "values"),
    ],
)
def test_wrong_arrays_are_refused_with_their_place(masks, values, place):
    with pytest.raises(InputError) as caught:
        Outcomes(masks, values)
    assert caught.value.place == place


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("a", "a"), "'a' a second time"),
        (("a",), "1 names"),
        (("a", " "), "an empty name"),
        (("a", "b" * 121), "121 characters"),
    ],
)
def test_wrong_names_are_refused(names, found):
    with pytest.raises(InputError, match="task_names") as caught:
        Outcomes([[1, 0], [0, 1]], [1, 2], task_names=names)
    assert found in caught.value.found
