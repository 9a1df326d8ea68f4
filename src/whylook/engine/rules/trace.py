"""One pass under rules: a guarded forward, and one backward per target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from whylook.engine.graph import graph
from whylook.engine.guard import guarded
from whylook.engine.rules.rule import Rules, Sums, applied
from whylook.engine.targets import Score, class_logits
from whylook.engine.trace import SEVERED, depends, filled, gradients_of
from whylook.errors import Unsupported


@dataclass(frozen=True, eq=False)
class RuleTrace:
    """What a pass under rules saw; lists are over inputs, b blocks of rows are run jointly (`Rules.blocks`).

    Parameters
    ----------
    rows : [b, n, …], what was run; the first block is the input.
    multipliers : [k, b, n, …], what came back to them.
    bias : per target, what came back to the biases, [n, *grid] each, where the rules keep it.
    facts : by name, numbers [n, k] that belong to the maps.
    warnings : n lists of k sentences or None.
    """

    rows: list[Tensor]
    multipliers: list[Tensor]
    bias: list[list[Tensor]]
    facts: Mapping[str, Tensor] = field(default_factory=dict)
    warnings: Sequence[Sequence[str | None]] = ()


def trace_rules(
    network: nn.Module, inputs: tuple[Tensor, ...], targets: Tensor, score: Score, rules: Rules, *, seed: int = 0
) -> RuleTrace:
    """Run the network once under `rules`, then once backward per target.

    Parameters
    ----------
    network : the module; untouched afterwards.
    inputs : its inputs, each [n, …].
    targets : [n, k] class indices.
    score : what is explained; the multipliers begin with how it reacts to the logits.
    rules : what stands in for which operations; used for this pass only.
    seed : of randomness inside the network.

    Raises
    ------
    Unsupported
        If the network has operations for which the rules have no meaning, its graph is cut, or what came back is wrong.
    """
    n, classes = targets.shape
    with guarded(network, inputs[0].device, seed):
        blocks = rules.blocks(inputs)
        joint = tuple(torch.cat(parts).detach().requires_grad_() for parts in zip(*blocks, strict=True))
        with applied(rules):
            output = network(*(leaf.clone() for leaf in joint))
        logits, one_logit = class_logits(output, n * len(blocks))
        rules.check(graph(logits))
        begun = rules.seed(logits[:, 1:] if one_logit else logits)
        z = torch.cat([-begun, begun], 1) if one_logit else begun
        wanted = targets.repeat(len(blocks), 1)
        signs = torch.tensor(rules.signs).to(z)
        weights = rules.weights(score, z.detach(), wanted, one_logit) * signs.repeat_interleave(n)[:, None]
        started = (z.detach() * weights).sum(2).T.reshape(len(blocks), n, classes).sum(0)
        scores = score(z.detach(), wanted, one_logit).reshape(len(blocks), n, classes)
        counted = (scores * signs[:, None, None]).sum(0)
        grads, bias = [], []
        for k in range(classes):
            grads.append(gradients_of((z * weights[k]).sum(), list(joint), last=k + 1 == classes))
            bias.append(rules.collect() + ([] if score.name == "logit" else rules.rest(counted[:, k] - started[:, k])))
        lost = [i for i in range(len(joint)) if all(g[i] is None for g in grads)]
        if lost and depends(network, joint, lost, logits.detach()):
            raise Unsupported(SEVERED)
        stacked = [filled(column, like) for column, like in zip(zip(*grads, strict=True), joint, strict=True)]
    rows = [leaf.detach().reshape(len(blocks), n, *leaf.shape[1:]) for leaf in joint]
    multipliers = [m.reshape(classes, len(blocks), n, *m.shape[2:]) for m in stacked]
    facts, warnings = rules.account(_sums(rows, multipliers, bias, counted, started, scores.abs().sum(0)))
    return RuleTrace(rows, multipliers, bias, facts, warnings)


def _sums(
    rows: list[Tensor], multipliers: list[Tensor], bias: list[list[Tensor]], score: Tensor, begun: Tensor,
    scale: Tensor,
) -> Sums:  # fmt: skip
    """Add up what came back to the inputs and to the biases; `scale` is how large the scores are that were counted."""
    classes, _, n = multipliers[0].shape[:3]
    parts = [(x * m).sum(1).reshape(classes, n, -1) for x, m in zip(rows, multipliers, strict=True)]
    parts += [torch.stack(column).reshape(classes, n, -1) for column in zip(*bias, strict=True)]
    total, size = (torch.stack([f(p).sum(2) for p in parts]).sum(0).T for f in (torch.clone, torch.abs))
    return Sums(score, begun, total, size + scale)
