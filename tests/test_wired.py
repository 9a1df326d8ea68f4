"""Networks wired by hand, where the truth is exact: every method that runs on them has to point at it."""

import pytest
import torch

import whylook
from whylook.methods import METHODS
from whylook.phantom.wired import CELL, SIDE, TEMPLATES, Detector, Reader, scene

PLACES = {"plus": (5, 6), "times": (20, 18), "frame": (7, 22)}
# Shows what is strongest in the layer, whatever the target: here the template whose place comes first in it is as good.
BLIND = {m.name for m in METHODS if not m.class_specific and not m.needs.attention}
ATTENTION = {m.name for m in METHODS if m.needs.attention}
# Masks the picture with the activation of single pixels, which leaves no template whole: its map is zero here, and right
# for none. See its limits.
POINTS = {"score-cam", "ss-cam", "is-cam"}
# What these show is not evidence, as the tests below say exactly.
ELSEWHERE = {"deconvnet", "vargrad"}
# All of the map lies within reach of the kernel that saw the template, for these exactly.
EXACT = ("cam", "grad-cam", "hirescam", "layercam", "xgrad-cam", "gradient", "input-x-gradient", "integrated-gradients",
         "guided-backprop", "lrp", "deeplift", "excitation-backprop", "ablation-cam")  # fmt: skip


def mass(name: str, network: torch.nn.Module, x: torch.Tensor, target: int) -> torch.Tensor:
    """Absolute map on the pixels, [h, w], of all there is to see."""
    few = {"samples": min(METHODS[name].parameters["samples"], 1000)} if "samples" in METHODS[name].parameters else {}
    try:
        values = whylook.attribute(network, x, name, target, **few)
    except whylook.Unsupported as why:
        pytest.skip(str(why))
    if name == "rise":  # where a mask makes no difference it is not 0 but the mean score
        values = (values - values.median()).clamp(min=0)
    values = values.detach().abs()
    values = values.sum(1, keepdim=True) if values.ndim == 4 else values[:, None]
    side = x.shape[-1]
    if values.shape[-1] != side:
        values = torch.nn.functional.interpolate(values, size=(side, side), mode="nearest")
    return values[0, 0]


def on(values: torch.Tensor, place: tuple[int, int], margin: int = 2) -> float:
    top, left = place
    part = values[top - margin : top + SIDE + margin, left - margin : left + SIDE + margin]
    return float(part.sum() / values.sum())


def test_the_detector_is_what_it_claims() -> None:
    network, x = Detector(), scene(PLACES)
    torch.testing.assert_close(network(x), torch.full((1, 3), 0.4))
    for k, name in enumerate(TEMPLATES):
        found = network.act(network.conv(x))[0, k]
        top, left = PLACES[name]
        assert found.nonzero().tolist() == [[top + SIDE // 2, left + SIDE // 2]]
        without = scene({other: at for other, at in PLACES.items() if other != name})
        torch.testing.assert_close(network(x) - network(without), 0.4 * torch.eye(3)[k : k + 1])
    twice = scene({"plus": (3, 3)}) + scene({"plus": (20, 12)})
    torch.testing.assert_close(network(twice)[0, 0], torch.tensor(0.8))


@pytest.mark.filterwarnings("ignore:.*residual:UserWarning")  # of what blur-ig adds up; its place is asked here
@pytest.mark.parametrize("target", range(3))
@pytest.mark.parametrize("name", [n for n in METHODS.names() if n not in BLIND | POINTS | ELSEWHERE | ATTENTION])
def test_every_method_points_at_its_template(name: str, target: int) -> None:
    values = mass(name, Detector(), scene(PLACES), target)
    shares = {t: on(values, PLACES[t]) for t in TEMPLATES}
    own = shares.pop(TEMPLATES[target])
    assert own > 2 * (SIDE + 4) ** 2 / 32**2, f"{name} has {own:.0%} of its mass on the template"
    assert own > max(shares.values())
    if name in EXACT:
        assert own > 0.999


@pytest.mark.parametrize("name", sorted(BLIND))
def test_methods_that_know_no_target_point_at_some_template(name: str) -> None:
    values = mass(name, Detector(), scene(PLACES), 0)
    assert sum(on(values, place) for place in PLACES.values()) > 0.999


@pytest.mark.parametrize("name", sorted(POINTS))
def test_score_cam_and_its_kin_have_nothing_to_show_where_a_pixel_stands_for_a_template(name: str) -> None:
    assert not mass(name, Detector(), scene(PLACES), 0).any()


def test_deconvnet_does_not_know_what_fired() -> None:
    # It passes the rectifier by the sign of what comes back alone, so behind one layer every picture has the same map.
    one, other = (whylook.attribute(Detector(), scene(at), "deconvnet", 0) for at in (PLACES, {"times": (3, 3)}))
    torch.testing.assert_close(one, other)
    assert one.any()


def test_vargrad_is_zero_where_the_gradient_is_sure() -> None:
    # The template answers 1 in any of these noises, so its gradient is the same in every sample: no variance.
    values = mass("vargrad", Detector(), scene(PLACES), 0)
    assert values.any()
    assert on(values, PLACES["plus"], margin=0) < 1e-6


@pytest.mark.parametrize("name", sorted(ATTENTION))
def test_attention_points_at_what_the_class_token_reads(name: str) -> None:
    x = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.2
    x[0, 0, 2 * CELL : 3 * CELL, 5 * CELL : 6 * CELL] = 1
    network = Reader()
    assert network(x)[0, 0].item() == pytest.approx(1, abs=0.01)
    values = whylook.attribute(network, x, name, 0)[0]
    assert divmod(int(values.argmax()), 8) == (2, 5)
    if name != "legrad":  # it averages over all queries, of which only the class token's is sharp
        assert values[2, 5] > 0.99 * values.sum()


def test_the_negative_of_the_evidence_shows_nothing() -> None:
    x = torch.full((1, 1, 32, 32), 0.1)
    x[0, 0, :CELL, :CELL] = 1
    assert not whylook.attribute(Reader(), x, "transformer-attribution", 1).any()
