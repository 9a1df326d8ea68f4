"""What a method is: a pure function and the facts about it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from whylook.errors import UsageError
from whylook.parameters import complete
from whylook.registry import Registry

# The names a method's positional arguments may have, by what must be asked for to get them.
_SUPPLIED = {
    "gradient": ("x", "g"),
    "layer": ("A", "G"),
    "probe": ("x", "scores", "gradients", "evaluate", "occluded"),
    "rules": ("X", "M", "bias"),
    "attention": ("attention", "attention_gradients", "layerwise_gradients", "readers"),
}
_PROBED_LAYER = ("x", "scores", "A", "head")
ENGINE_PARAMETERS = ("layer", "score", "against", "seed")
Space = Literal["input", "pixels", "layer", "windows"]


@dataclass(frozen=True)
class Needs:
    """What a method is given.

    Parameters
    ----------
    gradient : input `x` [n, …] and the score's gradient `g` by it, same shape.
    layer : activation `A` [n, c, *grid] of the CAM layer and the score's gradient `G` by it, same shape.
    probe : one row `x` [1, …], and `scores(batch)` -> [b, k], `gradients(batch)` -> [k, b, …],
        `evaluate(batch, i)` -> scores [b] and gradients [b, …] of the i-th target alone, or
        `occluded(x, which, filled, boxes)` -> [1 + boxes, k] for k targets (see `whylook.engine.probe.Probe`); the method
        returns one map per target, [k, …]. With `layer`: the row's activation `A` [1, c, *grid], and `head`, the
        network behind the layer as a function of its activation (`whylook.engine.head.Head`).
    rules : name of the rules (`whylook.engine.rules`) that replace the backward pass of single operations, in a pass of its
        own: `X` [b, n, …], the input and what it is compared with, and `M` [b, n, …], the multipliers that came back
        to them; and `bias`, what came back to the biases, a list of [n, *grid]. The method's parameters are
        the rules', and facts and warnings come from them, too (`Rules.account`).
    attention : from a pass of its own, in which attention runs in the open; lists over layers of tensors
        [n, heads, t, t]: the weights `attention`, the score's gradients by them `attention_gradients`, and
        `layerwise_gradients`, each layer's gradient of the score that the head gives to that layer's own output; and
        `readers` [n, t], which of the last layer's tokens the head reads, as shares. The method returns one value per
        token, [n, t].
    """

    gradient: bool = False
    layer: bool = False
    probe: bool = False
    rules: str | None = None
    attention: bool = False


@dataclass(frozen=True, eq=False)
class Noted:
    """What a method that probes may return where a map alone does not tell all.

    Parameters
    ----------
    values : the maps [k, …], as without notes.
    facts : by name, one number per target [k], such as the completeness residual.
    warnings : one per target: why the map should not be relied on, or None; empty means none at all.
    extent : for maps whose cells do not cover the input evenly: (begin, end) per spatial axis, in input elements, of
        what they do cover; a tuple of such for a tuple of inputs.
    """

    values: Any
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str | None] = ()
    extent: Any = None


@dataclass(frozen=True, eq=False)
class Method:
    """An attribution method.

    Parameters
    ----------
    name : in kebab case, as the papers write it.
    title : as the papers print it.
    function : the mathematics: tensors in, tensor out.
    needs : what it is given.
    arguments : names of its positional arguments.
    parameters : its own parameters and their defaults.
    family : `gradient`, `cam`, …
    space : where the map lives: `input` (the input's shape), `pixels` (the input's without channels), `layer` (the
        layer's grid), `windows` (one value per position of a window).
    signed : whether the finished map's negative values are evidence against the target.
    channels : how input-space values become one map: `sum` or `abs-max` over the channels, or None.
    paper : arXiv id or DOI.
    formula, cost, limits, prefer : one sentence each: what it computes, what it costs in passes, where it misleads,
        when to take it.
    seeded : whether it draws random numbers.
    class_specific : whether the map depends on the target.
    background : whether its `baseline` is a set that every row is compared with, rather than one per row.
    floating : whether only differences within a map mean something; `explain` then takes its mean off.
    """

    name: str
    title: str
    function: Callable[..., Any]
    needs: Needs
    arguments: tuple[str, ...]
    parameters: Mapping[str, Any]
    family: str
    space: Space
    signed: bool
    channels: Literal["sum", "abs-max"] | None
    paper: str
    formula: str
    cost: str
    limits: str
    prefer: str
    seeded: bool
    class_specific: bool
    background: bool = False
    floating: bool = False

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").split("\n")[0]

    @property
    def black_box(self) -> bool:
        """Whether scores are all it needs, so that it works on any function of the input."""
        return set(self.arguments) <= {"x", "scores", "occluded"}

    def fill(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Complete `parameters` with the defaults; what the method does not have, or not so, raises `UsageError`."""
        for name in parameters:
            if name in ENGINE_PARAMETERS:
                raise UsageError(
                    f"{name} is not {self.name}'s own: give it once for all methods, as an argument {name}=… or as --{name}."
                )
        return complete(self.name, self.function, self.parameters, parameters)


METHODS: Registry[Method] = Registry("method")


def _family(module: str) -> str:
    """A method's family is its file, or the folder beside this file that its file is in."""
    inside = module.removeprefix(f"{__package__}.")
    return inside.split(".")[0] if inside != module else module.rsplit(".", 1)[-1]


def method(
    name: str,
    *,
    title: str,
    needs: Needs,
    space: Space,
    signed: bool,
    paper: str,
    formula: str,
    cost: str,
    limits: str,
    prefer: str,
    channels: Literal["sum", "abs-max"] | None = None,
    class_specific: bool = True,
    background: bool = False,
    floating: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as an attribution method; see `Method` for the facts.

    The function's positional arguments are what it is given (see `Needs`; `rng` among the keyword-only ones asks for
    seeded random numbers), its other keyword-only arguments are its parameters, and the module's name (or its folder's)
    is its family.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function).parameters.values()
        arguments = tuple(p.name for p in signature if p.kind is not p.KEYWORD_ONLY)
        own = {p.name: p.default for p in signature if p.kind is p.KEYWORD_ONLY}
        supplied = {a for need, names in _SUPPLIED.items() if getattr(needs, need) for a in names}
        if needs.layer and needs.probe:
            supplied = set(_PROBED_LAYER)
        if unknown := [a for a in arguments if a not in supplied]:
            raise TypeError(f"method {name!r}: nothing it needs supplies {unknown}; needs give {sorted(supplied)}")
        if clash := [p for p in own if p in ENGINE_PARAMETERS]:
            raise TypeError(f"method {name!r}: {clash} are the engine's parameters")
        METHODS.add(
            name,
            Method(
                name=name,
                title=title,
                function=function,
                needs=needs,
                arguments=arguments,
                parameters={k: v for k, v in own.items() if k != "rng"},
                family=_family(function.__module__),
                space=space,
                signed=signed,
                channels=channels,
                paper=paper,
                formula=formula,
                cost=cost,
                limits=limits,
                prefer=prefer,
                seeded="rng" in own,
                class_specific=class_specific,
                background=background,
                floating=floating,
            ),
        )
        return function

    return register
