"""A gradient that PyTorch gets wrong on CPUs for one picture at a time, and that ours do not."""

import pytest
import torch
from torch import Tensor, nn

from whylook import attribute

pytestmark = pytest.mark.filterwarnings("ignore:lrp. The relevance that reaches the input")


class Tokens(nn.Module):
    """Convolution, batch normalization, and tokens made of them: LeViT's and EfficientFormer's way."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 4, stride=4), norm, nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(self.conv(x)).flatten(2).transpose(1, 2)
        mixed = (tokens @ tokens.transpose(1, 2)).softmax(2) @ tokens  # whose gradient lies as tokens do
        return self.head(nn.functional.gelu(mixed).mean(1))


def network(norm: str) -> Tokens:
    torch.manual_seed(0)
    made = nn.BatchNorm2d(8) if norm == "batch" else nn.InstanceNorm2d(8, affine=True, track_running_stats=True)
    made.running_mean.normal_()
    made.running_var.uniform_(0.5, 2)
    made.weight.data.normal_()
    return Tokens(made).double().eval()


def slope(net: nn.Module, x: Tensor, way: Tensor) -> float:
    with torch.no_grad():
        return float((net(x + 1e-5 * way) - net(x - 1e-5 * way))[0, 1] / 2e-5)


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("method", ["input-x-gradient", "smoothgrad", "lrp"])
def test_one_row_has_the_gradient_it_has_among_others(norm: str, method: str) -> None:
    net, x = network(norm), torch.randn(2, 3, 16, 16, dtype=torch.float64)
    given = {"smoothgrad": {"samples": 1, "noise": 0.0}, "lrp": {"composite": "zero"}}.get(method, {})
    together = attribute(net, x, method, 1, **given)
    torch.testing.assert_close(attribute(net, x[:1], method, 1, **given), together[:1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_the_gradient_is_the_slope_of_the_score(norm: str) -> None:
    net, x, way = network(norm), *torch.randn(2, 1, 3, 16, 16, dtype=torch.float64)
    gradient = attribute(net, x, "smoothgrad", 1, samples=1, noise=0.0)
    assert float((gradient * way).sum()) == pytest.approx(slope(net, x, way), rel=1e-6)


def test_what_pytorch_does_by_itself() -> None:
    """Should it be mended there, ours can go."""
    net, x, way = network("batch"), *torch.randn(2, 1, 3, 16, 16, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    (theirs,) = torch.autograd.grad(net(leaf)[0, 1], leaf)
    if float((theirs * way).sum()) == pytest.approx(slope(net, x, way), rel=1e-6):
        pytest.skip(f"PyTorch {torch.__version__} has this gradient right")
    assert not torch.allclose(theirs, attribute(net, x, "smoothgrad", 1, samples=1, noise=0.0), rtol=0.1)
