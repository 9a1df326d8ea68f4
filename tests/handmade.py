"""A small transformer written by hand, with every way to arrange tokens, heads and keys that attribution can trip over."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class Attention(nn.Module):
    """Attention of a few heads; `style` says how it is written, or among what it is."""

    def __init__(self, width: int, heads: int, style: str) -> None:
        super().__init__()
        self.heads, self.style = heads, style
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        parts = self.qkv(x).chunk(3, 2)
        if self.style == "memory":  # keys and values are of the first tokens
            parts = parts[0], *self.qkv(memory).chunk(3, 2)[1:]
        if self.style == "heads with the batch":  # [heads · n, t, d], heads outermost
            q, k, v = (torch.cat(p.chunk(self.heads, 2)) for p in parts)
            weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
            return self.proj(torch.cat((weights @ v).chunk(self.heads), 2))
        if self.style == "heads first":  # [heads, n, t, d]
            q, k, v = (p.unflatten(2, (self.heads, -1)).permute(2, 0, 1, 3) for p in parts)
            weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
            return self.proj((weights @ v).permute(1, 2, 0, 3).flatten(2))
        q, k, v = (p.unflatten(2, (self.heads, -1)).transpose(1, 2) for p in parts)
        if self.style == "channels":
            out = ((q.mT @ k / q.shape[-2]).softmax(-1) @ v.mT).mT
        elif self.style == "linear":
            out = q.softmax(-1) @ (k.softmax(-2).mT @ v)
        elif self.style == "einsum":
            weights = (torch.einsum("bhid,bhjd->bhij", q, k) / q.shape[-1] ** 0.5).softmax(-1)
            out = torch.einsum("bhij,bhjd->bhid", weights, v)
        else:
            out = F.scaled_dot_product_attention(q, k, v, is_causal=self.style == "causal")
        return self.proj(out.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, style: str) -> None:
        super().__init__()
        self.norm1, self.norm2, self.fc = nn.LayerNorm(width), nn.LayerNorm(width), nn.Linear(width, width)
        self.attention = Attention(width, heads, style)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x), memory)
        return x + F.gelu(self.fc(self.norm2(x)))


class Handmade(nn.Module):
    """`order` of the tokens, `token`: where the class token stands, `embed`: by convolution or of cut patches."""

    def __init__(
        self, *, order: str = "rows", token: str = "first", embed: str = "conv", patch: int = 4, style: str = "fused",
        width: int = 8, heads: int = 2, depth: int = 2,
    ) -> None:  # fmt: skip
        super().__init__()
        torch.manual_seed(0)
        self.order, self.token, self.embed, self.side = order, token, embed, patch
        self.patch = nn.Conv2d(3, width, patch, stride=patch) if embed == "conv" else nn.Linear(3 * patch**2, width)
        self.extra = nn.Parameter(torch.randn(1, 1, width))
        self.blocks = nn.ModuleList(Block(width, heads, style) for _ in range(depth))
        self.norm, self.fc = nn.LayerNorm(width), nn.Linear(width, 5)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        if self.embed == "conv":
            t = self.patch(x)
            if self.order == "columns":
                t = t.transpose(2, 3)
            elif self.order == "windows":
                t = t.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).permute(0, 1, 2, 4, 3, 5)
            t = t.flatten(2).transpose(1, 2)
        else:
            cut = F.unfold(x, self.side, stride=self.side).transpose(1, 2)
            t = self.patch(cut)
        extra = self.extra.expand(len(x), -1, -1)
        t = {"first": lambda: torch.cat([extra, t], 1), "last": lambda: torch.cat([t, extra], 1)}.get(
            self.token, lambda: t
        )()
        memory = t
        for block in self.blocks:
            t = block(t, memory)
        t = self.norm(t)
        return self.fc({"first": t[:, 0], "last": t[:, -1]}.get(self.token, t.mean(1)))
