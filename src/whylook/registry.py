"""A named collection that explains itself when a name is not in it."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Generic, TypeVar

from whylook.errors import UsageError

T = TypeVar("T")


class Registry(Generic[T]):
    """Names to entries, in order of registration; `kind` is the word used in errors."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> None:
        """Register `entry` under `name`; a name that is taken raises `ValueError`."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = entry

    def __getitem__(self, name: str) -> T:
        """Return the entry called `name`; an unknown name raises `UsageError` with the nearest known ones."""
        if name not in self._entries:
            near = get_close_matches(name, self._entries, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(self._entries)}."
            raise UsageError(f"There is no {self.kind} called {name!r}; {hint}")
        return self._entries[name]

    def __iter__(self) -> Iterator[T]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def names(self) -> tuple[str, ...]:
        """Every registered name, in order of registration."""
        return tuple(self._entries)
