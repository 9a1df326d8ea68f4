"""Dense references: each method once more, from its paper, in loops or numpy, without the engine.

One file per family, found by being here. A reference takes the toy apart (`head(features(x))`), differentiates with
`torch.autograd.functional.jacobian`, and knows nothing of hooks, layers, batches or several classes: one row in, one map
out. Beside it stand the facts that the contract test needs: parameters that make a method cheap, and the toys for which
it must refuse.
"""

from importlib import import_module
from pkgutil import iter_modules

from references.common import CHEAP, EXCUSED, REFERENCES, REFUSED

for _module in sorted(m.name for m in iter_modules(__path__)):
    import_module(f"references.{_module}")

__all__ = ["CHEAP", "EXCUSED", "REFERENCES", "REFUSED"]
