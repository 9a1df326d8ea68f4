"""The layer found for CAMs, over the families of timm and torchvision: spatial, of the right grid, in raster order."""

import pytest
import torch
from torch import nn

import whylook
from whylook.layers import find_layer, first_tensor

# One architecture per family: name -> (grid at the family's own input size, layout).
TIMM = {
    "halonet26t": ((8, 8), "nchw"), "repvgg_b0": ((7, 7), "nchw"), "cait_xxs24_224": ((14, 14), "tokens"),
    "convit_tiny": ((14, 14), "tokens"), "convnext_atto": ((7, 7), "nchw"), "darknet17": ((8, 8), "nchw"),
    "cspnext_tiny": ((7, 7), "nchw"), "davit_tiny": ((7, 7), "nchw"), "deit_tiny_patch16_224": ((14, 14), "tokens"),
    "deit_tiny_distilled_patch16_224": ((14, 14), "tokens"), "densenet121": ((7, 7), "nchw"),
    "dla34": ((7, 7), "nchw"), "dpn68": ((7, 7), "nchw"), "edgenext_xx_small": ((8, 8), "nchw"),
    "efficientformer_l1": ((7, 7), "tokens"), "efficientformerv2_s0": ((7, 7), "nchw"),
    "efficientnet_b0": ((7, 7), "nchw"), "efficientvit_b0": ((7, 7), "nchw"), "efficientvit_m0": ((4, 4), "nchw"),
    "eva02_tiny_patch14_224": ((16, 16), "tokens"), "fastvit_t8": ((8, 8), "nchw"),
    "focalnet_tiny_srf": ((7, 7), "nchw"), "gcvit_xxtiny": ((7, 7), "nchw"), "ghostnet_050": ((7, 7), "nchw"),
    "hardcorenas_a": ((7, 7), "nchw"), "hgnet_tiny": ((7, 7), "nchw"), "hrnet_w18_small": ((7, 7), "nchw"),
    "inception_next_atto": ((7, 7), "nchw"), "inception_v3": ((8, 8), "nchw"), "levit_128s": ((4, 4), "tokens"),
    "maxvit_pico_rw_256": ((8, 8), "nchw"), "coatnet_pico_rw_224": ((7, 7), "nchw"),
    "poolformer_s12": ((7, 7), "nchw"), "mixer_s32_224": ((7, 7), "tokens"), "resmlp_12_224": ((14, 14), "tokens"),
    "mobilenetv1_100": ((7, 7), "nchw"), "mobilenetv2_050": ((7, 7), "nchw"),
    "mobilenetv3_small_050": ((7, 7), "nchw"), "mobilevit_xxs": ((8, 8), "nchw"),
    "mvitv2_tiny": ((7, 7), "tokens"), "nest_tiny": ((14, 14), "nhwc"), "nf_regnet_b0": ((6, 6), "nchw"),
    "pit_ti_224": ((7, 7), "tokens"), "pvt_v2_b0": ((7, 7), "nchw"), "regnetx_002": ((7, 7), "nchw"),
    "repghostnet_050": ((7, 7), "nchw"), "repvit_m1_0": ((7, 7), "nchw"), "resnet18": ((7, 7), "nchw"),
    "resnetv2_18": ((7, 7), "nchw"), "rexnet_100": ((7, 7), "nchw"), "legacy_seresnet18": ((7, 7), "nchw"),
    "skresnet18": ((7, 7), "nchw"), "starnet_s1": ((7, 7), "nchw"),
    "swin_tiny_patch4_window7_224": ((7, 7), "nhwc"), "swinv2_cr_tiny_ns_224": ((7, 7), "nhwc"),
    "tiny_vit_5m_224": ((7, 7), "nchw"), "twins_svt_small": ((7, 7), "tokens"),
    "visformer_tiny": ((7, 7), "nchw"), "vit_tiny_patch16_224": ((14, 14), "tokens"), "xception41": ((5, 5), "nchw"),
    "xcit_nano_12_p16_224": ((14, 14), "tokens"),
}  # fmt: skip
TORCHVISION = {
    "alexnet": ((6, 6), "nchw"), "googlenet": ((7, 7), "nchw"), "squeezenet1_1": ((13, 13), "nchw"),
    "shufflenet_v2_x0_5": ((7, 7), "nchw"), "mnasnet0_5": ((7, 7), "nchw"), "convnext_tiny": ((7, 7), "nchw"),
    "swin_t": ((7, 7), "nchw"), "vit_b_16": ((14, 14), "tokens"), "maxvit_t": ((7, 7), "nchw"),
    "vgg11": ((7, 7), "nchw"), "resnet18": ((7, 7), "nchw"), "efficientnet_b0": ((7, 7), "nchw"),
}  # fmt: skip
# They mix all positions in every block, so with random weights no cell is tied to its place; their grids are made by
# `flatten(2)` of a convolution's output or stay convolutional, which is raster order.
GLOBAL = {"efficientformer_l1", "levit_128s", "mixer_s32_224", "resmlp_12_224", "swinv2_cr_tiny_ns_224",
          "tiny_vit_5m_224", "visformer_tiny", "xcit_nano_12_p16_224", "maxvit_t"}  # fmt: skip
