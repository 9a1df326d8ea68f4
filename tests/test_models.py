"""Loading models: dispatch, sources, offline behavior, labels, heads, fingerprints."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import timm
import timm.models
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

import whylook
from whylook.errors import ModelError, UsageError
from whylook.image import load_image
from whylook.models import SOURCES, load_model, weights
from whylook.models import labels as names
from whylook.models.model import Model
from whylook.models.timm import ALIASES
from whylook.models.weights import fingerprint
from whylook.preprocess import Preprocess

SMALL = "mobilenetv3_small_050"  # 1.6 M parameters
SMALL_TAG = "lamb_in1k"
FED = Preprocess((32, 32), resize_to=(36, 36), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def toy(outputs: int = 4, channels: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(5, outputs),
    )  # fmt: skip


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Empty caches, and a network that nobody may touch."""

    def refuse(*_args, **_kwargs):
        raise AssertionError("the network was touched")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tmp_path


def cached(hub: Path, repo: str, *files: tuple[str, bytes | dict]) -> Path:
    """A repository in the Hub's cache, laid out as huggingface_hub does it."""
    revision = "0123456789abcdef0123456789abcdef01234567"
    home = hub / f"models--{repo.replace('/', '--')}"
    snapshot = home / "snapshots" / revision
    for folder in (home / "refs", home / "blobs", snapshot):
        folder.mkdir(parents=True, exist_ok=True)
    (home / "refs" / "main").write_text(revision)
    for i, (name, content) in enumerate(files):
        blob = home / "blobs" / f"{i:064x}"
        if isinstance(content, bytes):
            blob.write_bytes(content)
        else:
            save_file(content, blob)
        (snapshot / name).symlink_to(os.path.relpath(blob, snapshot))
    return snapshot


# --- what there is -----------------------------------------------------------------------------------------------


def test_sources_are_listed_without_torch():
    code = (
        "import sys; from whylook.models import SOURCES; "
        "assert not {'torch', 'timm', 'torchvision', 'PIL'} & set(sys.modules), 'imported too much'; "
        "print(*[s.name for s in SOURCES])"
    )
    source = Path(__file__).resolve().parents[1] / "src"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(source)},
    )  # fmt: skip
    assert {"timm", "torchvision", "checkpoint", "toml", "factory", "module"} <= set(done.stdout.split())


def test_every_source_explains_itself():
    for source in SOURCES:
        assert source.title
        assert source.example
        assert source.summary.endswith(".")


def test_the_reference_models_are_what_timm_says():
    for name in ALIASES.values():
        config = timm.get_pretrained_cfg(name)
        assert config.hf_hub_id == f"timm/{name}"
        assert config.num_classes == 1000


# --- without a connection ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            "resnet50",
            ["resnet50.tv_in1k", "hf download timm/resnet50.tv_in1k", "--arch resnet50 --checkpoint", "phantom:"],
        ),
        ("mobilenet", ["hf download timm/mobilenetv1_100.ra4_e3600_r224_in1k", "--arch mobilenetv1_100"]),
        ("hf-hub:someone/something", ["hf download someone/something"]),
        ("torchvision:resnet18", ["resnet18-f37072fd.pth", "--arch torchvision:resnet18 --checkpoint", "phantom:"]),
    ],
)
def test_weights_that_are_not_there(spec, words, offline):
    started = time.perf_counter()
    with pytest.raises(ModelError) as error:
        load_model(spec)
    assert time.perf_counter() - started < 3
    for word in [*words, str(offline), "HF_HUB_OFFLINE is set"]:
        assert word in str(error.value)
    assert error.value.exit_code == 4


