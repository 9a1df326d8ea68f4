"""An architecture without weights, by name: timm's, torchvision's, or any function that builds one."""

from __future__ import annotations

import ast
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from whylook.errors import ModelError, UsageError, WhylookError

if TYPE_CHECKING:
    from torch import nn

    from whylook.preprocess import Preprocess


@dataclass(frozen=True)
class Architecture:
    """What builds a network, and how such a network is fed where nothing else is said.

    Parameters
    ----------
    name : as the person wrote it.
    build : makes the network, with random weights.
    preprocess : the usual preprocessing of a network that was built, or None where it has none.
    """

    name: str
    build: Callable[[], nn.Module]
    preprocess: Callable[[nn.Module], Preprocess | None]


def options_of(given: Mapping[str, Any] | Iterable[str] | None) -> dict[str, Any]:
    """Options from a mapping, or from texts `name=value`, whose values are Python literals or else texts."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    options: dict[str, Any] = {}
    for text in [given] if isinstance(given, str) else given:
        name, equals, value = text.partition("=")
        if not (equals and name.strip().isidentifier()):
            raise UsageError(f"An architecture option is NAME=VALUE, such as pad_type=same, not {text!r}.")
        options[name.strip()] = _literal(value.strip())
    return options


def _literal(text: str) -> Any:
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def architecture(name: str, **options: Any) -> Architecture:
    """Find an architecture.

    Parameters
    ----------
    name : a timm name (with or without `timm:`), `torchvision:NAME`, or `package.module:function`.
    options : handed to what builds it, `num_classes` and `in_chans` among them; those that are None are not.

    Raises
    ------
    ModelError
        If there is no such architecture.
    UsageError
        If the name is none of the three; options it does not take raise it when the network is built.
    """
    given = {k: v for k, v in options.items() if v is not None}
    prefix, colon, rest = name.partition(":")
    if not colon or prefix == "timm":
        return _timm(rest or name, given)
    if prefix == "torchvision":
        return _torchvision(rest, given)
    return Architecture(name, _checked(name, factory(name), given), _timm_config)


def factory(name: str) -> Callable[..., Any]:
    """The function that `package.module:function` names; modules of the current folder are found, too."""
    module_name, _, function = name.partition(":")
    if not (function.isidentifier() and all(part.isidentifier() for part in module_name.split("."))):
        raise UsageError(f"{name!r} names no source of models; a function is named as package.module:function.")
    here = os.getcwd()  # noqa: PTH109 - sys.path holds texts
    sys.path.append(here)
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise ModelError(f"The module {module_name} of {name!r} cannot be imported: {error}.") from error
    except Exception as error:
        raise ModelError(f"The module {module_name} of {name!r} cannot be imported: {_what(error)}.") from error
    finally:
        sys.path.remove(here)
    found = getattr(module, function, None)
    if not callable(found):
        near = get_close_matches(function, [n for n in vars(module) if callable(getattr(module, n))], n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        raise ModelError(f"The module {module_name} has no function {function}{hint}")
    return found  # type: ignore[no-any-return]


def call(name: str, make: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Call a person's function: what it cannot take is a `UsageError`, what fails inside it a `ModelError`."""
    try:
        signature = inspect.signature(make)
    except (TypeError, ValueError):  # compiled functions may have none
        signature = None
    try:
        if signature is not None:
            signature.bind(**options)
    except TypeError as error:
        raise UsageError(f"{name} cannot be called with {_said(options)}: {error}.") from error
    try:
        return make(**options)
    except WhylookError:
        raise
    except Exception as error:
        raise ModelError(f"{name} failed with {_what(error)}; whylook --debug shows where.") from error


def _said(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={v!r}" for k, v in options.items()) or "no options"


def _what(error: Exception) -> str:
    reason = str(error).strip().partition("\n")[0].rstrip(".")
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__


def _checked(name: str, make: Callable[..., Any], options: Mapping[str, Any]) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from torch import nn

        network = call(name, make, options)
        if not isinstance(network, nn.Module):
            raise ModelError(f"{name} makes a {type(network).__name__}, not a torch.nn.Module.")
        return network

    return build


def _passed_on(name: str, make: Callable[[], Any], options: Mapping[str, Any]) -> Any:
    """Call a library, which hands options on unseen: there, a `TypeError` means one that the network does not take."""
    try:
        return make()
    except TypeError as error:
        raise UsageError(f"{name} cannot be built with {_said(options)}: {error}.") from error


def _timm(name: str, options: Mapping[str, Any]) -> Architecture:
    import timm

    from whylook.models.timm import pretrained_config

    arch = name.partition(".")[0]
    if not timm.is_model(arch) or arch != name:
        pretrained_config(name)  # it knows how to say what is wrong

    def make(**kwargs: Any) -> Any:
        return _passed_on(name, lambda: timm.create_model(name, pretrained=False, **kwargs), kwargs)

    return Architecture(name, _checked(name, make, options), _timm_config)


def _timm_config(network: nn.Module) -> Preprocess | None:
    from whylook.preprocess import Preprocess

    return Preprocess.from_timm(network) if getattr(network, "pretrained_cfg", None) else None


def _torchvision(name: str, options: Mapping[str, Any]) -> Architecture:
    import torchvision

    from whylook.models.torchvision import entry_of
    from whylook.preprocess import Preprocess

    entry = entry_of(name)
    if "in_chans" in options:
        raise UsageError(
            "torchvision's networks take color only, so --in-chans does not apply; timm's take any number."
        )

    def make(**kwargs: Any) -> Any:
        return _passed_on(name, lambda: torchvision.models.get_model(name, weights=None, **kwargs), kwargs)

    build = _checked(f"torchvision:{name}", make, options)
    return Architecture(f"torchvision:{name}", build, lambda _: Preprocess.from_torchvision(entry))
