"""``python -m workshop pin NAME``: a learner who has forgotten the PIN chooses another at the next join."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from workshop.seats import Seats
from workshop.workshop import Workshop, WorkshopError, add_folder, require_root


def main(argv: Sequence[str]) -> int:
    """Forget the PIN of a seat."""
    parser = argparse.ArgumentParser(prog="python -m workshop pin", description="Let a learner choose another PIN.")
    parser.add_argument("name", help="the name that they have joined with")
    add_folder(parser)
    arguments = parser.parse_args(argv)
    require_root("pin")
    workshop = Workshop(arguments.folder)
    workshop.settings()
    seat = Seats(workshop.folder.seats).forget_pin(arguments.name)
    if seat is None:
        raise WorkshopError(f"Nobody has joined as {arguments.name}; `python -m workshop status` lists who has.")
    print(f"Whoever next joins as {seat.name} chooses the PIN: let them do it now.")
    return 0
