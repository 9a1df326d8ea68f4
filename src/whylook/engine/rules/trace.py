"""One pass under rules: a guarded forward, and one backward per target."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from whylook.engine.guard import guarded
from whylook.engine.rules.rule import Rules, applied, graph
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
    score : [n, k], what the multipliers begin with: the blocks' scores, counted as the rules say.
    """

    rows: list[Tensor]
    multipliers: list[Tensor]
    bias: list[list[Tensor]]
    score: Tensor


def trace_rules(
    network: nn.Module, inputs: tuple[Tensor, ...], targets: Tensor, score: Score, rules: Rules, *, seed: int = 0
) -> RuleTrace:
    """Run the network once under `rules`, then once backward per target.

    Parameters
    ----------
    network : the module; untouched afterwards.
    inputs : its inputs, each [n, …].
    targets : [n, k] class indices.
    score : what the multipliers begin with.
    rules : what stands in for which operations; used for this pass only.
    seed : of randomness inside the network.

    Raises
    ------
    Unsupported
        If the network has operations for which the rules have no meaning, or its graph is cut.
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
        scores = score(torch.cat([-begun, begun], 1) if one_logit else begun, targets.repeat(len(blocks), 1), one_logit)
        counted = scores.reshape(len(blocks), n, classes) * torch.tensor(rules.signs).to(scores)[:, None, None]
        grads, bias = [], []
        for k in range(classes):
            grads.append(gradients_of(counted[:, :, k].sum(), list(joint), last=k + 1 == classes))
            bias.append(rules.collect())
        lost = [i for i in range(len(joint)) if all(g[i] is None for g in grads)]
        if lost and depends(network, joint, lost, logits.detach()):
            raise Unsupported(SEVERED)
        stacked = [filled(column, like) for column, like in zip(zip(*grads, strict=True), joint, strict=True)]
    return RuleTrace(
        rows=[leaf.detach().reshape(len(blocks), n, *leaf.shape[1:]) for leaf in joint],
        multipliers=[s.reshape(classes, len(blocks), n, *s.shape[2:]) for s in stacked],
        bias=bias,
        score=counted.detach().sum(0),
    )
