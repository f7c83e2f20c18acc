"""One call for each of many workflows, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Final, TypeVar

from pkg.cli.progress import Progress
from pkg.kube.errors import KubeError

#: Calls at the same time, which is what the client keeps connections for.
AT_ONCE: Final = 8

T = TypeVar("T")


def each(items: Sequence[T], call: Callable[[T], object], done: str) -> Iterator[tuple[T, KubeError | None]]:
    """Calls `call` with each item, and yields it with the error of the call, in the order in which they end.

    done: what is counted on a terminal meanwhile: `1,200 of 5,000 deleted`. After Ctrl-C no further call begins.
    """
    progress = Progress(len(items), done)
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        sent = {pool.submit(call, item): item for item in items}
        for future in as_completed(sent):
            error = future.exception()
            if error is not None and not isinstance(error, KubeError):
                raise error
            progress.clear()
            yield sent[future], error
            progress.step()
    finally:
        progress.clear()
        pool.shutdown(wait=False, cancel_futures=True)
