"""What the learner of this machine has done so far: ``python -m course.learner [--next]``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from helpers import progress_file
from helpers.folders import notebooks_folder
from helpers.outline import lessons
from helpers.standing import standings
from helpers.verdicts import MARKS


def main(argv: Sequence[str] | None = None) -> None:
    """Prints how each lesson stands and where that is kept; with ``--next`` only the notebook to go on with."""
    parser = argparse.ArgumentParser(prog="python -m course.learner", description="Print your progress.")
    parser.add_argument("--next", action="store_true", help="print only the path of the lesson to go on with")
    next_only = parser.parse_args(argv).next
    if next_only and not progress_file.location().exists():  # nothing is done: looking for what takes two seconds
        print(lessons()[0].path.relative_to(notebooks_folder()).as_posix())
        return
    course = standings()
    if next_only:
        following = next((standing for standing in course if not standing.complete), course[0])
        print(following.lesson.path.relative_to(notebooks_folder()).as_posix())
        return
    for standing in course:
        print(f"{MARKS[standing.complete or None]} {standing.lesson.title}\n    {standing}")
    print(f"✓ done, ○ to do. Kept in {progress_file.location()}")


if __name__ == "__main__":
    main()
