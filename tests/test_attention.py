"""Attention in the open: the network's own weights, whichever way it computes them, and the methods that read them."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import whylook
from toys import batch, build
from whylook.engine.attention.trace import trace_attention
from whylook.engine.attention.watch import watching
from whylook.engine.targets import Score

timm = pytest.importorskip("timm")
METHODS = ("attention-rollout", "transformer-attribution", "legrad")


def small(name: str, **options: object) -> nn.Module:
    """A timm transformer of two blocks with random weights, float64, its scales of layers at 1 so that depth counts."""
    torch.manual_seed(0)
    network = timm.create_model(name, **{"num_classes": 5, "img_size": 64, "depth": 2, "embed_dim": 48, "num_heads": 3,
                                         **options}).double().eval()  # fmt: skip
    for key, p in network.named_parameters():
        if not bool(p.any()) or "gamma" in key:
            nn.init.normal_(p)
    return network


# Of each kind: class token, two class tokens, mean, relative positions, rotary positions, registers, CLIP's, DINOv2's.
VITS = {
    "class token": ("vit_tiny_patch16_224", {}, 1, [0]),
    "mean": ("vit_tiny_patch16_224", {"global_pool": "avg"}, 1, range(1, 17)),
    "deit distilled": ("deit_tiny_distilled_patch16_224", {}, 2, [0, 1]),
    "beit": ("beit_base_patch16_224", {}, 1, range(1, 17)),
    "eva": ("eva02_tiny_patch14_224", {"img_size": 56}, 1, range(1, 17)),
    "registers": ("vit_small_patch14_reg4_dinov2", {"img_size": 56}, 5, [0]),
    "registers, mean": ("vit_betwixt_patch16_reg4_gap_256", {}, 4, range(4, 20)),
    "clip": ("vit_base_patch32_clip_224", {"img_size": 128}, 1, [0]),
    "dinov2": ("vit_small_patch14_dinov2", {"img_size": 56}, 1, [0]),
    "siglip, mean": ("vit_base_patch16_siglip_gap_224", {}, 0, range(16)),
}


@pytest.mark.parametrize("kind", VITS)
def test_every_kind_of_vit_keeps_its_logits_and_says_which_tokens_its_head_reads(kind: str) -> None:
    name, options, prefix, readers = VITS[kind]
    network = small(name, **options)
    size = options.get("img_size", 64)
    x = torch.randn(2, 3, size, size, dtype=torch.float64)
    with torch.no_grad():
        expected = network(x)
        with watching(network) as watch:
            torch.testing.assert_close(network(x), expected, rtol=1e-9, atol=1e-11)
    assert len(watch.calls) == 2
    seen = trace_attention(network, (x,), torch.tensor([[1], [1]]), Score())
    assert (seen.prefix, seen.grid) == (prefix, (4, 4))
    assert [i for i, share in enumerate(seen.readers[0].tolist()) if share] == list(readers)
    torch.testing.assert_close(seen.readers.sum(1), torch.ones(2, dtype=torch.float64))
    for A in seen.attention:
        torch.testing.assert_close(A.sum(3), torch.ones_like(A[..., 0]))
    for method in METHODS:
        values = whylook.attribute(network, x, method, 1)
        assert values.shape == (2, 4, 4)
        assert values.dtype == torch.float64
        assert (values >= 0).all()
        assert values.any()
        torch.testing.assert_close(whylook.attribute(network, x[1:], method, 1), values[1:], rtol=1e-6, atol=1e-12)


def test_fused_and_open_implementations_give_one_map() -> None:
    fused = small("vit_tiny_patch16_224")
    plain = copy.deepcopy(fused)
    for module in plain.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    for method in METHODS:
        ours = whylook.attribute(fused, x, method, 2)
        torch.testing.assert_close(whylook.attribute(plain, x, method, 2), ours, rtol=1e-9, atol=1e-14)


def test_the_weights_are_those_that_the_network_would_tell() -> None:
    torch.manual_seed(0)
    told = nn.MultiheadAttention(8, 2, batch_first=True).double().eval()
    x = torch.randn(3, 5, 8, dtype=torch.float64)
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1)
    padding = torch.tensor([[False] * 5, [False] * 4 + [True], [False] * 5])
    for extra in ({}, {"attn_mask": mask}, {"attn_mask": mask.double() * -3}, {"key_padding_mask": padding},
                  {"attn_mask": torch.randn(6, 5, 5, dtype=torch.float64)}):  # fmt: skip
        expected, weights = told(x, x, x, need_weights=True, average_attn_weights=False, **extra)
        with watching(told) as watch:
            out, none = told(x, x, x, need_weights=False, **extra)
            again, mean = told(x, x, x, **extra)
        assert none is None
        torch.testing.assert_close(out, expected)
        torch.testing.assert_close(watch.calls[0].weights, weights)
        torch.testing.assert_close(again, expected)
        torch.testing.assert_close(mean, weights.mean(1))


@pytest.mark.parametrize(
    "options",
    [{}, {"kdim": 6, "vdim": 7}, {"bias": False}, {"batch_first": False}],
    ids=["packed", "projections of their own", "no bias", "tokens first"],
)
def test_multi_head_attention_of_every_make_is_the_same_in_the_open(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, **{"batch_first": True, **options}).double().eval()
    q, k, v = (torch.randn(3, 5, int(options.get(w, 8)), dtype=torch.float64) for w in ("q", "kdim", "vdim"))
    expected = module(q, k, v, need_weights=False)[0]
    with watching(module):
        torch.testing.assert_close(module(q, k, v, need_weights=False)[0], expected)
        alone = module(q[0], k[0], v[0], need_weights=False)[0] if options.get("batch_first", True) else None
    if alone is not None:
        torch.testing.assert_close(alone, expected[0])


@pytest.mark.parametrize(
    "options",
    [{}, {"scale": 0.3}, {"is_causal": True}, {"attn_mask": "float"}, {"attn_mask": "bool"}, {"enable_gqa": True}],
    ids=str,
)
def test_the_fused_kernel_is_the_same_in_the_open(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    heads = 2 if options.get("enable_gqa") else 4
    q = torch.randn(2, 4, 5, 3, dtype=torch.float64)
    k, v = torch.randn(2, 2, heads, 5, 3, dtype=torch.float64)
    masks = {"float": torch.randn(5, 5, dtype=torch.float64), "bool": torch.eye(5, dtype=torch.bool)}
    given = {key: masks.get(str(value), value) for key, value in options.items()}
    expected = F.scaled_dot_product_attention(q, k, v, **given)
    with watching(nn.Identity()) as watch:
        torch.testing.assert_close(F.scaled_dot_product_attention(q, k, v, **given), expected)
    torch.testing.assert_close(watch.calls[0].weights.sum(-1), torch.ones(2, 4, 5, dtype=torch.float64))


class Uniform(nn.Module):
    """A stack of attentions in which every token attends to every token alike, `layers` times."""

    def __init__(self, layers: int, pool: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.cls, self.pool = nn.Conv2d(3, 4, 4, stride=4), nn.Parameter(torch.randn(1, 1, 4)), pool
        self.values = nn.ModuleList(nn.Linear(4, 4) for _ in range(layers))
        self.norm, self.fc = nn.LayerNorm(4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        if self.pool == "class":
            x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1)
        for value in self.values:
            q = torch.zeros_like(x)[:, None]
            x = x + F.scaled_dot_product_attention(q, q, value(x)[:, None])[:, 0]
        x = self.norm(x)
        return self.fc(x[:, 0] if self.pool == "class" else x.mean(1))


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_rollout_of_uniform_attention_is_known_in_closed_form(layers: int) -> None:
    # (J/t + I)/2 multiplied with itself L times is 2^-L · I + (1 − 2^-L) · J/t.
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    classes = whylook.attribute(Uniform(layers, "class").double(), x, "attention-rollout", 0)
    torch.testing.assert_close(classes, torch.full_like(classes, (1 - 0.5**layers) / 17))
    means = whylook.attribute(Uniform(layers, "mean").double(), x, "attention-rollout", 0)
    torch.testing.assert_close(means, torch.full_like(means, 1 / 16))


def test_rollout_and_its_prefix_sum_to_one_and_heads_can_be_put_together_otherwise() -> None:
    toy = build("transformer")
    x = batch(toy, 1)
    seen = trace_attention(toy, (x,), torch.tensor([[0]]), Score(), gradients=False)
    from whylook.methods.attention import attention_rollout

    torch.testing.assert_close(attention_rollout(seen.attention, seen.readers).sum(), torch.ones((), dtype=x.dtype))
    maps = [whylook.attribute(toy, x, "attention-rollout", 0, fusion=f) for f in ("mean", "max", "min")]
    assert not any(torch.allclose(a, b) for a, b in ((maps[0], maps[1]), (maps[0], maps[2]), (maps[1], maps[2])))
    with pytest.raises(whylook.UsageError, match="'median' is not mean, max or min"):
        whylook.attribute(toy, x, "attention-rollout", 0, fusion="median")


def test_one_layer_makes_legrad_the_positive_gradient_and_the_product_a_row_of_it() -> None:
    toy = build("tokens")
    x = batch(toy, 1)
    seen = trace_attention(toy, (x,), torch.tensor([[2]]), Score())
    (A,), (G,) = seen.attention, seen.attention_gradients[0]
    torch.testing.assert_close(whylook.attribute(toy, x, "legrad", 2)[0].flatten(), G.relu().mean((1, 2))[0, 1:])
    product = (A * G).relu().mean(1)[0, 0, 1:]
    torch.testing.assert_close(whylook.attribute(toy, x, "transformer-attribution", 2)[0].flatten(), product)


def test_gradients_by_the_weights_are_those_of_finite_differences() -> None:
    toy = build("transformer")
    x = batch(toy, 1)
    seen = trace_attention(toy, (x,), torch.tensor([[3]]), Score())
    fused = F.scaled_dot_product_attention
    at, step, moved = (0, 1, 4, 7), 1e-6, []
    for sign in (1, -1):
        calls = 0

        def nudged(q: Tensor, k: Tensor, v: Tensor, sign: int = sign) -> Tensor:
            nonlocal calls
            calls += 1
            A = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
            if calls == 1:
                A[at] += sign * step
            return A @ v

        F.scaled_dot_product_attention = nudged
        try:
            with torch.no_grad():
                moved.append(toy(x)[0, 3].item())
        finally:
            F.scaled_dot_product_attention = fused
    assert seen.attention_gradients[0][0][at].item() == pytest.approx((moved[0] - moved[1]) / (2 * step), rel=1e-5)


def test_score_and_contrast_reach_the_attention() -> None:
    toy = build("transformer")
    x = batch(toy, 1)
    for method in ("transformer-attribution", "legrad"):
        maps = [whylook.attribute(toy, x, method, 0, **more) for more in ({}, {"score": "margin"}, {"against": 1})]
        assert not torch.allclose(maps[0], maps[1])
        assert not torch.allclose(maps[0], maps[2])


def refused(make: Callable[[], nn.Module], size: int, method: str, match: str) -> None:
    torch.manual_seed(0)
    network = make().eval()
    with pytest.raises(whylook.Unsupported, match=match):
        whylook.attribute(network, torch.randn(1, 3, size, size), method, 1)


@pytest.mark.parametrize(
    ("name", "options", "size", "match"),
    [
        (
            "swin_tiny_patch4_window7_224",
            {"img_size": 112, "window_size": 7, "depths": (1, 1, 1, 1)},
            112,
            "in windows",
        ),
        ("maxvit_rmlp_pico_rw_256", {"img_size": 128}, 128, "in windows"),
        ("mvitv2_tiny", {}, 224, "from 3136 tokens to 196"),
        ("pvt_v2_b0", {}, 64, "not among all tokens of one set"),
        ("cait_xxs24_224", {"depth": 1, "img_size": 64}, 64, "Cait's attention is not among all tokens"),
        ("convit_tiny", {"depth": 12, "img_size": 64}, 64, "talking heads, or gated positions"),
        ("xcit_nano_12_p16_224", {"depth": 1}, 64, "Xcit's attention is not among"),
        ("vit_small_patch16_18x2_224", {"depth": 1, "img_size": 64}, 64, "side by side"),
        ("vit_base_patch16_siglip_224", {"depth": 1, "img_size": 64}, 64, "attention pooling"),
        ("convnext_atto", {}, 64, "ConvNeXt has no attention.*use grad-cam"),
        ("mixer_s32_224", {"img_size": 64}, 64, "MlpMixer has no attention"),
    ],
)
def test_attention_that_is_not_among_one_set_of_tokens_is_refused_in_words(
    name: str, options: dict[str, object], size: int, match: str
) -> None:
    refused(lambda: timm.create_model(name, num_classes=5, **options), size, "attention-rollout", match)


def test_keys_that_are_no_tokens_are_refused() -> None:
    toy = build("tokens")
    toy.head.attention = nn.MultiheadAttention(8, 2, batch_first=True, add_zero_attn=True).double()
    with pytest.raises(whylook.Unsupported, match="keys that are no tokens"):
        whylook.attribute(toy, batch(toy, 1), "attention-rollout", 0)


def test_a_stream_that_goes_around_the_last_block_is_refused_layer_by_layer() -> None:
    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = build("transformer").features, build("transformer").head.block
            self.fc = nn.Linear(8, 5).double()

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.first(x)
            return self.fc((tokens + self.second(tokens))[:, 0])

    x = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    with pytest.raises(whylook.Unsupported, match="reads more than the tokens behind its last attention"):
        whylook.attribute(Around(), x, "legrad", 0)
    assert whylook.attribute(Around(), x, "transformer-attribution", 0).any()


def test_a_backbone_without_a_graph_is_refused() -> None:
    class Severed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.toy = build("transformer")

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                return self.toy(x)

    for method in METHODS:
        with pytest.raises(whylook.Unsupported, match="no gradient reaches it"):
            whylook.attribute(Severed(), torch.randn(1, 3, 16, 16, dtype=torch.float64), method, 0)


@pytest.mark.parametrize("method", METHODS)
def test_torchvision_and_plain_encoders(method: str) -> None:
    from torchvision.models import VisionTransformer

    torch.manual_seed(0)
    network = VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5).double().eval()
    nn.init.normal_(network.heads.head.weight)
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    values = whylook.attribute(network, x, method, 1)
    assert values.shape == (2, 4, 4)
    assert values.any()
    assert torch.equal(whylook.attribute(network, x, method, 1), values)

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 16, 8, stride=8)
            self.blocks = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
            self.fc = nn.Linear(16, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.blocks(self.patch(x).flatten(2).transpose(1, 2)).mean(1))

    plain = Plain().double()  # in training mode, where a layer's dropout is on
    assert whylook.attribute(plain, x, method, 1).any()
    assert plain.training


def test_other_maps_never_see_attention_in_the_open() -> None:
    from whylook.engine.request import Request
    from whylook.engine.run import run
    from whylook.engine.targets import resolve
    from whylook.methods import METHODS as REGISTRY

    toy = build("transformer").float()
    x = batch(toy).float()

    def go(*names: str) -> list[Tensor]:
        _, raws = run(toy, (x,), [Request(REGISTRY[n]) for n in names], lambda z, one: resolve(1, z, one), Score())
        return [r.values[0] if isinstance(r.values, tuple) else r.values for r in raws]

    assert torch.equal(go("legrad", "gradient", "attention-rollout")[1], go("gradient")[0])
