"""Folding: the same logits and gradients, faster; as delivered wherever that is not certain."""

import copy
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import whylook
from references import REFERENCES
from toys import NAMES, batch, build
from whylook.engine import probe
from whylook.engine.folding import Fold, MisfoldError, cache, prepare
from whylook.engine.guard import guarded


def settle(network: nn.Module, seed: int = 0) -> nn.Module:
    """Statistics and affine parameters as after training, so that forgetting one of them shows."""
    torch.manual_seed(seed)
    for m in network.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.running_mean is not None:
            m.running_mean.normal_()
            m.running_var.uniform_(0.5, 2)
            if m.weight is not None:
                nn.init.uniform_(m.weight, 0.5, 2)
                nn.init.normal_(m.bias)
    return network.eval()


def small(*front: nn.Module, channels: int = 6) -> nn.Sequential:
    return settle(nn.Sequential(*front, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, 3)))


def fold_of(network: nn.Module, x: Tensor) -> Fold | None:
    with guarded(network, x.device):
        return prepare(network, (x,))


def folded_norms(network: nn.Module, x: Tensor) -> int:
    fold = fold_of(network, x)
    return 0 if fold is None else sum(e.norm is not None for e in fold.entries.values())


def both(network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits as delivered and folded."""
    with guarded(network, x.device), torch.no_grad():
        fold = prepare(network, (x,))
        assert fold is not None
        return network(x), fold.run(network, (x,))


X = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("toy_name", NAMES)
def test_every_toy_has_the_same_logits(toy_name: str) -> None:
    toy = build(toy_name)
    plain, folded = both(toy, batch(toy))
    torch.testing.assert_close(folded, plain, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("toy_name", NAMES)
def test_a_folded_map_agrees_with_the_dense_reference(toy_name: str) -> None:
    toy = build(toy_name)
    x = batch(toy)
    found = through_the_fold(toy, x)
    for row in range(2):
        reference = torch.as_tensor(REFERENCES["smoothgrad"](toy, x[row : row + 1], 0, samples=4))
        torch.testing.assert_close(found[row], reference, rtol=1e-6, atol=1e-12)


def test_batch_norms_behind_convolutions_and_linear_layers_are_folded() -> None:
    network = small(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6)).double()
    network[-1] = nn.Sequential(nn.Linear(24, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double()
    settle(network)
    assert folded_norms(network, X) == 2
    plain, folded = both(network, X)
    torch.testing.assert_close(folded, plain, rtol=1e-12, atol=1e-12)


def test_norms_with_their_activation_inside_are_folded() -> None:
    from timm.layers import BatchNormAct2d

    network = small(nn.Conv2d(3, 6, 3), BatchNormAct2d(6, act_layer=nn.SiLU)).double()
    assert folded_norms(network, X) == 1
    plain, folded = both(network, X)
    torch.testing.assert_close(folded, plain, rtol=1e-12, atol=1e-12)


class Functional(nn.Module):
    """Calls what it has by functions, where modules show nothing."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.conv, self.bn, self.fc = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Linear(6, 3)
        self.other = nn.BatchNorm2d(6)
        self.kept: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(x, self.conv.weight, self.conv.bias, padding=1)
        z = F.batch_norm(y, self.bn.running_mean, self.bn.running_var, self.bn.weight, self.bn.bias)
        match self.how:
            case "read again":
                z = z + y
            case "read before":
                z = self.bn(y) + y.mean()
            case "view":
                z = z + y.view(y.shape[0], -1).sum()
            case "two norms":
                z = z + self.other(y)
            case "joined":
                z = torch.cat([z, y], 1)[:, :6]
            case "changed in place":
                y = self.conv(x)
                y.relu_()
                z = self.bn(y)
            case "shared":
                z = z + self.other(self.conv(x.flip(3)))
            case "by value":
                if x.sum() > 0:
                    z = z + y
        return self.fc(z.relu().mean((2, 3)))


@pytest.mark.parametrize(
    ("how", "norms"),
    [("plain", 1), ("read again", 0), ("read before", 0), ("view", 0), ("two norms", 0), ("joined", 0),
     ("changed in place", 0), ("shared", 0), ("by value", 0)],
)  # fmt: skip
def test_an_output_that_has_another_reader_is_not_folded(how: str, norms: int) -> None:
    network = settle(Functional(how)).double()
    assert folded_norms(network, X) == norms
    x = X.abs()
    expected = whylook.attribute(network, x, "smoothgrad", 0, samples=4)  # as delivered
    with guarded(network, x.device):
        assert how != "by value" or prepare(network, (x,)) is None
    torch.testing.assert_close(through_the_fold(network, x), expected, rtol=1e-9, atol=1e-12)


def through_the_fold(network: nn.Module, x: Tensor, **parameters: object) -> Tensor:
    """A map of four samples with the threshold lowered, so that it takes the fold where there is one."""
    before, probe.FROM = probe.FROM, 1
    try:
        return whylook.attribute(network, x, "smoothgrad", 0, samples=4, **parameters)
    finally:
        probe.FROM = before


@pytest.mark.parametrize(
    ("forward", "why"),
    [
        (lambda n, x: n.fc(n.other(n.conv(x)).mean((2, 3))), "another batch norm"),
        (lambda n, x: n.fc(n.bn(n.conv(x).relu()).mean((2, 3))), "another reader"),
        (lambda n, x: n.conv(x).shape and n.fc(x.mean((2, 3)).repeat(1, 2)), "did not reach"),
    ],
)
def test_another_way_than_the_recorded_one_is_noticed_and_run_as_delivered(forward: object, why: str) -> None:
    network = settle(Functional("plain")).double()
    fold = fold_of(network, X)
    assert fold is not None
    network.forward = lambda x: forward(network, x)
    with guarded(network, X.device), pytest.raises(MisfoldError, match=why):
        fold.run(network, (X,))
    target, score = torch.tensor([[0]]), whylook.engine.targets.Score()
    with guarded(network, X.device):
        evaluations = probe.Probe(network, target, score, fold=fold).scores(X)
    assert torch.equal(evaluations, network(X)[:, :1])


def hooked() -> nn.Module:
    network = small(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6))
    network[0].register_forward_hook(lambda m, i, o: None)
    return network


