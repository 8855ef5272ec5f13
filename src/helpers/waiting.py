"""Waiting for Azure's long-running operations, with a line that lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from tqdm import tqdm

from helpers import loads, meter, waits

Result = TypeVar("Result", covariant=True)
Returned = TypeVar("Returned")
TICK = 0.5  # seconds between two updates of the line; the end of the operation is noticed at once
SHORTEST_PAUSE = 0.2  # seconds between two questions, where there is nothing that would say when it is time to ask
SHARE_OF_WAIT = 0.02  # of the time waited so far: five minutes' waiting on Azure asks every six seconds
ASKING_TIMES = 4  # as long as a question took, at least: what is waited for needs the processor as well
LONGEST_WAIT = 3600.0  # seconds
# How long Azure takes at most until a role that was given holds everywhere:
# https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---role-assignment-changes-are-not-being-detected
SPREAD_SECONDS = 600.0
SPREAD_TICK = 5.0
REFUSALS = (401, 403)


class Poller(Protocol[Result]):
    """What ``begin_...`` methods of Azure's clients return."""

    def done(self) -> bool:
        """Say whether the operation has ended."""

    def wait(self, timeout: float | None = None) -> None:
        """Wait for its end, at most ``timeout`` seconds."""

    def result(self, timeout: float | None = None) -> Result:
        """Return its result, or raise its error."""


def wait(poller: Poller[Result], what: str, on_azure: str = "") -> Result:
    """Wait for an operation and return its result; a line shows what is waited for, and for how long.

    Args:
        poller: what a ``begin_...`` method returned.
        what: what is being done, e.g. ``"create the endpoint"``.
        on_azure: how long that takes on Azure, e.g. ``"about 8 minutes"``.

    Raises:
        azure.core.exceptions.HttpResponseError: the operation failed; the message is Azure's.
    """
    hint = meter.hint(on_azure)
    meter.METER.announce(what, on_azure)
    began = time.monotonic()
    # To standard error, and gone at the end: how long it took this time is no result of the lesson.
    try:
        with waits.noted(), tqdm(desc=f"… {what}{hint}", bar_format="{desc}{postfix}", leave=False) as line:
            while not poller.done():
                line.set_postfix_str(f"{time.monotonic() - began:.0f} s{loads.standing()}")
                poller.wait(TICK)  # raises, too, where the operation fails meanwhile
        result = poller.result()
    except Exception:
        print(f"✗ {what}: failed")
        raise
    print(f"✓ {what}: done{hint}")
    return result


def pauses(asking_times: float = ASKING_TIMES) -> Iterator[float]:
    """Yield the seconds that have passed, at once and again after a pause each time.

    Pauses grow with the wait, and last ``asking_times`` as long as what is done between two of them.

    Raises:
        TimeoutError: an hour has passed.
    """
    began = time.monotonic()
    with waits.noted():
        while (seconds := time.monotonic() - began) < LONGEST_WAIT:
            yield seconds
            asking = time.monotonic() - began - seconds
            time.sleep(max(SHORTEST_PAUSE, SHARE_OF_WAIT * seconds, asking_times * asking))
    raise TimeoutError(f"Still waiting after {LONGEST_WAIT:g} s.")


def wait_until(condition: Callable[[], bool], what: str, on_azure: str = "") -> None:
    """Wait until something is true; a line shows what is waited for, and for how long.

    Args:
        condition: asks Azure ML, and says whether it is true.
        what: what is waited for, e.g. ``"one node is idle"``.
        on_azure: how long that takes on Azure, e.g. ``"5 minutes"``.

    Raises:
        TimeoutError: it is not true after an hour.
    """
    hint = meter.hint(on_azure)
    meter.METER.announce(what, on_azure)
    with tqdm(desc=f"… {what}{hint}", bar_format="{desc}{postfix}", leave=False) as line:
        for seconds in pauses(asking_times=0):  # what comes next may have to come in time
            if condition():
                break
            line.set_postfix_str(f"{seconds:.0f} s{loads.standing()}")
    print(f"✓ {what}{hint}")


def until_permitted(call: Callable[[], Returned], what: str) -> Returned:
    """Make a call, again while it is answered 401 or 403, and return its result: a role that was given takes a while.

    Args:
        call: a function without arguments. It raises Azure's error or, as plain HTTP does, returns a response.
        what: what it does, e.g. ``"read the workspace"``.

    Raises:
        azure.core.exceptions.HttpResponseError: another error, or a refusal even after ten minutes.
    """
    from azure.core.exceptions import HttpResponseError

    began = time.monotonic()
    with waits.noted(), tqdm(desc=f"… {what}", bar_format="{desc}{postfix}", leave=False) as line:
        while True:
            is_last = time.monotonic() - began > SPREAD_SECONDS
            try:
                result = call()
            except HttpResponseError as error:
                if error.status_code not in REFUSALS or is_last:
                    raise
            else:
                if getattr(result, "status_code", None) not in REFUSALS or is_last:
                    break
            line.set_postfix_str(f"not yet permitted, {time.monotonic() - began:.0f} s")
            time.sleep(SPREAD_TICK)
    print(f"✓ {what}: answered (on Azure: a new role takes up to 10 minutes)")
    return result


@contextmanager
def busy(what: str, on_azure: str = "") -> Iterator[None]:
    """Show a line that says what is waited for, and for how long, while a call runs that tells nothing itself.

    Args:
        what: what is done, e.g. ``"build the image"``.
        on_azure: how long that takes on Azure, e.g. ``"8 minutes"``.
    """
    hint = meter.hint(on_azure)
    meter.METER.announce(what, on_azure)
    began, ended = time.monotonic(), threading.Event()
    with waits.noted(), tqdm(desc=f"… {what}{hint}", bar_format="{desc}{postfix}", leave=False) as line:

        def tick() -> None:
            while not ended.wait(TICK):
                line.set_postfix_str(f"{time.monotonic() - began:.0f} s")

        ticking = threading.Thread(target=tick, daemon=True)
        ticking.start()
        try:
            yield
        finally:
            ended.set()
            ticking.join()
