"""What every method must pass, over the registry: a new method is tested here without another edit."""

import copy

import pytest
import torch
from torch import nn

import whylook
from references import CHEAP, EXCUSED, REFERENCES, REFUSED
from toys import NAMES, batch, build
from whylook.engine.probe import Noise
from whylook.methods import METHODS, Method

pytestmark = pytest.mark.filterwarnings("ignore:.*The shares add up", "ignore:.*means over few orders")
METHOD_NAMES = METHODS.names()
PAIRS = [(name, toy) for name in METHOD_NAMES for toy in NAMES if (name, toy) not in REFUSED]
on_every_toy = pytest.mark.parametrize(("name", "toy_name"), PAIRS)


def usual(name: str) -> str:
    """A toy that the method works on."""
    return next(toy for toy in ("plain", "tokens", *NAMES) if (name, toy) not in REFUSED)


def attribute(toy: nn.Module, x: object, name: str, targets: object = None, **more: object) -> torch.Tensor:
    layer = {"layer": toy.ask} if METHODS[name].needs.layer and toy.ask else {}
    return whylook.attribute(toy, x, name, targets, **{**CHEAP[name], **layer, **more})


def state(network: nn.Module) -> list[object]:
    """Everything of a network that a method could change."""
    return [
        *((n, p.detach().clone(), p.requires_grad, p.grad) for n, p in network.named_parameters()),
        *((n, b.clone()) for n, b in network.named_buffers()),
        *((n, m.training, getattr(m, "inplace", None), len(m._forward_hooks), len(m._backward_hooks),
           len(m._forward_pre_hooks), id(m)) for n, m in network.named_modules()),
    ]  # fmt: skip


def same(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(i, j) for i, j in zip(a, b, strict=True))
    return a == b


@on_every_toy
def test_agrees_with_a_dense_float64_reference(name: str, toy_name: str) -> None:
    toy = build(toy_name)
    x = batch(toy)
    for target in (0, toy.classes - 1):
        ours = attribute(toy, x, name, target)
        for row in range(2):
            reference = torch.as_tensor(REFERENCES[name](toy, x[row : row + 1], target, **CHEAP[name]))
            torch.testing.assert_close(ours[row], reference, rtol=1e-6, atol=1e-12)
        assert ours.dtype == torch.float64


SAME = ("smoothgrad", "input-x-gradient", "shapley-cam")  # may equal another method's map on this toy


@pytest.mark.parametrize("toy_name", ["flatten-head", "transformer"])
def test_the_references_tell_methods_and_targets_apart(toy_name: str) -> None:
    # A reference that returned zeros, or its input, would agree with anything that does the same.
    toy = build(toy_name)
    x = batch(toy, 1)
    maps = {
        n: torch.as_tensor(r(toy, x, 1, **CHEAP[n]))
        for n, r in REFERENCES.items()
        if (n, toy_name) not in REFUSED and n not in SAME
    }
    for name, values in maps.items():
        assert values.abs().sum() > 0
        others = [v for n, v in maps.items() if n != name and v.shape == values.shape]
        assert not any(torch.allclose(values, v) for v in others), name


@on_every_toy
def test_the_network_is_bit_identical_afterwards(name: str, toy_name: str) -> None:
    toy = build(toy_name).train()
    toy.features.eval()  # a mixture, as when a backbone is frozen: each module gets its own flag back
    for p in toy.parameters():
        p.grad = torch.ones_like(p)
    before = copy.deepcopy(state(toy))
    ids = [id(m) for m in toy.modules()]
    grads = [p.grad for p in toy.parameters()]
    attribute(toy, batch(toy), name, 0)
    after = state(toy)
    assert ids == [id(m) for m in toy.modules()]
    assert all(a is b for a, b in zip(grads, (p.grad for p in toy.parameters()), strict=True))
    assert same([e[:-1] if isinstance(e[-1], int) else e for e in before],
                [e[:-1] if isinstance(e[-1], int) else e for e in after])  # fmt: skip


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_the_network_is_put_back_when_it_fails(name: str) -> None:
    class Breaks(nn.Module):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            Breaks.calls += 1
            if (
                Breaks.calls > 1 or not METHODS[name].needs.layer
            ):  # the first call is of noise, or the search for a layer
                raise RuntimeError("boom")
            return x

    toy = build("batch-norm").train()
    toy.head = nn.Sequential(Breaks(), *toy.head)
    before = [m.training for m in toy.modules()]
    with pytest.raises(RuntimeError, match="boom"):
        attribute(toy, batch(toy), name, 0)
    assert [m.training for m in toy.modules()] == before
    assert all(p.requires_grad for p in toy.parameters())
    assert not any(m._forward_hooks for m in toy.modules())


