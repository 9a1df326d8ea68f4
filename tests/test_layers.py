"""The layer found for CAMs, over the families of timm and torchvision: spatial, of the right grid, in raster order."""

import pytest
import torch
from torch import nn

import whylook
from whylook.engine.layers import find_layer
from whylook.engine.outputs import first_tensor

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
    "swin_tiny_patch4_window7_224": ((7, 7), "nhwc"), "swinv2_cr_tiny_ns_224": ((7, 7), "nchw"),
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


def conv(i: int, o: int, stride: object = 1, rank: int = 2) -> nn.Module:
    return (nn.Conv2d, nn.Conv3d)[rank - 2](i, o, 3, stride=stride, padding=1)


def head(width: int, classes: int, rank: int = 2) -> list[nn.Module]:
    pool = (nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)[rank - 2](1)
    return [pool, nn.Flatten(), nn.Linear(width, classes)]


@pytest.mark.parametrize(
    ("network", "shape", "grid"),
    [
        (nn.Sequential(conv(1, 32, (2, 1)), nn.ReLU(), conv(32, 32, (2, 1)), nn.ReLU(), *head(32, 3)),
         (1, 128, 128), (32, 128)),
        (nn.Sequential(conv(1, 8, (1, 2, 2), 3), nn.ReLU(), conv(8, 8, (1, 2, 2), 3), nn.ReLU(), *head(8, 3, 3)),
         (1, 16, 64, 64), (16, 16, 16)),
        (nn.Sequential(conv(3, 10), nn.ReLU(), *head(10, 10)), (3, 9, 9), (9, 9)),
    ],
    ids=["strides that differ", "volume with strides that differ", "as many channels as classes"],
)  # fmt: skip
def test_channels_are_never_taken_for_rows(network: nn.Module, shape: tuple[int, ...], grid: tuple[int, ...]) -> None:
    x = torch.randn(1, *shape)
    layer = find_layer(network, (x,))
    assert (layer.grid, layer.layout) == (grid, "nchw")
    assert whylook.attribute(network, x, "grad-cam", 1).shape == (1, *grid)


