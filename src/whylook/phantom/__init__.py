"""Pictures with known truth, and eight small networks trained on them.

Drawing needs NumPy only; torch is imported when a network is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from whylook.phantom.data import NAMES, Phantoms, Quadruple, Quadruples, dataset, quadruples
from whylook.phantom.render import COMPONENTS, LABELS, Phantom, render

if TYPE_CHECKING:
    from whylook.image import Image

__all__ = [
    "COMPONENTS",
    "DEMO_SEED",
    "LABELS",
    "NAMES",
    "Phantom",
    "Phantoms",
    "Quadruple",
    "Quadruples",
    "dataset",
    "picture",
    "quadruples",
    "render",
]

DEMO_SEED = 1_000_013  # nearest to average by measure.strangeness, see docs/phantom.md


def picture(seed: int = DEMO_SEED, *, lesion: str = "disc", marker: bool = True, catheter: bool = True) -> Image:
    """Return the embedded demonstration picture: a patient with a disc, the marker, and a catheter.

    Parameters
    ----------
    seed : the patient; the default is one whom no network was trained on, and whose figures are near the average.
    lesion, marker, catheter : as for `render`.

    Returns
    -------
    Image, uint8 [128, 128, 1].
    """
    from whylook.image import Image, load_image

    drawn = render(seed, lesion=lesion, marker=marker, catheter=catheter)
    plain = load_image(drawn.pixels)
    with_or_without = ("marker", marker), ("catheter", catheter)
    parts = ", ".join(f"{'with' if there else 'without'} {name}" for name, there in with_or_without)
    return Image(
        plain.pixels,
        name=f"phantom-{lesion}-{seed}.png",
        notes=(f"Drawn by whylook.phantom, seed {seed}: a {lesion}, {parts}. It shows no person.",),
        sha256=plain.sha256,
    )
