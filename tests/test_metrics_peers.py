"""What Quantus 0.6 gives where the truth is known, and what we give. Skipped where it is not installed."""

import numpy as np
import pytest
import torch
from torch import nn

from whylook.geometry import Geometry
from whylook.metrics import Case, measure
from whylook.metrics.region import Region
from whylook.perturbed import Perturbed, perturbing

quantus = pytest.importorskip("quantus", minversion="0.6")
pytestmark = pytest.mark.filterwarnings("ignore")
SIZE = (20, 30)
QUIET = {"disable_warnings": True, "display_progressbar": False}


def region(mask: np.ndarray) -> Region:
    return Region.of(mask, Geometry(mask.shape, mask.shape, (1.0, 1.0), (0.0, 0.0)))


def blob() -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[3:9, 11:19] = True
    return mask


def linear() -> tuple[nn.Module, torch.Tensor, np.ndarray]:
    """A linear network on a picture of one channel, and the exact map of class 1."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).requires_grad_(False).eval()
    x = torch.randn(1, 1, 8, 8)
    return net, x, (x[0, 0] * net[1].weight[1].view(8, 8)).numpy()


def test_an_empty_mask_is_a_hit_for_them() -> None:
    values, empty = np.random.default_rng(0).random((1, *SIZE)), np.zeros((1, 1, *SIZE), bool)
    assert bool(quantus.PointingGame(**QUIET).evaluate_batch(a_batch=values, s_batch=empty)[0])
    ours = measure("pointing", Case(values[0], region(empty[0, 0])))
    assert (ours.value, ours.reason) == (None, "the mask is empty")


def test_their_pointing_game_and_ours_agree_where_there_is_a_mask() -> None:
    rng, mask = np.random.default_rng(1), blob()
    for _ in range(20):
        values = rng.random(SIZE) + 0.3 * mask
        theirs = quantus.PointingGame(**QUIET).evaluate_batch(a_batch=values[None], s_batch=mask[None, None])[0]
        assert bool(theirs) == bool(measure("pointing", Case(values, region(mask))).value)


def test_signed_maps_have_negative_mass_for_them() -> None:
    mask = blob()
    values = np.where(mask, 1.0, -0.1)  # all evidence for the target lies in the mask, a little against it elsewhere
    theirs = quantus.RelevanceMassAccuracy(**QUIET).evaluate_batch(a_batch=values[None], s_batch=mask[None, None])[0]
    assert theirs < 0
    assert measure("mass", Case(values, region(mask))).value == 1


def test_mass_and_rank_agree_for_maps_without_signs() -> None:
    values, mask = np.random.default_rng(0).random(SIZE), blob()
    arrays = {"a_batch": values[None], "s_batch": mask[None, None]}
    ours = Case(values, region(mask))
    assert measure("mass", ours).value == pytest.approx(
        quantus.RelevanceMassAccuracy(**QUIET).evaluate_batch(**arrays)[0]
    )
    assert measure("rank-accuracy", ours).value == pytest.approx(
        quantus.RelevanceRankAccuracy(**QUIET).evaluate_batch(**arrays)[0]
    )


def test_the_exact_map_of_a_linear_network_is_not_sensitive_for_them() -> None:
    net, x, exact = linear()
    many = torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    maps = (many * net[1].weight[1].view(1, 1, 8, 8)).numpy()
    theirs = quantus.SensitivityN(
        n_max_percentage=0.8, features_in_step=4, abs=False, normalise=False, perturb_baseline="black", **QUIET
    )(model=net, x_batch=many.numpy(), y_batch=np.full(20, 1), a_batch=maps, softmax=False, device="cpu")
    # It correlates the fall for all features so far with the sum of the last few, over pictures instead of subsets.
    assert float(np.mean(theirs)) < 0.5
    with perturbing(net, x) as board:
        ours = measure("sensitivity-n", Case(exact, perturbed=Perturbed(board, 1)), baseline=0.0, cells=8)
    assert ours.value == pytest.approx(1, abs=1e-5)


def test_road_of_a_color_picture_fails_for_them() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).requires_grad_(
        False
    )
    x, values = torch.rand(1, 3, 16, 16), np.random.default_rng(0).random((16, 16))
    given = {"model": net, "x_batch": x.numpy(), "y_batch": np.array([1]), "device": "cpu"}
    with pytest.raises((IndexError, ValueError)):
        quantus.ROAD(percentages=[10, 50], **QUIET)(a_batch=values[None, None], **given)
    with perturbing(net, x) as board:
        ours = measure("road", Case(values, perturbed=Perturbed(board, 1)))
    assert ours.value is not None
    assert abs(ours.value) < 1
