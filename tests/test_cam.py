"""The CAM family: identities on heads whose answer is known in closed form, several layers, and the peers."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import whylook
from toys import batch, build
from whylook import attribute

POOLED = ("plain", "residual", "functional", "relu6", "silu", "gelu", "batch-norm", "channels-last", "one-logit")


def linear(toy: nn.Module) -> nn.Linear:
    return next(m for m in toy.head.modules() if isinstance(m, nn.Linear))


def any_head(name: str) -> nn.Module:
    """The toy with something that is not linear behind its global average pooling."""
    toy = build(name)
    toy.head = nn.Sequential(*toy.head[:2], nn.Linear(8, 7), nn.Tanh(), nn.Linear(7, 5)).double()
    return toy


# -- where the layer feeds global average pooling and one linear layer


@pytest.mark.parametrize("name", POOLED)
def test_cam_averages_to_the_logit_less_its_bias(name: str) -> None:
    toy = build(name)
    x = batch(toy)
    means = attribute(toy, x, "cam", 1).mean((1, 2))
    z, bias = toy(x), linear(toy).bias
    torch.testing.assert_close(means, (z - bias)[:, -1 if toy.classes == 2 else 1].detach())


@pytest.mark.parametrize("name", POOLED)
def test_grad_cam_is_the_positive_part_of_cam_per_cell(name: str) -> None:
    toy = build(name)
    x = batch(toy)
    classes = [[0, 1], [0, 1]]
    cam = attribute(toy, x, "cam", classes)
    assert (cam > 0).any()
    assert (cam < 0).any()
    torch.testing.assert_close(attribute(toy, x, "grad-cam", classes), cam.relu() / cam[0, 0].numel())
    torch.testing.assert_close(attribute(toy, x, "recipro-cam", classes), cam / cam[0, 0].numel())


def test_on_other_heads_grad_cam_is_something_else_and_cam_is_refused() -> None:
    flat = build("flatten-head")
    x = batch(flat)
    assert not torch.allclose(attribute(flat, x, "grad-cam", 3), attribute(flat, x, "hirescam", 3))
    for toy in (flat, any_head("plain"), build("in-place-behind")):
        with pytest.raises(whylook.Unsupported, match="Use hirescam"):
            attribute(toy, x, "cam", 3, layer="features")


def test_cam_of_a_difference_is_the_difference_of_cams() -> None:
    toy = build("plain")
    x = batch(toy)
    torch.testing.assert_close(
        attribute(toy, x, "cam", 3, against=1), attribute(toy, x, "cam", 3) - attribute(toy, x, "cam", 1)
    )


def test_ablation_weighs_by_each_channels_share_of_the_score() -> None:
    toy = build("plain")
    x = batch(toy)
    for target in range(5):
        A = toy.features(x.clone()).detach()
        share = linear(toy).weight[target] * A.mean((2, 3)) / toy(x)[:, target, None].abs()
        expected = (share[:, :, None, None] * A).sum(1).relu().detach()
        torch.testing.assert_close(attribute(toy, x, "ablation-cam", target), expected)
    assert (toy(x) < 0).any()
    assert (toy(x) > 0).any()


def test_finer_cam_is_grad_cam_of_the_difference_to_the_closest_classes() -> None:
    toy = build("flatten-head")
    x = batch(toy, 1)
    z = toy(x)[0].tolist()
    closest = min((c for c in range(5) if c != 2), key=lambda c: abs(z[c] - z[2]))
    torch.testing.assert_close(
        attribute(toy, x, "finer-cam", 2, classes=1, gamma=1.0), attribute(toy, x, "grad-cam", 2, against=closest)
    )
    torch.testing.assert_close(attribute(toy, x, "finer-cam", 2, gamma=0.0), attribute(toy, x, "grad-cam", 2))
    # On a pooled head, against all other classes: the weights of the linear layer less gamma times their mean.
    toy = build("plain")
    weight = linear(toy).weight.detach()
    w = weight[2] - 0.5 * weight[[0, 1, 3, 4]].mean(0)
    expected = torch.einsum("nchw,c->nhw", toy.features(x.clone()).detach(), w).relu() / 16
    torch.testing.assert_close(attribute(toy, x, "finer-cam", 2, classes=9, gamma=0.5), expected)


@pytest.mark.parametrize("wrong", [{"classes": 0}, {"gamma": -1.0}])
def test_finer_cam_says_what_it_needs(wrong: dict[str, object]) -> None:
    toy = build("plain")
    with pytest.raises(whylook.UsageError, match="classes of 1 or more and gamma of 0 or more"):
        attribute(toy, batch(toy), "finer-cam", 1, **wrong)
    with pytest.raises(whylook.Unsupported, match="grad-cam with against="):
        attribute(toy, batch(toy), "finer-cam", 1, against=2)


# -- where each channel's gradient is the same at every cell


@pytest.mark.parametrize("method", ["hirescam", "xgrad-cam"])
def test_behind_global_average_pooling_these_are_grad_cam_whatever_follows(method: str) -> None:
    toy = any_head("plain")
    x = batch(toy)
    torch.testing.assert_close(attribute(toy, x, method, 2), attribute(toy, x, "grad-cam", 2))
    flat = build("flatten-head")
    assert not torch.allclose(attribute(flat, x, method, 2), attribute(flat, x, "grad-cam", 2))


def test_layercam_is_hirescam_where_nothing_speaks_against() -> None:
    toy = build("plain")
    linear(toy).weight.data.abs_()
    x = batch(toy)
    torch.testing.assert_close(attribute(toy, x, "layercam", 2), attribute(toy, x, "hirescam", 2))


def test_one_channel_has_no_choice() -> None:
    # With one channel the first principal direction is that channel, and the orientation restores its sign.
    torch.manual_seed(0)
    toy = nn.Sequential(nn.Conv2d(3, 1, 3), nn.Tanh(), nn.Flatten(), nn.Linear(36, 5)).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    A = toy[:2](x).detach()
    leaf = A.clone().requires_grad_()
    G = torch.autograd.grad(toy[2:](leaf)[:, 2].sum(), leaf)[0]
    torch.testing.assert_close(attribute(toy, x, "eigengrad-cam", 2, layer="1"), (A * G)[:, 0])
    torch.testing.assert_close(attribute(toy, x, "eigen-cam", 2, layer="1"), A[:, 0])


# -- Score-CAM


class SameSize(nn.Module):
    """A layer as large as the input, so that nothing is interpolated; the score is linear in what is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
        self.fc = nn.Linear(3 * 64, 5, bias=False)
        self.features[0].bias.data[2] = -100  # a channel that is nowhere active

    def forward(self, x: Tensor) -> Tensor:
        A = self.features(x)
        return self.fc(x.flatten(1)) + 0 * A.sum((1, 2, 3))[:, None]


