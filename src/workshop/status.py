"""``python -m workshop status``: what runs, who has joined, and the links."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from workshop import links
from workshop.seats import Seats
from workshop.workshop import Workshop, add_folder, require_root

NOT_RUNNING = 3  # as systemctl has it


def main(argv: Sequence[str]) -> int:
    """Print it. Returns 0 where all runs, else 3."""
    parser = argparse.ArgumentParser(prog="python -m workshop status", description="Say what runs, and who is here.")
    add_folder(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
    arguments = parser.parse_args(argv)
    require_root("status")
    found = status(Workshop(arguments.folder))
    print(json.dumps(found, indent=2) if arguments.json else as_text(found))
    return 0 if found["running"] else NOT_RUNNING


def status(workshop: Workshop) -> dict[str, Any]:
    """Return what ``--json`` prints: processes (None where one does not run), links, files, and the taken seats."""
    folder, settings = workshop.folder, workshop.settings()
    hub, proxy = workshop.hub.pid(), workshop.proxy.pid()
    return {
        "running": bool(hub and proxy),
        "hub": hub,
        "proxy": proxy,
        "learners": settings.learners,
        "links": links.table(folder, settings),
        "join_link": links.join_link(folder, settings),
        "trainer_link": links.trainer_link(settings),
        "board_link": links.board_link(settings),
        "trainer_password_file": str(folder.trainer_password),
        "seats": [asdict(seat) for seat in Seats(folder.seats).all()],
    }


def as_text(found: dict[str, Any]) -> str:
    """Return it for people."""
    lines = [f"{name + ':':22} {value}" for name, value in found["links"].items()]
    lines += [f"{name + ':':22} {running(found[name.casefold()])}" for name in ("Hub", "Proxy")]
    lines += [f"{'Seats taken:':22} {len(found['seats'])} of {found['learners']}"]
    return "\n".join(lines + [f"  {seat['user']:20} {seat['name']}" for seat in found["seats"]])


def running(pid: int | None) -> str:
    """Return words for a process."""
    return f"runs (process {pid})" if pid else "does not run: `python -m workshop start` starts it"
