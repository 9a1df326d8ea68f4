"""The peers as oracles where they are right; where they are not, what they do and why ours differs."""

import numpy as np
import pytest
import torch
from torch import nn

import whylook
from toys import batch, build

captum = pytest.importorskip("captum.attr", reason="needs captum (uv sync installs it)")
pgc = pytest.importorskip("pytorch_grad_cam", reason="needs grad-cam (uv sync installs it)")
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # noqa: E402

TOYS = ("plain", "residual", "relu6", "silu", "batch-norm", "flatten-head")
CAMS = {"grad-cam": "GradCAM", "grad-cam++": "GradCAMPlusPlus", "hirescam": "HiResCAM", "layercam": "LayerCAM",
        "xgrad-cam": "XGradCAM"}  # fmt: skip


@pytest.mark.parametrize("name", TOYS)
def test_captum_agrees_on_gradients(name: str) -> None:
    toy = build(name)
    x = batch(toy)
    saliency = captum.Saliency(toy).attribute(x.clone().requires_grad_(), target=3).amax(1)
    assert torch.equal(whylook.attribute(toy, x, "gradient", 3), saliency)
    product = captum.InputXGradient(toy).attribute(x.clone().requires_grad_(), target=3)
    assert torch.equal(whylook.attribute(toy, x, "input-x-gradient", 3), product)


@pytest.mark.parametrize("name", TOYS)
def test_captum_agrees_on_grad_cam(name: str) -> None:
    toy = build(name)
    x = batch(toy)
    cam = captum.LayerGradCam(toy, toy.features).attribute(x, target=3, relu_attributions=True)
    torch.testing.assert_close(whylook.attribute(toy, x, "grad-cam", 3), cam[:, 0].detach(), rtol=1e-10, atol=1e-14)


def scaled(cam: np.ndarray, size: int) -> np.ndarray:
    """What pytorch-grad-cam does to every map: min-max, resize, min-max."""
    import cv2

    def unit(values: np.ndarray) -> np.ndarray:
        values = values - values.min()
        return values / (1e-7 + values.max())

    return unit(cv2.resize(unit(cam).astype(np.float32), (size, size)))


@pytest.mark.parametrize("method", CAMS)
@pytest.mark.parametrize("name", ["plain", "residual", "batch-norm", "flatten-head"])
def test_pytorch_grad_cam_agrees_on_cams_after_its_scaling(name: str, method: str) -> None:
    toy = build(name).float()
    toy.head[-1].weight.data *= 1000  # its 1e-6 and 1e-7 beside denominators count where gradients are a toy's
    x = batch(toy, 1).float()
    raw = whylook.attribute(toy, x, method, 3)[0].numpy()
    with getattr(pgc, CAMS[method])(model=toy, target_layers=[toy.features]) as cam:
        theirs = cam(input_tensor=x, targets=[ClassifierOutputTarget(3)])[0]
    np.testing.assert_allclose(scaled(raw, 16), theirs, atol=1e-5)


def test_pytorch_grad_cam_agrees_on_the_centered_eigen_cam_up_to_its_sign() -> None:
    # It subtracts each channel's mean before the decomposition, which the paper does not; ours follows the paper.
    toy = build("plain")
    x = batch(toy, 1)
    A = toy.features(x.clone()).detach()
    ours = whylook.attribute(toy, x, "eigen-cam", 0)[0]
    matrix = A[0].flatten(1).T
    u, s, _ = torch.linalg.svd(matrix)
    torch.testing.assert_close(ours.flatten().abs(), (u[:, 0] * s[0]).abs())
    assert ours.min() >= 0  # a rectified layer's first singular vector has one sign, and ours is the positive one
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

    theirs = get_2d_projection(A.numpy())[0]
    centered = matrix - matrix.mean(0)
    u, s, _ = torch.linalg.svd(centered)
    np.testing.assert_allclose(np.abs(theirs.ravel()), (u[:, 0] * s[0]).abs().numpy(), rtol=1e-4, atol=1e-5)


def test_where_pytorch_grad_cam_reads_what_an_in_place_relu_left() -> None:
    toy = build("in-place-behind").float()
    x = batch(toy, 1).float()
    with torch.no_grad():
        assert toy.features(x).min() < 0
    with pgc.GradCAM(model=toy, target_layers=[toy.features]) as cam:
        cam(input_tensor=x, targets=[ClassifierOutputTarget(1)])
        stored = cam.activations_and_grads.activations[0]
    assert stored.min() == 0  # the negative half is gone: the map is of another tensor than the one asked for
    from whylook.engine.layers import find_layer
    from whylook.engine.targets import Score, resolve
    from whylook.engine.trace import trace

    layer = find_layer(toy, (x,), "features")
    ours = trace(toy, (x,), lambda z, one: resolve(1, z, one), Score(), layers=[layer]).activations["features"]
    with torch.no_grad():
        assert torch.equal(ours, toy.features(x))


def test_where_pytorch_grad_cam_leaves_its_traces() -> None:
    toy = build("plain").float().train()
    with pgc.GradCAM(model=toy, target_layers=[toy.features]) as cam:
        cam(input_tensor=batch(toy, 1).float(), targets=[ClassifierOutputTarget(1)])
    assert any(p.grad is not None for p in toy.parameters())
    assert not toy.training
    ours = build("plain").float().train()
    whylook.attribute(ours, batch(ours, 1).float(), "grad-cam", 1)
    assert all(p.grad is None for p in ours.parameters())
    assert all(m.training for m in ours.modules())


def test_where_pytorch_grad_cam_maps_only_the_first_row() -> None:
    toy = build("plain").float()
    x = batch(toy, 3).float()
    with pgc.GradCAM(model=toy, target_layers=[toy.features]) as cam:
        theirs = cam(input_tensor=x, targets=[ClassifierOutputTarget(1)])
    assert theirs[0].any()
    assert not theirs[1:].any()  # a target short of the batch: zeros, silently
    assert all(m.any() for m in whylook.attribute(toy, x, "hirescam", 1))
    with pytest.raises(ValueError, match="for 3 rows"):
        whylook.attribute(toy, x, "grad-cam", [1])


def test_compiled_modules_give_gradients_and_refuse_cams() -> None:
    toy = build("batch-norm")
    x = batch(toy)
    script = torch.jit.script(nn.Sequential(*toy.features, *toy.head))
    assert torch.equal(whylook.attribute(script, x, "gradient", 1), whylook.attribute(toy, x, "gradient", 1))
    with pytest.raises(whylook.Unsupported, match="TorchScript"):
        whylook.attribute(script, x, "grad-cam", 1)