def test_a_network_that_swallows_everything_is_given_up_within_three_seconds(offline, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")

    def slow(*_args, **_kwargs):
        time.sleep(5)
        raise socket.gaierror("too late")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    started = time.perf_counter()
    with pytest.raises(ModelError, match=r"huggingface\.co does not answer"):
        load_model("resnet50")
    assert time.perf_counter() - started < 3


def test_a_dead_proxy_is_honored(offline, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.undo()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(offline / "hub"))
    for name in ("HF_HUB_OFFLINE", "NO_PROXY", "no_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
    with pytest.raises(ModelError, match="refused"):
        load_model("resnet50")


def test_an_endpoint_of_ones_own_is_asked(offline, monkeypatch):
    import http.server
    import threading

    monkeypatch.undo()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(offline / "hub"))
    asked = []

    class Missing(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Missing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        from whylook.models.online import obstacle

        for name in ("HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert obstacle(f"http://127.0.0.1:{server.server_port}/timm/x/resolve/main/model.safetensors") is None
        server.shutdown()
    assert asked == ["/timm/x/resolve/main/model.safetensors"]


def test_timm_weights_come_from_the_cache(offline):
    torch.manual_seed(1)
    network = timm.create_model(SMALL).eval()
    cached(offline / "hub", f"timm/{SMALL}.{SMALL_TAG}", ("model.safetensors", network.state_dict()))
    model = load_model(f"{SMALL}.{SMALL_TAG}")
    assert model.source == f"timm:{SMALL}.{SMALL_TAG}"
    assert (model.head, model.label(285), len(model.labels)) == ("softmax", "Egyptian cat", 1000)
    assert not model.network.training
    x = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(model.network(x), network(x))
    assert model.fingerprint == fingerprint(network) == load_model(f"timm:{SMALL}").fingerprint
    assert model.preprocess == Preprocess.from_timm(network)
    assert any("Trained at 224×224" in n for n in model.notes)
    assert any("without a tag" in n for n in load_model(SMALL).notes)


def test_an_alias_is_called_by_its_name_and_tells_its_training(offline):
    network = timm.create_model("mobilenetv1_100")
    cached(offline / "hub", f"timm/{ALIASES['mobilenet']}", ("model.safetensors", network.state_dict()))
    model = load_model("mobilenet")
    assert model.name == "mobilenet"
    assert model.source == f"timm:{ALIASES['mobilenet']}"
    said = " ".join(model.notes)
    assert "Trained at 224×224, recommended for tests at 256×256; fed at 224×224 here." in said
    assert "MobileNet-V4" in said
    assert "without a tag" not in said
    assert (model.preprocess.mean, model.preprocess.interpolation) == ((0.5, 0.5, 0.5), "bicubic")
    assert load_model("mobilenet", test_size=True).preprocess.input_size == (256, 256)
    gray = load_model("mobilenet", in_chans=1)
    assert (gray.preprocess.channels, gray.network.conv_stem.in_channels) == (1, 1)
    assert torch.allclose(gray.network.conv_stem.weight, network.conv_stem.weight.sum(1, keepdim=True), atol=1e-5)


def test_hub_repositories_and_local_folders(offline):
    torch.manual_seed(2)
    network = timm.create_model(SMALL, num_classes=3)
    timm.models.save_for_hf(network, offline / "saved", model_config={"label_names": ["a", "b", "c"]})
    config = (offline / "saved" / "config.json").read_bytes()
    cached(offline / "hub", "me/mine", ("config.json", config), ("model.safetensors", network.state_dict()))
    local = load_model(f"local-dir:{offline / 'saved'}")
    assert local.labels == ("a", "b", "c")
    for spec in ("hf-hub:me/mine", "hf:me/mine"):
        hub = load_model(spec)
        assert hub.fingerprint == local.fingerprint == fingerprint(network)
        assert hub.source == "hf-hub:me/mine"
    with pytest.raises(ModelError, match=r"config\.json"):
        load_model(f"local-dir:{offline}")
    with pytest.raises(ModelError, match="not there"):
        load_model("local-dir:/nowhere/at/all")


def test_torchvision_weights_come_from_the_cache(offline):
    torch.manual_seed(3)
    network = torchvision.models.squeezenet1_1().eval()
    folder = offline / "torch" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(network.state_dict(), folder / "squeezenet1_1-b8a52dc0.pth", _use_new_zipfile_serialization=False)
    model = load_model("torchvision:squeezenet1_1")
    x = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(model.network(x), network(x))
    entry = torchvision.models.SqueezeNet1_1_Weights.DEFAULT
    assert model.preprocess == Preprocess.from_torchvision(entry)
    assert model.label(0) == "tench"
    assert load_model("torchvision:squeezenet1_1.IMAGENET1K_V1").fingerprint == model.fingerprint


def test_networks_that_transform_their_input_keep_doing_so(offline):
    folder = offline / "torch" / "checkpoints"
    folder.mkdir(parents=True)
    entry = torchvision.models.GoogLeNet_Weights.DEFAULT
    torch.save(torchvision.models.googlenet(init_weights=False).state_dict(), folder / entry.url.rpartition("/")[2])
    assert load_model("torchvision:googlenet").network.transform_input


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("resnet5", "resnet50"),
        ("resnet50.tv3_in1k", r"resnet50\.tv_in1k"),
        ("torchvision:resnt18", "resnet18"),
        ("torchvision:resnet18.V9", "IMAGENET1K_V1"),
        ("torchvison:resnet18", "torchvision"),
        ("no_such_package:make", "cannot be imported"),
        ("json:dunps", "dumps"),
        ("weights.pth", "--arch NAME"),
        ("nothing.toml", "not there"),
    ],
)
def test_what_there_is_not(spec, words, offline):
    with pytest.raises((ModelError, UsageError), match=words):
        load_model(spec)


def test_options_that_a_source_does_not_take():
    with pytest.raises(UsageError, match="it takes"):
        load_model("torchvision:resnet18", img_size=300)
    with pytest.raises(UsageError, match="num_classes"):
        load_model("resnet50", num_classes=3)
    with pytest.raises(UsageError, match="no further options"):
        load_model(load_model(toy(), preprocess=FED), img_size=300)


# --- a network in memory -----------------------------------------------------------------------------------------


def test_a_module_with_a_preprocess():
    network = toy().train()
    model = load_model(network, preprocess=FED, labels=["a", "b", "c", "d"], name="mine")
    assert model.network is network
    assert not network.training
    assert (model.name, model.labels, model.head) == ("mine", ("a", "b", "c", "d"), "softmax")
    assert any("training mode" in n for n in model.notes)
    assert model.fingerprint == fingerprint(toy())
    assert load_model(model) is model
    assert load_model(model, name="other").name == "other"


@pytest.mark.parametrize(
    "preprocess",
    [
        {
            "input_size": (3, 32, 32), "crop_pct": 32 / 36, "interpolation": "bilinear",
            "mean": (0.5,) * 3, "std": (0.5,) * 3,
        },
        torchvision.transforms.Compose(
            [
                torchvision.transforms.Resize(36), torchvision.transforms.CenterCrop(32),
                torchvision.transforms.ToTensor(), torchvision.transforms.Normalize([0.5] * 3, [0.5] * 3),
            ]
        ),
    ],
    ids=["timm", "torchvision"],
)  # fmt: skip
def test_preprocessing_in_other_peoples_words(preprocess):
    image = load_image(np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8))
    model = load_model(toy(), preprocess=preprocess)
    assert torch.equal(model.preprocess.apply(image), FED.apply(image))


