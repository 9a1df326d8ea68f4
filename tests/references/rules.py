"""Methods with rules of their own: each toy as dense matrices, relevance carried as relevance (the engine: as multipliers)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from references.attention import attend
from references.common import REFERENCES, excuses, refuses, replicates
from toys import Block, BlockHead, ChannelsLast, ClassAttention, Embed, Functional, MeanHead, Residual, Toy

Vector = np.ndarray
RECTIFIERS = (nn.ReLU, nn.ReLU6)


@dataclass
class Step:
    """`conv`, `fc` (with a bias), `shape` (linear without), `act`, `norm` (linear at the input it has), or `sum`."""

    kind: str
    f: Callable[[Tensor], Tensor] = torch.clone
    branch: list[Step] = field(default_factory=list)
    lasting: bool = True  # whether its matrix is the same for every input
    known: tuple[Vector, Vector] | None = None
    x: Tensor | None = None  # what it was given, and gave, last
    y: Tensor | None = None

    def matrix(self) -> tuple[Vector, Vector]:
        """W [out, in] and b [out]; of a norm, its linearization with the spread held constant."""
        if self.known is None or self.kind == "norm" or not self.lasting:
            n = self.x.numel()
            f = self.frozen() if self.kind == "norm" else self.f
            basis = torch.cat([torch.zeros(1, n), torch.eye(n)]).double().reshape(n + 1, *self.x.shape[1:])
            with torch.no_grad():
                out = f(basis).reshape(n + 1, -1).numpy()
            self.known = (out[1:] - out[0]).T, out[0]
        return self.known

    def frozen(self) -> Callable[[Tensor], Tensor]:
        spread = (self.x.var(-1, correction=0, keepdim=True) + self.f.eps).sqrt()
        return lambda t: (t - t.mean(-1, keepdim=True)) / spread * self.f.weight + self.f.bias

    def slope(self) -> Vector:
        x = self.x.clone().requires_grad_()
        return torch.autograd.grad(self.f(x.clone()).sum(), x)[0].numpy().ravel()


def steps_of(module: nn.Module) -> list[Step]:
    if isinstance(module, nn.Sequential):
        out: list[Step] = []
        for child in module:
            if isinstance(child, nn.BatchNorm2d):  # one layer with the convolution before it
                before = out.pop().f
                out.append(Step("conv", lambda t, conv=before, norm=child: norm(conv(t))))
            else:
                out += steps_of(child)
        return out
    if isinstance(module, Residual):
        act = Step("act", nn.ReLU())
        inner = [Step("conv", module.a), act, Step("conv", module.b)]
        return [Step("conv", module.stem), Step("act", nn.ReLU()), Step("sum", branch=inner), Step("act", nn.ReLU())]
    if isinstance(module, Functional):
        return [Step("conv", module.a), Step("act", nn.ReLU()), Step("conv", module.b), Step("act", nn.ReLU())]
    if isinstance(module, ChannelsLast):
        return [Step("conv", module.conv), Step("shape", lambda t: t.permute(0, 2, 3, 1)), Step("norm", module.norm),
                Step("fc", module.mix), Step("act", nn.GELU())]  # fmt: skip
    if isinstance(module, MeanHead):
        return [Step("shape", lambda t: t.mean(module.dims)), Step("fc", module.fc)]
    if isinstance(module, Embed):
        tokens = lambda t: torch.cat([module.cls.detach().expand(len(t), -1, -1), t.flatten(2).transpose(1, 2)], 1)  # noqa: E731
        return [Step("conv", module.patch), Step("shape", tokens), Step("norm", module.norm)]
    if isinstance(module, ClassAttention):
        attention = attention_steps(module.attention, module.attention.out_proj)
        return [Step("sum", branch=attention), Step("norm", module.norm), Step("shape", lambda t: t[:, 0]),
                Step("fc", module.fc)]  # fmt: skip
    if isinstance(module, Block):
        inner = [Step("fc", module.fc1), Step("act", nn.GELU()), Step("fc", module.fc2)]
        return [Step("sum", branch=attention_steps(module.qkv, module.proj)), Step("norm", module.norm1),
                Step("sum", branch=inner), Step("norm", module.norm2)]  # fmt: skip
    if isinstance(module, BlockHead):
        return [*steps_of(module.block), Step("shape", lambda t: t[:, 0]), Step("fc", module.fc)]
    if isinstance(module, nn.Linear):
        return [Step("fc", module)]
    if isinstance(module, nn.Conv2d):
        return [Step("conv", module)]
    if isinstance(module, nn.AdaptiveAvgPool2d | nn.Flatten):
        return [Step("shape", module)]
    return [Step("act", type(module)())]


def attention_steps(inside: nn.Linear | nn.MultiheadAttention, after: nn.Linear) -> list[Step]:
    """Two heads whose weights are those that the input at hand gives, and constant."""
    weight, bias = (
        (inside.weight, inside.bias) if isinstance(inside, nn.Linear) else (inside.in_proj_weight, inside.in_proj_bias)
    )
    values, now = nn.Linear(8, 8).double(), {}
    with torch.no_grad():
        values.weight.copy_(weight[16:])
        values.bias.copy_(bias[16:])

    def look(x: Tensor) -> Tensor:
        with torch.no_grad():
            now["weights"] = attend(x[0], weight, bias, torch.zeros(2, 1, 1))[1]
        return x

    def mix(v: Tensor) -> Tensor:
        return (now["weights"] @ v.unflatten(2, (2, 4)).transpose(1, 2)).transpose(1, 2).flatten(2)

    return [Step("look", look), Step("fc", values), Step("shape", mix, lasting=False), Step("fc", after)]


def program(toy: Toy) -> list[Step]:
    if "_program" not in vars(toy):
        vars(toy)["_program"] = steps_of(toy.features) + steps_of(toy.head)
    return vars(toy)["_program"]


def forward(steps: list[Step], x: Tensor) -> Tensor:
    for s in steps:
        s.x = x.clone()
        with torch.no_grad():
            x = x + forward(s.branch, x) if s.kind == "sum" else s.f(x.clone())
        s.y = x
    return x


def begin(toy: Toy, x: Tensor, target: int) -> tuple[list[Step], Vector, Vector]:
    """The program, run; the logits' values and the direction (one-hot, or a sign) of what is explained."""
    steps = program(toy)
    z = forward(steps, x)[0].numpy()
    direction = np.zeros_like(z)
    direction[0 if toy.classes == 2 else target] = -1 if toy.classes == 2 and target == 0 else 1
    return steps, z, direction


