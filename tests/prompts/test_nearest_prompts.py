"""A prompt of its own for each query, from the candidates nearest to it."""

from math import log, sqrt

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.prompts.nearest_prompts import most_alike_last, nearest_prompts, text_likeness
from kernelsm.prompts.task import Labelled


def texts(*words):
    return [Labelled(text, "yes") for text in words]


FILMS = texts("dull film", "fine book", "fine film fine", "rain")


def test_likeness_is_the_cosine_that_is_reckoned_by_hand():
    # of four texts: a word in one, in two, in none of them
    one, two, none = (1 + log(5 / (1 + count)) for count in (1, 2, 0))
    thrice, length = 1 + log(2), sqrt(two**2 + two**2)  # "fine" stands twice in the third
    want = [
        two**2 / sqrt(one**2 + two**2) / length,
        two**2 / sqrt(two**2 + one**2) / length,
        (thrice * two**2 + two**2) / sqrt((thrice * two) ** 2 + two**2) / length,
        0.0,
    ]
    np.testing.assert_allclose(text_likeness(FILMS, texts("Film: FINE!"))[0], want, rtol=1e-12)
    # a word that no candidate has makes the query longer, and nothing alike
    longer = text_likeness(FILMS, texts("film fine snow"))[0]
    np.testing.assert_allclose(longer, np.array(want) * length / sqrt(length**2 + none**2), rtol=1e-12)


def test_the_most_alike_stands_last():
    assert nearest_prompts(FILMS, texts("fine film", "rain on a film"), 2) == [(0, 2), (0, 3)]
    assert nearest_prompts(FILMS, texts("fine film"), 4) == [(3, 1, 0, 2)]


def test_equally_alike_ones_go_by_number():
    twice = texts("rain", "a fine film", "a fine film", "a fine film")
    assert nearest_prompts(twice, texts("film"), 2) == [(2, 1)]
    assert most_alike_last(np.array([0.1 + 0.2, 0.3, 0.3, 0.1]), 2) == (1, 0)


def test_a_prompt_depends_on_no_other_query():
    queries = texts("fine film", "rain", "fine book", "snow")
    together = nearest_prompts(FILMS, queries, 2)
    assert together == [nearest_prompts(FILMS, [query], 2)[0] for query in queries]
    assert nearest_prompts(FILMS, [], 2) == []


def test_texts_without_a_known_word_are_compared_by_their_letters():
    # no spaces between words: each text is one word, and no two are alike
    chinese = texts("今天下雨了", "这部电影很好看", "明天会下雪")
    assert nearest_prompts(chinese, texts("电影不好看", "后天下雪吗"), 1) == [(1,), (2,)]
    assert nearest_prompts(texts("?", "!", "no. 1"), texts("!"), 1) == [(1,)]
    # one query by its letters changes nothing for those that share words
    mixed = text_likeness(FILMS, texts("fine film", "filming"))
    np.testing.assert_array_equal(mixed[:1], text_likeness(FILMS, texts("fine film")))
    assert nearest_prompts(FILMS, texts("rainy"), 1) == [(3,)]
    assert mixed[1, 0] > mixed[1, 3]


def test_texts_that_share_no_letter_are_all_alike():
    assert not text_likeness(FILMS, texts("Ω")).any()
    assert nearest_prompts(FILMS, texts("Ω"), 2) == [(1, 0)]


def test_several_fields_all_count_and_answers_do_not():
    candidates = [
        Labelled.of_fields([("question", "Who wrote it?"), ("context", context)], answer)
        for context, answer in (("Ada wrote the notes.", "Ada"), ("Grace built a compiler.", "Grace"))
    ]
    query = Labelled.of_fields([("question", "Who wrote it?"), ("context", "A compiler, built at sea.")], "Ada")
    assert nearest_prompts(candidates, [query], 1) == [(1,)]


@pytest.mark.parametrize("k", [0, 5, 1.5])
def test_as_many_as_there_are_at_most(k):
    with pytest.raises(InputError, match="k"):
        nearest_prompts(FILMS, texts("film"), k)


def test_there_must_be_candidates():
    with pytest.raises(InputError, match="candidates"):
        nearest_prompts([], texts("film"), 1)
