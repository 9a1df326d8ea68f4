"""A function of a person's own package that makes the network, weights and all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from whylook.errors import ModelError, UsageError
from whylook.models.architecture import call, factory, options_of
from whylook.models.feeding import NAMES, settle
from whylook.models.module import module_model
from whylook.models.sources import source

if TYPE_CHECKING:
    from whylook.models.model import Model
    from whylook.preprocess import Preprocess


@source("factory", title="a function that makes your model", example="package.module:function")
def factory_model(
    name: str,
    *,
    preprocess: Preprocess | None = None,
    labels: Any = None,
    arch_options: Mapping[str, Any] | Iterable[str] | None = None,
    **feeding: Any,
) -> Model:
    """Call `package.module:function`, which returns a `torch.nn.Module` with its weights, or a whole `Model`.

    Parameters
    ----------
    name : module and function.
    preprocess : how the network is fed, all at once.
    labels : class names, or a file of them.
    arch_options : handed to the function, as a mapping or as texts `name=value`.
    feeding : parts of the preprocessing: `mean`, `std`, `input_size`, `interpolation`, `crop`, ….

    Raises
    ------
    ModelError
        If the function is not there, fails, or makes something else.
    UsageError
        If it does not take the options, or it is not known how the network is fed.
    """
    from torch import nn

    from whylook.models.model import Model
    from whylook.preprocess import Preprocess

    for key in feeding:
        if key not in NAMES:
            raise UsageError(f"{name} takes no {key}; it takes arch_options, labels, {', '.join(NAMES)}.")
    made = call(name, factory(name), options_of(arch_options))
    if isinstance(made, Model):
        return made
    if not isinstance(made, nn.Module):
        raise ModelError(f"{name} makes a {type(made).__name__}, not a torch.nn.Module or a whylook Model.")
    if preprocess is None:
        usual = Preprocess.from_timm(made) if getattr(made, "pretrained_cfg", None) else None
        preprocess = settle(feeding, {}, usual, None, name)
    model = module_model(made, preprocess=preprocess, labels=labels)
    return replace(model, name=name, source=name, notes=tuple(n for n in (*model.notes, preprocess.origin) if n))
