"""Attribution methods: one file per family, one decorated function per method."""

from importlib import import_module
from pkgutil import iter_modules

from whylook.methods.method import METHODS, Method, Needs, Noted, method

for _module in sorted(m.name for m in iter_modules(__path__) if m.name != "method"):
    import_module(f"whylook.methods.{_module}")  # a new family is found by being a file here

__all__ = ["METHODS", "Method", "Needs", "Noted", "method"]
