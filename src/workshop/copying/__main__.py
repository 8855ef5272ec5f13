"""Works on a copy: ``python -m workshop.copying bring WORKBOOK HOME``; root, with the rights of the owner of ``HOME``.

Prints JSON, ``{"sentences": [...], "error": null}``. It is also what an image runs before its JupyterLab.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from workshop.copying.bringing import bring
from workshop.copying.rights import become_owner
from workshop.copying.trees import TreeError, trainers

ACTIONS = {"bring": bring}


def main(argv: Sequence[str] | None = None) -> int:
    """Do as the command line says. Returns 0 where it was done, except for what its sentences name."""
    action, source, home, *rest = sys.argv[1:] if argv is None else argv
    answer: dict[str, object] = {"sentences": [], "error": None}
    try:
        newest = trainers(Path(source))  # the last that root's rights are used for
        become_owner(Path(home))
        answer["sentences"] = ACTIONS[action](newest, Path(home), *rest)
    except TreeError as error:
        answer["error"] = str(error)
    print(json.dumps(answer))
    return 1 if answer["error"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
