"""What the image starts with: ``python -m workshop.image COMMAND...``, as its user.

The notebooks are brought into the user's home, which outlives the container; then the command takes this process over.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from workshop.copies import CopyError, bring
from workshop.folder import WORKBOOK
from workshop.spawner import environment


def main(command: Sequence[str]) -> int:
    """Bring the notebooks and run the command in their folder; returns only where that failed."""
    home = Path.home()
    try:
        for sentence in bring(WORKBOOK, home):
            print(sentence, flush=True)
        os.chdir(home / "workbook" / "notebooks")
        os.execvpe(command[0], list(command), os.environ | environment(getpass.getuser(), home))  # noqa: S606
    except (CopyError, OSError) as error:
        print(error, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