def compiled() -> nn.Module:
    network = small(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6))
    network[0] = torch.jit.script(network[0])
    return network


def weight_normed() -> nn.Module:
    with pytest.warns(FutureWarning):
        return small(nn.utils.weight_norm(nn.Conv2d(3, 6, 3)), nn.BatchNorm2d(6))


def quantized() -> nn.Module:
    from torch.ao.quantization import quantize_dynamic

    network = small(nn.Conv2d(3, 6, 3))
    return quantize_dynamic(network, {nn.Linear}, dtype=torch.qint8)


@pytest.mark.parametrize("make", [hooked, compiled, weight_normed])
def test_hooks_and_compiled_parts_mean_as_delivered(make: object) -> None:
    network = make()
    x = X.float()
    assert fold_of(network, x) is None
    torch.testing.assert_close(
        through_the_fold(network, x), whylook.attribute(network, x, "smoothgrad", 0, samples=4), rtol=0, atol=0
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantized_layers_are_left_alone() -> None:
    network = quantized()
    fold = fold_of(network, X.float())
    assert fold is None or not any("4" in name for name in fold.entries)


@pytest.mark.parametrize(
    "front",
    [
        lambda: (nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, track_running_stats=False)),
        lambda: (nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 6, 3)), nn.BatchNorm2d(6)),
        lambda: (nn.Conv2d(3, 6, 3), nn.Dropout2d(), nn.ReLU(), nn.BatchNorm2d(6)),
        lambda: (nn.ConvTranspose2d(3, 6, 3), nn.BatchNorm2d(6)),
        lambda: (nn.Conv2d(3, 6, 3), nn.GroupNorm(2, 6)),
        lambda: (nn.Conv2d(3, 6, 3), nn.InstanceNorm2d(6)),
    ],
    ids=["batch statistics", "parametrized", "something between", "transposed", "group norm", "instance norm"],
)
def test_what_cannot_be_folded_is_not(front: object) -> None:
    network = small(*front()).double()
    assert folded_norms(network, X) == 0
    plain, folded = both(network, X)
    torch.testing.assert_close(folded, plain, rtol=1e-12, atol=1e-12)


def test_rows_are_run_alone_where_a_norm_uses_the_statistics_of_the_batch() -> None:
    network = small(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, track_running_stats=False)).double()
    with probe.probing(network, torch.tensor([[0]]), whylook.engine.targets.Score(), inputs=(X[:1],)) as probing:
        both_rows = probing.scores(X)
        alone = torch.cat([probing.scores(X[:1]), probing.scores(X[1:])])
    assert torch.equal(both_rows, alone)


def test_dropout_that_is_always_on_draws_the_same() -> None:
    class Always(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(x, 0.5, training=True)

    network = small(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), Always()).double()
    first = through_the_fold(network, X, seed=1)
    assert torch.equal(through_the_fold(network, X, seed=1), first)  # whether the fold was made just now or kept
    assert not torch.equal(through_the_fold(network, X, seed=2), first)


