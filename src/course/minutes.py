"""How long a lesson takes somebody who reads all of it, runs each cell and solves each exercise.

Counted, not measured, so that all lessons are held to one rule: what ``course.yml`` promises lies near it, see
:data:`NEAR`, and promises no more than :data:`LONGEST`, a sitting. The time that the machine takes is not in it: a cell
runs for seconds here, and what it takes on Azure is said apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

LONGEST = 40
NEAR = (0.9, 1.25)  # of what is counted: learners differ by more, and a puzzle takes longer than its words
# Silent readers of English non-fiction read 238 words a minute (Brysbaert 2019, doi:10.1016/j.jml.2019.104047); fewer
# where new terms and code stand between them.
WORDS_A_MINUTE = 200
SECONDS_A_LINE = 2  # of code, to read it; imports and closing brackets are passed over
SECONDS_A_CELL = 10  # to run it, and to look at what comes out
MINUTES_AN_EXERCISE = 2.5  # to think and to write; its text is counted with the lesson's
MINUTES_A_QUESTION = 1  # of a paper of the mock exam, to read and to answer

_FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PICTURE = re.compile(r"!\[.*?\]\(.*?\)", re.DOTALL)
_ADDRESS = re.compile(r"\]\(.*?\)")
_WORD = re.compile(r"\w[\w'.-]*")
_SAYS_SOMETHING = re.compile(r"^(?! *(from|import) ).*\w", re.MULTILINE)


def of_lesson(cells: Iterable[Any], quiz: Sequence[Any], drawn: int = 0) -> float:
    """Return the minutes for a notebook's cells, the questions of its quiz, and those that are drawn for an exam."""
    words = sum(
        _words(question["question"]) + sum(_words(choice["text"]) for choice in question["choices"])
        for question in quiz
    )
    seconds, minutes = 0.0, float(MINUTES_A_QUESTION * drawn)
    for cell in cells:
        if cell.cell_type == "markdown":
            words += _words(cell.source)
            seconds += SECONDS_A_LINE * sum(_lines(block) for block in _FENCED.findall(cell.source))
        else:
            seconds += SECONDS_A_CELL + SECONDS_A_LINE * _lines(cell.source)
            minutes += MINUTES_AN_EXERCISE * ("exercise" in cell.metadata)
    return words / WORDS_A_MINUTE + seconds / 60 + minutes


def _words(markdown: str) -> int:
    """Count what is read: neither code, nor the alt text of a picture, nor where a link leads."""
    for left_out in (_FENCED, _PICTURE, _ADDRESS):
        markdown = left_out.sub(" ", markdown)
    return len(_WORD.findall(markdown))


def _lines(code: str) -> int:
    return len(_SAYS_SOMETHING.findall(code))
