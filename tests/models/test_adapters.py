"""Low-rank adapters of classifiers: read with their base model, as peft does, or refused by their right name."""

import json
import shutil

import pytest
import torch
from families import family_network, family_texts, saved_family

from kernelsm import InputError, gradient_features
from kernelsm.models.adapter_folders import JOINED_CONFIG, is_adapter, joined_with_base
from kernelsm.models.hashing import model_hash
from kernelsm.models.hugging_face import hugging_face
from kernelsm.models.model_copies import copy_model
from kernelsm.models.model_folders import check_folder, model_folder


def save_adapter(family, base, folder, **named):
    """Save an adapter with random factors and a head of its own; return the logits of peft's network."""
    from peft import LoraConfig, TaskType, get_peft_model

    modules = {"Bert": ["query", "value"], "Llama": ["q_proj", "v_proj"], "DebertaV2": ["query_proj"]}[family]
    network = family_network(family)
    network.name_or_path = str(base)
    settings = {"r": 2, "lora_alpha": 8, "target_modules": modules, "task_type": TaskType.SEQ_CLS, **named}
    adapted = get_peft_model(network, LoraConfig(**settings)).eval()
    torch.manual_seed(5)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if parameter.requires_grad:
                parameter.normal_(0, 0.5)
                assert "lora_" in name or "modules_to_save" in name
    adapted.save_pretrained(folder)
    with torch.no_grad():
        return torch.cat([adapted(input_ids=text).logits for text in family_texts()[1]])


@pytest.fixture
def archive(tmp_path):
    """An unpacked zip of an adapter and its base model."""
    folder = tmp_path / "archive"
    saved_family("Bert", folder / "base")
    expected = save_adapter("Bert", "someone/base", folder / "mine")
    return folder, expected


@pytest.mark.parametrize("family", ["Bert", "Llama", "DebertaV2"])
@pytest.mark.parametrize(
    "named",
    [
        {},
        {"use_rslora": True},
        {"rank_pattern": {"query": 3}, "alpha_pattern": {"query": 5}},
        {"use_dora": True},
        {"r": 24},  # more than the layers have inputs
        {"alpha_pattern": {r"^[a-z.]+\.1\..*(query|q_proj|query_proj)": 32, "(value|v_proj)": 1}},
    ],
)
def test_logits_are_those_of_peft(tmp_path, family, named):
    saved_family(family, tmp_path / "base")
    expected = save_adapter(family, tmp_path / "base", tmp_path / "mine", **named)
    joined = joined_with_base(tmp_path / "mine", "mine", tmp_path / "joined", lambda name, place: tmp_path / "base")
    alone, together = hugging_face(str(tmp_path / "mine")), hugging_face(str(joined))
    with torch.no_grad():
        for model in (alone, together):
            torch.testing.assert_close(model(family_texts()[0]), expected, rtol=1e-4, atol=1e-4)
        assert (hugging_face(str(tmp_path / "base"))(family_texts()[0]) - expected).abs().max() > 0.1
    assert model_hash(alone) == model_hash(together)


def test_only_the_adapter_and_the_head_are_linearised(archive, tmp_path):
    folder, _ = archive
    model = hugging_face(str(joined_with_base(folder, "mine.zip", tmp_path / "joined", None)))
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name.rpartition(".")[2] for name in trained if "lora" not in name} == {"weight", "bias"}
    assert {name for name in trained if "lora" not in name} == {
        "network.classifier.weight",
        "network.classifier.bias",
    }
    assert sum("lora_A" in name for name in trained) == 4  # queries and values of two layers
    tokens = family_texts()[0]
    features = gradient_features(model, tokens.numpy(), tokens[:, 0].numpy() % 3, "exact")
    assert features.meta["parameters"] == 2 * 2 * 2 * (16 + 16) + 3 * 16 + 3
    assert features.meta["engine"] == "hooks"


def test_the_hash_knows_how_far_an_adapter_is_scaled(archive, tmp_path):
    folder, _ = archive
    joined = joined_with_base(folder, "mine.zip", tmp_path / "joined", None)
    before = model_hash(hugging_face(str(joined)))
    config = json.loads((joined / JOINED_CONFIG).read_text())
    (joined / JOINED_CONFIG).write_text(json.dumps({**config, "lora_alpha": 9}))
    assert model_hash(hugging_face(str(joined))) != before


def test_the_base_model_comes_from_the_archive_the_same_folder_or_where_paths_are_allowed(archive, tmp_path):
    folder, expected = archive
    asked = []

    def fetch(name, place):
        asked.append(name)
        return folder / "base"

    found = [joined_with_base(folder, "mine.zip", tmp_path / "one", fetch)]
    assert not asked
    found.append(joined_with_base(folder / "mine", "mine.zip", tmp_path / "two", fetch))
    assert asked == ["someone/base"]
    for file in (folder / "base").iterdir():
        shutil.copyfile(file, folder / "mine" / file.name)
    found.append(joined_with_base(folder / "mine", "mine.zip", tmp_path / "three", None))
    for joined in found:
        with torch.no_grad():
            torch.testing.assert_close(hugging_face(str(joined))(family_texts()[0]), expected, rtol=1e-4, atol=1e-4)
        assert not (joined / "adapter_config.json").exists()