@pytest.mark.parametrize("rule", ["softmax", "increase"])
def test_score_cam_of_a_linear_score_in_closed_form(rule: str) -> None:
    torch.manual_seed(3)
    net = SameSize().double()
    x, baseline = torch.randn(1, 3, 8, 8, dtype=torch.float64), 0.3
    A = net.features(x)[0].detach()
    low, high = A.amin((1, 2), keepdim=True), A.amax((1, 2), keepdim=True)
    H = ((A - low) / (high - low)).nan_to_num(0)
    assert not H[2].any()
    w = net.fc.weight[4].reshape(3, 8, 8)
    increase = torch.stack([(w * (x[0] - baseline) * h).sum() for h in H])
    weight = increase.softmax(0) if rule == "softmax" else increase
    expected = torch.einsum("c,chw->hw", weight, A).relu().detach()
    ours = attribute(net, x, "score-cam", 4, layer="features", rule=rule, baseline=baseline)
    torch.testing.assert_close(ours[0], expected)


def test_score_cam_says_what_rules_there_are() -> None:
    toy = build("plain")
    with pytest.raises(whylook.UsageError, match="there are softmax and increase"):
        attribute(toy, batch(toy), "score-cam", 1, rule="sigmoid")


def test_score_cam_masks_the_picture_and_leaves_the_table() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.table, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(5, 4), nn.Linear(8, 3)

        def forward(self, picture: Tensor, row: Tensor) -> Tensor:
            return self.fc(torch.cat([self.conv(picture).relu().mean((2, 3)), self.table(row)], 1))

    torch.manual_seed(0)
    net = Net().double()
    picture, row = torch.randn(1, 1, 8, 8, dtype=torch.float64), torch.randn(1, 5, dtype=torch.float64)
    ours = attribute(net, (picture, row), "score-cam", 1, layer="conv", rule="increase")
    A = net.conv(picture)[0].detach()
    weight = []
    for channel in A:
        up = nn.functional.interpolate(channel[None, None], (8, 8), mode="bilinear")
        mask = (up - up.min()) / (up.max() - up.min())
        weight.append((net(picture * mask, row) - net(picture * 0, row))[0, 1])
    torch.testing.assert_close(ours[0], torch.einsum("c,chw->hw", torch.stack(weight), A).relu().detach())


