"""Runs a sink in a thread of its own for the length of a block, and waits for what it does."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Runnable(Protocol):
    """What the sinks have in common."""

    def run(self, stop: threading.Event) -> None: ...


@contextmanager
def running(sink: Runnable) -> Iterator[threading.Event]:
    """Run the sink; at the end it is stopped, must end soon, and must not have failed."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            sink.run(stop)
        except BaseException as failure:  # noqa: BLE001 - it is raised again below
            failures.append(failure)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive(), "the sink did not stop"
    if failures:
        raise failures[0]


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until the condition holds; it fails the test when it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