def test_which_of_several_is_meant_is_never_guessed(archive, tmp_path):
    folder, _ = archive
    shutil.copytree(folder / "mine", folder / "theirs")
    with pytest.raises(InputError, match=r"2 adapters \('mine', 'theirs'\)"):
        joined_with_base(folder, "mine.zip", tmp_path / "joined", None)
    shutil.rmtree(folder / "theirs")
    shutil.copytree(folder / "mine", folder / "base" / "mine")
    with pytest.raises(InputError, match=r"a model, and an adapter in its folder \('mine'\)"):
        joined_with_base(folder / "base", "mine.zip", tmp_path / "joined", None)


def test_an_adapter_without_its_base_model_is_refused_by_its_right_name(archive, tmp_path):
    folder, _ = archive
    assert is_adapter(folder)
    assert is_adapter(folder / "mine")
    assert not is_adapter(folder / "base")

    def fetch(name, place):
        raise InputError("x", "nothing there", "a model", "Look.")

    for way in (None, fetch):
        with pytest.raises(InputError) as caught:
            joined_with_base(folder / "mine", "mine.zip", tmp_path / "joined", way)
        assert caught.value.place == "mine.zip"
        assert "a LoRA adapter without its base model 'someone/base'" in caught.value.found
        assert "merge_and_unload" in caught.value.fix
    # where whole models alone are read
    with pytest.raises(InputError, match=r"an adapter \(LORA\) of the model 'someone/base'"):
        model_folder(folder / "mine", "mine.zip")


def test_transformers_never_follows_the_path_in_an_adapter(archive):
    folder, _ = archive
    shutil.copyfile(folder / "mine" / "adapter_config.json", folder / "base" / "adapter_config.json")
    with pytest.raises(InputError, match="an adapter"):
        check_folder(folder / "base", "base")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"peft_type": "IA3"}, "an adapter of the kind IA3"),
        ({"peft_type": 3}, "an adapter of the kind 3"),
        ({"init_lora_weights": "pissa"}, "pissa"),
        ({"lora_alpha": "a lot"}, "does not fit"),
        ({"r": None}, "does not fit"),
        ({"alpha_pattern": ["query"]}, "does not fit"),
        ({"alpha_pattern": {"(query": 4}}, "does not fit"),
        ({"alora_invocation_tokens": [3]}, "alora_invocation_tokens"),
        ({"use_qalora": True}, "use_qalora"),
        ({"use_bdlora": {"nblocks": 2}}, "use_bdlora"),
        ({"layer_replication": [[0, 2], [1, 2]]}, "layer_replication"),
        ({"target_parameters": ["experts.gate_up_proj"]}, "target_parameters"),
        ({"kasa_config": {"beta": 0.1}}, "kasa_config"),
    ],
)
def test_adapters_of_another_kind_are_refused(archive, tmp_path, changes, told):
    folder, _ = archive
    config = json.loads((folder / "mine" / "adapter_config.json").read_text())
    (folder / "mine" / "adapter_config.json").write_text(json.dumps({**config, **changes}))
    with pytest.raises(InputError) as caught:
        hugging_face(str(joined_with_base(folder, "mine.zip", tmp_path / "joined", None)))
    assert told in str(caught.value)


def test_adapters_of_another_model_or_with_pickled_weights_are_refused(archive, tmp_path):
    folder, _ = archive
    shutil.rmtree(folder / "base")
    saved_family("Llama", folder / "base")
    with pytest.raises(InputError, match="which LlamaForSequenceClassification does not have"):
        hugging_face(str(joined_with_base(folder, "mine.zip", tmp_path / "one", None)))
    (folder / "mine" / "adapter_model.safetensors").rename(folder / "mine" / "adapter_model.bin")
    with pytest.raises(InputError, match=r"pickled weights, adapter_model\.bin"):
        joined_with_base(folder, "mine.zip", tmp_path / "two", None)


def test_a_head_of_other_classes_is_refused(archive, tmp_path):
    folder, _ = archive
    joined = joined_with_base(folder, "mine.zip", tmp_path / "joined", None)
    with pytest.raises(InputError, match=r"for 4 classes|\(4, 16\)"):
        hugging_face(str(joined), classes=4)


def test_half_of_a_layers_factors_is_refused(archive, tmp_path):
    from safetensors.torch import load_file, save_file

    folder, _ = archive
    file = folder / "mine" / "adapter_model.safetensors"
    tensors = load_file(file)
    left_out = "1.attention.self.query.lora_B.weight"
    save_file({name: value for name, value in tensors.items() if not name.endswith(left_out)}, file)
    with pytest.raises(InputError, match=r"one factor alone of 'bert\.encoder\.layer\.1\.attention\.self\.query'"):
        hugging_face(str(joined_with_base(folder, "mine.zip", tmp_path / "joined", None)))


def test_adapters_in_folders_of_a_model_on_the_hub_are_not_fetched(archive, tmp_path, monkeypatch):
    import huggingface_hub
    from huggingface_hub.utils import filter_repo_objects

    folder, _ = archive
    shutil.copytree(folder / "mine", folder / "base" / "mine")
    (folder / "base" / "1_Pooling").mkdir()
    (folder / "base" / "1_Pooling" / "config.json").write_text("{}")

    def download(name, *, local_dir, **patterns):
        files = {str(file.relative_to(folder / "base")) for file in (folder / "base").rglob("*") if file.is_file()}
        for file in filter_repo_objects(files, **patterns):
            (local_dir / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / "base" / file, local_dir / file)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    found = copy_model("someone/base", tmp_path / "copied", adapted=True)
    assert found == tmp_path / "copied"
    assert not is_adapter(found)
    assert (found / "1_Pooling" / "config.json").is_file()  # sentence encoders say there how they pool
