"""Each kind of damage that could load in silence, hang, take memory or run code; and shipped models, which stay what they are."""

import builtins
import json
import os
import shutil
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel

from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.generate.inpainter import LGESynthNet
from lgesynthnet.model.checkpoint import load_autoencoder, load_inpainter, save_inpainter
from lgesynthnet.model.text import build_tokenizer, load_external
from lgesynthnet.model_store import fingerprint, licence_of, weights_folder
from lgesynthnet.segmenter.densenet import DenseNetUNet
from lgesynthnet.segmenter.heart import CLASSES, HeartSegmenter, Kind
from lgesynthnet.synthesis.painters import load_painter
from tests.model.test_staged_model import tiny_model

FINGERPRINTS = {  # evidence pages name them
    "auditor": "auditor-c31ac790ccd1",
    "filter": "filter-bff8acd015d1",
    "heart-segmenter": "heart-segmenter-ea039f4fb199",
    "inpainter": "inpainter-f12caa93e887",
    "reward": "reward-69f7708d842e",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sound") / "model"
    save_inpainter(tiny_model(), folder)
    return folder


@pytest.fixture
def model(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "model"))


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(ModelError) as refusal:
        LGESynthNet.from_pretrained(folder)
    message = str(refusal.value)
    assert "\n" not in message
    assert all(word in message for word in (str(folder), *words)), message


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("part", FINGERPRINTS)
def test_the_shipped_fingerprints_stay_and_count_used_files_alone(part, tmp_path):
    folder = tmp_path / part
    shutil.copytree(weights_folder() / "phantom" / part, folder)
    (folder / "notes.json").write_text("{}")
    (folder / "old.safetensors").write_bytes(b"not used")
    assert fingerprint(folder, role=part) == FINGERPRINTS[part]


def test_a_text_encoder_whose_weights_do_not_fit_is_not_a_random_one(model):
    path = model / "text_encoder" / "model.safetensors"
    weights = load_file(path)
    save_file({f"other.{name}": value for name, value in weights.items()}, path)
    refused(model, "text_encoder", "is missing")
    name = "encoder.layer.0.intermediate.dense.weight"
    save_file(weights | {name: weights[name][:-1].clone()}, path)
    refused(model, name, "has the shape [31, 16], not [32, 16]")


def test_a_lost_control_branch_is_missed_except_in_a_base_model(model):
    shutil.rmtree(model / "controlnet")
    refused(model, "controlnet missing")
    assert load_inpainter(model, base=True).control is None
    assert LGESynthNet.from_pretrained(model, base=True).model.control is None


@pytest.mark.parametrize("lost", ["tokenizer", "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"])
def test_a_lost_tokenizer_is_missed(model, lost):
    path = model / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    refused(model, "tokenizer")


def test_a_tokenizer_with_more_words_than_the_encoder_knows_is_refused(model):
    path = model / "tokenizer" / "tokenizer.json"
    record = json.loads(path.read_text())
    record["model"]["vocab"]["extra"] = 5000
    path.write_text(json.dumps(record))
    refused(model, "more tokens than the text encoder knows")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["unet", "vae", "controlnet", "text_encoder"])
def test_weights_that_are_not_finite_are_refused(model, part, value):
    path = next((model / part).glob("*model.safetensors"))
    weights = load_file(path)
    next(iter(weights.values())).view(-1)[0] = value
    save_file(weights, path)
    refused(model, part, "not finite")


def test_a_setting_that_is_not_ours_is_named(model):
    change(model / "unet" / "config.json", act_fn="relu")
    refused(model, "act_fn must be silu")
    change(model / "unet" / "config.json", act_fn="silu", _class_name="UNet2DModel")
    refused(model, "'UNet2DModel', not UNet2DConditionModel")


@pytest.mark.parametrize("part", ["unet", "vae", "controlnet", "text_encoder", "scheduler"])
def test_no_code_of_a_model_is_run_and_no_question_asked(model, part, monkeypatch):
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("a question was asked"))
    folder = model / part
    (folder / "code.py").write_text(f"open({str(folder / 'canary')!r}, 'w')\nclass C: pass\n")
    [path] = folder.glob("*config.json")
    change(path, auto_map={"AutoConfig": "code.C", "AutoModel": "code.C", "AutoTokenizer": [None, "code.C"]}, model_type="own")
    refused(model, "auto_map")
    assert not (folder / "canary").exists()


def test_no_code_of_an_external_bert_is_run(tmp_path, monkeypatch):
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("a question was asked"))
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')\nclass C: pass\n")
    for kind in ("bert", "own"):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "auto_map": {"AutoConfig": "code.C"}}))
        with pytest.raises(ModelError, match="auto_map"):
            load_external(tmp_path)
    assert not (tmp_path / "canary").exists()


