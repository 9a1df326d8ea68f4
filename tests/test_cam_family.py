"""ShapleyCAM, KPCA-CAM, FEM, SS-CAM, IS-CAM and layer integrated gradients: exact identities, and the peers."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import whylook
from toys import Toy, batch, build, gap
from whylook import attribute

SPATIAL = ("plain", "residual", "in-place", "silu", "gelu", "batch-norm", "channels-last", "flatten-head", "one-logit")


class Quadratic(nn.Module):
    """Scores that are quadratic in the layer's channels, averaged over the grid."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 5, bias=False), nn.Linear(8, 5, bias=False)
        for layer in (self.a, self.b):  # of rectified channels nothing is negative, then
            layer.weight.data.abs_()

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.mean((2, 3))
        return self.a(pooled) * self.b(pooled) + self.a(pooled)


def quadratic() -> Toy:
    torch.manual_seed(2)
    return Toy(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()), Quadratic()).double().eval()


def test_shapley_weights_of_a_quadratic_score_add_up_to_it() -> None:
    toy = quadratic()
    x = batch(toy)
    for k in range(5):
        ours = attribute(toy, x, "shapley-cam", k, layer="features")
        torch.testing.assert_close(ours.sum((1, 2)), toy(x)[:, k].detach())
        assert not torch.allclose(attribute(toy, x, "grad-cam", k, layer="features"), ours, rtol=1e-2)


def test_shapley_cam_is_grad_cam_where_the_head_is_linear() -> None:
    toy = build("plain")
    x = batch(toy)
    torch.testing.assert_close(attribute(toy, x, "shapley-cam", 1), attribute(toy, x, "grad-cam", 1))
    curved = [attribute(toy, x, name, 1, score="probability") for name in ("shapley-cam", "grad-cam")]
    assert not torch.allclose(*curved, rtol=1e-3)


def test_pytorch_grad_cam_agrees_on_shapley_cam_but_for_the_scale() -> None:
    pgc = pytest.importorskip("pytorch_grad_cam", reason="needs grad-cam (uv sync installs it)")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    toy = quadratic()
    x = batch(toy, 1)
    with pgc.ShapleyCAM(toy, [toy.features]) as peer:
        theirs = torch.as_tensor(peer(x, [ClassifierOutputTarget(3)])).double()
    ours = attribute(toy, x, "shapley-cam", 3, layer="features")
    scaled = (ours - ours.min()) / (ours.max() - ours.min())
    torch.testing.assert_close(theirs, scaled, rtol=0, atol=1e-5)


def test_what_has_no_second_derivative_is_said() -> None:
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, g: Tensor) -> Tensor:
            return g * 1

    class Apply(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return Once.apply(x).square()

    toy = build("plain")
    toy.head = nn.Sequential(Apply(), toy.head)
    with pytest.raises(whylook.Unsupported, match="no second derivative of what lies behind layer"):
        attribute(toy, batch(toy), "shapley-cam", 1, layer="features")


@pytest.mark.parametrize("name", SPATIAL)
def test_layer_integrated_gradients_add_up_to_the_difference(name: str) -> None:
    toy = build(name)
    x = batch(toy)
    layer = {"layer": toy.ask} if toy.ask else {}
    score = toy(x)[:, 0].detach() - toy(torch.zeros_like(x))[:, 0].detach()
    ours = attribute(toy, x, "layer-integrated-gradients", 0, steps=200, **layer)
    torch.testing.assert_close(ours.sum((1, 2)), -score if name == "one-logit" else score, rtol=1e-3, atol=1e-4)


def test_one_step_is_exact_behind_global_average_pooling_and_a_linear_layer() -> None:
    toy = build("plain")
    x = batch(toy)
    dark = torch.full_like(x, -1.0)
    ours = attribute(toy, x, "layer-integrated-gradients", 2, steps=1, baseline=-1.0)
    torch.testing.assert_close(ours.sum((1, 2)), (toy(x) - toy(dark))[:, 2].detach())
    difference = attribute(toy, x, "cam", 2) - attribute(toy, dark, "cam", 2)
    torch.testing.assert_close(ours, difference / difference[0].numel())


def test_captum_agrees_on_layer_integrated_gradients() -> None:
    captum = pytest.importorskip("captum.attr", reason="needs captum (uv sync installs it)")
    toy = build("flatten-head")
    x = batch(toy)
    peer = captum.LayerIntegratedGradients(toy, toy.features)
    theirs = peer.attribute(x, torch.zeros_like(x), target=1, n_steps=12, method="riemann_middle").sum(1)
    ours = attribute(toy, x, "layer-integrated-gradients", 1, steps=12, layer="features")
    torch.testing.assert_close(ours, theirs.detach())


def test_the_residual_belongs_to_the_map() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (128, 128), dtype=np.uint8)
    made = whylook.explain(picture, "phantom:vgg", "layer-integrated-gradients").maps[0]
    assert abs(made.facts["residual"]) < 0.05 * abs(made.values.sum())


