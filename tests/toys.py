"""Small float64 networks with every habit that has broken somebody's attribution library.

Each is `head(features(x))`, so that a reference can take it apart without hooks.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class Toy(nn.Module):
    """`features` gives the CAM layer's activation, `head` the logits; `grid(A)` brings A to [n, c, h, w]."""

    shape = (3, 16, 16)
    classes = 5
    ask: str | None = None  # the layer to ask for, where the one found by itself is another

    def __init__(self, features: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.features, self.head = features, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def grid(self, activation: Tensor) -> Tensor:
        return activation


def gap(channels: int, classes: int = 5) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def convs(act: nn.Module, *, norm: bool = False) -> nn.Sequential:
    def block(i: int, o: int) -> list[nn.Module]:
        return [nn.Conv2d(i, o, 3, stride=2, padding=1), *([nn.BatchNorm2d(o)] if norm else []), act]

    return nn.Sequential(*block(3, 6), *block(6, 8))  # `act` is one object, used twice


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.a, self.b = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.stem(x))
        return self.act(self.b(self.act(self.a(x))) + x)


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.Conv2d(6, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.b(F.relu(self.a(x))))


class ChannelsLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.mix = nn.Conv2d(3, 9, 4, stride=4), nn.LayerNorm(9), nn.Linear(9, 9)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.mix(self.norm(self.conv(x).permute(0, 2, 3, 1))))


class NHWCToy(Toy):
    def grid(self, activation: Tensor) -> Tensor:
        return activation.permute(0, 3, 1, 2)


class MeanHead(nn.Module):
    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims, self.fc = dims, nn.Linear(9, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.mean(self.dims))


class Embed(nn.Module):
    """Patches, a class token (and registers) in front, one normalization: the tokens a last attention reads."""

    def __init__(self, prefix: int = 1) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, stride=4)
        self.cls = nn.Parameter(torch.randn(1, prefix, 8))
        self.norm = nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        return self.norm(torch.cat([self.cls.expand(len(x), -1, -1), tokens], 1))


class ClassAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm, self.fc = nn.LayerNorm(8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.attention(x, x, x, need_weights=False)
        return self.fc(self.norm(x + out)[:, 0])


class TokenToy(Toy):
    def grid(self, activation: Tensor) -> Tensor:
        return activation[:, 1:].transpose(1, 2).unflatten(2, (4, 4))


class Block(nn.Module):
    """Self-attention through the fused kernel and two linear layers, each added and normalized behind."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.fc1, self.fc2 = nn.Linear(8, 12), nn.Linear(12, 8)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = self.norm1(x + self.proj(out))
        return self.norm2(x + self.fc2(F.gelu(self.fc1(x))))


class BlockHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block, self.fc = Block(), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.block(x)[:, 0])


class RegisterToy(Toy):
    def grid(self, activation: Tensor) -> Tensor:
        return activation[:, 2:].transpose(1, 2).unflatten(2, (4, 4))


def build(name: str) -> Toy:
    """Make the toy called `name`, in float64, with weights fixed by the name."""
    torch.manual_seed(sum(map(ord, name)))
    flat = nn.Sequential(nn.Flatten(), nn.Linear(8 * 16, 12), nn.ReLU(inplace=True), nn.Linear(12, 5))
    made = {
        "plain": lambda: Toy(convs(nn.ReLU()), gap(8)),
        "residual": lambda: Toy(Residual(), gap(8)),
        "in-place": lambda: Toy(nn.Sequential(nn.ReLU(inplace=True), *convs(nn.ReLU(inplace=True))), gap(8)),
        "in-place-behind": lambda: Toy(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1)),
                                       nn.Sequential(nn.ReLU(inplace=True), *gap(8))),
        "reused-relu": lambda: Toy(Residual(), nn.Sequential(nn.AdaptiveAvgPool2d(4), *flat)),
        "functional": lambda: Toy(Functional(), gap(8)),
        "relu6": lambda: Toy(convs(nn.ReLU6(inplace=True)), gap(8)),
        "silu": lambda: Toy(convs(nn.SiLU(inplace=True)), gap(8)),
        "gelu": lambda: Toy(convs(nn.GELU()), gap(8)),
        "batch-norm": lambda: Toy(convs(nn.ReLU(inplace=True), norm=True), gap(8)),
        "channels-last": lambda: NHWCToy(ChannelsLast(), MeanHead((1, 2))),
        "tokens": lambda: TokenToy(Embed(), ClassAttention()),
        "transformer": lambda: RegisterToy(nn.Sequential(Embed(2), Block()), BlockHead()),
        "flatten-head": lambda: Toy(convs(nn.ReLU(inplace=True)), flat),
        "frozen": lambda: Toy(convs(nn.ReLU()), gap(8)).requires_grad_(False),
        "one-logit": lambda: Toy(convs(nn.ReLU()), gap(8, 1)),
    }  # fmt: skip
    toy = made[name]().double()
    if name == "in-place-behind":
        toy.ask = "features"
    if name == "one-logit":
        toy.classes = 2
    for module in toy.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return toy.eval()


NAMES = ("plain", "residual", "in-place", "in-place-behind", "reused-relu", "functional", "relu6", "silu", "gelu",
         "batch-norm", "channels-last", "tokens", "transformer", "flatten-head", "frozen", "one-logit")  # fmt: skip


def batch(toy: Toy, rows: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(rows, *toy.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
