"""glibc's allocator, set for large tensors that come and go; for the command line's own process only."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # from malloc.h


def keep_freed_memory() -> None:
    """Make glibc reuse freed blocks of any size instead of returning them to the system; elsewhere, do nothing.

    Blocks over 32 MB are otherwise mapped anew, and their pages faulted in, at every use of such an activation.
    """
    if sys.platform != "linux":
        return
    try:
        libc = ctypes.CDLL("libc.so.6")
        tune = libc.mallopt
    except (OSError, AttributeError):  # musl has no such dial
        return
    tune(_MMAP_MAX, 0)
    tune(_TRIM_THRESHOLD, 2**31 - 1)
    tune(_TOP_PAD, 64 * 2**20)
