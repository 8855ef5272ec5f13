"""A lesson's quiz to read: each question with its choices, and folded beneath it the answer, with why each is so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from course.book.markdown import classed, folded, plain
from helpers.checking import LETTERS


def page_text(questions: Sequence[Mapping[str, Any]]) -> str:
    """Return the Markdown of questions as ``quizzes/*.yml`` holds them."""
    return "\n".join(_question(number, question) for number, question in enumerate(questions, start=1))


def _question(number: int, question: Mapping[str, Any]) -> str:
    choices = "".join(f"1. {plain(choice['text'])}\n" for choice in question["choices"])
    asked = f"**{number}. {plain(question['question'])}**\n\n{classed('choices', choices)}"
    return f"{asked}\n{folded(f'Answer to question {number}', explained(question['choices']))}"


def explained(choices: Sequence[Mapping[str, Any]]) -> str:
    """Return which of the choices is right, and then of each why it is or is not."""
    lettered = list(zip(LETTERS, choices, strict=False))
    first = sorted(lettered, key=lambda one: not one[1].get("right", False))
    return "\n\n".join(
        f"**{letter}) is {'right' if choice.get('right') else 'wrong'}.** {plain(choice['why'])}"
        for letter, choice in first
    )
