"""Incremental occlusion gives what the plain evaluation gives, at every border, and says where it cannot."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F  # noqa: N812
import torchvision
from torch import Tensor, nn

import whylook
from test_real import NETWORKS, network
from toys import NAMES, batch, build
from whylook.engine import incremental
from whylook.engine.incremental import occluded
from whylook.engine.incremental.patched import Patched

Network = Callable[[Tensor], Tensor]


def boxes(size: tuple[int, int], window: int, stride: int) -> list[tuple[slice, slice]]:
    """Windows from 0 on, the last ones cut off at the border."""
    starts = [range(0, n - window + stride, stride) for n in size]
    return [
        (slice(y, min(y + window, size[0])), slice(x, min(x + window, size[1]))) for y, x in itertools.product(*starts)
    ]


def plainly(net: Network, x: Tensor, filled: Tensor, where: list[tuple[slice, slice]]) -> Tensor:
    pictures = x.repeat(1 + len(where), 1, 1, 1)
    for row, (down, across) in zip(pictures[1:], where, strict=True):
        row[:, down, across] = filled[0, :, down, across]
    return torch.cat([net(p) for p in torch.split(pictures, 16)])


@torch.no_grad()
def compare(net: Network, x: Tensor, window: int, stride: int, tolerance: float) -> None:
    filled = torch.randn(x.shape, generator=torch.Generator().manual_seed(8)).to(x)
    where = boxes((x.shape[2], x.shape[3]), window, stride)
    quick = occluded(net, x, filled, where)
    assert quick is not None
    plain = plainly(net, x, filled, where)
    assert float((quick - plain).abs().max() / plain.abs().max()) < tolerance
    assert not torch.allclose(
        plain[1:], plain[:1].expand_as(plain[1:]), rtol=1e-5, atol=0
    )  # the boxes do change something


@pytest.mark.parametrize("toy_name", NAMES)
@pytest.mark.parametrize(("window", "stride"), [(1, 1), (3, 2), (4, 4), (7, 3)])
def test_every_position_of_every_toy(toy_name: str, window: int, stride: int) -> None:
    toy = build(toy_name)
    compare(toy, batch(toy, 1), window, stride, 1e-12)


class Everything(nn.Module):
    """Operations with a rule, each with what makes it hard at a border."""

    def __init__(self, pool: nn.Module, inner: nn.Module) -> None:
        super().__init__()
        self.stem, self.pool, self.inner = nn.Conv2d(3, 4, 3), pool, inner
        self.head = nn.Sequential(
            nn.Conv2d(4, 4, 1), nn.Hardswish(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.inner(self.pool(F.relu(self.stem(x)))))


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (
            nn.Conv2d(4, 2, 1),
            nn.Conv2d(4, 2, 5, padding=2),
            nn.Conv2d(4, 4, (1, 3), padding=(0, 1)),
        )
        self.scale = nn.Parameter(torch.tensor([0.5, 2.0, -1.0, 1.0])[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.a(x), self.b(x).tanh()], 1)
        both += self.c(x)
        return (1 - both * self.scale) / 2 + F.pad(x, (1, 0, 0, 2))[:, :, 2:, 1:]


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3), keepdim=True)).sigmoid()


class Aliases(nn.Module):
    """What is written through a view, and in place, is seen by everybody who holds the tensor."""

    def forward(self, x: Tensor) -> Tensor:
        y = x * 1.0
        z = y
        z.mul_(2.0)
        y[:, 1:3].relu_()
        return z + y.clamp_(-1, 1)


POOLS = {
    "none": nn.Identity(),
    "max": nn.MaxPool2d(3, 2, padding=1),
    "max-ceil": nn.MaxPool2d(3, 2, ceil_mode=True),
    "max-dilated": nn.MaxPool2d(2, 1, dilation=2),
    "avg": nn.AvgPool2d(3, 2, padding=1),
    "avg-uncounted": nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
    "avg-ceil": nn.AvgPool2d(2, 2, ceil_mode=True),
}
INNER = {
    "branches": Branches,
    "gate": Gate,
    "aliases": Aliases,
    "same": lambda: nn.Conv2d(4, 4, 4, padding="same"),
    "dilated": lambda: nn.Conv2d(4, 4, 3, padding=3, dilation=2, groups=2),
    "strided": lambda: nn.Conv2d(4, 4, 2, stride=3, padding=1),
    "skipping": lambda: nn.Conv2d(4, 4, 1, stride=2),
    "reflecting": lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
    "transposed": lambda: nn.ConvTranspose2d(4, 4, 2, stride=2),
    "group-norm": lambda: nn.GroupNorm(2, 4),
    "batch-norm": lambda: nn.BatchNorm2d(4),
    "upsampled": lambda: nn.Upsample(scale_factor=2),
}


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("inner", INNER)
def test_operations_with_and_without_a_rule(pool: str, inner: str) -> None:
    torch.manual_seed(4)
    net = Everything(POOLS[pool], INNER[inner]()).double().eval()
    compare(net, torch.randn(1, 3, 21, 17, dtype=torch.float64), 3, 2, 1e-12)


def random_weights(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "vgg16":
        vgg = torchvision.models.vgg
        net = nn.Sequential(vgg.make_layers(vgg.cfgs["D"]), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    else:
        net = timm.create_model(name, num_classes=10, **({"img_size": 80} if name.startswith("vit") else {}))
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.normal_(m.running_mean, 0, 0.1)
            nn.init.uniform_(m.running_var, 0.5, 2)
    return net.eval()


@pytest.mark.parametrize(
    "name",
    [
        "vgg16",
        "resnet50",
        "mobilenetv2_100",
        "densenet121",
        "inception_v3",
        "efficientnet_b0",
        "convnext_atto",
        "vit_tiny_patch16_224",
    ],
)
def test_known_networks(name: str) -> None:
    net = random_weights(name)
    size = {"inception_v3": 80, "vit_tiny_patch16_224": 80}.get(name, 64)  # the smallest that they take, or less
    compare(net, torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1)), size // 4, size // 4, 5e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_real_networks(name: str, real: Path) -> None:
    model = network(name, real)
    x = model.preprocess.apply(whylook.load_image(real / "photos" / "macaw.jpg"))[None]
    compare(model.network, x, 40, 46, 5e-6)


def test_only_what_a_patch_can_reach_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    class Watch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            sizes.append(tuple(x.crops.shape[2:]) if isinstance(x, Patched) and x.dense is None else tuple(x.shape[2:]))
            return x

    blocks = [
        nn.Conv2d(3, 2, 3, padding=1),
        nn.MaxPool2d(2),
        nn.Conv2d(2, 2, 3, padding=1),
        nn.Conv2d(2, 2, 3, padding=1),
    ]
    net = nn.Sequential(
        *itertools.chain(*((b, Watch()) for b in blocks)), nn.Flatten(), nn.Linear(2 * 16 * 16, 2)
    ).eval()
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert occluded(net, x, x * 0, boxes((32, 32), 4, 4)) is not None
    # 4 and a border of 1 make 6; halved at any alignment 4 (of 3 or 4); each further convolution adds 2.
    assert sizes[:4] == [(6, 6), (4, 4), (6, 6), (8, 8)]


def test_what_is_not_understood_is_left_to_the_plain_evaluation() -> None:
    x = torch.randn(1, 3, 16, 16)
    where = boxes((16, 16), 4, 4)
    conv = nn.Conv2d(3, 2, 3)

    def reads_values(v: Tensor) -> Tensor:
        return torch.from_numpy(v.numpy()).mean((2, 3))

    def of_the_batch(v: Tensor) -> Tensor:
        made = conv(v)
        return (made - made.mean(0)).mean((2, 3))

    def random(v: Tensor) -> Tensor:
        return F.dropout(conv(v), 0.5, True).mean((2, 3))

    with torch.no_grad():
        for network in (reads_values, of_the_batch, random):
            assert occluded(network, x, x * 0, where) is None
        assert occluded(conv, x[0], x[0], where) is None  # another rank
        assert occluded(lambda v: conv(v).mean((2, 3)), x, x * 0, where[: incremental.FEWEST - 1]) is None
        assert occluded(lambda v: conv(v).mean((2, 3)), x, x * 0, where) is not None


@pytest.mark.parametrize("toy_name", ["batch-norm", "in-place", "one-logit"])
def test_the_map_is_that_of_the_plain_evaluation(toy_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = build(toy_name)
    x = batch(toy)
    score = "probability" if toy.classes > 2 else "logit"
    quick = whylook.attribute(toy, x, "occlusion", 1, window=3, stride=2, score=score)
    asked = []
    monkeypatch.setattr(incremental, "occluded", lambda *a: asked.append(a))
    plain = whylook.attribute(toy, x, "occlusion", 1, window=3, stride=2, score=score)
    assert len(asked) == 2
    torch.testing.assert_close(quick, plain, rtol=1e-9, atol=1e-12)


class LikePools(nn.Module):
    """Pools of one map whose arguments, written one behind the other, are the same numbers."""

    def forward(self, x: Tensor) -> Tensor:
        far, near = F.max_pool2d(x, 4, padding=2), F.max_pool2d(x, 4, stride=2)
        wide, close = F.avg_pool2d(x, 4, padding=2), F.avg_pool2d(x, 4, stride=2)
        return far.mean((2, 3)) + near.mean((2, 3)) + 2 * wide[:, :, 1:, 1:].mean((2, 3)) + close[:, :, 1:].mean((2, 3))


class Detached(nn.Module):
    """Changes its map in place through another name of it."""

    def forward(self, x: Tensor) -> Tensor:
        x = x * 2
        other = x.detach()
        other.relu_()
        return (x + other.data.mul_(0.5)).mean((2, 3))


class Kept(nn.Module):
    """Keeps a copy of a map that changes everywhere, and then adds to the map what no rule knows."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, x.new_ones(3, 3, 3, 3), padding=1)
        x = x + x.flip(3) * 0 + F.pad(x, (0, 0, 0, 0))
        kept = x.clone()
        x.add_(torch.linspace(0, 1, x.shape[3], dtype=x.dtype))
        return (x * kept).mean((2, 3))


@pytest.mark.parametrize("network", [LikePools(), Detached(), Kept()])
@pytest.mark.parametrize(("window", "stride"), [(1, 1), (3, 2), (12, 1)])
def test_nothing_is_mistaken_where_nobody_compares(
    network: nn.Module, window: int, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incremental, "_agrees", lambda *_: True)
    x = torch.randn(1, 3, 16, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    compare(network, x, window, stride, 1e-12)


def test_in_double_precision_a_small_error_is_noticed() -> None:
    class Nearly(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((2, 3)) * (1 + 1e-6 * isinstance(x, Patched))

    x = torch.randn(1, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert occluded(Nearly(), x, torch.zeros_like(x), boxes((16, 16), 2, 2)) is None
