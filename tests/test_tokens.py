"""CAMs of transformers and their kin against the same mathematics by hand: the layer, its layout and its grid are right."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import whylook
from whylook.methods import METHODS

timm = pytest.importorskip("timm")
# All but `cam`, which asks for pooling and one linear layer behind it.
CAMS = [m.name for m in METHODS if m.family == "cam" and m.needs.layer and not m.needs.probe and m.name != "cam"]


def tokens(prefix: int, height: int, width: int) -> Callable[[Tensor], Tensor]:
    def to_grid(t: Tensor) -> Tensor:
        return torch.stack([t[:, prefix + i * width : prefix + (i + 1) * width] for i in range(height)], 1).movedim(
            3, 1
        )

    return to_grid


def last(t: Tensor) -> Tensor:
    return t.permute(0, 3, 1, 2)


def same(t: Tensor) -> Tensor:
    return t


VIT = {"img_size": (32, 64), "depth": 2, "embed_dim": 24, "num_heads": 2}
# Library's name, options, the layer whose tokens are the last that the head reads, and how they lie.
CASES = {
    "vit": ("vit_tiny_patch16_224", VIT, "blocks.1.norm1", tokens(1, 2, 4)),
    "vit, mean": ("vit_tiny_patch16_224", {**VIT, "global_pool": "avg"}, "blocks.1", tokens(1, 2, 4)),
    "deit distilled": ("deit_tiny_distilled_patch16_224", VIT, "blocks.1.norm1", tokens(2, 2, 4)),
    "registers": ("vit_small_patch14_reg4_dinov2", {**VIT, "img_size": (28, 56)}, "blocks.1.norm1", tokens(5, 2, 4)),
    "clip": ("vit_base_patch32_clip_224", {**VIT, "img_size": (64, 128)}, "blocks.1.norm1", tokens(1, 2, 4)),
    "beit": ("beit_base_patch16_224", VIT, "blocks.1", tokens(1, 2, 4)),
    "eva": ("eva02_tiny_patch14_224", {**VIT, "img_size": (28, 56)}, "blocks.1", tokens(1, 2, 4)),
    "siglip": ("vit_base_patch16_siglip_224", VIT, "norm", tokens(0, 2, 4)),
    "swin": ("swin_tiny_patch4_window7_224", {"img_size": (64, 128), "window_size": 2, "depths": (1, 1, 1, 1),
                                              "embed_dim": 12}, "norm", last),
    "convnext": ("convnext_atto", {"depths": (1, 1, 1, 1), "dims": (8, 8, 16, 16), "img_size": (64, 128)}, "stages", same),
    "maxvit": ("maxvit_rmlp_pico_rw_256", {"img_size": (64, 128)}, "norm", same),
}  # fmt: skip


def make(case: str) -> tuple[nn.Module, Tensor]:
    name, options, _, _ = CASES[case]
    options = dict(options)
    height, width = options["img_size"] if case != "convnext" else options.pop("img_size")
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=5, **options).double().eval()
    for key, p in network.named_parameters():
        if not bool(p.any()) or "gamma" in key:
            nn.init.normal_(p)
    return network, torch.randn(2, 3, height, width, dtype=torch.float64)


def by_hand(network: nn.Module, layer: str, to_grid: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    kept: list[Tensor] = []
    handle = network.get_submodule(layer).register_forward_hook(lambda m, i, o: kept.append(o))
    logit = network(x)[:, 3].sum()
    handle.remove()
    (gradient,) = torch.autograd.grad(logit, kept)
    return to_grid(kept[0]).detach(), to_grid(gradient)


@pytest.mark.parametrize("case", CASES)
def test_cams_are_those_by_hand(case: str) -> None:
    network, x = make(case)
    _, _, layer, to_grid = CASES[case]
    A, G = by_hand(network, layer, to_grid, x)
    assert A.shape[2:] == (2, 4)
    assert (G.abs().sum(1) > 0).all(), "the head does not read every cell here"
    expected = {
        "grad-cam": (G.mean((2, 3), keepdim=True) * A).sum(1).relu(),
        "hirescam": (G * A).sum(1).relu(),
        "layercam": (G.relu() * A).sum(1).relu(),
    }
    for name, values in expected.items():
        torch.testing.assert_close(whylook.attribute(network, x, name, 3), values, rtol=1e-6, atol=1e-12)
    for name in CAMS:
        made = whylook.attribute(network, x, name, 3)
        assert made.shape == (2, 2, 4)
        assert made.isfinite().all()


@pytest.mark.parametrize("case", ["vit", "deit distilled", "registers", "clip"])
def test_behind_the_last_attention_no_patch_is_read(case: str) -> None:
    # Why the normalization before it is chosen: behind the last block the gradient is on the class tokens alone.
    network, x = make(case)
    _, _, _, to_grid = CASES[case]
    _, G = by_hand(network, "blocks.1", to_grid, x)
    assert not G.any()
    assert not whylook.attribute(network, x, "grad-cam", 3, layer="blocks.1").any()


@pytest.mark.parametrize("name", ["vit", "swin"])
def test_torchvision_transformers_are_read_alike(name: str) -> None:
    from torchvision.models import SwinTransformer, VisionTransformer

    torch.manual_seed(0)
    if name == "vit":
        network: nn.Module = VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)
        nn.init.normal_(network.heads.head.weight)
        layer, to_grid = "encoder.layers.encoder_layer_1.ln_1", tokens(1, 4, 4)
    else:
        network = SwinTransformer([4, 4], 12, [1, 1], [2, 2], [4, 4], num_classes=5)
        layer, to_grid = "permute", same
    network, x = network.double().eval(), torch.randn(2, 3, 32, 32, dtype=torch.float64)
    A, G = by_hand(network, layer, to_grid, x)
    torch.testing.assert_close(whylook.attribute(network, x, "hirescam", 3), (G * A).sum(1).relu())