def divided(a: Vector, b: Vector) -> Vector:
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)


def shared(R: Vector, parts: Vector, bias: Vector | float = 0.0) -> Vector:
    """Relevance R [out] shared out by `parts` [out, in], beside what a bias takes."""
    return parts.T @ divided(R, parts.sum(1) + bias)


def layer_rule(name: str, R: Vector, x: Vector, W: Vector, b: Vector, epsilon: float, gamma: float) -> Vector:
    parts = W * x
    z = parts.sum(1) + b
    if name == "epsilon":
        return parts.T @ divided(R, z + epsilon * np.where(z >= 0, 1, -1))
    up, down = np.maximum(parts, 0), np.minimum(parts, 0)
    adds, takes = np.maximum(b, 0), np.minimum(b, 0)
    if name == "gamma":
        up, adds = up * (1 + gamma), adds * (1 + gamma)
        high = shared(np.where(z > 0, R, 0), up + np.minimum(parts, 0), adds + takes)
        down, takes = down * (1 + gamma), takes * (1 + gamma)
        return high + shared(np.where(z < 0, R, 0), np.maximum(parts, 0) + down, np.maximum(b, 0) + takes)
    alpha = 2.0 if name == "alpha-beta" else 1.0
    empty_up, empty_down = up.sum(1) + adds == 0, down.sum(1) + takes == 0
    up_share = np.where(empty_down, 1.0, alpha) * R
    down_share = np.where(empty_up, 1.0, 1 - alpha) * R
    return shared(up_share, up, adds) + shared(down_share, down, takes)