# -- several layers


def unit(values: Tensor) -> Tensor:
    return values / values.abs().amax((1, 2), keepdim=True)


@pytest.mark.parametrize("method", ["layercam", "recipro-cam", "eigen-cam"])
def test_several_layers_are_scaled_brought_to_the_finest_grid_and_averaged(method: str) -> None:
    toy = build("residual")
    x = batch(toy)
    early, late = (unit(attribute(toy, x, method, 1, layer=name)) for name in ("features.stem", "features.b"))
    both = attribute(toy, x, method, 1, layer=["features.stem", toy.features.b])
    torch.testing.assert_close(both, (early + late) / 2)
    again = attribute(toy, x, method, 1, layer=["features.stem", "features.b", "features.stem"])
    assert torch.equal(again, both)  # a layer named twice is one layer
    assert torch.equal(
        attribute(toy, x, method, 1, layer=["features.b"]), attribute(toy, x, method, 1, layer="features.b")
    )


def test_several_layers_of_different_grids() -> None:
    toy = build("silu")
    x = batch(toy)
    fine, coarse = (attribute(toy, x, "layercam", 1, layer=name) for name in ("features.0", "features.2"))
    assert fine.shape[1:] == (8, 8)
    assert coarse.shape[1:] == (4, 4)
    up = nn.functional.interpolate(unit(coarse)[None], (8, 8), mode="bilinear")[0]
    both = attribute(toy, x, "layercam", [[1, 2], [1, 2]], layer=["features.2", "features.0"])
    assert both.shape == (2, 2, 8, 8)
    torch.testing.assert_close(both[:, 0], (unit(fine) + up) / 2)
    assert both.max() <= 1


def test_a_layer_whose_map_is_zero_stays_zero() -> None:
    from whylook.engine.fusion import fuse

    a, zero = torch.tensor([[[[-4.0, 2.0]]]]), torch.zeros(1, 1, 1, 2)
    assert fuse([a, zero]).tolist() == [[[[-0.5, 0.25]]]]
    assert torch.equal(fuse([a]), a)
    with pytest.raises(whylook.Unsupported, match="different kinds"):
        fuse([a, torch.zeros(1, 1, 4)])


def test_several_layers_share_one_forward() -> None:
    toy = build("residual")
    x = batch(toy, 1)
    attribute(toy, x, "grad-cam", 1, layer=["features.stem", "features.b"])  # the layers are found, and remembered
    seen = []
    toy.head.register_forward_hook(lambda *_: seen.append(1))
    attribute(toy, x, "grad-cam", 1, layer=["features.stem", "features.b"])
    assert seen == [1]


def test_layers_that_cannot_be_are_said() -> None:
    toy = build("residual")
    x = batch(toy)
    for layer, message in (([], "empty list"), (["features.stem", "nowhere"], "no layer 'nowhere'"), ([3], "neither")):
        with pytest.raises(whylook.UsageError, match=message):
            attribute(toy, x, "grad-cam", 1, layer=layer)
    with pytest.raises(whylook.UsageError, match="reads no layer"):
        attribute(toy, x, "gradient", 1, layer=["features.stem"])
    with pytest.raises(whylook.Unsupported, match="not a spatial grid"):
        attribute(toy, x, "grad-cam", 1, layer=["features.stem", "head.2"])


