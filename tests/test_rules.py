"""Methods with rules of their own: identities, what is refused, and the peers as oracles where they are right."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import whylook
from references.common import REFUSED
from references.rules import guided, lrp
from toys import NAMES, Toy, batch, build, gap
from whylook.engine.rules.relevance import COMPOSITES

METHODS = ("guided-backprop", "deconvnet", "lrp", "excitation-backprop", "deeplift", "fullgrad")
RELU_TOYS = ("plain", "residual", "in-place", "reused-relu", "functional", "batch-norm", "flatten-head", "frozen")


def randomized(network: nn.Module, *, biases: bool = True) -> nn.Module:
    """In float64, with statistics and weights in which nothing is 0 or 1 by chance; without biases if asked."""
    for m in network.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.5, 2)
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias, 0, 0.1)
            if not biases:
                m.running_mean.zero_()
    if not biases:
        for name, p in network.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
    return network.double().eval()


def total(values: Tensor) -> Tensor:
    return values.flatten(1).sum(1)


# What the rules are


@pytest.mark.parametrize("name", RELU_TOYS)
def test_lrp_0_is_input_times_gradient_on_relu_networks(name: str) -> None:
    toy = build(name)
    x = batch(toy)
    product = whylook.attribute(toy, x, "input-x-gradient", 1)
    assert torch.equal(whylook.attribute(toy, x, "lrp", 1, composite="zero"), product)


@pytest.mark.parametrize("composite", [c for c in COMPOSITES if c != "epsilon-plus"])
@pytest.mark.parametrize("name", NAMES)
def test_every_composite_agrees_with_dense_matrices(name: str, composite: str) -> None:
    toy = build(name)
    x = batch(toy, 1)
    if name == "in-place" and composite == "epsilon-gamma-box":
        return  # its first layer stands behind a rectifier: the next test
    own = {} if composite == "zero" else {"epsilon": 1e-4}
    ours = whylook.attribute(toy, x, "lrp", 1, composite=composite, **own)
    theirs = torch.as_tensor(lrp(toy, x, 1, composite, **own))
    torch.testing.assert_close(ours[0], theirs, rtol=1e-6, atol=1e-12)


def test_the_box_is_prepared_by_the_network_like_the_input() -> None:
    class Prepared(nn.Module):  # as torchvision's Inception, and timm's padding
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(F.pad(x * 2 - 1, (1, 1, 1, 1), value=0.5))

    toy = build("plain")
    x = batch(toy).sigmoid()
    outer = whylook.attribute(Prepared(toy), x, "lrp", 1, composite="epsilon-gamma-box", low=0, high=1)
    padded = F.pad(x * 2 - 1, (1, 1, 1, 1), value=0.5)
    low, high = (F.pad(torch.full_like(x, v), (1, 1, 1, 1), value=0.5) for v in (-1.0, 1.0))
    inner = whylook.attribute(toy, padded, "lrp", 1, composite="epsilon-gamma-box", low=low, high=high)
    torch.testing.assert_close(outer, inner[:, :, 1:-1, 1:-1])
    assert inner[:, :, 0].abs().max() < 1e-15  # padding is what it is, lowest and highest alike


@pytest.mark.parametrize("composite", COMPOSITES)
def test_relevance_is_conserved_where_there_are_no_biases(composite: str) -> None:
    for name in ("residual", "batch-norm", "silu", "relu6", "channels-last", "transformer", "flatten-head"):
        toy = randomized(build(name), biases=False)
        for p in toy.parameters():
            if p.ndim == 3:
                nn.init.zeros_(p)  # a class token is a constant
        x = batch(toy)
        with torch.no_grad():
            logit = toy(x)[:, 2]
        values = whylook.attribute(toy, x, "lrp", 2, composite=composite, epsilon=0.0)
        torch.testing.assert_close(total(values), logit, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_deeplift_adds_up_to_the_difference_and_fullgrad_to_the_logit(name: str) -> None:
    toy = build(name)
    x, other = batch(toy, 3), batch(toy, 3, seed=5)
    if ("deeplift", name) in REFUSED:
        return
    with torch.no_grad():
        logits, against, at_zero = (toy(v)[:, -1] for v in (x, other, 0 * x))
    c = toy.classes - 1
    torch.testing.assert_close(total(whylook.attribute(toy, x, "deeplift", c)), logits - at_zero)
    torch.testing.assert_close(total(whylook.attribute(toy, x, "deeplift", c, baseline=other)), logits - against)
    several = whylook.attribute(toy, x, "deeplift", c, baseline=[0.0, other])
    torch.testing.assert_close(total(several), logits - (against + at_zero) / 2)
    torch.testing.assert_close(total(whylook.attribute(toy, x, "fullgrad", c)), logits)
    contrast = total(whylook.attribute(toy, x, "fullgrad", c, against=0))
    with torch.no_grad():
        expected = 2 * toy(x)[:, -1] if toy.classes == 2 else toy(x)[:, c] - toy(x)[:, 0]
    torch.testing.assert_close(contrast, expected)


def test_excitation_backprop_is_a_distribution() -> None:
    for name in ("plain", "residual", "reused-relu", "relu6", "batch-norm"):
        toy = build(name)
        p = whylook.attribute(toy, batch(toy), "excitation-backprop", 2)
        assert p.min() >= 0
        torch.testing.assert_close(total(p), torch.ones(2).double())
    contrast = whylook.attribute(toy, batch(toy), "excitation-backprop", 2, against=1)
    other = whylook.attribute(toy, batch(toy), "excitation-backprop", 1)
    torch.testing.assert_close(contrast, p - other)


def test_saturation_and_the_baseline_of_deeplift() -> None:
    # 1 - relu(1 - x) at x = 2: flat, yet all that the score is comes from x (Shrikumar 2017).
    class Saturated(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = 1 - torch.relu(1 - x)
            return torch.cat([y, -y], 1)

    x = torch.full((1, 1), 2.0).double()
    assert whylook.attribute(Saturated(), x, "input-x-gradient", 0).item() == 0
    assert whylook.attribute(Saturated(), x, "deeplift", 0).item() == 1
    assert whylook.attribute(Saturated(), x, "fullgrad", 0).item() == 1


def test_implementation_invariance_fails_for_deeplift_as_published() -> None:
    # Sundararajan 2017: the same function, relu(relu(a) - 1 - relu(b)), written in another way.
    class One(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            a, b = x[:, :1], x[:, 1:]
            y = torch.relu(torch.relu(a) - 1 - torch.relu(b))
            return torch.cat([y, -y], 1)

    class Two(One):
        def forward(self, x: Tensor) -> Tensor:
            a, b = x[:, :1], x[:, 1:]
            y = torch.relu(torch.relu(a - 1) - torch.relu(b))
            return torch.cat([y, -y], 1)

    x = torch.tensor([[3.0, 1.0]]).double()
    one, two = (whylook.attribute(n, x, "deeplift", 0)[0].tolist() for n in (One(), Two()))
    np.testing.assert_allclose(one, [1.5, -0.5])
    np.testing.assert_allclose(two, [2.0, -1.0])


def test_deconvnet_ignores_the_picture_where_nothing_pools() -> None:
    toy = build("plain")
    first, second = (whylook.attribute(toy, batch(toy, 1, seed=s), "deconvnet", 1) for s in (0, 1))
    assert torch.equal(first, second)
    first, second = (whylook.attribute(toy, batch(toy, 1, seed=s), "guided-backprop", 1) for s in (0, 1))
    assert not torch.allclose(first, second)


# Rectifiers, however they are written


class Written(nn.Module):
    def __init__(self, f: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.f, self.a, self.b = f, nn.Conv2d(3, 6, 3), nn.Linear(6 * 14 * 14, 5)

    def forward(self, x: Tensor) -> Tensor:
        z = self.a(x)
        return self.b(self.f(z).flatten(1))


def in_place_on_a_view(z: Tensor) -> Tensor:
    z.view(len(z), -1).relu_()
    return z


RELUS = {
    "module": nn.ReLU(),
    "in-place": nn.ReLU(inplace=True),
    "functional": F.relu,
    "functional-in-place": lambda z: F.relu(z, inplace=True),
    "underscore": F.relu_,
    "torch": torch.relu,
    "method": lambda z: z.relu(),
    "method-in-place": lambda z: z.relu_(),
    "view": in_place_on_a_view,
    "clamp": lambda z: z.clamp(min=0),
    "clamp-in-place": lambda z: z.clamp_(0),
    "clamp-min": lambda z: torch.clamp_min(z, 0),
    "threshold": nn.Threshold(0, 0),
    "hardtanh": nn.Hardtanh(0, 1e9),
    "leaky-zero": nn.LeakyReLU(0.0),
    "twice": lambda z: F.relu(F.relu(z)),
}


@pytest.mark.parametrize("way", RELUS)
def test_a_rectifier_is_one_however_it_is_written(way: str) -> None:
    x = batch(build("plain"))
    network, plain = Written(RELUS[way]).double(), Written(F.relu).double()
    for method in METHODS:
        expected = whylook.attribute(plain, x, method, 1)
        if method == "excitation-backprop" and way == "leaky-zero":
            continue  # leaky rectifiers can be negative, and it does not look how leaky
        torch.testing.assert_close(whylook.attribute(network, x, method, 1), expected, rtol=1e-10, atol=1e-13)
    gradient = torch.autograd.functional.jacobian(lambda v: plain(v)[:, 1].sum(), x)
    assert not torch.allclose(whylook.attribute(plain, x, "guided-backprop", 1), gradient)


def test_guided_backprop_of_relu6_passes_what_passed_and_is_positive() -> None:
    network = Written(nn.ReLU6()).double()
    x = 8 * batch(build("plain"), 1)
    z = network.a(x).detach()
    assert (z > 6).any()
    g = network.b.weight[1].reshape(z[0].shape)[None].clamp(min=0) * ((z > 0) & (z < 6))
    expected = torch.nn.grad.conv2d_input(x.shape, network.a.weight, g)
    torch.testing.assert_close(whylook.attribute(network, x, "guided-backprop", 1), expected)


def test_leaky_rectifiers_keep_their_slope_and_let_only_positive_signals_back() -> None:
    for f in (nn.LeakyReLU(0.1), nn.PReLU(6, 0.1), nn.RReLU(0.1, 0.1)):
        network = Written(f).double().eval()
        x = batch(build("plain"), 1)
        z = network.a(x).detach()
        slope = torch.where(z > 0, 1.0, 0.1)
        g = network.b.weight[1].reshape(z[0].shape)[None].clamp(min=0) * slope
        expected = torch.nn.grad.conv2d_input(x.shape, network.a.weight, g)
        torch.testing.assert_close(whylook.attribute(network, x, "guided-backprop", 1), expected)


@pytest.mark.parametrize(
    ("f", "found"),
    [
        (nn.SiLU(), "1 SiLU and 0 rectifiers"),
        (nn.Hardtanh(), "1 Hardtanh of"),
        (nn.Tanh(), "1 Tanh and 0 rectifiers"),
        (lambda z: torch.relu(F.silu(z)), "1 SiLU and 1 rectifiers"),
        (lambda z: z * (z > 0), "1 gt and 0 rectifiers"),
        (lambda z: torch.maximum(z, torch.zeros_like(z)), "1 maximum"),
        (lambda z: torch.where(z > 0, z, torch.zeros_like(z)), "1 where"),
        (nn.Sigmoid(), "1 Sigmoid and 0 rectifiers"),
    ],
)
def test_what_is_no_rectifier_is_counted_and_refused(f: Callable[[Tensor], Tensor], found: str) -> None:
    network = Written(f).double()
    for method in ("guided-backprop", "deconvnet"):
        with pytest.raises(whylook.Unsupported, match=found):
            whylook.attribute(network, batch(build("plain")), method, 1)


def test_gates_beside_rectifiers_are_no_obstacle() -> None:
    network = Written(lambda z: F.relu(z) * torch.sigmoid(z.mean((2, 3), keepdim=True))).double()
    x = batch(build("plain"))
    for method in METHODS:
        assert whylook.attribute(network, x, method, 1).abs().sum() > 0


def test_a_compiled_network_is_refused_not_left_to_the_plain_gradient() -> None:
    toy = build("batch-norm")
    script = torch.jit.script(nn.Sequential(*toy.features, *toy.head))
    for method in ("guided-backprop", "deeplift", "lrp", "excitation-backprop", "fullgrad"):
        with pytest.raises(whylook.Unsupported, match=r"Relu|rule|constants"):
            whylook.attribute(script, batch(toy), method, 1)
    zero = whylook.attribute(script, batch(toy), "lrp", 1, composite="zero")  # the gradient, which is right there
    torch.testing.assert_close(zero, whylook.attribute(toy, batch(toy), "input-x-gradient", 1))


# What has no rule


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda z: z / z.norm(dim=1, keepdim=True), "vector norm|division"),
        (lambda z: z * z.flip(1), "product of two signals"),
        (lambda z: 1 / (z.abs() + 1), "Abs|division|Reciprocal"),
        (lambda z: z.softmax(1), "softmax"),
        (lambda z: torch.where(z > 0, z, 0 * z), "Where"),
    ],
)
def test_lrp_names_the_operation_that_has_no_rule(f: Callable[[Tensor], Tensor], words: str) -> None:
    with pytest.raises(whylook.Unsupported, match=words):
        whylook.attribute(Written(f).double(), batch(build("plain")), "lrp", 1)


def test_deeplift_shares_a_product_by_both_orders() -> None:
    class Product(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x[:, :1] * x[:, 1:]
            return torch.cat([y, -y], 1)

    x, at = torch.tensor([[3.0, 5.0]]).double(), torch.tensor([[1.0, 2.0]]).double()
    values = whylook.attribute(Product(), x, "deeplift", 0, baseline=at)
    np.testing.assert_allclose(values[0].tolist(), [2 * 3.5, 3 * 2.0])  # 15 - 2 in all
    assert whylook.attribute(Product(), x, "fullgrad", 0).sum().item() == 15


def test_batch_statistics_in_eval_mode_are_refused() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, track_running_stats=False), nn.ReLU(), *gap(6)
    ).double()
    for method in ("lrp", "deeplift", "fullgrad", "excitation-backprop"):
        with pytest.raises(whylook.Unsupported, match="statistics from the batch"):
            whylook.attribute(network, batch(build("plain")), method, 1)


def test_bad_parameters_are_refused() -> None:
    toy = build("plain")
    x = batch(toy)
    assert whylook.attribute(toy, x, "guided-backprop", 1, score="probability").abs().sum() > 0
    with pytest.raises(ValueError, match=r"no composite 'plus'; it has zero"):
        whylook.attribute(toy, x, "lrp", 1, composite="plus")
    with pytest.raises(ValueError, match="epsilon and gamma of 0 or more"):
        whylook.attribute(toy, x, "lrp", 1, gamma=-1.0)
    with pytest.raises(ValueError, match="low lies above its high"):
        whylook.attribute(toy, x, "lrp", 1, composite="epsilon-gamma-box", low=1, high=0)
    with pytest.raises(ValueError, match="neither a picture's path nor"):
        whylook.attribute(toy, x, "lrp", 1, composite="epsilon-gamma-box", low="dark")


def test_fullgrad_says_where_a_constant_is_no_bias() -> None:
    class Token(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return torch.cat([torch.ones_like(z[:, :1]).detach(), z], 1)

    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), Token(), *gap(6)).double()
    with pytest.raises(whylook.Unsupported, match="constants that are no"):
        whylook.attribute(network, batch(build("plain")), "fullgrad", 1)
    with pytest.raises(whylook.Unsupported, match="2 inputs"):
        whylook.attribute(Two(), (torch.rand(2, 4), torch.rand(2, 3)), "fullgrad", 0)


# Inputs of any rank


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Linear(4, 8), nn.Linear(3, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.c(F.relu(self.a(x) + self.b(y)))


def shaped(rank: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(rank)
    if rank == 0:
        return nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3)).double(), torch.randn(2, 6).double()
    conv, norm, pool, mean = (getattr(nn, f"{n}{rank}d") for n in ("Conv", "BatchNorm", "MaxPool", "AdaptiveAvgPool"))
    network = nn.Sequential(conv(2, 4, 3), norm(4), nn.ReLU(), pool(2), mean(1), nn.Flatten(), nn.Linear(4, 3))
    return randomized(network), torch.randn(2, 2, *[8] * rank).double()


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_inputs_of_any_rank(rank: int) -> None:
    network, x = shaped(rank)
    with torch.no_grad():
        logits, at_zero = network(x)[:, 1], network(0 * x)[:, 1]
    torch.testing.assert_close(total(whylook.attribute(network, x, "deeplift", 1)), logits - at_zero)
    full = whylook.attribute(network, x, "fullgrad", 1)
    assert full.shape == (2, *(x.shape[2:] or x.shape[1:]))
    torch.testing.assert_close(total(full), logits)
    for composite in COMPOSITES:
        values = whylook.attribute(network, x, "lrp", 1, composite=composite)
        assert values.shape == x.shape
        assert values.isfinite().all()
    product = whylook.attribute(network, x, "input-x-gradient", 1)
    torch.testing.assert_close(whylook.attribute(network, x, "lrp", 1, composite="zero"), product)
    torch.testing.assert_close(total(whylook.attribute(network, x, "excitation-backprop", 1)), torch.ones(2).double())


def test_several_inputs() -> None:
    network, x = Two().double(), (torch.rand(2, 4).double(), torch.rand(2, 3).double())
    with torch.no_grad():
        drop = network(*x)[:, 1] - network(*(0 * v for v in x))[:, 1]
    parts = whylook.attribute(network, x, "deeplift", 1)
    assert isinstance(parts, tuple)
    torch.testing.assert_close(sum(p.sum(1) for p in parts), drop)
    zero = whylook.attribute(network, x, "lrp", 1, composite="zero")
    product = whylook.attribute(network, x, "input-x-gradient", 1)
    assert all(torch.equal(a, b) for a, b in zip(zero, product, strict=True))


def test_guided_grad_cam_returns_the_shape_of_the_input_and_refuses_what_has_no_grid() -> None:
    network, x = shaped(1)
    assert whylook.attribute(network, x, "guided-grad-cam", 1, layer="0").shape == x.shape
    network, x = shaped(0)
    with pytest.raises(whylook.Unsupported):
        whylook.attribute(network, x, "guided-grad-cam", 1)


# Real architectures

SIZE = 32


def family(name: str) -> nn.Module:
    models = pytest.importorskip("torchvision.models", reason="needs torchvision")
    torch.manual_seed(0)
    if name == "vgg11_bn":  # without the classifier, which is most of its weights
        layers = models.vgg.make_layers(models.vgg.cfgs["A"], batch_norm=True)
        return nn.Sequential(layers, *gap(512, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(models, name)(weights=None, num_classes=10)


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v3_small", "squeezenet1_1", "shufflenet_v2_x0_5", "regnet_y_400mf"]
)
def test_families_conserve_relevance_and_add_up(name: str) -> None:
    x = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)).double()
    network = randomized(family(name), biases=False)
    with torch.no_grad():
        logit = network(x)[:, 3]
    for composite in ("zero", "epsilon-plus"):
        values = whylook.attribute(network, x, "lrp", 3, composite=composite, epsilon=0.0)
        torch.testing.assert_close(total(values), logit, rtol=1e-5, atol=0)
    network = randomized(family(name))
    with torch.no_grad():
        logit, at_zero = network(x)[:, 3], network(0 * x)[:, 3]
    torch.testing.assert_close(total(whylook.attribute(network, x, "fullgrad", 3)), logit)
    lifted = total(whylook.attribute(network, x, "deeplift", 3))
    torch.testing.assert_close(lifted, logit - at_zero, rtol=1e-5, atol=1e-12)
    if name == "mobilenet_v3_small":
        with pytest.raises(whylook.Unsupported, match="19 Hardswish and 14 rectifiers"):
            whylook.attribute(network, x, "guided-backprop", 3)


def test_guided_backprop_is_no_plain_gradient_on_mobilenet_v2_and_refused_on_efficientnet() -> None:
    captum = pytest.importorskip("captum.attr", reason="needs captum")
    network = randomized(family("mobilenet_v2")).float()
    x = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(leaf)[0, 3], leaf)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = captum.GuidedBackprop(network).attribute(x.clone().requires_grad_(), target=3)
    torch.testing.assert_close(theirs, gradient)  # its rule is for nn.ReLU, and these are ReLU6: silently the gradient
    ours = whylook.attribute(network, x, "guided-backprop", 3)
    assert not torch.allclose(ours, gradient, rtol=0.1, atol=float(gradient.abs().max()) / 10)
    with pytest.raises(whylook.Unsupported, match="found 49 SiLU and 16 Sigmoid and 0 rectifiers"):
        whylook.attribute(family("efficientnet_b0").eval(), x, "guided-backprop", 3)


# Peers


@pytest.mark.parametrize("name", ["plain", "residual", "batch-norm", "flatten-head"])
def test_captum_agrees_on_guided_backprop_and_deconvnet(name: str) -> None:
    captum = pytest.importorskip("captum.attr", reason="needs captum")
    toy = build(name)
    x = batch(toy)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs = {"guided-backprop": captum.GuidedBackprop(toy), "deconvnet": captum.Deconvolution(toy)}
        for method, peer in pairs.items():
            theirs = peer.attribute(x.clone().requires_grad_(), target=3)
            torch.testing.assert_close(whylook.attribute(toy, x, method, 3), theirs)
        cam = captum.GuidedGradCam(toy, toy.features).attribute(
            x.clone().requires_grad_(), target=3, interpolate_mode="bilinear"
        )
    torch.testing.assert_close(whylook.attribute(toy, x, "guided-grad-cam", 3), cam)


def stacked(*, pool: bool) -> nn.Sequential:
    torch.manual_seed(4)
    middle = [nn.MaxPool2d(2), nn.Conv2d(6, 8, 3)] if pool else [nn.Conv2d(6, 8, 6, stride=2)]
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), *middle, nn.ReLU(), nn.Flatten(), nn.Linear(200, 5)
    ).double()  # fmt: skip


def test_shap_agrees_on_deeplift_and_captum_where_nothing_pools() -> None:
    captum = pytest.importorskip("captum.attr", reason="needs captum")
    shap = pytest.importorskip("shap", reason="needs shap")
    x, at = batch(build("plain"), 1), batch(build("plain"), 1, seed=9)
    for pool in (False, True):
        network = stacked(pool=pool)
        ours = whylook.attribute(network, x, "deeplift", 3, baseline=at)
        with torch.no_grad():
            drop = (network(x) - network(at))[:, 3]
        torch.testing.assert_close(total(ours), drop)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = captum.DeepLift(stacked(pool=pool)).attribute(x.clone(), at, target=3).detach()
            values = shap.DeepExplainer(stacked(pool=pool), at).shap_values(x, check_additivity=False)
        np.testing.assert_allclose(ours.numpy(), np.asarray(values)[..., 3], rtol=1e-6, atol=1e-12)
        if (
            pool
        ):  # Captum's windows do not hand on what their maxima change by: its map misses the difference by a fifth
            assert abs(float(total(theirs)) - float(drop)) > 0.1 * abs(float(drop))
        else:
            torch.testing.assert_close(ours, theirs)


def test_where_captum_fails_on_a_relu_that_is_used_twice() -> None:
    captum = pytest.importorskip("captum.attr", reason="needs captum")
    toy = build("plain")  # one nn.ReLU object, twice
    x = batch(toy)
    with torch.no_grad():
        drop = toy(x)[:, 3] - toy(0 * x)[:, 3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theirs = total(captum.DeepLift(toy).attribute(x.clone().requires_grad_(), target=3))
        except (RuntimeError, AssertionError, AttributeError, IndexError):
            theirs = None
    assert theirs is None or not torch.allclose(theirs, drop, rtol=1e-3)
    torch.testing.assert_close(total(whylook.attribute(toy, x, "deeplift", 3)), drop)


def zennit_of(composite: object, network: nn.Module, x: Tensor, target: int) -> Tensor:
    leaf = x.clone().requires_grad_()
    with composite.context(network) as modified:
        out = modified(leaf)
        seed = torch.zeros_like(out)
        seed[:, target] = out[:, target].detach()
        return torch.autograd.grad(out, leaf, seed)[0]


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "squeezenet1_1"])
def test_zennit_agrees_on_its_composites(name: str) -> None:
    composites = pytest.importorskip("zennit.composites", reason="needs zennit")
    from zennit.torchvision import ResNetCanonizer, VGGCanonizer

    network = randomized(family(name))
    for m in network.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.eps = 0.0  # its merged normalization still divides by the square root of 1 + eps
    size = 48 if name == "squeezenet1_1" else SIZE  # smaller, it has no output from which nothing takes away
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1)).double()
    own = {"canonizers": [ResNetCanonizer() if name == "resnet18" else VGGCanonizer()], "stabilizer": 1e-14}
    low, high = (torch.full_like(x, v) for v in (-5.0, 5.0))
    made = {
        "epsilon-plus": composites.EpsilonPlus(epsilon=1e-6, **own),
        "alpha-beta": composites.EpsilonAlpha2Beta1(epsilon=1e-6, **own),
        "epsilon-gamma-box": composites.EpsilonGammaBox(low=low, high=high, epsilon=1e-6, **own),
    }
    for composite, peer in made.items():
        bounds = {"low": low, "high": high} if "box" in composite else {}
        ours = whylook.attribute(network, x, "lrp", 3, composite=composite, epsilon=1e-6, **bounds)
        theirs = zennit_of(peer, network, x, 3)
        scale = float(theirs.abs().max())
        if composite == "alpha-beta" and name == "squeezenet1_1":
            # Where nothing takes away from an output, Zennit hands on twice its relevance; ours gives what there is.
            assert total(theirs) / network(x)[0, 3] > total(ours) / network(x)[0, 3]
            continue
        torch.testing.assert_close(ours / scale, theirs / scale, rtol=0, atol=1e-6)


def test_zennit_agrees_on_excitation_backprop_but_lets_sums_take_probability_away() -> None:
    composites = pytest.importorskip("zennit.composites", reason="needs zennit")
    from zennit.torchvision import ResNetCanonizer

    x = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)).double()
    for name in ("squeezenet1_1", "resnet18"):
        network = randomized(family(name))
        for m in network.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.eps = 0.0
        peer = composites.ExcitationBackprop(stabilizer=1e-14, zero_params=["bias"], canonizers=[ResNetCanonizer()])
        theirs = zennit_of(peer, network, x, 3) / network(x)[0, 3].detach()
        ours = whylook.attribute(network, x, "excitation-backprop", 3)
        assert ours.min() >= 0
        torch.testing.assert_close(total(ours), torch.ones(1).double())
        same = torch.allclose(ours, theirs, rtol=1e-5, atol=float(theirs.abs().max()) * 1e-6)
        # A residual sum has negative operands: shared by contribution, they take back what the others got too much of.
        assert same == (name == "squeezenet1_1")


def test_what_is_refused_and_put_back_leaves_no_trace() -> None:
    toy = build("silu")
    with pytest.raises(whylook.Unsupported):
        whylook.attribute(toy, batch(toy), "guided-backprop", 1)
    expected = build("silu")(batch(toy))
    assert torch.equal(toy(batch(toy)), expected)
    assert type(build("plain")) is Toy
    assert np.allclose(guided(build("plain"), batch(build("plain"), 1), 1),
                       whylook.attribute(build("plain"), batch(build("plain"), 1), "guided-backprop", 1)[0])  # fmt: skip


def test_explain_lays_the_box_between_black_and_white() -> None:
    model = whylook.load_model("phantom:resnet")
    image = whylook.load_image(np.random.default_rng(0).integers(0, 255, (128, 128), dtype=np.uint8))
    own = {"lrp": {"composite": "epsilon-gamma-box"}}
    values = whylook.explain(image, model, ["lrp"], parameters=own).maps[0].values
    from whylook.explainer import prepare

    x = prepare(model, image)
    black, white = (model.preprocess.normalize(torch.full_like(x[0], v))[None] for v in (0.0, 1.0))
    expected = whylook.attribute(model.network, x, "lrp", composite="epsilon-gamma-box", low=black, high=white)
    assert np.array_equal(values, expected[0].sum(0).numpy())
    without = whylook.attribute(model.network, x, "lrp", composite="epsilon-gamma-box")
    assert not torch.allclose(expected, without)


def test_requests_share_a_pass_only_where_their_parameters_are_the_same() -> None:
    from whylook.engine.request import Request
    from whylook.engine.run import run
    from whylook.engine.targets import Score, resolve
    from whylook.methods import METHODS

    toy = build("plain")
    x = batch(toy, 1)
    # Printed, the two baselines look the same.
    lists = [[torch.full_like(x, 0.5)], [torch.full_like(x, 0.50001)]]
    requests = [Request(METHODS["deeplift"], {"baseline": one}) for one in lists]
    _, raws = run(toy, (x,), requests, lambda z, one: resolve([3], z, one), Score())
    for request, raw in zip(requests, raws, strict=True):
        alone = whylook.attribute(toy, x, "deeplift", 3, baseline=request.parameters["baseline"])
        assert torch.equal(raw.values[0][:, 0], alone)


class RowsBelowEachOther(nn.Module):
    """LeViT's linear layer: a batch normalization takes the tokens' rows below each other."""

    def __init__(self, *, joined: bool) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.linear, self.norm, self.head = nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.Linear(8, 3)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)
        self.joined = joined

    def forward(self, x: Tensor) -> Tensor:
        if self.joined:
            scale = self.norm.weight / (self.norm.running_var + self.norm.eps).sqrt()
            shift = self.norm.bias - self.norm.running_mean * scale
            y = nn.functional.linear(x, self.linear.weight * scale[:, None], shift)
        else:
            y = self.linear(x)
            y = self.norm(y.flatten(0, 1)).reshape_as(y)
        return self.head(y.relu().mean(1))


@pytest.mark.parametrize("composite", COMPOSITES)
def test_a_linear_layer_is_one_with_the_batch_norm_of_its_rows(composite: str) -> None:
    """By itself the normalization passed on x · m / z, which explodes where z is small: 10⁴⁹ in LeViT."""
    two, one = (RowsBelowEachOther(joined=j).double().eval() for j in (False, True))
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    ours, joined = (whylook.attribute(net, x, "lrp", 1, composite=composite) for net in (two, one))
    torch.testing.assert_close(ours, joined, rtol=1e-9, atol=1e-12)
