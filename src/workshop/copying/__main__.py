"""Works on a copy: ``python -m workshop.copying bring|reset WORKBOOK HOME [WHAT]``.

Root does it with the rights of the owner of ``HOME``. Prints JSON, ``{"sentences": [...], "error": null}``. It is also
what an image runs before its JupyterLab.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from workshop.copying.bringing import bring, lead_to_code
from workshop.copying.resetting import reset
from workshop.copying.rights import become_owner
from workshop.copying.trees import TreeError, trainers


def main(argv: Sequence[str] | None = None) -> int:
    """Do as the command line says. Returns 0 where it was done, except for what its sentences name."""
    given = _parser().parse_args(argv)
    answer: dict[str, object] = {"sentences": [], "error": None}
    try:
        newest = trainers(given.workbook)  # the last that root's rights are used for
        become_owner(given.home)
        if given.action == "bring":
            answer["sentences"] = bring(newest, given.home)
        else:
            answer["sentences"] = reset(newest, given.home, given.what)
        lead_to_code(given.workbook, given.home)
    except TreeError as error:
        answer["error"] = str(error)
    print(json.dumps(answer))
    return 1 if answer["error"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workshop.copying", description="Work on a learner's copy.")
    parser.add_argument("action", choices=("bring", "reset"))
    parser.add_argument("workbook", type=Path, help="the workbook's root")
    parser.add_argument("home", type=Path, help="the learner's home")
    parser.add_argument(
        "what", nargs="?", default="notebooks", help="to reset: notebooks, service, everything, lesson:PATH"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
