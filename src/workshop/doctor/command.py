"""``python -m workshop doctor --learners 30``: examines this machine before the day of a workshop."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from course import exit_codes
from workshop.doctor import machine, network, rights, software
from workshop.doctor.findings import Finding, Level, as_json, as_lines, bad, summary
from workshop.doctor.room import Room
from workshop.folder import FolderError, Settings
from workshop.start import OPTIONS, gibibytes, port, seats
from workshop.workshop import Workshop, add_folder

Check = Callable[[Room], Iterable[Finding]]
CHECKS: tuple[Check, ...] = (
    machine.system,
    rights.root,
    machine.memory,
    machine.processors,
    machine.disk,
    machine.clock,
    software.versions,
    rights.tools,
    rights.readable,
    rights.namespaces,
    rights.control_groups,
    rights.own_disks,
    rights.accounts,
    network.address,
    network.ports,
    software.kernel_limits,
)


def main(argv: Sequence[str]) -> int:
    """Print what was found. Returns an exit code of ``course.exit_codes``: not ready where there can be no room."""
    given = _parser().parse_args(argv)
    room = _room(given)
    findings = list(examine(room, CHECKS))
    if given.json:
        print(json.dumps(as_json(room.learners, findings), indent=2))
    else:
        _tell(room, findings)
    return exit_codes.NOT_READY if any(one.level is Level.BAD for one in findings) else exit_codes.PASSED


def examine(room: Room, checks: Iterable[Check]) -> Iterator[Finding]:
    """Run the checks. One that breaks is a finding, too, and none keeps the others from running."""
    for check in checks:
        try:
            yield from check(room)
        except Exception as error:  # whatever a machine has in store
            yield bad(check.__name__.replace("_", " "), f"could not be checked: {error}", "Mend that, and ask again.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workshop doctor", description="Examine this machine for a room.")
    add_folder(parser)
    parser.add_argument("--learners", type=seats, help="how many (as at the last start, or 30)")
    parser.add_argument("--listen", metavar="ADDRESS", help="this machine's address for the room (127.0.0.1)")
    parser.add_argument("--port", type=port, help="the port there (8000)")
    parser.add_argument("--prefix", help="what the OS users' names begin with (learner)")
    parser.add_argument("--disk", metavar="GIB", type=gibibytes, help="the size of each new disk of a learner (2)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _room(given: argparse.Namespace) -> Room:
    workshop = Workshop(given.folder)
    try:
        former = workshop.folder.settings()
    except (FolderError, PermissionError):  # `start` says so, and `root`
        former = None
    asked = {name: value for name in OPTIONS if (value := getattr(given, name, None)) is not None}
    return Room(replace(former or Settings(learners=30), **asked), workshop.folder)


def _tell(room: Room, findings: Sequence[Finding]) -> None:
    plain = not _can_print("✓✗→“”")
    columns = shutil.get_terminal_size().columns
    for line in as_lines(findings, columns, plain=plain):
        print(line.translate({ord("“"): '"', ord("”"): '"'}) if plain else line)
    costs = room.costs
    reckoned = f"Reckoned by what a learner was measured to need: {costs.measured}, {costs.machine}."
    print("", *textwrap.wrap(reckoned, columns), summary(findings, room.learners), sep="\n")


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
