"""A batch job of a thousand mini-batches that loses a worker, a node and the service to SIGKILL: part of ``make demo``.

What a person sees is printed: when each was killed, what had been done by then, and what came of the job. The kills
come one after the other while it runs; after the last the service is started again, as a person would.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from batch_jobs import Batches
from job_installation import ENDED, installed, of

MINI_BATCHES = 1_000
VICTIMS: dict[str, Callable[[Batches], psutil.Process]] = {
    "a worker": lambda batches: batches.workers()[0],
    "a node": lambda batches: of(batches.installation, "compute.node", without="guard.py"),
    "the service": lambda batches: psutil.Process(batches.installation.service.pid),
}


@dataclass(frozen=True)
class Event:
    """What happened so many seconds after the invocation, and how many mini-batches had begun by then."""

    seconds: float
    what: str
    begun: int


@dataclass(frozen=True)
class Demonstration:
    """What was seen: the events, how the job ended, its rows, and how often each mini-batch has begun."""

    events: list[Event]
    status: str
    rows: list[str]
    begun: Counter[str]

    def text(self) -> str:
        """Return it for people."""
        lines = [f"{event.seconds:6.1f} s  {event.begun:5} begun  {event.what}" for event in self.events]
        again = sum(count - 1 for count in self.begun.values())
        lines.append(
            f"{len(set(self.rows)):,} of {len(self.begun):,} rows are there, {len(self.rows) - len(set(self.rows))} of "
            f"them twice; {again} mini-batches were begun more than once."
        )
        return "\n".join(lines)


def demonstrate(batches: Batches) -> Demonstration:
    """Run the job and kill what it needs, at a quarter, a half and three quarters of the way."""
    began = time.monotonic()
    events: list[Event] = []

    def happens(what: str) -> None:
        events.append(Event(time.monotonic() - began, what, len(batches.begun())))

    job, place = batches.invoke("dedicated")
    happens(f"invoked, {batches.count:,} mini-batches")
    for number, (victim, find) in enumerate(VICTIMS.items(), 1):
        batches.reaches(number * batches.count // (len(VICTIMS) + 1))
        find(batches).kill()
        happens(f"{victim} is killed")
    batches.installation.start_again()
    happens("the service is started again")
    status = batches.installation.reaches(job, *ENDED)
    happens(status)
    return Demonstration(events, status, batches.rows(place), Counter(batches.begun()))


@contextmanager
def endpoint(count: int) -> Iterator[Batches]:
    """Yield a batch endpoint on a service of its own."""
    with TemporaryDirectory(prefix="azl-notes-") as notes, installed() as installation:
        batches = Batches(installation, Path(notes), count)
        batches.set_up()
        batches.deploy("dedicated", installation.cluster)
        yield batches


def main() -> None:
    """Show it on a service of its own."""
    with endpoint(MINI_BATCHES) as batches:
        print(f"\n{demonstrate(batches).text()}")


if __name__ == "__main__":
    main()
