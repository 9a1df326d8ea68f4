"""The network behind a layer: what it answers equals the whole network's answer with the layer's output replaced."""

import pytest
import torch
from torch import Tensor, nn

import whylook
from toys import NAMES, batch, build
from whylook.engine.guard import guarded
from whylook.engine.head import Head
from whylook.engine.layers import Layer, find_layer
from whylook.engine.targets import Score
from whylook.engine.trace import NotRunError


class Counting(nn.Module):
    """Notes how many rows pass."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.rows.append(len(x))
        return x


class Beside(nn.Module):
    """A layer with something that goes around it."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.count, self.how = Counting(), how
        self.before, self.layer, self.after = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(8 if how == "concatenated" else 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.shape[0]
        a = self.before(self.count(x)).relu()
        b = self.layer(a)
        if self.how == "concatenated":
            return self.fc(torch.cat([a, b.relu_()], 1).mean((2, 3)))
        if self.how == "added":
            return self.fc((a + b.relu_()).mean((2, 3)))
        if self.how == "gated":
            return self.fc((b * a.mean((2, 3), keepdim=True).sigmoid()).relu().mean((2, 3)))
        if self.how == "mixed":  # its shape is right for two rows of activations behind one of input, its answer is not
            b = b.reshape(rows, -1, *b.shape[1:])
            return self.fc((b - b.mean(1, keepdim=True)).reshape(-1, *b.shape[2:]).pow(2).relu().mean((2, 3)))
        if self.how == "twice":
            return self.fc(self.layer(b.relu()).relu_().mean((2, 3)))
        return self.fc(b.reshape(rows, 4, -1).tanh().mean(2))  # "viewed": the input's rows, asked before


def whole(network: nn.Module, layer: nn.Module, x: Tensor, activation: Tensor, call: int = 1) -> Tensor:
    """Logits of one row with the layer's output replaced in the plainest way."""
    calls = []

    def hook(*_: object) -> Tensor | None:
        calls.append(1)
        return activation.clone() if len(calls) == call else None

    handle = layer.register_forward_hook(hook)
    with torch.no_grad():
        logits = network(x)
    handle.remove()
    return logits


@pytest.mark.parametrize(
    ("how", "repeats"),
    [("added", False), ("gated", False), ("twice", False), ("concatenated", True), ("viewed", True), ("mixed", True)],
)
def test_what_goes_around_the_layer_is_kept(how: str, repeats: bool) -> None:
    torch.manual_seed(0)
    net = Beside(how).double().eval()
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    call = 2 if how == "twice" else 1
    with guarded(net, x.device):
        layer = Layer("layer", net.layer, "nchw", (6, 6))
        head = Head(net, (x,), layer, torch.tensor([[1, 3]]), Score())
        net.count.rows.clear()
        activations = torch.randn(3, 4, 6, 6, dtype=torch.float64)
        answers = head(activations.clone())
    assert net.count.rows[-1] == (3 if repeats else 1)  # the layers before are run on one row wherever that is right
    for i in range(3):
        expected = whole(net, net.layer, x, activations[i : i + 1], call)[0, [1, 3]]
        torch.testing.assert_close(answers[i], expected)


def test_the_layer_itself_is_not_run_to_be_replaced() -> None:
    count = Counting()
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(count, nn.ReLU()), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x = torch.randn(1, 3, 8, 8)
    before = dict(vars(net[1]))
    with guarded(net, x.device):
        head = Head(net, (x,), Layer("1", net[1], "nchw", (6, 6)), torch.tensor([[1]]), Score())
        head(torch.randn(5, 4, 6, 6))
        head.gradients(torch.randn(5, 4, 6, 6))
    assert count.rows == [1]  # once, to see what it puts out
    assert vars(net[1]).keys() == before.keys()
    own = net[1].forward
    net[1].forward = lambda v: own(v) * 2  # as some libraries wrap a module
    wrapped = net[1].forward
    with guarded(net, x.device):
        Head(net, (x,), Layer("1", net[1], "nchw", (6, 6)), torch.tensor([[1]]), Score())(torch.zeros(2, 4, 6, 6))
    assert net[1].forward is wrapped


@pytest.mark.parametrize("name", NAMES)
def test_the_head_is_the_toys_head(name: str) -> None:
    toy = build(name)
    x = batch(toy, 1)
    layer = find_layer(toy, (x,), toy.ask or "features")
    with guarded(toy, x.device):
        head = Head(toy, (x,), layer, torch.tensor([[0, 1]]), Score())
        A = toy.grid(toy.features(x.clone())).detach()
        torch.testing.assert_close(head.A, A)
        noise = torch.randn(2, *A.shape[1:], dtype=torch.float64)
        answers, slopes = head(noise.clone()), head.gradients(noise)
    like = toy.features(x.clone()).detach()
    for i in range(2):
        leaf = layer.raw(noise[i : i + 1], like).clone().requires_grad_()
        torch.testing.assert_close(toy.grid(leaf).detach(), noise[i : i + 1])
        z = toy.head(leaf.clone())
        z = torch.cat([-z, z], 1) if toy.classes == 2 else z
        torch.testing.assert_close(answers[i], z[0, :2].detach())
        for k in range(2):
            expected = torch.autograd.grad(z[0, k], leaf, retain_graph=True)[0]
            torch.testing.assert_close(slopes[k, i], toy.grid(expected)[0])


def test_a_backbone_under_no_grad_is_no_obstacle_behind_it() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features, self.fc = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU()), nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                f = self.features(x)
            return self.fc(f.mean((2, 3)))

    net, x = Net(), torch.randn(2, 3, 8, 8)
    expected = torch.einsum("nchw,c->nhw", net.features(x), net.fc.weight[1]).detach()
    torch.testing.assert_close(whylook.attribute(net, x, "cam", 1), expected)


def test_a_layer_that_is_skipped_is_said() -> None:
    class Sometimes(Beside):
        skip = False

        def forward(self, x: Tensor) -> Tensor:
            a = self.before(x).relu()
            return self.fc((a if self.skip else self.layer(a)).mean((2, 3)))

    net = Sometimes("sometimes")
    x = torch.randn(1, 3, 8, 8)
    layer = Layer("layer", net.layer, "nchw", (6, 6))
    with guarded(net, x.device):
        head = Head(net, (x,), layer, torch.tensor([[0]]), Score())
        net.skip = True
        with pytest.raises(NotRunError, match="run 0 times now, but 1 times before"):
            head(torch.zeros(1, 4, 6, 6))
        with pytest.raises(NotRunError, match="was not run this time"):
            Head(net, (x,), layer, torch.tensor([[0]]), Score())