def test_a_module_without_a_preprocess_is_refused_unless_timm_made_it():
    with pytest.raises(UsageError, match="preprocess="):
        load_model(toy())
    model = load_model(timm.create_model(SMALL))
    assert model.preprocess.input_size == (224, 224)
    assert any("timm's pretrained config" in n for n in model.notes)
    other = load_model(model, preprocess=FED)
    assert other.preprocess is FED


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (nn.Identity(), "1×3×32×32"),
        (nn.LSTM(32, 4), "cannot be fed"),
        (nn.Sequential(nn.Flatten(), nn.Linear(7, 2)), "cannot be fed an input of 3×32×32"),
        (timm.create_model(SMALL, num_classes=0), "no classifier"),
    ],
)
def test_networks_that_are_no_classifiers(network, words):
    with pytest.raises(ModelError, match=words):
        load_model(network, preprocess=FED)


def test_heads():
    assert load_model(toy(1), preprocess=FED).head == "binary"
    assert load_model(toy(4), preprocess=FED, head="sigmoid").head == "sigmoid"
    assert load_model(toy(1), preprocess=FED, head="sigmoid").head == "binary"
    assert load_model(toy(1), preprocess=FED, labels=["ill"]).labels == ("not ill", "ill")
    for outputs, head in [(1, "softmax"), (4, "binary"), (4, "relu")]:
        with pytest.raises(UsageError, match="head="):
            load_model(toy(outputs), preprocess=FED, head=head)


