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
LINEAR = {"input-x-gradient", "smoothgrad", "cam", "recipro-cam", "lrp", "deeplift", "excitation-backprop"}
# Share out a logit along the network's operations, and refuse scores that add an operation without a rule.
LOGITS_ONLY = {"cam": "explained by logits", **dict.fromkeys(("lrp", "deeplift", "fullgrad", "excitation-backprop"),
               "adds one that it has no rule for")}  # fmt: skip
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


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(("name", "toy_name"), [p for p in PAIRS if p[0] not in NO_CONTRAST])
def test_a_score_is_explained_as_if_it_were_a_class(name: str, toy_name: str, asked: str) -> None:
    score, options = ASKED[asked]
    toy, other = build(toy_name), build(toy_name)
    x = batch(toy, 1)
    if name in LOGITS_ONLY and asked != "against":
        with pytest.raises(whylook.Unsupported, match=LOGITS_ONLY[name]):
            whylook.attribute(toy, x, name, 3, **options)
        return
    if name == "excitation-backprop":
        pytest.skip("a walk from a logit made of two others would not be the difference of two walks")
    other.head = nn.Sequential(other.head, Appended(score))
    ours = whylook.attribute(toy, x, name, [CLASSES], **options, **CHEAP[name])
    expected = whylook.attribute(other, x, name, [[5, 6, 7, 8]], **CHEAP[name])
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-12)
    assert ours.any()


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
