"""Operations that look like others, or that the graph does not show: a rule sees them, or refuses the network."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import whylook
from test_rules import Written, randomized, total
from toys import batch, build, gap

X = batch(build("plain"))
LINEAR = ("lrp", "excitation-backprop", "deeplift", "fullgrad")


def refused(f: Callable[[Tensor], Tensor], method: str, words: str, **parameters: Any) -> None:
    with pytest.raises(whylook.Unsupported, match=words):
        whylook.attribute(Written(f).double(), X, method, 1, **parameters)


# In place on a view autograd shows a copy and hides what was copied.


def written_in_place(change: Callable[[Tensor], object]) -> Callable[[Tensor], Tensor]:
    def f(z: Tensor) -> Tensor:
        z = z.clone()
        change(z[:, :3])
        return F.relu(z)

    return f


def test_what_is_computed_in_place_on_a_view_is_seen() -> None:
    for method in ("lrp", "excitation-backprop", "fullgrad"):
        refused(written_in_place(lambda v: v.exp_()), method, "Exp")
        refused(written_in_place(lambda v: torch.sin_(v)), method, "Sin")
    for method in ("guided-backprop", "deconvnet", "excitation-backprop"):
        refused(written_in_place(lambda v: F.silu(v, inplace=True)), method, "1 SiLU")
    refused(written_in_place(lambda v: v.mul_(v.flip(1))), "lrp", "product of two signals")


def test_shapes_and_constants_in_place_on_a_view_are_left_as_they_are() -> None:
    def f(z: Tensor) -> Tensor:
        z = z.clone()
        z[:, 0].zero_()
        z[:, 1].fill_(0.5)
        z[:, 2].mul_(2.0)
        z[:, 3].div_(2.0).add_(z[:, 4])
        z[:, 5].copy_(z[:, 4])
        return F.relu(z[:, :].transpose_(2, 3).squeeze_(0))

    def plain(z: Tensor) -> Tensor:
        channels = [0 * z[:, 0], 0 * z[:, 0] + 0.5, 2 * z[:, 2], z[:, 3] / 2 + z[:, 4], z[:, 4], z[:, 4]]
        return F.relu(torch.stack(channels, 1).transpose(2, 3))

    one, other = Written(f).double(), Written(plain).double()
    for method in ("lrp", "deeplift", "guided-backprop"):
        torch.testing.assert_close(
            whylook.attribute(one, X, method, 1), whylook.attribute(other, X, method, 1), rtol=1e-10, atol=1e-13
        )


# Names


def own_function(name: str) -> Callable[[Tensor], Tensor]:
    class Swish(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            ctx.rule = "activation"
            return x * torch.sigmoid(x)

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            s = torch.sigmoid(x)
            return g * (s + x * s * (1 - s))

    return type(name, (Swish,), {}).apply


@pytest.mark.parametrize("name", ["View", "Relu", "Swish"])
@pytest.mark.parametrize("method", LINEAR)
def test_a_function_of_ones_own_is_not_taken_for_pytorchs(method: str, name: str) -> None:
    f = own_function(name)
    refused(lambda z: F.relu(f(z)), method, rf"1 {name} \(an autograd.Function\)")


@pytest.mark.parametrize("method", ["deeplift", "lrp", "fullgrad"])
def test_statistics_of_the_input_and_rounding_are_not_linear(method: str) -> None:
    more = {"composite": "zero"} if method == "lrp" else {}
    refused(lambda z: F.relu(F.instance_norm(z)), method, "1 normalization by the input's own statistics", **more)
    refused(lambda z: F.relu(torch.div(z, 0.1, rounding_mode="floor")), method, "1 rounding", **more)


def test_excitation_refuses_sums_that_take_away() -> None:
    refused(lambda z: torch.add(F.relu(z), F.relu(z.flip(1)), alpha=-2), "excitation-backprop", "1 Add")
    refused(lambda z: 1 - F.relu(1 - z), "excitation-backprop", "2 Rsub")
    refused(lambda z: F.interpolate(F.relu(z), scale_factor=1.0, mode="bicubic"), "excitation-backprop", "Bicubic")


# Rectifiers by other means, and what is none


def test_a_clamp_with_a_tensor_for_a_limit_is_a_rectifier() -> None:
    plain = Written(F.relu).double()
    for limit in (torch.zeros(1).double(), torch.zeros(6, 1, 1).double()):
        network = Written(lambda z, limit=limit: z.clamp(min=limit)).double()
        for method in ("guided-backprop", "deconvnet", "excitation-backprop"):
            ours, expected = (whylook.attribute(n, X, method, 1) for n in (network, plain))
            torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-13)
    refused(lambda z: F.relu(z).clamp(min=torch.tensor([0.0, 0.5] * 7).double()), "guided-backprop", "1 Clamp")


@pytest.mark.parametrize(
    ("f", "found"),
    [
        (lambda z: F.relu(z * torch.sigmoid(z)), "1 activation written by hand and 1 rectifiers"),
        (lambda z: F.relu(z * F.relu6(z + 3) / 6), "1 activation written by hand and 2 rectifiers"),
        (lambda z: F.relu(0.5 * z * (1 + torch.erf(z / 2**0.5))), "1 error function and 1 rectifiers"),
        (lambda z: F.relu(torch.sin(z)), "1 sine and 1 rectifiers"),
        (lambda z: F.relu(F.celu(z)), "1 CELU and 1 rectifiers"),
        (lambda z: F.relu(z).clamp(-1, 0.5), "1 Clamp of this network"),
        (lambda z: F.relu(z.clamp(min=-0.5)), "1 Clamp of this network"),
        (lambda z: z.exp(), "1 Exp and 0 rectifiers"),
        (lambda z: z.square(), "1 Pow and 0 rectifiers"),
        (lambda z: z * z.flip(1), "1 product of two signals and 0 rectifiers"),
        (lambda z: F.rms_norm(z, z.shape[1:]), "and 0 rectifiers"),
    ],
)
def test_what_is_no_rectifier_is_refused_beside_rectifiers_and_alone(f: Callable[[Tensor], Tensor], found: str) -> None:
    for method in ("guided-backprop", "deconvnet"):
        refused(f, method, found)


def test_gates_caps_and_guarded_norms_are_no_obstacle() -> None:
    def f(z: Tensor) -> Tensor:
        a, b = F.relu(z).clamp(max=6).chunk(2, 1)
        z = torch.cat([a * torch.sigmoid(b), b], 1)
        return z / z.mean((1, 2, 3), keepdim=True).clamp(min=1e-6)

    assert whylook.attribute(Written(f).double(), X, "guided-backprop", 1).any()


# Layers by other means


class Dense(nn.Module):
    def __init__(self, how: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.how, self.w, self.b = how, nn.Parameter(torch.randn(6, 8)), nn.Parameter(torch.randn(8))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(self.how(x, self.w, self.b)))


@pytest.mark.parametrize(
    "how",
    [
        lambda x, w, b: x @ w + b,
        lambda x, w, b: torch.addmm(b, x, w),
        lambda x, w, b: torch.einsum("ni,io->no", x, w) + b,
        lambda x, w, b: (w.T @ x.T).T + b,
        lambda x, w, b: torch.mm(x, w) + b,
    ],
)
@pytest.mark.parametrize("composite", ["epsilon", "epsilon-plus"])
def test_a_matrix_product_with_weights_is_a_fully_connected_layer(how: Callable[..., Tensor], composite: str) -> None:
    x = torch.randn(2, 6, generator=torch.Generator().manual_seed(0)).double()
    one, other = Dense(how).double(), Dense(lambda x, w, b: F.linear(x, w.T, b)).double()
    for network in (one, other):
        nn.init.zeros_(network.b)  # a bias added apart is no part of the layer's output
    ours, expected = (whylook.attribute(n, x, "lrp", 1, composite=composite, epsilon=0.3) for n in (one, other))
    torch.testing.assert_close(ours, expected)
    assert not torch.allclose(ours, whylook.attribute(one, x, "lrp", 1, composite="zero"), rtol=1e-3)


@pytest.mark.filterwarnings("ignore:.*jit:FutureWarning", "ignore:.*jit:DeprecationWarning")
def test_layers_inside_a_scripted_network_are_refused_not_left_without_a_rule() -> None:
    network = torch.jit.script(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5)).double())
    with pytest.raises(whylook.Unsupported, match=r"Addmm|Linear"):
        whylook.attribute(network, torch.ones(1, 6).double(), "lrp", 1, composite="epsilon")


@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_is_one_layer_with_the_normalization_behind_it(groups: int) -> None:
    torch.manual_seed(0)
    up = nn.ConvTranspose2d(3 if groups == 1 else 4, 6, 2, stride=2, dilation=1, groups=groups)
    start = [] if groups == 1 else [nn.Conv2d(3, 4, 1), nn.ReLU()]
    network = randomized(nn.Sequential(*start, up, nn.BatchNorm2d(6), nn.ReLU(), *gap(6)), biases=False)
    with torch.no_grad():
        logit = network(X)[:, 1]
    for composite in ("epsilon-plus", "alpha-beta", "epsilon-gamma-box"):
        values = whylook.attribute(network, X, "lrp", 1, composite=composite, epsilon=0.0)
        torch.testing.assert_close(total(values), logit, rtol=1e-8, atol=1e-12)


# Rows and axes


class SequenceFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(3, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(F.relu(self.a(x.flatten(2).permute(2, 0, 1))).mean(0))


def test_deeplift_is_refused_where_rows_do_not_lie_on_the_first_axis() -> None:
    network = SequenceFirst().double()
    with pytest.raises(whylook.Unsupported, match=r"miss the difference of the scores.*another axis than the first"):
        whylook.attribute(network, X, "deeplift", 1)
    product = whylook.attribute(network, X, "input-x-gradient", 1)  # the others do not compare rows
    torch.testing.assert_close(whylook.attribute(network, X, "lrp", 1, composite="zero"), product)


def test_fullgrad_adds_up_in_half_precision() -> None:
    toy = build("flatten-head").bfloat16()
    x = X.bfloat16()
    with torch.no_grad():
        logit = toy(x)[:, 1]
    torch.testing.assert_close(total(whylook.attribute(toy, x, "fullgrad", 1)), logit, rtol=0.1, atol=0.02)


# What the rules tell about their maps


def test_lrp_says_which_share_of_the_relevance_arrived() -> None:
    from whylook.engine.request import Request
    from whylook.engine.run import run
    from whylook.engine.targets import Score, resolve
    from whylook.methods import METHODS

    toy = build("plain")
    for score in (Score(), Score("margin"), Score("logit", against=4)):
        for name, own in (("lrp", {}), ("deeplift", {}), ("fullgrad", {})):
            _, (raw,) = run(
                toy, (X,), [Request(METHODS[name], own)], lambda z, one: resolve([[0, 1]] * 2, z, one), score
            )
            with torch.no_grad():
                z, zero = toy(X), toy(0 * X)
            targets = torch.tensor([[0, 1]] * 2)
            sums = raw.values[0].flatten(2).sum(2)
            if name == "lrp":
                begun = (score.slopes(z, targets) * z).sum(2).T
                torch.testing.assert_close(raw.facts["conserved"], sums / begun)
                far = [[not 0.5 <= share <= 2 for share in row] for row in (sums / begun).tolist()]
                told = [[bool(w) for w in row] for row in raw.warnings] or [[False] * 2] * 2
                assert told == far
            else:
                expected = score(z, targets) - (score(zero, targets) if name == "deeplift" else 0)
                torch.testing.assert_close(raw.facts["residual"], sums - expected, rtol=0, atol=1e-15)


def test_where_biases_keep_the_relevance_there_is_a_warning_and_else_none(recwarn: pytest.WarningsRecorder) -> None:
    network = randomized(build("flatten-head"), biases=False)
    whylook.attribute(network, X, "lrp", 1)
    nn.init.zeros_([m for m in network.modules() if isinstance(m, nn.Linear)][-1].weight)
    whylook.attribute(network, X, "lrp", 1)  # nothing to keep
    assert not recwarn.list
    network = build("flatten-head")
    last = [m for m in network.modules() if isinstance(m, nn.Linear)][-1]
    last.bias.data.fill_(100.0)
    with pytest.warns(
        UserWarning, match=r"lrp: The relevance that reaches the input is .* for biases keep a part of it"
    ):
        values = whylook.attribute(network, X, "lrp", 1)
    with torch.no_grad():
        assert (total(values) / network(X)[:, 1]).abs().max() < 0.1


def test_facts_reach_the_map_of_explain() -> None:
    from whylook.phantom import picture

    result = whylook.explain(picture(), "phantom:resnet", ["lrp", "deeplift", "fullgrad"])
    assert [set(m.facts) for m in result.maps] == [{"conserved"}, {"residual"}, {"residual"}]
    assert all(abs(m.facts["residual"]) < 1e-4 for m in result.maps[1:])
    assert bool(result.maps[0].warning) == (not 0.5 <= result.maps[0].facts["conserved"] <= 2)
