"""The questions of the mock exam: what ``05_capstone/exam/*.yml`` holds, and what an answer to each looks like."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from helpers.folders import notebooks_folder

FOLDER = "05_capstone/exam"
LETTERS = "abcdefgh"
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}


@dataclass(frozen=True)
class Domain:
    """A part of the exam, as the notes have it: its id, and the heading that the notes have over it."""

    id: str
    title: str


@dataclass(frozen=True)
class Choice:
    """A choice, a step or a statement: whether it is right, which step it is (0: none), and why."""

    text: str
    why: str
    right: bool = False
    place: int = 0


@dataclass(frozen=True)
class Question:
    """A question, with its choices in the order in which they are shown.

    Args:
        kind: ``single_choice``, ``multiple_choice``, ``ordering`` or ``yes_no``.
        lesson: the id of the lesson that has the answer, below its heading ``section``.
        source: a page of Microsoft's, with ``page`` and ``url``; empty where the lesson shows it.
    """

    id: str
    domain: Domain
    kind: str
    difficulty: str
    lesson: str
    section: str
    text: str
    choices: tuple[Choice, ...]
    source: dict[str, str]

    @property
    def labels(self) -> list[tuple[str, Choice]]:
        """Each choice with its letter."""
        return list(zip(LETTERS, self.choices, strict=False))

    @property
    def key(self) -> str:
        """The right answer: letters; for a series of statements a ``y`` or ``n`` for each."""
        if self.kind == "yes_no":
            return "".join("y" if choice.right else "n" for choice in self.choices)
        if self.kind == "ordering":
            steps = sorted((choice.place, letter) for letter, choice in self.labels if choice.place)
            return "".join(letter for _, letter in steps)
        return "".join(letter for letter, choice in self.labels if choice.right)

    @property
    def task(self) -> str:
        """What is to be answered, such as ``Choose two.``"""
        if self.kind == "yes_no":
            return "Yes or no?"
        if self.kind == "ordering":
            return f"Which {NUMBERS[len(self.key)]} steps, in which order?"
        return "Choose one." if self.kind == "single_choice" else f"Choose {NUMBERS[len(self.key)]}."

    def read(self, answer: object) -> str:
        """Return an answer as letters, in the form of ``key``.

        Args:
            answer: such as ``"b"``, ``"ad"``, ``["d", "a"]``, ``"yes no yes"``.

        Raises:
            ValueError: it is no answer to this question; the message says what would be one.
        """
        words = answer if isinstance(answer, Sequence) and not isinstance(answer, str) else [answer]
        letters = re.sub(r"[\s,]", "", "".join(str(word) for word in words).lower())
        if self.kind == "yes_no":
            letters = letters.replace("yes", "y").replace("no", "n")
        known = "yn" if self.kind == "yes_no" else LETTERS[: len(self.choices)]
        repeated = self.kind != "yes_no" and len(set(letters)) < len(letters)
        if set(letters) - set(known) or len(letters) != len(self.key) or repeated:
            raise ValueError(f'"{answer}" is no answer to it; {self._wanted(known)}')
        return "".join(sorted(letters)) if self.kind == "multiple_choice" else letters

    def _wanted(self, known: str) -> str:
        if self.kind == "yes_no":
            return (
                f'wanted is a y or an n for each of {len(self.choices)} statements, such as "{"yny"[: len(self.key)]}"'
            )
        many = "is one letter" if len(self.key) == 1 else f"are {NUMBERS[len(self.key)]} different letters"
        return f"wanted {many} of {', '.join(known)}"


def domains() -> list[Domain]:
    """Return the exam's domains in the notes' order."""
    return _domains(notebooks_folder())


@functools.cache  # PyYAML takes a tenth of a second for it, and each paper that is marked asks
def _domains(folder: Path) -> list[Domain]:
    known = yaml.safe_load((folder / "exam_domain.yml").read_text(encoding="utf-8"))
    return [Domain(domain["id"], domain["title"]) for domain in known["domains"]]


def questions_of(domain: Domain) -> list[Question]:
    """Return a domain's questions in the file's order."""
    return _questions(notebooks_folder() / FOLDER / f"{domain.id}.yml", domain)


@functools.cache
def _questions(file: Path, domain: Domain) -> list[Question]:
    return [_question(domain, entry) for entry in yaml.safe_load(file.read_text(encoding="utf-8"))["questions"]]


def _question(domain: Domain, entry: dict[str, Any]) -> Question:
    same = {name: entry[name] for name in ("id", "kind", "difficulty", "lesson", "section")}
    choices = tuple(Choice(**choice) for choice in entry["choices"])
    return Question(domain=domain, text=entry["question"], choices=choices, source=entry.get("source", {}), **same)
