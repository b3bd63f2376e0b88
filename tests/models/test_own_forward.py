"""Classifiers that are compared with their own forward call: which way is taken, and what is refused by name."""

import pytest
import torch
from families import family_network, family_texts, own_logits, saved_family

from kernelsm import InputError
from kernelsm.models.hashing import model_hash
from kernelsm.models.hugging_face import HuggingFaceClassifier, hugging_face
from kernelsm.models.own_forward import ALONE, ELSEWHERE, FINISHED_MASK, OWN_MASK, READINGS, Proof, most_tokens, prove


def classifier(family, **changed):
    return HuggingFaceClassifier(family_network(family), pad_id=1, **changed).eval()


@pytest.mark.parametrize(
    ("family", "reading"), [("Bert", FINISHED_MASK), ("ModernBert", OWN_MASK), ("GPT2", OWN_MASK), ("XLNet", ALONE)]
)
def test_the_fastest_way_that_agrees_is_taken_and_said(family, reading):
    model = classifier(family)
    tokens, _ = family_texts()
    proof = prove(model, tokens, "model 'mine'")
    assert (proof.reading, model.reading, proof.samples) == (reading, reading, 6)
    assert max(proof.alone, proof.padded) < 1e-4
    assert proof.family == f"{family}ForSequenceClassification"
    tried = READINGS[READINGS.index(model.usual_reading) : READINGS.index(reading)]
    assert [reason.split(":")[0] for reason in proof.passed_over] == list(tried)
    assert proof.to_dict()["passed_over"] == list(proof.passed_over)


@pytest.mark.parametrize("reading", [None, ALONE])
def test_without_padding_is_right_whatever_the_lengths(tmp_path, reading):
    expected = own_logits(saved_family("FNet", tmp_path))
    model = hugging_face(str(tmp_path), reading=reading)
    assert model.reading == ALONE
    tokens, _ = family_texts()
    for order in (torch.arange(6), torch.tensor([4, 0, 5, 2, 1, 3])):
        with torch.no_grad():
            torch.testing.assert_close(model(tokens[order]), expected[order], rtol=1e-4, atol=1e-5)


def test_a_row_of_padding_alone_is_one_token():
    model = classifier("XLNet", reading=ALONE)
    assert model(torch.ones((2, 5), dtype=torch.int64)).shape == (2, 3)


def test_token_types_reach_the_network():
    model = classifier("Bert")
    tokens, _ = family_texts()
    types = (torch.arange(9) > 3).long().expand_as(tokens) * (tokens != 1)
    with torch.no_grad():
        own = torch.cat(
            [
                model.network(input_ids=row[None, :length], token_type_ids=kind[None, :length]).logits
                for row, kind, length in zip(tokens, types, (9, 9, 7, 5, 3, 8), strict=True)
            ]
        )
        both = torch.stack([tokens, types], dim=1)
        for reading in READINGS:
            model.reading = reading
            torch.testing.assert_close(model(both), own, rtol=1e-4, atol=1e-5)
        assert (model(tokens) - own).abs().max() > 1e-3
    prove(model, both, "model 'mine'")
    assert model.reading == FINISHED_MASK


def test_the_hash_tells_another_way_but_is_as_before_for_the_usual_one():
    assert model_hash(classifier("Bert")) == model_hash(classifier("Bert", reading=FINISHED_MASK))
    assert model_hash(classifier("GPT2")) == model_hash(classifier("GPT2", reading=OWN_MASK))
    assert len({model_hash(classifier("Bert", reading=reading)) for reading in READINGS}) == 3


def refused(model):
    with pytest.raises(InputError) as caught:
        prove(model, family_texts()[0], "model 'mine'")
    assert caught.value.place == "model 'mine'"
    assert "ForSequenceClassification" in caught.value.found
    assert len(caught.value.found) <= 300
    return caught.value


def test_a_network_that_answers_differently_each_time_is_refused():
    model = classifier("Bert")
    model.network.dropout.forward = lambda states: torch.nn.functional.dropout(states, 0.1, training=True)
    error = refused(model)
    assert "answers differently each time" in error.found
    assert "eval()" in error.fix


def test_a_network_whose_own_code_fails_is_refused_by_name_with_the_way_on():
    model = classifier("Bert")
    model.network.dropout.forward = lambda states: states[:, 99]
    error = refused(model)
    assert "forward call fails" in error.found
    assert "IndexError" not in str(error)
    assert error.fix == ELSEWHERE
    assert "python -m kernelsm features" in error.fix


def test_a_network_with_logits_that_are_not_finite_is_refused():
    model = classifier("Bert")
    with torch.no_grad():
        model.network.classifier.bias[1] = float("nan")
    assert "not finite" in refused(model).found


def test_a_network_that_no_way_gets_right_is_refused():
    model = classifier("Bert")
    # as a network that mixes the samples of a batch
    model.network.dropout.forward = lambda states: states + len(states)
    model.forward = lambda tokens: model.network(input_ids=tokens).logits
    error = refused(model)
    assert "differ from those of its own forward call" in error.found
    assert error.fix == ELSEWHERE


@pytest.mark.parametrize(
    ("family", "most"),
    [("Bert", 40), ("Roberta", 40), ("MPNet", 40), ("GPT2", 40), ("Mpt", 40), ("T5", None), ("Bloom", None)],
)
def test_how_many_tokens_a_family_has_positions_for(family, most):
    network = family_network(family)
    assert most_tokens(network.config) == most
    if most is not None and family != "Mpt":
        assert network(input_ids=torch.full((1, most), 5)).logits.shape == (1, 3)
        with pytest.raises((IndexError, RuntimeError)):
            network(input_ids=torch.full((1, most + 1), 5))


@pytest.mark.parametrize(
    ("alone", "padded", "equal"),
    [(0, 9e-5, True), (2e-4, 0, False), (0, 2e-4, False), (0, float("nan"), False)],
)
def test_a_proof_says_whether_logits_are_equal(alone, padded, equal):
    assert Proof("X", ALONE, 4, alone, padded).is_equal is equal