CASES = [("timm", n) for n in TIMM] + [("torchvision", n) for n in TORCHVISION]


SMALLER = {"xception41": 160}  # where the family's own size takes long


def make(library: str, name: str) -> tuple[nn.Module, int]:
    torch.manual_seed(0)
    if library == "timm":
        import timm

        network = timm.create_model(name, pretrained=False)
        size = SMALLER.get(name) or int(network.pretrained_cfg["input_size"][-1])
    else:
        import torchvision

        options = {"init_weights": False} if name == "googlenet" else {}
        network, size = getattr(torchvision.models, name)(weights=None, **options), 224
    for module in network.modules():
        # Some begin with a head of zeros, and then no layer is better than another.
        if isinstance(module, nn.Linear) and not bool(module.weight.any()):
            nn.init.normal_(module.weight)
    return network.eval(), size


@pytest.mark.parametrize(("library", "name"), CASES, ids=[f"{lib}-{n}" for lib, n in CASES])
def test_the_layer_of_each_family(library: str, name: str) -> None:
    grid, layout = (TIMM if library == "timm" else TORCHVISION)[name]
    network, size = make(library, name)
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    layer = find_layer(network, (x,))
    assert (layer.grid, layer.layout) == (grid, layout), layer.name
    assert network.get_submodule(layer.name) is layer.module

    kept: list[torch.Tensor] = []
    handle = layer.module.register_forward_hook(lambda m, i, o: kept.append(first_tensor(o)))
    x.requires_grad_()
    logits = network(x)
    handle.remove()
    logits = logits if isinstance(logits, torch.Tensor) else logits[0]
    A = layer.spatial(kept[-1])
    assert tuple(A.shape[2:]) == grid
    (G,) = torch.autograd.grad(logits[0, 7], kept[-1], retain_graph=True)
    assert (layer.spatial(G).abs().sum(1) > 0).float().mean() > 0.5, "the head does not read this grid"

    if name in GLOBAL:
        return
    # Raster order, told by the input: of the four corner cells, each depends most on its own corner of the picture.
    weight = torch.randn(A.shape[1], generator=torch.Generator().manual_seed(1))
    corners = [(i, j) for i in (0, -1) for j in (0, -1)]
    part = [slice(0, size // grid[0]), slice(size - size // grid[0], size)]
    share = torch.zeros(4, 4)
    for cell, (i, j) in enumerate(corners):
        (g,) = torch.autograd.grad((A[0, :, i, j] * weight).sum(), x, retain_graph=True)
        energy = g[0].pow(2).sum(0)
        for place, (y, z) in enumerate(corners):
            share[cell, place] = energy[part[y], part[z]].sum() / energy.sum()
    assert share.argmax(0).tolist() == [0, 1, 2, 3], share


def test_wide_pictures_have_wide_grids() -> None:
    network, _ = make("timm", "resnet18")
    assert find_layer(network, (torch.randn(1, 3, 64, 160),)).grid == (2, 5)
    import timm

    vit = timm.create_model("vit_tiny_patch16_224", pretrained=False, img_size=(64, 160)).eval()
    layer = find_layer(vit, (torch.randn(1, 3, 64, 160),))
    assert (layer.grid, layer.prefix) == ((4, 10), 1)


@pytest.mark.parametrize("name", ["hiera_tiny_224", "crossvit_9_240", "coat_tiny"])
def test_what_would_be_scrambled_is_refused_by_name(name: str) -> None:
    network, size = make("timm", name)
    with pytest.raises(whylook.Unsupported, match=type(network).__name__):
        whylook.attribute(network, torch.randn(1, 3, size, size), "grad-cam", 0)


def test_another_copy_of_a_found_network_is_searched_anew() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    x = torch.randn(1, 3, 8, 8)
    assert find_layer(network, (x,)).name == "1"
    network[1] = nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 1), nn.ReLU())
    layer = find_layer(network, (x,))
    assert layer.module is network[1]
