"""Where a token lies in the picture, and what an attention is among, is asked of the network and not counted off."""

import pytest
import torch
from torch import Tensor, nn

import whylook
from handmade import Handmade
from whylook.engine.layers import find_layer, find_tokens

ROLLOUT = ("attention-rollout", "transformer-attribution", "legrad")


def pictures(rows: int = 2, height: int = 16, width: int = 16) -> Tensor:
    return torch.randn(rows, 3, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("wrong", [{"order": "columns"}, {"order": "windows"}, {"token": "last"}], ids=str)
@pytest.mark.parametrize("method", ["attention-rollout", "grad-cam"])
def test_tokens_in_another_order_than_the_pictures_rows_are_refused(wrong: dict[str, str], method: str) -> None:
    network = Handmade(**wrong)
    for _ in range(2):  # what was found is remembered
        with pytest.raises(
            whylook.Unsupported, match="17 tokens of Handmade do not lie in the order of the picture's rows"
        ):
            whylook.attribute(network, pictures(), method, 1)


@pytest.mark.parametrize("token", ["first", "none"])
@pytest.mark.parametrize("embed", ["conv", "cut"])
@pytest.mark.parametrize("grid", [(4, 6), (4, 5), (2, 7), (6, 4), (5, 5)])
def test_grids_of_every_proportion_are_read_where_the_tokens_look(
    grid: tuple[int, int], embed: str, token: str
) -> None:
    # 4 × 6 and a class token are as many as 5 × 5.
    network = Handmade(embed=embed, token=token)
    x = pictures(1, 4 * grid[0], 4 * grid[1])
    prefix = int(token == "first")
    assert find_tokens(network, (x,), grid[0] * grid[1] + prefix) == (prefix, grid)
    layer = find_layer(network, (x,))
    assert (layer.layout, layer.grid, layer.prefix) == ("tokens", grid, prefix)
    for method in (*ROLLOUT, "grad-cam"):
        assert whylook.attribute(network, x, method, 1).shape == (1, *grid)


def test_a_planted_patch_is_where_every_map_is_brightest() -> None:
    # Attention that goes to the one unlike patch: keys of zero pictures are all alike.
    network = Handmade(depth=1)
    x = torch.zeros(1, 3, 16, 24, dtype=torch.float64)
    x[:, :, 8:12, 16:20] = 3
    values = whylook.attribute(network, x, "attention-rollout", 1)[0]
    unlike = (values - values.flatten().median()).abs()
    assert unlike.argmax() == 2 * 6 + 4
    assert unlike.flatten().sort().values[-2] < 1e-12


@pytest.mark.parametrize("style", ["heads with the batch", "einsum", "causal"])
@pytest.mark.parametrize("method", ROLLOUT)
def test_however_attention_is_written_a_row_of_a_batch_is_the_row_alone(style: str, method: str) -> None:
    network, x = Handmade(style=style, token="first" if style != "causal" else "none"), pictures(3)
    together = whylook.attribute(network, x, method, [[1, 2]] * 3)
    for row in range(3):
        alone = whylook.attribute(network, x[row : row + 1], method, [[1, 2]])
        torch.testing.assert_close(together[row], alone[0])
    if style != "causal":
        fused = Handmade()
        fused.load_state_dict(network.state_dict())
        torch.testing.assert_close(whylook.attribute(fused, x, method, [[1, 2]] * 3), together)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"style": "channels", "width": 16, "heads": 1, "token": "none"}, "not from each token of its block to each"),
        ({"style": "linear", "width": 16, "heads": 1, "token": "none"}, "softmax of 16 numbers"),
        ({"style": "memory"}, "attention 2 of 2 is not from each token"),
        ({"style": "heads first"}, "attention 1 of 2 is from 17 tokens to 17, 2 times per picture"),
    ],
    ids=["channels", "linear", "memory", "heads first"],
)
@pytest.mark.parametrize("method", ROLLOUT)
def test_as_many_as_tokens_are_not_yet_tokens(options: dict[str, object], match: str, method: str) -> None:
    # 16 channels for 16 tokens; keys from as many other tokens; as many heads as pictures.
    with pytest.raises(whylook.Unsupported, match=match):
        whylook.attribute(Handmade(**options), pictures(), method, 1)