def change_version(network: nn.Module) -> None:
    with torch.no_grad():
        network[0].weight.mul_(2)


def change_data(network: nn.Module) -> None:
    network[0].weight.data.mul_(2)


def change_statistics(network: nn.Module) -> None:
    network[1].running_mean.data.add_(1)


def change_object(network: nn.Module) -> None:
    network[0].weight = nn.Parameter(network[0].weight.detach() * 3)


def change_module(network: nn.Module) -> None:
    network[1] = settle(nn.BatchNorm2d(6).double(), 5)


def change_activation(network: nn.Module) -> None:
    network.insert(1, nn.Tanh())


@pytest.mark.parametrize(
    "change", [change_version, change_data, change_statistics, change_object, change_module, change_activation]
)
def test_a_fold_is_made_anew_when_the_network_has_changed(change: object) -> None:
    network = small(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)).double()
    first = fold_of(network, X)
    assert fold_of(network, X) is first
    change(network)
    assert fold_of(network, X) is not first
    plain, folded = both(network, X)
    torch.testing.assert_close(folded, plain, rtol=1e-12, atol=1e-12)


def test_nothing_stays_on_the_network_and_the_fold_goes_with_it() -> None:
    network = small(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)).double()
    before = {name: (set(vars(m)), id(m)) for name, m in network.named_modules()}
    fold_of(network, X)
    assert {name: (set(vars(m)), id(m)) for name, m in network.named_modules()} == before
    gone = weakref.ref(network)
    kept = len(cache._KEPT)
    del network
    gc.collect()
    assert gone() is None
    assert len(cache._KEPT) < kept


def test_what_is_not_changed_is_shared() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten(), nn.Linear(4, 2)).double().eval()
    fold = fold_of(network, X)
    assert fold is not None
    assert {e.weight.data_ptr() for e in fold.entries.values()} == {network[0].weight.data_ptr()}


def test_a_kernel_that_covers_its_input_runs_as_a_linear_layer() -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 8), nn.ReLU(), nn.Conv2d(5, 4, 1), nn.Flatten()).double().eval()
    fold = fold_of(network, X)
    assert fold is not None
    assert all(e.whole for e in fold.entries.values())
    assert len(fold.entries) == 2
    plain, folded = both(network, X)
    torch.testing.assert_close(folded, plain, rtol=1e-12, atol=1e-12)


def test_a_shared_pass_takes_large_whole_kernels_as_linear_layers_and_keeps_its_gradients() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2048, 16), nn.Flatten(), nn.ReLU(),
                            nn.Linear(2048, 2)).double().eval()  # fmt: skip
    seen = []
    network[3].register_forward_hook(lambda m, i, o: seen.append(i[0].detach()))
    x = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    found = whylook.attribute(network, x, "input-x-gradient", 0)
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(network(leaf)[:, 0].sum(), leaf)
    torch.testing.assert_close(found, x * expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(seen[0], seen[-1], rtol=1e-12, atol=1e-12)
    assert seen[0].shape == (1, 2048, 1, 1)


def test_threads_fold_one_network_once() -> None:
    network = small(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)).double().requires_grad_(False)
    with guarded(network, X.device), ThreadPoolExecutor(4) as pool:
        folds = list(pool.map(lambda _: prepare(network, (X,)), range(8)))
    assert all(f is folds[0] for f in folds)


def test_a_map_is_the_same_before_and_after_others() -> None:
    network = small(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6))
    x = X.float()
    first = whylook.attribute(network, x, "smoothgrad", 0, samples=probe.FROM)
    plain = whylook.attribute(network, x, "gradient", 0)
    assert torch.equal(whylook.attribute(network, x, "smoothgrad", 0, samples=probe.FROM), first)
    assert torch.equal(whylook.attribute(copy.deepcopy(network), x, "gradient", 0), plain)


LAYERS = st.lists(
    st.tuples(
        st.sampled_from([1, 3]),  # kernel
        st.booleans(),  # bias
        st.sampled_from(["none", "norm", "norm without affine", "batch statistics"]),
        st.sampled_from(["relu", "in place", "silu", "none"]),
        st.booleans(),  # grouped
        st.sampled_from(["follow", "add", "concatenate", "gate"]),
        st.booleans(),  # the same convolution twice
    ),
    min_size=1,
    max_size=4,
)


