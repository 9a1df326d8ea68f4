"""Colors of maps, for the figure, the report and the notebook alike: tables, limits and painting."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whylook.errors import UsageError

# Control points as hex triples, evenly spaced and joined by straight lines. Inferno and viridis (CC0, by van der Walt
# and Smith) run evenly in lightness, so that equal steps of the value look like equal steps; a rainbow does not.
_POINTS = {
    "inferno": (
        "00000402020c0504170a072210092d160b391e0c45260c512f0a5b380962400a67490b6a510e6c59106e61136e69166e71196e"
        "781c6d801f6c88226a902568982766a02a63a82e5fb0315bb73557bf3952c63d4dcc4248d34743d94d3ddf5337e45a31e9612b"
        "ed6925f1711ff47918f78212f98b0bfa9407fb9d07fca60cfcb014fbba1ffac42af8cd37f6d746f4e156f2ea69f2f27df5f992"
        "fcffa4"
    ),
    "viridis": (
        "44015446085c471063481769481d6f482475472a7a46307e453781433d844142873f48893d4e8a3a538b38598c355e8d33638d"
        "31688e2e6d8e2c718e2a768e297b8e27808e25848e23898e218e8d20928c1f978b1e9c891fa18821a58524aa8328ae802eb37c"
        "35b7793dbc7446c06f50c46a5ac86465cb5e70cf577cd25089d54895d840a2da37b0dd2fbddf26cae11fd8e219e5e419f1e51d"
        "fde725"
    ),
    "gray": "000000ffffff",
    "blue-red": "1747c82f74e45c9df59c9ca6f98a62e84a35c8102e",
}
SEQUENTIAL = ("inferno", "viridis", "gray")
DIVERGING = "blue-red"
_SOLID, _SOLID_SIGNED = 0.45, 0.3  # share of the scale from which on a color is not faded any more
_SHARED_TOP = 0.005  # share of the cells that may lie above the top color: one outlier must not turn a map black


class Limits(NamedTuple):
    """The values that the first and the last color stand for, and whether values beyond them exist."""

    low: float
    high: float
    clipped: bool


def table(name: str) -> NDArray[np.uint8]:
    """Return a color table, uint8 [256, 4]: red, green, blue, opacity.

    Tables fade out toward zero, the low end or the middle of the diverging one: where there is no evidence the
    picture is seen as it is, and nothing is painted.

    Raises
    ------
    UsageError
        If there is no table of that name.
    """
    if name not in _POINTS:
        raise UsageError(f"There is no color map called {name!r}; known: {', '.join(_POINTS)}.")
    points = np.frombuffer(bytes.fromhex(_POINTS[name]), np.uint8).reshape(-1, 3).astype(float)
    at = np.linspace(0, len(points) - 1, 256)
    out = np.empty((256, 4), np.uint8)
    for channel in range(3):
        out[:, channel] = np.round(np.interp(at, np.arange(len(points)), points[:, channel]))
    diverging = name == DIVERGING
    strength = np.abs(np.linspace(-1, 1, 256)) / _SOLID_SIGNED if diverging else np.linspace(0, 1, 256) / _SOLID
    out[:, 3] = np.round(255 * np.minimum(1, strength))
    return out


def limits(values: NDArray[np.float32], signed: bool) -> Limits:
    """Return the limits that a map's colors span.

    Zero is always in them: the low end of an unsigned map, the middle of a signed one. The highest 0.5 % of
    the cells share the end color; on grids below 200 cells that is none, and the end is the maximum.

    Parameters
    ----------
    values : float array of any shape; values that are not finite are left out.
    signed : whether the limits are symmetric about zero.
    """
    finite = np.asarray(values, np.float64)[np.isfinite(values)]
    if finite.size == 0:
        return Limits(-1.0 if signed else 0.0, 1.0, False)
    sizes = np.sort(np.abs(finite) if signed else finite, axis=None)
    most = float(sizes[-1])
    high = float(sizes[-1 - int(sizes.size * _SHARED_TOP)])
    if high <= 0:  # nearly everything is zero: the few that are not are what there is to see
        high = max(most, 0.0)
    if high == 0:
        high = 0.0 if not signed and sizes[0] < 0 else 1.0
    low = -high if signed else min(0.0, float(sizes[0]))
    return Limits(low, high, most > high)


def paint(values: NDArray[np.float32], span: Limits, name: str) -> NDArray[np.uint8]:
    """Return `values` [h, w] as colors, uint8 [h, w, 4]; what is not finite becomes transparent."""
    known = np.isfinite(values)
    position = (np.where(known, values, 0).astype(np.float64) - span.low) / (span.high - span.low)
    painted = table(name)[np.round(np.clip(position, 0, 1) * 255).astype(np.intp)]
    painted[~known] = 0
    return painted


def map_table(signed: bool, sequential: str = "inferno") -> str:
    """Return the name of the table that a map is shown with: diverging if it is signed."""
    return DIVERGING if signed else sequential
