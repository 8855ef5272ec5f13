"""What the learner of this machine has done so far: ``python -m course.learner``."""

from __future__ import annotations

from helpers import progress_file
from helpers.standing import standings
from helpers.verdicts import MARKS


def main() -> None:
    """Prints how each lesson stands, and where that is kept."""
    for standing in standings():
        print(f"{MARKS[standing.complete or None]} {standing.lesson.title}\n    {standing}")
    print(f"✓ done, ○ to do. Kept in {progress_file.location()}")


if __name__ == "__main__":
    main()