class Random(nn.Module):
    """Blocks of all kinds in a row, six channels each."""

    def __init__(self, blocks: list[tuple[object, ...]]) -> None:
        super().__init__()
        self.how = [(b[5], b[6]) for b in blocks]
        self.convs = nn.ModuleList(
            nn.Conv2d(6, 6, k, padding=k // 2, bias=bias, groups=6 if grouped else 1)
            for k, bias, _, _, grouped, _, _ in blocks
        )
        norms = {
            "none": nn.Identity,
            "norm": lambda: nn.BatchNorm2d(6),
            "norm without affine": lambda: nn.BatchNorm2d(6, affine=False, eps=1e-3),
            "batch statistics": lambda: nn.BatchNorm2d(6, track_running_stats=False),
        }
        self.norms = nn.ModuleList(norms[b[2]]() for b in blocks)
        acts = {"relu": nn.ReLU, "in place": lambda: nn.ReLU(inplace=True), "silu": nn.SiLU, "none": nn.Identity}
        self.acts = nn.ModuleList(acts[b[3]]() for b in blocks)
        self.stem, self.fc = nn.Conv2d(3, 6, 3, stride=2), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for (how, twice), conv, norm, act in zip(self.how, self.convs, self.norms, self.acts, strict=True):
            raw = conv(x)
            y = norm(raw)
            if how == "concatenate":
                y = torch.cat([y, raw], 1).unflatten(1, (2, 6)).mean(1)
            y = act(y)
            if twice:
                y = norm(conv(y))
            if how == "add":
                y = y + x
            if how == "gate":
                y = y * raw.mean((2, 3), keepdim=True).sigmoid()
            x = y
        return self.fc(x.mean((2, 3)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(blocks=LAYERS, seed=st.integers(0, 99))
def test_random_networks_have_the_same_logits_and_gradients(blocks: list[tuple[object, ...]], seed: int) -> None:
    torch.manual_seed(seed)
    network = settle(Random(blocks), seed)
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-3)):
        network.to(dtype)
        x = X.to(dtype)
        with guarded(network, x.device):
            fold = prepare(network, (x,))
            if fold is None:
                continue
            leaf, other = x.clone().requires_grad_(), x.clone().requires_grad_()
            plain, folded = network(leaf * 1), fold.run(network, (other * 1,))
            scale = float(plain.detach().abs().max())
            torch.testing.assert_close(folded, plain, rtol=0, atol=tolerance * max(scale, 1e-3))
            if dtype == torch.float64:
                (expected,) = torch.autograd.grad(plain[:, 0].sum(), leaf)
                (found,) = torch.autograd.grad(folded[:, 0].sum(), other)
                torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9 * max(scale, 1.0))


def test_another_epsilon_is_not_overlooked() -> None:
    network = small(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)).double()
    through_the_fold(network, X)
    network[1].eps = 0.5
    torch.testing.assert_close(
        through_the_fold(network, X), through_the_fold(copy.deepcopy(network), X), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("name", ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"])
def test_values_that_change_places_are_not_overlooked(name: str) -> None:
    network = small(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)).double()
    tensor = {**dict(network.named_parameters()), **dict(network.named_buffers())}[name].data
    tensor.copy_(torch.arange(1.0, 1 + tensor.numel()).view_as(tensor))  # whose sum is exact in any order
    first = fold_of(network, X)
    tensor.copy_(tensor.flip(0))
    assert fold_of(network, X) is not first


class ByRows(Functional):
    """Reads the convolution's output again after its norm, but not when it is recorded, with one row."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        z = self.bn(y)
        if len(x) > 1:
            z = z + y
        return self.fc(z.relu().mean((2, 3)))


def test_a_reader_after_the_norm_is_noticed_where_it_was_not_recorded() -> None:
    network = settle(ByRows("plain")).double()
    fold = fold_of(network, X)
    assert fold is not None
    with guarded(network, X.device), pytest.raises(MisfoldError, match="another reader"):
        fold.run(network, (X,))
    with guarded(network, X.device):
        scores = probe.Probe(network, torch.tensor([[0]]), whylook.engine.targets.Score(), fold=fold).scores(X)
    assert torch.equal(scores, network(X)[:, :1])


class OneRowOnly(Functional):
    """A view of rows and channels together, which channels-last has of one row only."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.conv(x))
        n, c, h, w = y.shape
        return self.fc(F.avg_pool2d(y.view(n * c, 1, h, w), 2).view(n, c, -1).mean(2))


def test_views_that_more_rows_do_not_have_mean_as_delivered() -> None:
    network = settle(OneRowOnly("plain"))
    x = X.float()
    found = whylook.attribute(network, x, "smoothgrad", 0, samples=probe.FROM)
    before, probe.FROM = probe.FROM, 1000
    try:
        torch.testing.assert_close(found, whylook.attribute(network, x, "smoothgrad", 0, samples=16))
    finally:
        probe.FROM = before
