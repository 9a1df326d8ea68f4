"""Files of weights: what is unwrapped, what is refused, and with which remedy."""

import argparse
import pickle

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from whylook.errors import ModelError, UsageError
from whylook.models import load_model, weights
from whylook.models.weights import fill, fingerprint, outline

ARCH = "mobilenetv3_small_050"


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(5)
    return timm.create_model(ARCH, num_classes=6).eval()


def load(path, **options):
    return load_model(ARCH, checkpoint=path, **{"num_classes": 6, **options})


def test_safetensors_and_pytorch_files_are_the_same_model(network, tmp_path):
    state = network.state_dict()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.pth")
    torch.save(state, tmp_path / "c.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "d.anything").write_bytes((tmp_path / "a.safetensors").read_bytes())
    models = [load(tmp_path / name) for name in ("a.safetensors", "b.pth", "c.pt", "d.anything")]
    assert {m.fingerprint for m in models} == {fingerprint(network)}
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        for m in models:
            assert torch.equal(m.network(x), network(x))
    assert not models[0].network.training
    assert load_model(tmp_path / "b.pth", arch=ARCH, num_classes=6).fingerprint == models[0].fingerprint


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "network"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "_orig_mod.", "module.model.", "net."])
def test_wrappers_and_prefixes_are_taken_off_and_said(wrapper, prefix, network, tmp_path):
    state = {prefix + k: v for k, v in network.state_dict().items()}
    torch.save({wrapper: state, "epoch": 3, "args": argparse.Namespace(lr=0.1)}, tmp_path / "w.pth")
    model = load(tmp_path / "w.pth")
    assert model.fingerprint == fingerprint(network)
    said = " ".join(model.notes)
    assert repr(wrapper) in said
    assert all(repr(p + ".") in said for p in prefix.split(".")[:-1])


def test_averaged_weights_come_first_and_it_is_said(network, tmp_path):
    state = network.state_dict()
    other = {k: torch.zeros_like(v) for k, v in state.items()}
    torch.save({"state_dict": other, "state_dict_ema": state}, tmp_path / "w.pth")
    model = load(tmp_path / "w.pth")
    assert model.fingerprint == fingerprint(network)
    assert any("state_dict_ema" in n for n in model.notes)


def test_what_lies_outside_the_prefix_is_left_aside_and_said(network, tmp_path):
    state = {f"model.{k}": v for k, v in network.state_dict().items()} | {"criterion.weight": torch.ones(6)}
    torch.save({"state_dict": state}, tmp_path / "lightning.ckpt")
    model = load(tmp_path / "lightning.ckpt")
    assert model.fingerprint == fingerprint(network)
    assert any("criterion.weight" in n for n in model.notes)


def test_missing_and_unexpected_tensors_are_named(network, tmp_path):
    state = dict(network.state_dict())
    for key in [k for k in state if k.startswith("blocks.0")]:
        del state[key]
    state["extra.weight"] = torch.ones(2)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"tensors missing \(blocks\.0.*…\) and 1 tensor unexpected \(extra\.weight\)"):
        load(tmp_path / "w.safetensors")


def test_another_number_of_classes_is_told_with_the_remedy(network, tmp_path):
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"classifier\.weight.*give --num-classes 6\."):
        load_model(ARCH, checkpoint=tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"--num-classes 6 and --in-chans 3|--in-chans 3 and --num-classes 6"):
        load_model(ARCH, checkpoint=tmp_path / "w.safetensors", in_chans=1)
    resnet = torchvision.models.resnet18(num_classes=7)
    save_file(resnet.state_dict(), tmp_path / "r.safetensors")
    with pytest.raises(ModelError, match="--num-classes 7"):
        load_model("torchvision:resnet18", checkpoint=tmp_path / "r.safetensors")
    with pytest.raises(ModelError, match="another architecture"):
        load_model("torchvision:resnet34", checkpoint=tmp_path / "r.safetensors", num_classes=7)


def test_architecture_options_arrive(network, tmp_path):
    same = timm.create_model(ARCH, num_classes=6, pad_type="same").eval()
    same.load_state_dict(network.state_dict())
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for options in (["pad_type=same"], {"pad_type": "same"}):
            assert torch.equal(load(tmp_path / "w.safetensors", arch_options=options).network(x), same(x))
        assert not torch.equal(load(tmp_path / "w.safetensors").network(x), same(x))
    with pytest.raises(UsageError, match="pad_tpe"):
        load(tmp_path / "w.safetensors", arch_options=["pad_tpe=same"])
    with pytest.raises(UsageError, match="NAME=VALUE"):
        load(tmp_path / "w.safetensors", arch_options=["same"])
    with pytest.raises(UsageError, match="color only"):
        load_model("torchvision:resnet18", checkpoint=tmp_path / "w.safetensors", in_chans=1)