def test_without_allow_download_nothing_is_asked_over_the_network(tmp_path, monkeypatch):
    import socket

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *place, **_: asked.append(place[0]) or (_ for _ in ()).throw(OSError("no network")))
    with pytest.raises(ModelError, match="not on this machine"):
        load_external("owner/name")
    assert asked == []


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("text_encoder", "num_hidden_layers", 10**9),
        ("text_encoder", "hidden_size", 10**9),
        ("text_encoder", "vocab_size", 10**9),
        ("unet", "block_out_channels", [10**9] * 3),
        ("unet", "block_out_channels", [8] * 1_000_000),
        ("unet", "layers_per_block", 10**9),
        ("vae", "block_out_channels", [10**9] * 3),
        ("controlnet", "conditioning_channels", 10**9),
    ],
)
def test_absurd_counts_are_refused_before_a_network_is_built(model, file, key, value):
    change(model / file / "config.json", **{key: value})
    refused(model, file, "config.json")


def test_a_sparse_file_of_many_zeros_is_refused_by_its_settings(model):
    for part in ("unet", "controlnet"):
        change(model / part / "config.json", block_out_channels=[640] * 3)
    with (model / "unet" / "diffusion_pytorch_model.safetensors").open("r+b") as file:
        file.truncate(50 * 2**30)
    refused(model, "unet")


def test_an_endless_file_that_is_not_read_but_counted_is_refused(model):
    with (model / "conditioning.json").open("wb") as file:
        file.truncate(50 * 2**30)
    refused(model, "conditioning.json", "which is more than")


@pytest.mark.parametrize("name", ["unet/config.json", "vae/diffusion_pytorch_model.safetensors", "tokenizer/tokenizer.json"])
def test_a_named_pipe_is_refused_at_once(model, name):
    (model / name).unlink()
    os.mkfifo(model / name)
    refused(model, name, "is not a regular file")


def test_an_absurd_header_is_refused(model):
    path = model / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(struct.pack("<Q", 2**62) + path.read_bytes()[8:])
    refused(model, "no complete safetensors file")


def test_a_card_that_is_no_text_is_named(tmp_path):
    (tmp_path / "README.md").write_bytes(b"---\nlicense: \xff\n---")
    with pytest.raises(ModelError, match=r"README.md: is not UTF-8"):
        licence_of(tmp_path)
    (tmp_path / "README.md").unlink()
    os.mkfifo(tmp_path / "README.md")
    with pytest.raises(ModelError, match="not a regular file"):
        licence_of(tmp_path)


def test_loading_does_not_draw_random_numbers_for_weights_that_are_overwritten(model):
    before = torch.get_rng_state()
    load_autoencoder(model / "vae")
    assert torch.equal(torch.get_rng_state(), before)


def test_saving_again_gives_the_same_bytes(model, tmp_path):
    loaded = load_inpainter(model)
    loaded.text.tokenizer(["used", "before"], padding=True, return_tensors="pt")
    save_inpainter(loaded, tmp_path / "again")
    assert fingerprint(tmp_path / "again", role="inpainter") == fingerprint(model, role="inpainter")


def test_the_published_segmenter_keeps_the_means_that_it_was_trained_with(tmp_path):
    network = DenseNetUNet(CLASSES, (8, 8, 8, 8, 8)).train()
    with torch.no_grad():
        network(3 + torch.randn(2, 1, 64, 64))
    HeartSegmenter(network, (8, 8, 8, 8, 8), kind=Kind.DENSENET121).save(tmp_path)
    again = HeartSegmenter.from_pretrained(tmp_path).network
    x = torch.randn(1, 1, 64, 64)
    torch.testing.assert_close(again(x), network.eval()(x))


def test_a_bert_with_a_head_and_old_names_is_read(tmp_path):
    torch.manual_seed(0)
    words = build_tokenizer()
    config = BertConfig(vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    bert = BertModel(config, add_pooling_layer=False).eval()
    bert.save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    stored = {f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma"): value for name, value in bert.state_dict().items()}
    save_file(stored | {"cls.predictions.bias": torch.zeros(3)}, tmp_path / "model.safetensors")
    again, _ = load_external(tmp_path)
    for name, value in bert.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)


def test_a_vocabulary_alone_is_read_as_the_whole_tokenizer(tmp_path):
    words = build_tokenizer()
    config = BertConfig(vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    BertModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    pieces = sorted(words.get_vocab(), key=words.get_vocab().get)
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n")
    _, again = load_external(tmp_path)
    said = "Subendocardial enhancement (26-50 % transmural) in the mid posteroseptal wall"
    assert again(said).input_ids == words(said).input_ids


def test_a_device_that_is_none_fails_before_anything_is_read():
    for model in ("paste", "no-such-folder"):
        with pytest.raises(InputError, match="--device 'xyz': is no device"):
            load_painter(model, "xyz")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_card_that_is_not_there_is_an_error_of_one_line(model):
    with pytest.raises(InputError, match="--device cuda"):
        LGESynthNet.from_pretrained(model, device="cuda")


@pytest.mark.parametrize(
    "text", ['{"scar_levels": [0, 1], "scar_levels": [0, 2]}', "{}", '{"scar_levels": [0, "1"]}', '{"scar_levels": [NaN, 1]}', "[]"]
)
def test_damaged_conditioning_is_refused(tmp_path, text):
    model = shutil.copytree(weights_folder() / "phantom", tmp_path / "model")
    (model / "inpainter" / "conditioning.json").write_text(text)
    with pytest.raises(ModelError, match=r"conditioning\.json"):
        LGESynthNet.from_pretrained(model)