def relevance(steps: list[Step], R: Vector, composite: str, first: bool, epsilon: float, gamma: float) -> Vector:
    for i, s in reversed(list(enumerate(steps))):
        x, y = s.x.numpy().ravel(), s.y.numpy().ravel()
        at_input = first and not any(t.kind in ("conv", "fc", "sum") for t in steps[:i])
        if s.kind == "sum":
            inner = s.branch[-1].y.numpy().ravel()
            own = relevance(s.branch, divided(R * inner, y), composite, False, epsilon, gamma)
            R = own + divided(R * x, y)
        elif s.kind in ("shape", "norm"):
            R = (s.matrix()[0] * x).T @ divided(R, y)
        elif s.kind in ("conv", "fc"):
            rule = {"zero": "epsilon", "epsilon": "epsilon", "epsilon-plus": "plus", "alpha-beta": "alpha-beta",
                    "epsilon-gamma-box": "box" if at_input else "gamma"}[composite]  # fmt: skip
            W, b = s.matrix()
            if rule == "box" and s.kind == "conv":
                low, high = (f(s.x, s.f) for f in BOX)
                parts = W * x - np.maximum(W, 0) * low - np.minimum(W, 0) * high
                R = shared(R, parts)
            else:
                R = layer_rule("epsilon" if s.kind == "fc" else rule, R, x, W, b,
                               0.0 if composite == "zero" else epsilon, gamma)  # fmt: skip
    return R


BOX = (lambda x, f: float(x.min()), lambda x, f: float(x.max()))


def lrp(
    toy: Toy, x: Tensor, target: int, composite: str = "epsilon-plus", epsilon: float = 1e-6, gamma: float = 0.25
) -> Vector:
    steps, z, direction = begin(toy, x, target)
    return relevance(steps, z * direction, composite, True, epsilon, gamma).reshape(x.shape[1:])


replicates("lrp")(lrp)


@replicates("excitation-backprop")
def _(toy: Toy, x: Tensor, target: int) -> Vector:
    def walk(steps: list[Step], P: Vector) -> Vector:
        for s in reversed(steps):
            here, out = s.x.numpy().ravel(), s.y.numpy().ravel()
            if s.kind == "sum":
                inner = s.branch[-1].y.numpy().ravel()
                own = [np.where(v * out > 0, v, 0) for v in (here, inner)]
                P = divided(P * own[0], sum(own)) + walk(s.branch, divided(P * own[1], sum(own)))
            elif s.kind == "shape":
                P = shared(P, s.matrix()[0] * here)  # behind a rectifier: nothing is negative
            elif s.kind in ("conv", "fc"):
                P = shared(P, np.maximum(s.matrix()[0] * here, 0))
        return P

    steps, _, direction = begin(toy, x, target)
    return walk(steps, direction).reshape(x.shape[1:])


@replicates("deeplift")
def _(toy: Toy, x: Tensor, target: int) -> Vector:
    steps, _, direction = begin(toy, torch.zeros_like(x), target)

    def keep(steps: list[Step]) -> list[object]:
        return [(s.x, s.y, keep(s.branch)) for s in steps]

    baseline = keep(steps)
    begin(toy, x, target)

    def back(steps: list[Step], base: list[object], m: Vector) -> Vector:
        for s, (x0, y0, inner) in reversed(list(zip(steps, base, strict=True))):
            if s.kind == "act":
                m = m * divided((s.y - y0).numpy().ravel(), (s.x - x0).numpy().ravel())
            elif s.kind == "sum":
                m = m + back(s.branch, inner, m)
            else:
                m = s.matrix()[0].T @ m
        return m

    return (x.numpy().ravel() * back(steps, baseline, direction)).reshape(x.shape[1:])


