"""What does not look at the network is flagged; what does, forgets with it."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from toys import NAMES, batch, build
from whylook.engine.request import Request
from whylook.engine.targets import Score as Explained
from whylook.errors import Unsupported, UsageError
from whylook.methods import METHODS
from whylook.metrics import Case, Score, measure
from whylook.metrics.dummies import dummies, sobel
from whylook.models import load_model
from whylook.phantom import picture
from whylook.randomize import forgetting
from whylook.remake import Remake


def gradient(name: str = "phantom:resnet", method: str = "input-x-gradient") -> Remake:
    model = load_model(name)
    x = model.preprocess.apply(picture())[None]
    return Remake.by(Request(METHODS[method]), model.network, x, 0, 4, Explained())


def edges(remake: Remake) -> Remake:
    return Remake(lambda network, x, target: sobel(x[0].numpy()), remake.network, remake.x, 0, 4)


def score(name: str, remake: Remake, **parameters: object) -> Score:
    return measure(name, Case(remake(), remake=remake), **parameters)


@pytest.mark.parametrize("name", ["full-randomization", "cascading-randomization", "random-target"])
def test_edges_are_flagged(name: str) -> None:
    assert score(name, edges(gradient())).value == pytest.approx(1)


@pytest.mark.parametrize("model", ["phantom:resnet", "phantom:vgg", "phantom:efficientnet", "phantom:mobilenet"])
def test_gradients_forget_with_the_network(model: str) -> None:
    remake = gradient(model)
    full = score("full-randomization", remake, draws=4)
    assert abs(full.value) < 0.35
    assert full.n == 4
    cascade = score("cascading-randomization", remake, stages=4)
    assert cascade.curves["share"][0] == 0
    assert cascade.curves["share"][-1] == 1
    assert cascade.curves["similarity"][0] == 1
    assert cascade.value < 0.6


def test_a_method_that_ignores_the_target_is_flagged() -> None:
    assert score("random-target", gradient(method="eigen-cam")).value == pytest.approx(1)
    assert score("random-target", gradient()).value < 0.6
    alone = gradient()
    only = Remake(alone.make, alone.network, alone.x, 0, 1)
    assert score("random-target", only).reason == "there is no other class"


def test_a_map_that_is_the_same_everywhere_is_like_its_like() -> None:
    remake = gradient()
    uniform = Remake(lambda network, x, target: np.ones((8, 8)), remake.network, remake.x, 0, 4)
    assert score("full-randomization", uniform).value == 1
    dead = Remake(
        lambda network, x, target: np.zeros((64, 64)) if network is not remake.network else remake(),
        remake.network, remake.x, 0, 4,
    )  # fmt: skip
    assert score("full-randomization", dead).value == 0


def test_maps_that_cannot_be_made_again_have_a_reason() -> None:
    remake = gradient()

    def refuse(network: nn.Module, x: torch.Tensor, target: int) -> np.ndarray:
        if network is not remake.network or target:
            raise Unsupported("not this one")
        return remake()

    refusing = Remake(refuse, remake.network, remake.x, 0, 4)
    for name in ("full-randomization", "cascading-randomization", "random-target"):
        assert score(name, refusing).reason == "the map cannot be made again: not this one"
    infinite = Remake(lambda n, x, t: np.full((2, 2), np.inf), remake.network, remake.x, 0, 4)
    found = measure("flip-consistency", Case(np.ones((2, 2)), remake=infinite))
    assert found.reason == "a map that was made again is not finite"


@pytest.mark.parametrize("toy_name", NAMES)
def test_forgetting_changes_every_parameter_of_a_copy_and_nothing_else(toy_name: str) -> None:
    toy = build(toy_name)
    x, before = batch(toy, 1), copy.deepcopy(toy.state_dict())
    twins = list(forgetting(toy, x, stages=3, seed=1))
    assert all(torch.equal(v, before[k]) for k, v in toy.state_dict().items())
    assert [s for s, _ in twins] == sorted(s for s, _ in twins)
    assert twins[-1][0] == 1
    twin = twins[-1][1]
    for (name, new), old in zip(twin.named_parameters(), toy.parameters(), strict=True):
        norm = new.numel() > 1 and bool((new == new.flatten()[0]).all())
        assert norm or not torch.isclose(new, old).any(), name
    answer = twin(x)
    assert answer.isfinite().all()
    assert 1e-4 < answer.abs().max() < 1e4  # neither exploded nor died


def test_what_has_no_weights_to_forget_is_not_said_to_keep_its_map() -> None:
    from whylook.engine.blackbox import BlackBox

    remake = gradient()
    network = remake.network
    compiled = torch.jit.script(network)
    bare = BlackBox(lambda x: network(x))
    for other, why in ((bare, "no parameters"), (compiled, "TorchScript"), (nn.ReLU(), "no parameters")):
        case = Case(remake(), remake=Remake(remake.make, other, remake.x, 0, 4))
        for name in ("full-randomization", "cascading-randomization"):
            found = measure(name, case)
            assert found.value is None
            assert why in found.reason


def test_the_output_forgets_first() -> None:
    toy = build("batch-norm")
    before = {k: v.clone() for k, v in toy.state_dict().items()}
    stages = []
    for _, twin in forgetting(toy, batch(toy, 1), stages=5):
        stages.append({k.rsplit(".", 1)[0] for k, v in twin.state_dict().items()
                       if v.is_floating_point() and not torch.equal(v, before[k])})  # fmt: skip
    assert stages == [
        {"head.2"},
        {"head.2", "features.4"},
        {"head.2", "features.4", "features.3"},
        {"head.2", "features.4", "features.3", "features.1"},
        {"head.2", "features.4", "features.3", "features.1", "features.0"},
    ]


def test_forgetting_follows_the_seed_and_leaves_the_global_generator_alone() -> None:
    toy = build("tokens")

    def weights(seed: int) -> torch.Tensor:
        (_, twin), = forgetting(toy, batch(toy, 1), seed=seed)  # fmt: skip
        return torch.cat([p.flatten() for p in twin.parameters()])

    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(weights(1), weights(1))
    assert torch.equal(torch.rand(1), expected)
    assert not torch.equal(weights(1), weights(2))


def test_dummies_that_follow_the_picture_are_flip_consistent() -> None:
    remake = gradient()
    assert score("flip-consistency", edges(remake)).value == pytest.approx(1)
    noise = Remake(
        lambda n, x, t: np.random.default_rng(int(x[0, 0, 0, 0] > x[0, 0, 0, -1])).random((64, 64)),
        remake.network, torch.arange(64.0).expand(1, 1, 64, 64), 0, 4,
    )  # fmt: skip
    assert abs(score("flip-consistency", noise).value) < 0.1
    uniform = measure("flip-consistency", Case(np.ones((8, 8)), remake=edges(remake)))
    assert "the same everywhere" in uniform.reason


def test_max_sensitivity_of_a_linear_map_is_bounded_and_reached() -> None:
    x = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    double = Remake(lambda n, v, t: 2 * v[0, 0].numpy(), nn.Identity(), x, 0, 2)
    reach = 0.05 * float(x.max() - x.min())
    found = score("max-sensitivity", double, samples=60, radius=0.05)
    assert 2 * reach * 6 / 3**0.5 * 0.9 < found.value < 2 * reach * 6  # uniform noise: a third of its square on average
    assert found.facts["relative"] == pytest.approx(found.value / np.linalg.norm(double()))
    assert score("max-sensitivity", Remake(lambda n, v, t: np.ones((3, 3)), nn.Identity(), x, 0, 2)).value == 0
    with pytest.raises(UsageError, match="radius above 0"):
        score("max-sensitivity", double, radius=0.0)
    with pytest.raises(UsageError, match="draws must be 1 or more"):
        score("full-randomization", double, draws=0)


def test_agreement_by_hand() -> None:
    rng = np.random.default_rng(0)
    a = rng.random((8, 8))
    assert measure("rank-correlation", Case(a, other=a**3)).value == pytest.approx(1)
    assert measure("rank-correlation", Case(a, other=-a)).value == pytest.approx(-1)
    assert measure("rank-correlation", Case(a, other=a.repeat(4, 0).repeat(4, 1))).value == pytest.approx(1)
    assert measure("top-overlap", Case(a, other=a), share=0.25).value == pytest.approx(1)
    assert measure("top-overlap", Case(a, other=-a), share=0.25).value == 0
    flat = measure("top-overlap", Case(a, other=np.ones((8, 8))), share=0.25)
    assert flat.value == pytest.approx(flat.chance)


def test_descriptions_by_hand() -> None:
    one = np.zeros((4, 5))
    one[1, 2] = -3
    assert measure("sparseness", Case(one)).value == pytest.approx(1 - 1 / 20)
    assert measure("entropy", Case(one)).value == 0
    assert measure("sparseness", Case(np.ones((4, 5)))).value == 0
    assert measure("entropy", Case(np.ones((4, 5)))).value == pytest.approx(1)
    values = np.random.default_rng(0).random((60, 60))
    assert measure("sparseness", Case(values)).value == pytest.approx(1 / 3, abs=0.01)
    pairs = abs(values.ravel()[:, None] - values.ravel()[None]).mean() / (2 * values.mean())  # Gini's own definition
    assert measure("sparseness", Case(values)).value == pytest.approx(pairs)


def test_dummies_fail_and_gradients_pass_where_the_truth_is_known() -> None:
    remake = gradient("phantom:resnet")
    grid = (8, 8)
    for name, values in dummies(remake.x[0].numpy(), grid).items():
        fake = Remake(lambda n, x, t, v=values: v, remake.network, remake.x, 0, 4)
        assert score("full-randomization", fake).value == pytest.approx(1), name
