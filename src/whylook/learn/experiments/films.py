"""Drawn films for experiments that need to know the truth: patients whom no network was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whylook.learn.experiments.controls import EMBEDDED, Network, Number
from whylook.phantom import COMPONENTS, DEMO_SEED, Phantom, dataset, render

if TYPE_CHECKING:
    from whylook.image import Image
    from whylook.models.model import Model

FIRST = dataset("clean", 1).seeds[0]  # of the test split
PARTS = tuple(c for c in COMPONENTS if c != "lesion-2")
PATIENT = Number("patient", "Patient", DEMO_SEED - FIRST, 0, 199)
CLEAN = tuple(name for name in EMBEDDED if not name.endswith("-shortcut"))
FAMILIES = tuple(name.partition(":")[2] for name in CLEAN)


def of_films(default: str, name: str = "model", title: str = "Network", options: Sequence[str] = EMBEDDED) -> Network:
    """Return the control that chooses among the networks that know these films."""
    return Network(name, title, default, tuple(options), others=False)


@lru_cache(maxsize=512)
def film(patient: int, without: str = "") -> Phantom:
    """Draw a test patient with a disc, the marker and the catheter, or without one of them."""
    return render(FIRST + patient, lesion="disc", marker=True, catheter=True, drop=[without] if without else [])


@lru_cache(maxsize=8)
def drawn(name: str, n: int) -> tuple[Phantom, ...]:
    """Draw the first `n` test pictures of a data set of the phantom."""
    return tuple(dataset(name, n))


def as_image(phantom: Phantom, name: str) -> Image:
    """Return a film as a picture with a name."""
    from whylook.image import Image, load_image

    plain = load_image(phantom.pixels)
    notes = ("Drawn by whylook.phantom. It shows no person.",)
    return Image(plain.pixels, name=name, notes=notes, sha256=plain.sha256)


def film_image(patient: int, without: str = "") -> Image:
    """Return `film` as a picture."""
    return as_image(film(patient, without), f"patient-{patient}{'-without-' + without if without else ''}.png")


def answers(model: Model, films: Iterable[Phantom]) -> NDArray[np.float64]:
    """Logits [n, classes] of films, in one batch."""
    import torch

    from whylook.explainer import device_of
    from whylook.phantom.inputs import batch

    with torch.no_grad():
        return np.asarray(model.network(batch(films).to(device_of(model))).double().cpu().numpy())


def margins(logits: NDArray[np.float64], label: int) -> NDArray[np.float64]:
    """Log-odds [n] of a class from logits [n, classes]."""
    others = np.delete(logits, label, axis=1)
    most = others.max(1)
    return np.asarray(logits[:, label] - most - np.log(np.exp(others - most[:, None]).sum(1)))


def maps(model: Model, method: str, films: Sequence[Phantom], label: int, **parameters: Any) -> list[NDArray[Any]]:
    """Maps of films for one class, each [H, W] on its film, made in one batch."""
    from whylook.attribution import attribute
    from whylook.explainer import device_of, one_map
    from whylook.methods import METHODS
    from whylook.phantom.inputs import PREPROCESS, batch

    values: Any = attribute(model.network, batch(films).to(device_of(model)), method, label, **parameters)
    whole = PREPROCESS.geometry(as_image(films[0], "film"))
    return [whole.on_image(one_map(row, METHODS[method])) for row in values]