@replicates("fullgrad")
def _(toy: Toy, x: Tensor, target: int) -> Vector:
    steps, _, direction = begin(toy, x, target)
    out = np.zeros(x.shape[2:])

    def add(values: Vector, like: Tensor) -> None:
        nonlocal out
        if like.ndim == 2:
            out += values.sum() / out.size
            return
        grid = values.reshape(like.shape[1:]).sum(0)
        k = [a // b for a, b in zip(out.shape, grid.shape, strict=True)]
        out += np.kron(grid, np.ones(k)) / np.prod(k)

    def back(steps: list[Step], g: Vector) -> Vector:
        for s in reversed(steps):
            if s.kind == "act":
                add(g * (s.y.numpy().ravel() - s.slope() * s.x.numpy().ravel()), s.y)
                g = g * s.slope()
            elif s.kind == "sum":
                g = g + back(s.branch, g)
            else:
                W, b = s.matrix()
                add(g * b, s.y)
                g = W.T @ g
        return g

    g = back(steps, direction)
    return out + (x.numpy().ravel() * g).reshape(x.shape[1:]).sum(0)


def through_rectifiers(toy: Toy, x: Tensor, target: int, rule: Callable[[Vector, Vector], Vector]) -> Vector:
    def back(steps: list[Step], g: Vector) -> Vector:
        for s in reversed(steps):
            if s.kind == "act":
                g = rule(g, s.slope())
            elif s.kind == "sum":
                g = g + back(s.branch, g)
            else:
                g = s.matrix()[0].T @ g
        return g

    steps, _, direction = begin(toy, x, target)
    return back(steps, direction).reshape(x.shape[1:])


@replicates("guided-backprop")
def guided(toy: Toy, x: Tensor, target: int) -> Vector:
    return through_rectifiers(toy, x, target, lambda g, slope: np.maximum(g, 0) * slope)


@replicates("deconvnet")
def _(toy: Toy, x: Tensor, target: int) -> Vector:
    return through_rectifiers(toy, x, target, lambda g, slope: np.maximum(g, 0))


@replicates("guided-grad-cam")
def _(toy: Toy, x: Tensor, target: int) -> Vector:
    cam = REFERENCES["grad-cam"](toy, x, target)
    large = np.zeros(x.shape[2:])
    for i, j in np.ndindex(*large.shape):  # bilinear between cell centers, held constant beyond the outermost
        at = [(p + 0.5) * c / s - 0.5 for p, c, s in zip((i, j), cam.shape, large.shape, strict=True)]
        at = [min(max(a, 0), c - 1) for a, c in zip(at, cam.shape, strict=True)]
        low = [int(a) for a in at]
        high = [min(a + 1, c - 1) for a, c in zip(low, cam.shape, strict=True)]
        f = [a - b for a, b in zip(at, low, strict=True)]
        large[i, j] = ((cam[low[0], low[1]] * (1 - f[1]) + cam[low[0], high[1]] * f[1]) * (1 - f[0])
                       + (cam[high[0], low[1]] * (1 - f[1]) + cam[high[0], high[1]] * f[1]) * f[0])  # fmt: skip
    return guided(toy, x, target) * large


for _name in ("guided-backprop", "deconvnet", "guided-grad-cam"):
    refuses(_name, ["silu"], "found 2 SiLU and 0 rectifiers")
    refuses(_name, ["gelu", "channels-last"], "GELU.* and 0 rectifiers")
    refuses(_name, ["tokens", "transformer"], "layer norm.* and 0 rectifiers")
for _name in ("deeplift", "fullgrad"):
    refuses(_name, ["channels-last"], "no rule for what this network computes: 1 layer norm")
    refuses(_name, ["tokens"], "2 layer norm and 1 attention")
    refuses(_name, ["transformer"], "5 layer norm and 2 attention")
refuses("excitation-backprop", ["silu"], "2 SiLU")
refuses("excitation-backprop", ["gelu", "channels-last"], "GELU")
refuses("excitation-backprop", ["tokens", "transformer"], "layer norm")
excuses("deconvnet", "flip", "without max pooling it does not depend on the picture at all")
excuses("fullgrad", "constant", "the logit is its last bias then, and the map is that, spread evenly")