def test_labels_must_be_as_many_as_classes(tmp_path):
    with pytest.raises(ModelError, match="3 names, but the model has 4"):
        load_model(toy(), preprocess=FED, labels=["a", "b", "c"])
    for name, text in {
        "a.txt": "a\nb\n\nc\nd\n", "b.json": '["a", "b", "c", "d"]',
        "c.json": '{"1": "b", "0": "a", "3": "d", "2": "c"}',
        "d.json": '{"0": ["n1", "a"], "1": ["n2", "b"], "2": ["n3", "c"], "3": ["n4", "d"]}',
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
        assert load_model(toy(), preprocess=FED, labels=tmp_path / name).labels == ("a", "b", "c", "d")
    for name, text, words in [
        ("e.json", '{"0": "a", "2": "b"}', "without gaps"), ("f.json", "[1", "JSON"), ("g.json", "7", "JSON"),
    ]:  # fmt: skip
        (tmp_path / name).write_text(text)
        with pytest.raises(ModelError, match=words):
            load_model(toy(), preprocess=FED, labels=str(tmp_path / name))
    with pytest.raises(ModelError, match="not there"):
        load_model(toy(), preprocess=FED, labels=str(tmp_path / "none.txt"))


def test_imagenet_names_are_unique():
    known = names.imagenet()
    assert len(set(known)) == 1000
    assert [known[i] for i in (0, 88, 285, 340)] == ["tench", "macaw", "Egyptian cat", "zebra"]


# --- factories ---------------------------------------------------------------------------------------------------


def test_a_factory_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "clinic_models.py").write_text(
        "from torch import nn\n"
        "def make(classes=2):\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))\n"
        "def number(): return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    fed = {"mean": "0.5,0.5,0.5", "std": (0.5, 0.5, 0.5), "input_size": 32}
    model = load_model("clinic_models:make", arch_options=["classes=5"], **fed)
    assert sys.path == path
    assert model.preprocess.input_size == (32, 32)
    assert model.name == "clinic_models:make"
    assert model.network[-1].out_features == 5
    assert any("assumed" in n for n in model.notes)
    with pytest.raises(ModelError, match="--mean, --std, --input-size"):
        load_model("clinic_models:make")
    with pytest.raises(ModelError, match="int"):
        load_model("clinic_models:number", **fed)
    with pytest.raises(UsageError, match="clases"):
        load_model("clinic_models:make", arch_options=["clases=5"], **fed)


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("fails_here:value", ModelError, "fails_here:value failed with ValueError: weights of 2019 are gone"),
        ("fails_here:types", ModelError, "fails_here:types failed with TypeError"),
        ("fails_here:silent", ModelError, "fails_here:silent failed with AssertionError;"),
        ("fails_here:ours", ModelError, "^The scanner is not known"),
        ("fails_here:needs", UsageError, "fails_here:needs cannot be called with no options: .*'size'"),
        ("fails_there:make", ModelError, "fails_there.*cannot be imported: ZeroDivisionError"),
    ],
)
@pytest.mark.parametrize("as_architecture", [False, True])
def test_what_fails_in_a_factory_is_told_as_its_own(spec, error, words, as_architecture, tmp_path, monkeypatch):
    (tmp_path / "fails_here.py").write_text(
        "from whylook.errors import ModelError\n"
        "def value(): raise ValueError('weights of 2019 are gone')\n"
        "def types(): return len(3)\n"
        "def silent(): raise AssertionError\n"
        "def ours(): raise ModelError('The scanner is not known.')\n"
        "def needs(size): return size\n"
    )
    (tmp_path / "fails_there.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    save_file({"weight": torch.zeros(2, 2)}, tmp_path / "w.safetensors")
    options = {"checkpoint": tmp_path / "w.safetensors"} if as_architecture else {}
    with pytest.raises(error, match=words):
        load_model(spec, **options)


# --- fingerprints ------------------------------------------------------------------------------------------------


def test_the_fingerprint_sees_every_byte_and_nothing_else(tmp_path):
    network = toy()
    first = fingerprint(network)
    assert re.fullmatch(r"[0-9a-f]{12}", first)
    assert fingerprint(toy().to(memory_format=torch.channels_last)) == first
    with torch.no_grad():
        network[-1].bias[3] = torch.nextafter(network[-1].bias[3], torch.tensor(9.0))
    assert fingerprint(network) != first
    assert fingerprint(toy().double()) != first
    big = nn.Linear(3000, 3000)  # 36 MB: three pieces
    before = fingerprint(big)
    with torch.no_grad():
        big.weight.view(-1)[5_000_000] += 1
    assert fingerprint(big) != before


def test_a_models_fingerprint_is_of_its_weights_now_and_an_explanations_of_those_that_made_it(monkeypatch):
    hashed = []
    monkeypatch.setattr(weights, "fingerprint", lambda network: hashed.append(network) or fingerprint(network))
    network = toy()
    model = load_model(network, preprocess=Preprocess((16, 16), mean=(0.0,) * 3, std=(1.0,) * 3))
    assert not hashed  # loading does not wait for it
    picture = whylook.load_image(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    result = whylook.explain(picture, model, "gradient")
    before = fingerprint(network)
    assert model.fingerprint == result.fingerprints["Sequential"] == before
    assert len(hashed) == 1
    with torch.no_grad():
        network[-1].bias += 1
    assert model.fingerprint == fingerprint(network) != before
    assert result.fingerprints["Sequential"] == before
    assert len(hashed) == 2


def test_a_model_toml(tmp_path):
    torch.manual_seed(4)
    network = timm.create_model(SMALL, num_classes=2, in_chans=1).eval()
    folder = tmp_path / "chest"
    folder.mkdir()
    save_file(network.state_dict(), folder / "weights.safetensors")
    (folder / "names.txt").write_text("healthy\nill\n")
    (folder / "model.toml").write_text(
        f'arch = "{SMALL}"\ncheckpoint = "weights.safetensors"\nnum_classes = 2\nin_chans = 1\nlabels = "names.txt"\n'
        "mean = [0.4]\nstd = [0.2]\ninput_size = 96\ncrop = 1.0\ninterpolation = 'bilinear'\nhead = 'sigmoid'\n"
    )
    model = load_model(folder / "model.toml")
    assert (model.name, model.labels, model.head) == ("chest", ("healthy", "ill"), "sigmoid")
    p = model.preprocess
    assert (p.input_size, p.resize_to, p.mean, p.channels) == ((96, 96), (96, 96), (0.4,), 1)
    x = torch.rand(1, 1, 96, 96)
    with torch.no_grad():
        assert torch.equal(model.network(x), network(x))
    for text, words in [
        ("arch = 'x'\n", "must say checkpoint"), ("checkpoin = 'y'\n", "did you mean checkpoint"), ("=", "read"),
    ]:  # fmt: skip
        (folder / "bad.toml").write_text(text)
        with pytest.raises(ModelError, match=words):
            load_model(str(folder / "bad.toml"))


# --- the real networks -------------------------------------------------------------------------------------------

MOBILENET_V1 = "timm.models.efficientnet:_gen_mobilenet_v1"
REAL = {
    "squeezenet1_1": ("torchvision:squeezenet1_1", []),
    "mobilenetv2_100_same": ("mobilenetv2_100", ["pad_type=same"]),
    "mobilenetv1_075_same": (MOBILENET_V1, ["variant=mobilenetv1_100", "channel_multiplier=0.75", "pad_type=same"]),
    "mobilenetv1_050_same": (MOBILENET_V1, ["variant=mobilenetv1_100", "channel_multiplier=0.5", "pad_type=same"]),
}


@pytest.mark.parametrize("name", REAL)
def test_real_networks_by_options_alone(name, real):
    arch, options = REAL[name]
    model = load_model(arch, checkpoint=real / "weights" / f"{name}.safetensors", arch_options=options)
    assert isinstance(model, Model)
    assert model.name == name
    rows = [re.split(r"\s*\|\s*", r)[1:3] for r in (real / "README.md").read_text().splitlines() if r.startswith("| ")]
    expected = {row[0]: [int(n) for n in re.findall(r"\d+", row[1])] for row in rows if row[0].endswith(".jpg")}
    assert len(expected) == 14
    wrong = {}
    for photo, right in expected.items():
        with torch.no_grad():
            logits = model.network(model.preprocess.apply(load_image(real / "photos" / photo))[None])
        top = int(logits.argmax())
        if top not in right:
            wrong[photo] = model.label(top)
    assert wrong == {}
    said = " ".join(model.notes)
    assert "from the file's metadata" in said
    assert "float16 are run as float32" in said
    assert json.loads(json.dumps(model.preprocess.as_dict()))["input_size"] == list(model.preprocess.input_size)