def test_a_flattened_grid_is_no_tokens() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f = nn.Sequential(nn.Conv2d(3, 64, 3, stride=4, padding=1), nn.ReLU(), nn.Flatten(2))
            self.fc = nn.Linear(64, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(self.f(x).mean(2))

    assert find_layer(Flat(), (torch.randn(1, 3, 28, 28),)).grid == (7, 7)


def test_the_head_with_as_many_classes_as_channels_keeps_the_last_layer() -> None:
    import timm

    assert (
        find_layer(timm.create_model("resnet18", num_classes=512).eval(), (torch.randn(1, 3, 64, 64),)).name == "layer4"
    )


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f, self.fc = nn.Sequential(conv(3, 8, 2), nn.ReLU()), nn.Linear(8, 5)
        self.seg = nn.ConvTranspose2d(8, 1, 2, stride=2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        f = self.f(x)
        return self.fc(f.mean((2, 3))), self.seg(f)


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.s, self.fc = conv(3, 8), conv(8, 8), conv(8, 8), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        return self.fc((self.a(x) + self.s(x)).mean((2, 3)))


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f, self.fc = nn.Sequential(conv(3, 8), nn.ReLU()), nn.Linear(16, 5)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.cat([self.f(a).mean((2, 3)), self.f(b).mean((2, 3))], 1))


def test_a_layer_that_the_logits_do_not_read_is_not_taken() -> None:
    x = torch.randn(1, 3, 16, 16)
    assert find_layer(Decoder(), (x,)).name == "f"


def test_a_layer_that_others_go_around_is_not_taken() -> None:
    x = torch.randn(1, 3, 16, 16)
    assert find_layer(Branches(), (x,)).name == "stem"
    with pytest.raises(whylook.Unsupported, match="No single layer of Siamese"):
        whylook.attribute(Siamese(), (x, x), "grad-cam", 1)
    with pytest.raises(whylook.Unsupported, match="run 2 times in one forward"):
        whylook.attribute(Siamese(), (x, x), "grad-cam", 1, layer="f")


def test_what_was_found_is_asked_again_when_the_network_is_set_another_way() -> None:
    import timm

    vit = timm.create_model("vit_tiny_patch16_224", num_classes=7, img_size=64, global_pool="avg").eval()
    nn.init.normal_(vit.head.weight)
    x = torch.randn(1, 3, 64, 64)
    whylook.attribute(vit, x, "hirescam", 1)
    vit.global_pool = "token"
    assert find_layer(vit, (x,)).name == "blocks.11.norm1"
    vit.set_grad_checkpointing(True)
    before = whylook.attribute(vit, x, "hirescam", 1)
    vit.set_grad_checkpointing(False)
    assert torch.equal(whylook.attribute(vit, x, "hirescam", 1), before)


def test_a_wrapped_network_is_refused_and_read_like_a_bare_one() -> None:
    import timm

    hiera = nn.Sequential(nn.Identity(), timm.create_model("hiera_tiny_224", num_classes=5)).eval()
    with pytest.raises(whylook.Unsupported, match="A CAM of Hiera cannot be right"):
        find_layer(hiera, (torch.randn(1, 3, 224, 224),))
    deit = nn.Sequential(nn.Identity(), timm.create_model("deit_tiny_distilled_patch16_224")).eval()
    layer = find_layer(deit, (torch.randn(1, 3, 224, 224),))
    assert (layer.name, layer.prefix) == ("1.blocks.11.norm1", 2)


def test_tokens_of_a_volume() -> None:
    class Volume(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv3d(1, 16, 4, stride=4)
            self.blocks = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
            self.fc = nn.Linear(16, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(self.blocks(self.patch(x).flatten(2).transpose(1, 2)).mean(1))

    layer = find_layer(Volume().eval(), (torch.randn(1, 1, 16, 16, 16),))
    assert (layer.name, layer.grid, layer.layout) == ("blocks", (4, 4, 4), "tokens")


def test_the_picture_need_not_be_the_first_input() -> None:
    class Meta(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f, self.fc = nn.Sequential(conv(3, 8), nn.ReLU()), nn.Linear(13, 3)

        def forward(self, meta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            return self.fc(torch.cat([meta, self.f(x).mean((2, 3))], 1))

    inputs = torch.randn(2, 5), torch.randn(2, 3, 12, 12)
    assert whylook.attribute(Meta(), inputs, "grad-cam", 1, layer="f").shape == (2, 12, 12)


@pytest.mark.parametrize(
    ("name", "size", "found", "prefix"),
    [
        ("vit_base_patch16_siglip_224", 64, "norm", 0),  # the head reads through an attention of its own
        ("vit_so150m_patch16_reg4_map_256", 64, "norm", 4),
        ("vit_small_patch14_reg4_dinov2", 56, "blocks.1.norm1", 5),
        ("vit_base_patch32_clip_224", 128, "blocks.1.norm1", 1),
        ("vit_small_patch16_dinov3", 64, "norm", 5),
        ("beit_base_patch16_224", 64, "blocks.1", 1),
        ("vit_small_patch16_18x2_224", 64, "blocks.1.attns.1.norm", 1),
    ],
)
def test_tokens_of_vits_with_every_head(name: str, size: int, found: str, prefix: int) -> None:
    import timm

    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=5, img_size=size, depth=2).eval()
    layer = find_layer(network, (torch.randn(1, 3, size, size),))
    assert (layer.name, layer.grid, layer.layout, layer.prefix) == (found, (4, 4), "tokens", prefix)


def test_as_many_tokens_as_channels_are_still_tokens() -> None:
    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 16, 8, stride=8)
            self.blocks = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
            self.fc = nn.Linear(16, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(self.blocks(self.patch(x).flatten(2).transpose(1, 2)).mean(1))

    layer = find_layer(Square().eval(), (torch.randn(1, 3, 32, 32),))
    assert (layer.name, layer.grid, layer.layout) == ("blocks", (4, 4), "tokens")


@pytest.mark.parametrize(("count", "expected"), [(16, (0, (4, 4))), (18, (2, (4, 4))), (7, (3, (2, 2))), (500, None)])
def test_tokens_are_a_prefix_and_a_grid(count: int, expected: object) -> None:
    from whylook.engine.layers import find_tokens

    network = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert find_tokens(network, (torch.randn(1, 3, 16, 16),), count) == expected
