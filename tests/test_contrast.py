"""Every method explains "why A rather than B" and the margin: the score is a class that the network does not have yet."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import whylook
from references import CHEAP, REFUSED
from toys import batch, build
from whylook.methods import METHODS

# Refuse a second class, in these words: what they show does not depend on the target, or they choose the second class.
NO_CONTRAST = {
    **{m.name: "same map for every class" for m in METHODS if not m.class_specific},
    "finer-cam": "finds the classes to compare with by itself",
}
# Linear in the score, so that the map of a difference is the difference of the maps.
LINEAR = {
    "input-x-gradient", "smoothgrad", "cam", "recipro-cam", "lrp", "deeplift", "excitation-backprop", "fullgrad",
    "occlusion", "rise", "lime", "kernel-shap", "blur-ig", "expected-gradients", "gradient-shap",
}  # fmt: skip
# Explain logits, and a score of them by how it reacts to each: rules for the operations of the score itself would tell
# less, and CAM has a meaning for logits alone.
WEIGHED = ("cam", "lrp", "excitation-backprop", "deeplift", "fullgrad")
TOYS = ("plain", "flatten-head", "tokens")
PAIRS = [(m.name, toy) for m in METHODS for toy in TOYS if (m.name, toy) not in REFUSED]


CLASSES = [0, 2, 3, 4]


class Appended(nn.Module):
    """Four more logits: the scores of `CLASSES`."""

    def __init__(self, score: Callable[[Tensor, int], Tensor]) -> None:
        super().__init__()
        self.score = score

    def forward(self, z: Tensor) -> Tensor:
        return torch.cat([z, *(self.score(z, c)[:, None] for c in CLASSES)], 1)


def difference(z: Tensor, c: int) -> Tensor:
    return z[:, c] - z[:, 1]


def margin(z: Tensor, c: int) -> Tensor:
    return z[:, c] - z[:, [k for k in range(5) if k != c]].logsumexp(1)


def probability(z: Tensor, c: int) -> Tensor:
    return z.softmax(1)[:, c]


ASKED = {
    "against": (difference, {"against": 1}), "margin": (margin, {"score": "margin"}),
    "probability": (probability, {"score": "probability"}),
}  # fmt: skip


AS_A_CLASS = [
    (name, toy, asked) for name, toy in PAIRS for asked in ASKED
    if name not in NO_CONTRAST and name != "excitation-backprop" and (name not in WEIGHED or asked == "against")
]  # fmt: skip


@pytest.mark.parametrize(("name", "toy_name", "asked"), AS_A_CLASS)
def test_a_score_is_explained_as_if_it_were_a_class(name: str, toy_name: str, asked: str) -> None:
    score, options = ASKED[asked]
    toy, other = build(toy_name), build(toy_name)
    x = batch(toy, 1)
    other.head = nn.Sequential(other.head, Appended(score))
    ours = whylook.attribute(toy, x, name, [CLASSES], **options, **CHEAP[name])
    expected = whylook.attribute(other, x, name, [[5, 6, 7, 8]], **CHEAP[name])
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-12)
    assert ours.any()


def weights(score: Callable[[Tensor, int], Tensor], z: Tensor, at: Tensor, c: int, nodes: int) -> Tensor:
    """Mean derivative of the score by the logits from `at` to `z` (midpoints), or at `z` for no nodes."""
    steps = (torch.arange(nodes).double() + 0.5) / nodes if nodes else torch.ones(1).double()
    path = (at + steps[:, None] * (z - at)).requires_grad_()
    return torch.autograd.grad(score(path, c).sum(), path)[0].mean(0, keepdim=True)


@pytest.mark.parametrize("asked", ["margin", "probability"])
@pytest.mark.parametrize(("name", "toy_name"), [p for p in PAIRS if p[0] in WEIGHED])
def test_a_score_weighs_the_maps_of_the_logits(name: str, toy_name: str, asked: str) -> None:
    score = ASKED[asked][0]
    toy = build(toy_name)
    last = [m for m in toy.modules() if isinstance(m, nn.Linear)][-1]
    last.weight.data *= 20  # logits so far from each other that the score is curved between them
    x = batch(toy)
    with torch.no_grad():
        z, at = toy(x), toy(0 * x)
    ours = whylook.attribute(toy, x, name, [[2, 0], [2, 0]], score=asked)
    maps = whylook.attribute(toy, x, name, [list(range(5))] * 2)
    for row in range(2):
        one, zero = z[row : row + 1], at[row : row + 1]
        for k, c in enumerate((2, 0)):
            w = weights(score, one, zero, c, 4000 if name == "deeplift" else 0)[0]
            expected = torch.tensordot(w, maps[row], 1)
            if name == "fullgrad":
                expected = expected + (score(one, c) - one[0] @ w) / expected.numel()
            torch.testing.assert_close(ours[row, k], expected, rtol=1e-5, atol=1e-9 * float(expected.abs().max()))
            start = score(one, c) - score(zero, c) if name == "deeplift" else score(one, c)
            if name in ("deeplift", "fullgrad"):
                torch.testing.assert_close(ours[row, k].sum()[None], start, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", WEIGHED)
def test_the_margin_of_one_logit_is_the_logit_and_its_probability_a_sigmoid(name: str) -> None:
    toy = build("one-logit")
    x = batch(toy)
    plain, odds, probability = (
        whylook.attribute(toy, x, name, [[0, 1]] * 2, score=s) for s in ("logit", "margin", "probability")
    )
    torch.testing.assert_close(odds, plain)
    with torch.no_grad():
        z, at = toy(x)[:, 0], toy(0 * x)[:, 0]
    p, before = z.sigmoid(), at.sigmoid()
    slope = (p - before) / (z - at) if name == "deeplift" else p * (1 - p)
    expected = plain * slope.reshape(-1, *[1] * (plain.ndim - 1))
    if name == "fullgrad":
        rest = torch.stack([1 - p + p * (1 - p) * z, p - p * (1 - p) * z], 1) / plain[0, 0].numel()
        expected = expected + rest[..., None, None]
    torch.testing.assert_close(probability, expected)


@pytest.mark.filterwarnings("ignore:.*The shares add up")
@pytest.mark.parametrize(("name", "toy_name"), [p for p in PAIRS if p[0] in LINEAR])
def test_linear_methods_of_a_difference(name: str, toy_name: str) -> None:
    toy = build(toy_name)
    x = batch(toy)
    one, other = (whylook.attribute(toy, x, name, k, **CHEAP[name]) for k in (3, 1))
    ours = whylook.attribute(toy, x, name, 3, against=1, **CHEAP[name])
    torch.testing.assert_close(ours, one - other, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", NO_CONTRAST)
def test_where_a_second_class_has_no_meaning_it_is_said(name: str) -> None:
    toy = build("plain")
    with pytest.raises(whylook.Unsupported, match=NO_CONTRAST[name]):
        whylook.attribute(toy, batch(toy), name, 3, against=1)


def test_what_cannot_be_contrasted_stands_beside_what_can() -> None:
    from whylook.phantom import picture

    result = whylook.explain(picture(), "phantom:resnet", ["grad-cam", "eigen-cam"], 1, against=0)
    assert [m.method for m in result.maps] == ["grad-cam"]
    assert [f[1] for f in result.failures] == ["eigen-cam"]
    assert "use a method that knows its target" in result.failures[0][2]


@pytest.mark.parametrize("name", [m.name for m in METHODS if not m.class_specific])
def test_what_does_not_depend_on_the_class_does_not_depend_on_its_score(name: str) -> None:
    toy = build(next(t for t in TOYS if (name, t) in PAIRS))
    x = batch(toy)
    plain, odds, probability = (
        whylook.attribute(toy, x, name, 3, score=s, **CHEAP[name]) for s in ("logit", "margin", "probability")
    )
    assert torch.equal(plain, odds)
    assert torch.equal(plain, probability)


@pytest.mark.parametrize("target", [0, 1])
def test_finer_cam_of_one_logit_compares_with_the_other_class(target: int) -> None:
    toy = build("one-logit")
    x = batch(toy)
    finer, odds, alone = (
        whylook.attribute(toy, x, "finer-cam", target, **own)
        for own in ({}, {"score": "margin"}, {"gamma": 0.0})
    )  # fmt: skip
    torch.testing.assert_close(odds, finer)
    torch.testing.assert_close(finer, 1.6 * alone)  # the other class's logit is the negative of this one's