def test_explain_names_all_layers() -> None:
    names = ["features.2", "features.7"]
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    result = whylook.explain(picture, "phantom:vgg", ["layercam", "gradient", "ablation-cam"], layer=names)
    for method in ("layercam", "ablation-cam"):
        made = result.map("phantom:vgg", method)
        assert made.layer == "features.2, features.7"
        assert made.values.max() <= 1
    assert result.map("phantom:vgg", "gradient").layer is None


# -- the peers


def rectified_at_full_size() -> nn.Module:
    torch.manual_seed(1)
    features = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)).eval()


def test_torchcam_agrees_on_score_cam_where_nothing_is_interpolated() -> None:
    # It scales the channel before the interpolation, the paper and we after it; at the input's size that is the same.
    activation = pytest.importorskip("torchcam.methods.activation", reason="needs torch-cam")
    net = rectified_at_full_size()
    x = torch.randn(1, 3, 10, 10)
    with activation.ScoreCAM(net, "0", input_shape=(3, 10, 10)) as extractor, torch.inference_mode():
        scores = net(x)
        theirs = extractor(3, scores, normalized=False)[0]
    torch.testing.assert_close(attribute(net, x, "score-cam", 3, layer="0"), theirs.clone(), rtol=1e-4, atol=1e-6)


def pgc_map(kind: str, net: nn.Module, x: Tensor, target: int) -> np.ndarray:
    """pytorch-grad-cam's map, before it scales it."""
    pgc = pytest.importorskip("pytorch_grad_cam", reason="needs grad-cam (uv sync installs it)")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with getattr(pgc, kind)(model=net, target_layers=[net[0]]) as cam:
        cam.batch_size = 4
        cam(input_tensor=x, targets=[ClassifierOutputTarget(target)])
        return cam.get_cam_image(
            x, net[0], [ClassifierOutputTarget(target)], cam.activations_and_grads.activations[0].numpy(),
            cam.activations_and_grads.gradients[0].numpy() if cam.uses_gradients else None, False,
        )  # fmt: skip


def test_pytorch_grad_cam_agrees_on_score_cam_where_nothing_is_interpolated() -> None:
    net, x = rectified_at_full_size(), torch.randn(1, 3, 10, 10)
    theirs = np.maximum(pgc_map("ScoreCAM", net, x, 3), 0)
    ours = attribute(net, x, "score-cam", 3, layer="0").numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_pytorch_grad_cam_agrees_on_ablation_cam_of_positive_scores_only() -> None:
    net, x = rectified_at_full_size(), torch.randn(1, 3, 10, 10)
    z = net(x)[0].tolist()
    high, low = z.index(max(z)), z.index(min(z))
    assert z[low] < 0 < z[high]
    ours = {k: attribute(net, x, "ablation-cam", k, layer="0").numpy() for k in (high, low)}
    np.testing.assert_allclose(ours[high], np.maximum(pgc_map("AblationCAM", net, x, high), 0), rtol=1e-3, atol=1e-6)
    # It divides by the score and not by its size: where that is negative, it shows what speaks against the class.
    np.testing.assert_allclose(ours[low], np.maximum(-pgc_map("AblationCAM", net, x, low), 0), rtol=1e-3, atol=1e-6)


def test_where_pytorch_grad_cam_ablates_to_minus_ten_million() -> None:
    # In a layer with negative values it sets a channel to the minimum less 1e7 instead of the paper's zero.
    from pytorch_grad_cam.ablation_layer import AblationLayer

    layer = AblationLayer()
    layer.set_next_batch(0, torch.tensor([[[[-1.0, 2.0]], [[0.5, 1.0]]]]), 1)
    layer.indices = [0]
    assert layer(None).min() < -9e6


def test_torchcam_agrees_on_finer_cam() -> None:
    gradient = pytest.importorskip("torchcam.methods.gradient", reason="needs torch-cam")
    net = build("plain").float()
    x = batch(net, 1).float()
    with gradient.FinerCAM(net, "features", input_shape=(3, 16, 16)) as extractor:
        theirs = extractor(2, net(x), normalized=False)[0].detach()
    torch.testing.assert_close(attribute(net, x, "finer-cam", 2), theirs, rtol=1e-4, atol=1e-6)
