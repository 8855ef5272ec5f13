"""The command ``python -m workshop COMMAND``. Each command is a module of its own, with its options: ``--help``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import requests

from azureml_local.edge.listening import ListenError
from node_packages import NpmError
from workshop.background import BackgroundError
from workshop.certificates import CertificateError
from workshop.folder import FolderError
from workshop.users import UserError
from workshop.workshop import WorkshopError

# A module with main(arguments) -> exit status, and what it does.
COMMANDS = {
    "doctor": ("workshop.doctor.command", "say, before the day, whether this machine carries the room"),
    "start": ("workshop.start", "start a room of learners, or what of it does not run"),
    "stop": ("workshop.stop", "end it; --hub-only leaves the learners at work"),
    "remove": ("workshop.remove", "delete one that has ended, with its OS users and what learners have made"),
    "status": ("workshop.status", "say what runs, who has joined, and the links"),
    "pin": ("workshop.pin", "let a learner who has forgotten the PIN choose another"),
    "install": ("workshop.install", "install the proxy, which `start` would do, too"),
    "agenda": ("workshop.agendas", "print an agenda for half a day, one day or two"),
    "wheelhouse": ("workshop.wheelhouse.collect", "collect all that is installed, for a room without a network"),
    "hub": ("workshop.hub", "run the hub in this process (`start` does)"),
}
EXPECTED = (BackgroundError, CertificateError, FolderError, ListenError, NpmError, UserError, WorkshopError)
USAGE, INTERRUPTED = 2, 130


def main(argv: Sequence[str]) -> int:
    """Run a command, and return its exit status: 1 where it could not be done, 2 where it is no command."""
    if not argv or argv[0] not in COMMANDS:
        print("\n".join(f"python -m workshop {name:10} {what}" for name, (_, what) in COMMANDS.items()))
        if argv[:1] in (["--help"], ["-h"]):
            return 0
        print(f'There is no command "{argv[0]}".' if argv else "Name a command.", file=sys.stderr)
        return USAGE
    try:
        status: int = importlib.import_module(COMMANDS[argv[0]][0]).main(argv[1:])
    except EXPECTED as error:
        print(error, file=sys.stderr)
        return 1
    except requests.RequestException as error:
        print(f"The hub does not answer as it should: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. What had started goes on: `status` says what does, `start` completes it.", file=sys.stderr)
        return INTERRUPTED
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
