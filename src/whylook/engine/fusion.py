"""One map from the maps of several layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from whylook.errors import Unsupported

if TYPE_CHECKING:
    from torch import Tensor


def fuse(maps: Sequence[Tensor]) -> Tensor:
    """Bring the maps of several layers to one scale and the finest grid, and average them.

    Each map is divided by its largest absolute value, as LayerCAM (doi:10.1109/TIP.2021.3089943) scales its stages, so
    that zero and the sign keep their meaning; then it is interpolated linearly to the grid with the most cells. A map
    that is zero stays zero and counts in the average.

    Parameters
    ----------
    maps : of each layer, [n, k, *grid].

    Returns
    -------
    [n, k, *finest grid], between −1 and 1; a single map is returned as it is, in its own units.

    Raises
    ------
    Unsupported
        If the layers' grids have different numbers of axes.
    """
    import torch
    from torch.nn.functional import interpolate

    if len(maps) == 1:
        return maps[0]
    grids = [tuple(m.shape[2:]) for m in maps]
    if len({len(g) for g in grids}) > 1:
        raise Unsupported(
            f"The layers have grids {', '.join(map(str, grids))} of different kinds, which no one map can show; "
            "ask for them one at a time."
        )
    finest = max(grids, key=math.prod)
    how = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(finest)]
    scaled = []
    for m in maps:
        top = m.abs().flatten(2).amax(2).reshape(*m.shape[:2], *(1 for _ in finest))
        unit = m / top.where(top > 0, 1.0)
        same = tuple(m.shape[2:]) == finest
        scaled.append(unit if same else interpolate(unit, finest, mode=how, align_corners=False))
    return torch.stack(scaled).mean(0)