class NormOfAll(nn.Module):
    """Layer normalization over channels, rows and columns at once: 8 × 16 × 16 may pass for rows, columns, channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 8, 3, 4, 1), nn.LayerNorm([8, 16, 16]), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.norm(self.conv(x)).relu().mean((2, 3)))


def test_a_normalization_of_all_axes_says_nothing_of_their_order() -> None:
    network, x = NormOfAll().double().eval(), pictures(1, 64, 64)
    layer = find_layer(network, (x,))
    assert (layer.name, layer.layout, layer.grid) == ("norm", "nchw", (16, 16))
    A = network.norm(network.conv(x))
    G = network.fc.weight[1][:, None, None] * (A > 0) / 256
    torch.testing.assert_close(whylook.attribute(network, x, "hirescam", 1), (G * A).sum(1).relu().detach())


def test_a_name_with_2d_does_not_put_channels_first() -> None:
    timm = pytest.importorskip("timm")
    network = timm.create_model("sequencer2d_s", img_size=64, num_classes=5, layers=(1, 1, 1, 1)).eval()
    for name in ("stages.1.blocks.0", "stages.1.blocks.0.rnn_tokens", "stages.1"):
        layer = find_layer(network, (torch.randn(1, 3, 64, 64),), name)
        assert (layer.layout, layer.grid) == ("nhwc", (4, 4))


def test_a_one_dimensional_convolution_over_cells_is_no_token_set() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.mix, self.fc = nn.Conv2d(3, 12, 8, stride=8), nn.Conv1d(12, 49, 1), nn.Linear(49, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.mix(self.conv(x).flatten(2)).mean(2))  # 49 channels of 64 cells

    network, x = Net().double(), pictures(1, 64, 64)
    with pytest.raises(whylook.Unsupported, match="not a spatial grid"):
        whylook.attribute(network, x, "grad-cam", 1, layer="mix")
    assert find_layer(network, (x,)).name == "conv"


def test_behind_a_global_maximum_the_last_layer_is_still_the_last() -> None:
    # Each channel's maximum is one cell, so most cells have no gradient: that is an answer, not a reason to refuse.
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 6, 3, 2, 1), nn.ReLU(),
                            nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(6, 5)).double()  # fmt: skip
    x = pictures(1, 32, 32)
    assert find_layer(network, (x,)).name == "3"
    A = network[:4](x)[0]
    expected = torch.zeros(8, 8, dtype=torch.float64)
    for c, channel in enumerate(A):
        expected.view(-1)[channel.argmax()] += network[6].weight[1, c] * channel.max()
    torch.testing.assert_close(whylook.attribute(network, x, "hirescam", 1)[0], expected.relu().detach())


def test_grad_cam_plus_plus_of_small_gradients_does_not_vanish() -> None:
    class Scaled(nn.Module):
        def __init__(self, network: nn.Module, by: float) -> None:
            super().__init__()
            self.network, self.by = network, by

        def forward(self, x: Tensor) -> Tensor:
            return self.network(x) * self.by

    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    x, small = pictures(1).float(), 1e-25  # the gradient's square is no float32 any more
    # For small gradients α is 1/2 everywhere.
    A, weight = network[:2](x), network[4].weight[1].relu() / 2
    expected = torch.einsum("nchw,c->nhw", A, weight).detach()
    made = whylook.attribute(Scaled(network, small), x, "grad-cam++", 1) / small
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ROLLOUT)
def test_a_last_attention_that_the_logits_do_not_come_from_is_refused(method: str) -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = Handmade(depth=3)

        def forward(self, x: Tensor) -> Tensor:
            kept: list[Tensor] = []
            handle = self.body.blocks[1].register_forward_hook(lambda m, i, o: kept.append(o))
            self.body(x)  # its third block is run, and what it puts out is left lying
            handle.remove()
            return self.body.fc(kept[0][:, 0])

    with pytest.raises(whylook.Unsupported, match="do not come from its last attention"):
        whylook.attribute(Beside().eval(), pictures(), method, 1)