@pytest.mark.parametrize(("name", "toy_name"), [p for p in PAIRS if p[1] in ("plain", "tokens", "batch-norm")])
def test_works_where_gradients_are_off(name: str, toy_name: str) -> None:
    toy = build(toy_name)
    x = batch(toy)
    expected = attribute(toy, x, name, 1)
    with torch.no_grad():
        assert torch.equal(attribute(toy, x, name, 1), expected)
    with torch.inference_mode():
        assert torch.equal(attribute(toy, x, name, 1).clone(), expected)
        inference_x = x.clone()
        assert torch.equal(attribute(toy, inference_x, name, 1).clone(), expected)
        inference_toy = copy.deepcopy(toy)
    assert torch.equal(attribute(inference_toy, inference_x, name, 1), expected)


@on_every_toy
def test_rows_classes_and_company_change_nothing(name: str, toy_name: str) -> None:
    toy = build(toy_name)
    x = batch(toy, 3)
    together = attribute(toy, x, name, [[0, 1], [1, 0], [0, 1]])
    assert together.shape[:2] == (3, 2)
    for row in range(3):
        alone = attribute(toy, x[row : row + 1], name, 1)
        torch.testing.assert_close(together[row, 1 if row != 1 else 0], alone[0], rtol=1e-6, atol=1e-12)
    assert torch.equal(attribute(toy, x, name, [[1], [1], [1]])[:, 0], attribute(toy, x, name, 1))
    assert torch.equal(attribute(toy, x, name, [1, 0, 1]), together[torch.arange(3), [1, 1, 1]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("toy_name", NAMES)
def test_in_company_and_alone_are_bit_equal(toy_name: str, dtype: torch.dtype) -> None:
    from whylook.engine.request import Request
    from whylook.engine.run import run
    from whylook.engine.targets import Score, resolve

    toy = build(toy_name).to(dtype)
    x = batch(toy).to(dtype)

    def go(names: tuple[str, ...]) -> list[torch.Tensor]:
        requests = [Request(METHODS[n], CHEAP[n], toy.ask if METHODS[n].needs.layer else None) for n in names]
        _, raws = run(toy, (x,), requests, lambda z, one: resolve([[0, 1], [1, 0]], z, one), Score())
        return [r.values[0] if isinstance(r.values, tuple) else r.values for r in raws]

    able = tuple(n for n in METHOD_NAMES if (n, toy_name) not in REFUSED)
    together = go(able)
    for name, values in zip(able, together, strict=True):
        assert torch.equal(go((name,))[0], values), name


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_same_seed_same_map_and_the_global_generator_is_left_alone(name: str) -> None:
    toy = build(usual(name))
    x = batch(toy)
    torch.manual_seed(7)
    expected_next = torch.rand(3)
    torch.manual_seed(7)
    first = attribute(toy, x, name, 0, seed=3)
    assert torch.equal(torch.rand(3), expected_next)
    assert torch.equal(attribute(toy, x, name, 0, seed=3), first)
    if METHODS[name].seeded and (name, "seed") not in EXCUSED:
        assert not torch.equal(attribute(toy, x, name, 0, seed=4), first)


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_dropout_that_is_always_on_follows_the_seed(name: str) -> None:
    class Always(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.dropout(x, 0.5, training=True)

    toy = build(usual(name))
    toy.head = nn.Sequential(Always(), toy.head)
    x = batch(toy)
    if name == "deeplift":  # the input and its baseline lose other channels, so their difference says nothing
        with pytest.raises(whylook.Unsupported, match="draws random numbers"):
            attribute(toy, x, name, 0, seed=1)
        return
    assert torch.equal(attribute(toy, x, name, 0, seed=1), attribute(toy, x, name, 0, seed=1))


@pytest.mark.parametrize("name", [n for n in METHOD_NAMES if (n, "flip") not in EXCUSED])
def test_flipping_the_input_flips_the_map(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Noise that is its own mirror image: without that a noisy copy of the flip is not the flip of a noisy copy.
    draw = Noise.normal
    monkeypatch.setattr(Noise, "normal", lambda *given: (z := draw(*given)) + z.flip(-1))
    # A network that commutes with the flip: symmetric kernels, stride 1, global average pooling; or patches with
    # symmetric kernels whose tokens know no place.
    toy = build("functional" if (name, "functional") not in REFUSED else "transformer")
    for conv in (m for m in toy.features.modules() if isinstance(m, nn.Conv2d)):
        conv.stride = (1, 1) if conv.kernel_size == (3, 3) else conv.stride
        conv.weight.data = (conv.weight.data + conv.weight.data.flip(3)) / 2
    x = batch(toy, 1)
    turned = {k: v.flip(-1) for k, v in CHEAP[name].items() if isinstance(v, torch.Tensor)}  # a background, say
    flipped = attribute(toy, x.flip(3), name, 0, **turned)
    straight = attribute(toy, x, name, 0)
    torch.testing.assert_close(flipped, straight.flip(-1), rtol=1e-6, atol=1e-12)
    assert not torch.allclose(straight, straight.flip(-1))


@pytest.mark.parametrize("constant", ["detached", "zero-head"])
@pytest.mark.parametrize("name", [n for n in METHOD_NAMES if (n, "constant") not in EXCUSED])
def test_a_constant_network_gives_a_zero_map(name: str, constant: str) -> None:
    class Detach(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.detach() * 0 + 1

    toy = build(usual(name))
    if constant == "detached":
        toy.head = nn.Sequential(Detach(), toy.head)
        toy.ask = "features"  # by itself it would read the constant layer behind the break
    else:
        nn.init.zeros_([m for m in toy.head.modules() if isinstance(m, nn.Linear)][-1].weight)
    values = attribute(toy, batch(toy), name, 0)
    assert not values.any() or not METHODS[name].class_specific


@pytest.mark.parametrize("bad", [5, -1, 5000])
@pytest.mark.parametrize("name", METHOD_NAMES)
def test_a_class_that_does_not_exist_names_the_range(name: str, bad: int) -> None:
    toy = build(usual(name))
    with pytest.raises(ValueError, match=rf"Class {bad} does not exist: the network has classes 0 to 4"):
        attribute(toy, batch(toy), name, bad)


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_unsigned_means_no_negative_values(name: str) -> None:
    method = METHODS[name]
    for toy_name in (toy for n, toy in PAIRS if n == name):
        toy = build(toy_name)
        values = attribute(toy, batch(toy), name, 1)
        if not method.signed and method.channels is None:
            assert values.min() >= 0


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_facts_are_complete(name: str) -> None:
    method: Method = METHODS[name]
    assert name in REFERENCES, "every method needs a dense reference in its family's file in tests/references"
    assert method.paper.startswith(("arXiv:", "doi:"))
    for fact in (method.summary, method.formula, method.cost, method.limits, method.prefer):
        assert len(fact) > 5
    assert "Returns" in (method.function.__doc__ or ""), "say shape and range of what comes back"


@pytest.mark.parametrize(("name", "toy_name"), list(REFUSED))
def test_what_has_no_meaning_is_refused_in_words(name: str, toy_name: str) -> None:
    toy = build(toy_name)
    with pytest.raises(whylook.Unsupported, match=REFUSED[name, toy_name]):
        attribute(toy, batch(toy), name, 0)


@on_every_toy
def test_shapes_are_as_promised(name: str, toy_name: str) -> None:
    toy = build(toy_name)
    shape = tuple(attribute(toy, batch(toy, 1), name, 0).shape)
    match METHODS[name].space:
        case "input":
            assert shape == (1, 3, 16, 16)
        case "pixels":
            assert shape == (1, 16, 16)
        case "layer":
            assert shape == (1, *toy.grid(toy.features(batch(toy, 1))).shape[2:])
        case "windows":
            assert len(shape) == 3
            assert all(1 <= side <= 16 for side in shape[1:])