def test_the_head_is_binary_for_one_output(tmp_path):
    one = timm.create_model(ARCH, num_classes=1)
    save_file(one.state_dict(), tmp_path / "w.safetensors")
    model = load_model(ARCH, checkpoint=tmp_path / "w.safetensors", num_classes=1, labels=["benign", "malignant"])
    assert (model.head, model.label(1)) == ("binary", "malignant")


# --- preprocessing -----------------------------------------------------------------------------------------------


def test_what_is_not_given_comes_from_the_architecture_and_is_said(network, tmp_path):
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    model = load(tmp_path / "w.safetensors", mean="0.1 0.2 0.3", std=[0.5, 0.6, 0.7])
    usual = timm.get_pretrained_cfg(ARCH)
    p = model.preprocess
    assert (p.mean, p.std, p.input_size) == ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7), usual.input_size[1:])
    assert p.interpolation == usual.interpolation
    story = next(n for n in model.notes if n.startswith("Preprocessing"))
    assert "mean and std as given; input size, interpolation and crop not given" in story
    assert ARCH in story


@pytest.mark.parametrize(
    ("given", "input_size", "resize", "resize_to"),
    [
        ({"input_size": 192, "crop": 0.9}, (192, 192), "shorter", (213, 213)),
        ({"input_size": "192,256"}, (192, 256), "shorter", (219, 292)),
        ({"input_size": (3, 96, 96), "resize": 100}, (96, 96), "shorter", (100, 100)),
        ({"input_size": 192, "crop": 1.0, "crop_mode": "border"}, (192, 192), "longer", (192, 192)),
        ({"input_size": 192, "crop": 1.0, "crop_mode": "squash"}, (192, 192), "squash", (192, 192)),
        ({}, (224, 224), "shorter", (256, 256)),
    ],
)
def test_sizes(given, input_size, resize, resize_to, network, tmp_path):
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    p = load(tmp_path / "w.safetensors", **given).preprocess
    assert (p.input_size, p.resize, p.resize_to) == (input_size, resize, resize_to)


def test_metadata_are_read_and_what_is_given_goes_before(network, tmp_path):
    told = {
        "mean": "0.5,0.5,0.5", "std": "0.25,0.25,0.25", "input_size": "160", "resize": "183",
        "interpolation": "bilinear", "num_classes": "6", "labels": '["a", "b", "c", "d", "e", "f"]',
        "arch_options": '{"pad_type": "same"}', "architecture": "something(pad_type='same')",
    }  # fmt: skip
    save_file(network.state_dict(), tmp_path / "w.safetensors", metadata=told)
    model = load_model(ARCH, checkpoint=tmp_path / "w.safetensors")
    p = model.preprocess
    assert (p.mean, p.std, p.input_size) == ((0.5,) * 3, (0.25,) * 3, (160, 160))
    assert (p.resize_to, p.interpolation) == ((183, 183), "bilinear")
    assert model.labels == tuple("abcdef")
    assert any("something(pad_type='same')" in n and "pad_type=same" in n.partition(";")[2] for n in model.notes)
    over = load_model(
        ARCH, checkpoint=tmp_path / "w.safetensors", input_size=128, interpolation="bicubic", labels=list("uvwxyz")
    )
    assert over.preprocess.input_size == (128, 128)
    assert over.preprocess.resize_to == (146, 146)
    assert over.preprocess.interpolation == "bicubic"
    assert over.labels == tuple("uvwxyz")


def test_a_whole_preprocess_replaces_the_story(network, tmp_path):
    from whylook.preprocess import Preprocess

    save_file(network.state_dict(), tmp_path / "w.safetensors")
    mine = Preprocess((64, 64), origin="Mine.")
    model = load(tmp_path / "w.safetensors", preprocess=mine)
    assert model.preprocess is mine
    assert "Mine." in model.notes
    assert not any(n.startswith("Preprocessing") for n in model.notes)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mean": "123.7,116.3,103.5"}, "divide by 255"),
        ({"mean": "a,b,c"}, "must be numbers"),
        ({"crop": 87.5}, "0.875"),
        ({"crop_mode": "fill"}, "center, squash or border"),
        ({"input_size": "big"}, "must be numbers"),
        ({"input_size": 0}, "positive"),
    ],
)
def test_preprocessing_that_cannot_be_right(given, words, network, tmp_path):
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match=words):
        load(tmp_path / "w.safetensors", **given)


# --- files that are refused --------------------------------------------------------------------------------------


class Evil:
    def __reduce__(self):
        return (print, ("the file was run",))