def test_fem_marks_what_is_unusual() -> None:
    A = torch.zeros(1, 2, 5, 5, dtype=torch.float64)
    A[0, 0, 1, 2], A[0, 1] = 5.0, 3.0  # one cell stands out; of a constant channel none does
    toy = Toy(nn.Identity(), gap(2)).double().eval()
    ours = attribute(nn.Sequential(nn.Conv2d(2, 2, 1), toy).double(), A, "fem", 0, layer="0", deviations=2.0)
    assert ours.shape == (1, 5, 5)
    from whylook.methods.cam.principal import fem

    expected = torch.zeros(1, 5, 5, dtype=torch.float64)
    expected[0, 1, 2] = 5 / 25  # the channel's mean
    torch.testing.assert_close(fem(A), expected)
    # pytorch-grad-cam weighs by the share of cells that stand out, and shows the activation itself everywhere.
    theirs = ((A > 2) * 1.0).mean((2, 3), keepdim=True) * A
    assert not torch.allclose(fem(A), theirs.sum(1))


@pytest.mark.parametrize("kernel", ["sigmoid", "rbf"])
def test_kpca_is_scikit_learns_but_for_its_sign(kernel: str) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition", reason="needs scikit-learn (shap brings it)")
    from whylook.methods.cam.principal import kpca_cam

    A = torch.rand(2, 6, 4, 5, dtype=torch.float64)
    for row, ours in zip(A, kpca_cam(A, kernel=kernel), strict=True):
        cells = row.reshape(6, -1).T.numpy()
        theirs = decomposition.KernelPCA(1, kernel=kernel).fit_transform(cells - cells.mean(0))[:, 0]
        sign = np.sign(theirs @ cells.sum(1))
        np.testing.assert_allclose(ours.flatten(), sign * theirs, atol=1e-9)
        assert float((ours.flatten() * row.sum(0).flatten()).sum()) > 0


def test_one_step_or_no_noise_is_score_cam() -> None:
    toy = build("batch-norm")
    x = batch(toy)
    score_cam = attribute(toy, x, "score-cam", 1)
    torch.testing.assert_close(attribute(toy, x, "is-cam", 1, steps=1), score_cam)
    torch.testing.assert_close(attribute(toy, x, "ss-cam", 1, noise=0.0, samples=2), score_cam)
    assert not torch.allclose(attribute(toy, x, "is-cam", 1), score_cam)
    assert not torch.allclose(attribute(toy, x, "ss-cam", 1, samples=2), score_cam)


def test_is_cam_of_a_linear_score_averages_the_fractions() -> None:
    torch.manual_seed(1)
    toy = (
        Toy(nn.Conv2d(3, 4, 1, bias=False), nn.Sequential(nn.Flatten(), nn.Linear(1024, 5, bias=False))).double().eval()
    )
    x = batch(toy, 1)
    with torch.no_grad():
        A = toy.features(x)
        low, high = A.amin((2, 3), keepdim=True), A.amax((2, 3), keepdim=True)
        H = ((A - low) / (high - low))[0]
        scores = toy(x * H[:, None])[:, 2] * (1 + 2 + 3 + 4) / 4 / 4  # mean of 1/4, 2/4, 3/4 and 1
        expected = torch.einsum("c,chw->hw", scores.softmax(0), A[0]).relu()
    torch.testing.assert_close(attribute(toy, x, "is-cam", 2, steps=4, layer="features")[0], expected)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("ss-cam", {"samples": 0}), ("ss-cam", {"noise": -0.1}), ("is-cam", {"steps": 0}), ("kpca-cam", {"kernel": "poly"}),
     ("layer-integrated-gradients", {"steps": 0})],
)  # fmt: skip
def test_what_cannot_be_is_said(name: str, wrong: dict[str, object]) -> None:
    toy = build("plain")
    with pytest.raises(whylook.UsageError, match=name):
        attribute(toy, batch(toy), name, 0, **wrong)
