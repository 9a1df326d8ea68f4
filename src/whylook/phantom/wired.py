"""Networks wired by hand: what they rest on has a known place and a known amount, with nothing learned in between."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

SIDE = 5
CELL = 4
_DRAWN = {
    "plus": ("..#..", "..#..", "#####", "..#..", "..#.."),
    "times": ("#...#", ".#.#.", "..#..", ".#.#.", "#...#"),
    "frame": ("#####", "#...#", "#...#", "#...#", "#####"),
}
TEMPLATES = tuple(_DRAWN)


def template(name: str) -> Tensor:
    """Return a template, 1 where it is drawn and 0 elsewhere, float32 [5, 5]."""
    return torch.tensor([[float(c == "#") for c in row] for row in _DRAWN[name]])


def scene(placed: dict[str, tuple[int, int]], size: int = 32) -> Tensor:
    """Return a black picture, float32 [1, 1, size, size], with templates whose top left corner is at `placed`."""
    x = torch.zeros(1, 1, size, size)
    for name, (top, left) in placed.items():
        x[0, 0, top : top + SIDE, left : left + SIDE] = template(name)
    return x


class Detector(nn.Module):
    """One convolution with a template per channel, a threshold, global average pooling, one linear layer.

    Every kernel is its template less its mean, scaled so that the template answers 1; the threshold of 0.6 is above all
    that another template answers, at any shift, and what a template answers beside itself. So the logit of class k is
    0.4 · (how often template k is in the picture), all of it from those places.
    """

    threshold = 0.6

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, len(TEMPLATES), SIDE, padding=SIDE // 2)
        self.act, self.pool, self.fc = nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Linear(len(TEMPLATES), len(TEMPLATES))
        with torch.no_grad():
            for kernel, name in zip(self.conv.weight, TEMPLATES, strict=True):
                wanted = template(name)
                centered = wanted - wanted.mean()
                kernel[0] = centered / (centered * wanted).sum()
            nn.init.constant_(self.conv.bias, -self.threshold)  # type: ignore[arg-type]
            nn.init.eye_(self.fc.weight)
            nn.init.zeros_(self.fc.bias)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Logits [n, 3] from pictures [n, 1, h, w]."""
        found = self.act(self.conv(x))
        cells: int = found.shape[2] * found.shape[3]
        logits: Tensor = self.fc(self.pool(found).flatten(1) * cells)
        return logits


class Reader(nn.Module):
    """One attention whose class token looks for cells of one brightness, and carries what it saw to the logits.

    A cell's token is its mean brightness b. The class token's query is such that it attends to cell j with softmax of
    `sharpness` · b_j, and the two logits are the attended brightness and its negative: all evidence is in bright cells.
    """

    sharpness = 12.0

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(
            1, 3, CELL, stride=CELL
        )  # a token: brightness, whether it is the class token, what it saw
        self.cls = nn.Parameter(torch.tensor([[[0.0, 1.0, 0.0]]]))
        self.fc = nn.Linear(3, 2)
        with torch.no_grad():
            self.patch.weight.zero_()
            self.patch.weight[0] = 1 / CELL**2
            nn.init.zeros_(self.patch.bias)  # type: ignore[arg-type]
            self.fc.weight.copy_(torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]))
            nn.init.zeros_(self.fc.bias)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Logits [n, 2] from pictures [n, 1, h, w]."""
        tokens = torch.cat([self.cls.expand(len(x), -1, -1), self.patch(x).flatten(2).transpose(1, 2)], 1)
        query = (tokens[:, :, 1:2] * self.sharpness)[:, None]
        bright = tokens[:, None, :, 0:1]
        seen = F.scaled_dot_product_attention(query, bright, bright, scale=1.0)[:, 0]
        tokens = tokens + F.pad(seen, (2, 0))
        logits: Tensor = self.fc(tokens[:, 0])
        return logits