def test_nothing_in_a_file_is_run(network, tmp_path, capsys):
    torch.save(network, tmp_path / "whole.pth")
    torch.save({"state_dict": network.state_dict(), "hook": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Evil()))
    torch.save(network, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("whole.pth", "evil.pth", "plain.pkl", "old.pth"):
        with pytest.raises(ModelError, match=name) as error:
            load(tmp_path / name)
        assert "torch.save(" in str(error.value)
        assert "\n" not in str(error.value)
    assert "the file was run" not in capsys.readouterr().out


def test_torchscript_is_refused(tmp_path):
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "script.pt")
    with pytest.raises(ModelError, match="TorchScript"):
        load(tmp_path / "script.pt")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("e.pth", b"", "empty"),
        ("l.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("h.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 99, "Keras"),
        ("t.txt", b"hello, these are not weights at all", "neither"),
        ("d.safetensors", b"\x10\0\0\0\0\0\0\0{" + b"\0" * 50, "damaged"),
        ("z.pth", b"PK\x03\x04" + b"\0" * 99, "damaged"),
        ("p.pth", b"\x80\x02" + b"\xff" * 99, "damaged|refused"),
    ],
)
def test_files_that_are_no_weights(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=words) as error:
        load(tmp_path / name)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(ModelError, match="not there"):
        load(tmp_path / "none.pth")
    with pytest.raises(ModelError, match="folder"):
        load(tmp_path)
    torch.save({"epoch": 3}, tmp_path / "nothing.pth")
    with pytest.raises(ModelError, match="no state dict but a dict of epoch"):
        load(tmp_path / "nothing.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ModelError, match="no state dict but list"):
        load(tmp_path / "list.pth")


# --- filling without initializing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arch",
    [
        "resnet18",
        "vit_tiny_patch16_224",
        "swin_tiny_patch4_window7_224",
        "convnext_atto",
        "efficientnet_b0",
        "maxvit_rmlp_pico_rw_256",
    ],
)
def test_filled_networks_answer_as_ordinary_ones(arch):
    torch.manual_seed(6)

    def build():
        return timm.create_model(arch, num_classes=5)

    ordinary = build().eval()
    filled = fill(build, {k: v.clone() for k, v in ordinary.state_dict().items()})
    x = torch.rand(1, 3, *ordinary.pretrained_cfg["input_size"][1:])
    with torch.no_grad():
        assert torch.equal(filled(x), ordinary(x))
    assert not any(t.is_meta for t in [*filled.parameters(), *filled.buffers()])
    assert [p.requires_grad for p in filled.parameters()] == [p.requires_grad for p in ordinary.parameters()]


def test_buffers_outside_the_state_dict_are_computed():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 2)
            self.register_buffer("shift", torch.arange(2.0), persistent=False)
            self.plain = [torch.ones(2)]

        def forward(self, x):
            return self.linear(x) + self.shift + self.plain[0]

    ordinary = Shifted()
    x = torch.rand(3, 2)
    assert torch.equal(fill(Shifted, ordinary.state_dict())(x), ordinary(x))


def test_constructors_that_fail_without_memory_are_run_as_usual():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(int(torch.tensor([2.0, 3.0]).sum().item()), 1)

    assert not next(outline(Counting).parameters()).is_meta
    ordinary = Counting()
    assert torch.equal(fill(Counting, ordinary.state_dict()).linear.weight, ordinary.linear.weight)


def test_counters_of_batches_may_lack(network, tmp_path):
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    save_file(state, tmp_path / "w.safetensors")
    model = load(tmp_path / "w.safetensors")
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.network(x), network(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32_and_it_is_said(dtype, network, tmp_path):
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in network.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    model = load(tmp_path / "w.safetensors")
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}
    assert any(str(dtype).removeprefix("torch.") in n for n in model.notes)
    assert torch.equal(model.network.conv_stem.weight, state["conv_stem.weight"].float())


def test_changing_a_loaded_network_leaves_the_file_alone(network, tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(network.state_dict(), path)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    for file in (path, tmp_path / "w.pth"):
        before = file.read_bytes()
        model = load(file)
        with torch.no_grad():
            for p in model.network.parameters():
                p.mul_(0)
        assert file.read_bytes() == before
        assert load(file).fingerprint == fingerprint(network)


def test_reading_is_done_once(network, tmp_path, monkeypatch):
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    calls = []
    monkeypatch.setattr(nn.init, "normal_", lambda t, *_a, **_k: calls.append(t) or t)
    load(tmp_path / "w.safetensors")
    assert all(t.is_meta for t in calls)
    assert weights.read(tmp_path / "w.safetensors").state.keys() == network.state_dict().keys()
