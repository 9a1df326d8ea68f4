"""Autograd's graph of a forward that is done."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def graph(output: Tensor) -> list[Any]:
    """All nodes of autograd's graph from `output` down to the leaves, each once."""
    nodes: list[Any] = []
    seen: set[Any] = set()
    waiting = [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        nodes.append(node)
        waiting.extend(parent for parent, _ in node.next_functions)
    return nodes
