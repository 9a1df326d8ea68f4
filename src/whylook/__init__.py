"""See where an image classifier looks, and whether the map of it can be believed."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whylook.attribution import attribute as attribute
    from whylook.auditing.audit import Audit as Audit
    from whylook.auditing.audit import audit as audit
    from whylook.comparison.run import Comparison as Comparison
    from whylook.comparison.run import compare as compare
    from whylook.errors import ImageError as ImageError
    from whylook.errors import ModelError as ModelError
    from whylook.errors import Unsupported as Unsupported
    from whylook.errors import UsageError as UsageError
    from whylook.errors import WhylookError as WhylookError
    from whylook.explainer import explain as explain
    from whylook.explanation import Explanation as Explanation
    from whylook.explanation import Map as Map
    from whylook.explanation import Target as Target
    from whylook.image import Image as Image
    from whylook.image import load_image as load_image
    from whylook.models import load_model as load_model
    from whylook.models.model import Model as Model
    from whylook.narration import narrate as narrate
    from whylook.preprocess import Preprocess as Preprocess
    from whylook.trustcard import TrustCard as TrustCard
    from whylook.trustcard import trust as trust

try:
    __version__ = version("whylook")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0"

# Public name -> module; nothing is imported before it is asked for, so that `whylook --help` needs no torch.
_HOME = {
    "attribute": "attribution",
    "audit": "auditing.audit",
    "compare": "comparison.run",
    "explain": "explainer",
    "load_image": "image",
    "narrate": "narration",
    "load_model": "models",
    "Audit": "auditing.audit",
    "Comparison": "comparison.run",
    "Explanation": "explanation",
    "Image": "image",
    "ImageError": "errors",
    "Map": "explanation",
    "Model": "models.model",
    "ModelError": "errors",
    "Preprocess": "preprocess",
    "Target": "explanation",
    "TrustCard": "trustcard",
    "trust": "trustcard",
    "Unsupported": "errors",
    "UsageError": "errors",
    "WhylookError": "errors",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name == "phantom":  # the one room that is public as a whole
        return import_module("whylook.phantom")
    if name not in _HOME:
        raise AttributeError(f"module 'whylook' has no attribute {name!r}")
    value = getattr(import_module(f"whylook.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
