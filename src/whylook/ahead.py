"""Work done ahead in threads, in order: pictures are decoded and resized while the network runs."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")
WORKERS = 2


def ahead(function: Callable[[Item], Done], items: Iterable[Item], *, workers: int = WORKERS) -> Iterator[Done]:
    """`function` of each of `items`, in order, up to two per worker ahead of the one that is asked for.

    An error is raised where its item would have come. What has been begun is finished, and the rest is not begun, when
    the iteration is given up.

    Parameters
    ----------
    function : releases Python's lock for most of its time, as decoding and resizing do.
    items : what it is called with.
    workers : threads.
    """
    waiting: deque[Future[Done]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="whylook-ahead")
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def all_ahead(function: Callable[[Item], Done], items: Iterable[Item]) -> list[Done]:
    """`function` of each of `items`, in order, all at once; for functions that change Python's warning filters, too.

    The filters belong to the process: two threads that change and restore them can leave one another's behind, so they
    are put back here at the end.
    """
    with warnings.catch_warnings():
        return list(ahead(function, items))
