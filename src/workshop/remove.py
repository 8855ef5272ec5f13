"""``python -m workshop remove``: deletes a workshop that has ended, with its OS users and what learners have made."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence

from workshop import users
from workshop.stop import give_back
from workshop.workshop import Workshop, WorkshopError, add_folder, require_root


def main(argv: Sequence[str]) -> int:
    """Delete it with ``--yes``; else say what that would delete.

    Raises:
        FolderError: there is none.
    """
    parser = argparse.ArgumentParser(prog="python -m workshop remove", description="Delete a workshop that has ended.")
    add_folder(parser)
    parser.add_argument("--yes", action="store_true", help="delete it; else it is only said what that would be")
    arguments = parser.parse_args(argv)
    require_root("remove")
    workshop = Workshop(arguments.folder)
    workshop.settings()  # nothing is deleted that is no workshop
    with workshop.alone():
        print(remove(workshop) if arguments.yes else listed(workshop))
    return 0


def listed(workshop: Workshop) -> str:
    """Return what there is to delete."""
    names = users.living_below(workshop.folder.homes)
    return (
        f"{workshop.folder.root}, with the homes of {len(names)} OS users and all that is in them, and these users: "
        f"{', '.join(names) or 'none'}.\nNothing was touched. To delete it, say --yes."
    )


def remove(workshop: Workshop) -> str:
    """Delete it, and return what to say.

    Raises:
        WorkshopError: it runs, or a learner's disk is in use.
    """
    folder = workshop.folder
    if workshop.hub.pid() or workshop.proxy.pid():
        raise WorkshopError("The workshop runs: `python -m workshop stop` ends it.")
    give_back(workshop)
    in_use = [home for home in folder.homes.iterdir() if home.is_mount()]
    if in_use:
        raise WorkshopError(f"The disk at {in_use[0]} is in use: `python -m workshop stop` ends what runs there.")
    names = users.living_below(folder.homes)
    for name in names:
        users.remove(name)
    shutil.rmtree(folder.root)
    return f"Deleted: {folder.root}, and {len(names)} OS users."
