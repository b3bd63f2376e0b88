"""PromptChoice demonstrations: ticks in the table, order of the slots."""

import pytest

from kernelsm.app.demonstrations.one_query import shared_words
from kernelsm.app.demonstrations.prompt_choice import moved_down, moved_up, ticked
from kernelsm.app.shell.view import ViewState
from kernelsm.prompts.task import Labelled


@pytest.mark.parametrize(
    ("picked", "rows", "want"),
    [
        ((), [0], (7,)),
        ((5,), [0, 1, 2], (5, 7, 3)),  # new ones come last
        ((5, 7), [2], (5,)),
        ((5, 7), [0, 2], (5, 7)),
        ((5, 9), [], (9,)),  # 9 is not shown
        ((9,), [1, 12], (9, 3)),
    ],
)
def test_ticks_come_last_and_cleared_ones_go(picked, rows, want):
    assert ticked(picked, [7, 3, 5], rows) == want


@pytest.mark.parametrize(("place", "want"), [(0, (4, 2, 9)), (1, (2, 4, 9)), (2, (4, 9, 2))])
def test_one_place_earlier(place, want):
    assert moved_up((4, 2, 9), place) == want


@pytest.mark.parametrize(("place", "want"), [(0, (2, 4, 9)), (1, (4, 9, 2)), (2, (4, 2, 9))])
def test_one_place_later(place, want):
    assert moved_down((4, 2, 9), place) == want


def test_the_link_keeps_the_order_of_the_picked():
    view = ViewState(run="movie-reviews", picked=(9, 2, 30))
    assert view.to_params()["picked"] == "9-2-30"
    assert ViewState.from_params(view.to_params()) == (view, [])
    assert view.within(("a",), 20, 4).picked == (9, 2)
    assert view.within(("a",), 50, 2).picked == (9, 2)
    assert view.on_run("digits").picked == ()


@pytest.mark.parametrize("text", ["1-1", "a", "1--2", "", "1-", "99999"])
def test_a_link_that_names_no_prompt_is_ignored(text):
    assert ViewState.from_params({"picked": text})[0].picked == ()


def test_shared_words_are_the_telling_ones():
    first = Labelled("The film is a Mess, a glorious mess of a film!", "x")
    assert shared_words(first, Labelled("What a mess: the film", "y")) == ["film", "mess"]
    assert shared_words(first, Labelled("nothing here", "y")) == []
