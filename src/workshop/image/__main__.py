"""What the image starts with: ``python -m workshop.image COMMAND...``, as its user.

The notebooks are brought into the user's home, which outlives the container; then the command takes this process over.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from workshop.account import environment
from workshop.copies import CopyError, bring
from workshop.folder import WORKBOOK


def main(command: Sequence[str]) -> int:
    """Bring the notebooks and run the command in their folder; returns only where that failed."""
    home = Path.home()
    try:
        for sentence in bring(WORKBOOK, home):
            print(sentence, flush=True)
    except CopyError as error:  # a full disk, say: only in their lab can the learner make room
        print(error, file=sys.stderr, flush=True)
    try:
        os.chdir(home / "workbook" / "notebooks")
        os.execvpe(command[0], list(command), os.environ | environment(getpass.getuser(), home))  # noqa: S606
    except OSError as error:
        print(f"{command[0]} cannot be run: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
