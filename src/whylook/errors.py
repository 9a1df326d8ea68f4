"""Every error a person can meet: one or two sentences that name the thing, the reason and the remedy."""


class WhylookError(Exception):
    """Base of all errors that whylook raises on purpose; `exit_code` is what the command line ends with."""

    exit_code = 2


class UsageError(WhylookError, ValueError):
    """An argument that cannot be right."""


class ImageError(WhylookError, ValueError):
    """A picture that cannot be read."""

    exit_code = 3


class ModelError(WhylookError):
    """A model, or its weights, that is not to be had."""

    exit_code = 4


class Unsupported(WhylookError):  # noqa: N818 - the contract's name: it is a statement, not a mishap
    """A method that has no meaning for this network: the reason, and what to use instead."""


class OutOfMemory(WhylookError, MemoryError):  # noqa: N818 - as Python's own MemoryError is called
    """A single evaluation that does not fit into memory."""

    exit_code = 6


class ServiceError(WhylookError):
    """A language service that gave no answer to use; maps and the offline narrative do not depend on it."""

    exit_code = 5
