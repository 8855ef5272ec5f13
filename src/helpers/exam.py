"""The mock exam: a paper drawn by a number, asked, marked, explained, and what to read again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from helpers import outline, progress_file
from helpers.exam_questions import Domain, Question, domains, questions_of
from helpers.verdicts import MARKS, box, html

if TYPE_CHECKING:
    from helpers.exam_form import Form

LESSON, ITEM = "mock_exam", "exam"  # in your progress
PAPER = 20  # questions of a whole paper: what counts for your best result
PASS_SHARE = 0.7


def draw(seed: int, questions: int = PAPER, domain: str | None = None) -> Paper:
    """Draw a paper: as many questions of each domain, give or take one, in any order, their choices shuffled.

    Args:
        seed: a number; the same number draws the same paper.
        questions: how many.
        domain: the id of the one domain to practise, e.g. ``"batch"``; None for all.

    Raises:
        LookupError: there is no such domain.
        ValueError: there are not so many questions.
    """
    pools = [questions_of(one) for one in domains() if domain in (None, one.id)]
    if not pools:
        known = ", ".join(one.id for one in domains())
        raise LookupError(f'The exam has no domain "{domain}". The domains are {known}.')
    most = len(pools) * min(len(pool) for pool in pools)
    if not 1 <= questions <= most:
        raise ValueError(f"A paper of {questions} questions cannot be drawn: right is a number from 1 to {most}.")
    chance = random.Random(seed)  # noqa: S311 - a paper is no secret
    chance.shuffle(pools)  # so that it is left to chance which domains have one question more
    drawn = [
        question
        for place, pool in enumerate(pools)
        for question in chance.sample(pool, len(range(place, questions, len(pools))))
    ]
    chance.shuffle(drawn)
    return Paper(tuple(_shuffled(question, chance) for question in drawn), whole=domain is None and questions >= PAPER)


def _shuffled(question: Question, chance: random.Random) -> Question:
    return replace(question, choices=tuple(chance.sample(question.choices, len(question.choices))))


@dataclass(frozen=True)
class Paper:
    """A paper: its questions in order; ``whole`` is one that counts for your best result."""

    questions: tuple[Question, ...]
    whole: bool

    def mark(self, answers: Mapping[Any, Any] | None, keep: bool = True) -> Marks:
        """Mark a paper, and keep the result in your progress if it is your best one on a whole paper.

        Args:
            answers: by a question's number, e.g. ``{1: "b", 2: "ad", 3: "cab", 4: "yny"}``: a letter, several
                letters, letters in the right order, a yes or no for each statement. What is left out is open; None
                leaves out everything.
            keep: False for a result that is not yours.

        Raises:
            ValueError: an answer is none to its question, or there is no question of that number.
        """
        given = {str(number): answer for number, answer in (answers or {}).items()}
        numbers = [str(number) for number in range(1, len(self.questions) + 1)]
        if strange := [number for number in given if number not in numbers]:
            raise ValueError(f"Question {strange[0]} is not there: the paper has questions 1 to {len(numbers)}.")
        pairs = zip(numbers, self.questions, strict=True)
        marks = Marks([_answer(number, question, given.get(number)) for number, question in pairs])
        if keep and self.whole and marks.right:
            progress_file.note_best(LESSON, marks.right, len(numbers))
            progress_file.note(LESSON, [ITEM] if marks.passed else [])
        return marks

    def guess(self, seed: int) -> dict[int, str]:
        """Return answers by chance, as somebody gives them who knows nothing."""
        chance = random.Random(seed)  # noqa: S311
        answers = {}
        for number, question in enumerate(self.questions, start=1):
            letters = [letter for letter, _ in question.labels]
            drawn = chance.choices("yn", k=len(letters)) if question.kind == "yes_no" else letters
            answers[number] = "".join(chance.sample(drawn, len(question.key)))
        return answers

    def form(self) -> Form:
        """Return the paper as a form to click; what is clicked can be marked in place of a dictionary."""
        from helpers.exam_form import Form

        return Form(self)

    def __str__(self) -> str:
        return "\n\n".join(_plain(number, question) for number, question in enumerate(self.questions, start=1))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Return the paper; as HTML with the explanation of each question folded away."""
        shown = [question_html(number, question) for number, question in enumerate(self.questions, start=1)]
        return {"text/plain": str(self), "text/html": "<br>".join(shown)}


def _plain(number: int, question: Question) -> str:
    choices = "".join(f"\n   {letter}) {choice.text}" for letter, choice in question.labels)
    return f"{number}. {question.text} {question.task}{choices}"


def question_html(number: int, question: Question, folded: bool = True) -> str:
    """Return a question with its choices as HTML, and if wanted its explanation, folded away."""
    choices = "".join(f"<br>{letter}) {html(choice.text)}" for letter, choice in question.labels)
    asked = f"<b>{number}. {html(question.text)} <i>{question.task}</i></b>{choices}"
    explained = f"<details><summary>answer and explanation</summary>{explanation_html(question)}</details>"
    return box(None, asked + (explained if folded else ""))


def explanation_html(question: Question) -> str:
    """Return the right answer, why each choice is right or wrong, and where to read it, as HTML."""
    reasons = "".join(f"<br>{letter}) {html(choice.why)}" for letter, choice in question.labels)
    links = [f'<a href="{_address(question)}">{html(_place(question))}</a>']
    if question.source:
        links.append(f'<a href="{question.source["url"]}">Microsoft: {html(question.source["page"])}</a>')
    return f"Right: <b>{question.key}</b>{reasons}<br>Read: {'; '.join(links)}"


def _place(question: Question) -> str:
    return f"{outline.find(question.lesson).title}: {question.section}"


def _address(question: Question) -> str:
    """The heading in its notebook, from the folder of any lesson, as JupyterLab names it."""
    path: Path = outline.find(question.lesson).path
    return f"../{path.parent.name}/{path.name}#{quote(question.section.replace(' ', '-'))}"


@dataclass(frozen=True)
class Answered:
    """A question of a paper, by its number, and the answer that was given as letters; empty where none was."""

    number: str
    question: Question
    letters: str

    @property
    def ok(self) -> bool | None:
        """Whether it is right, in full; None where it is open."""
        return self.letters == self.question.key if self.letters else None


def _answer(number: str, question: Question, answer: object) -> Answered:
    if answer is None or not str(answer).strip(" ?"):
        return Answered(number, question, "")
    try:
        return Answered(number, question, question.read(answer))
    except ValueError as error:
        raise ValueError(f"Question {number}: {error}.") from None


@dataclass(frozen=True)
class Score:
    """How many questions of a domain were answered rightly, wrongly, and not at all."""

    domain: Domain
    right: int
    wrong: int
    open: int


@dataclass(frozen=True)
class Marks:
    """A marked paper: each question with its answer, and what follows from it."""

    answers: list[Answered]

    @property
    def right(self) -> int:
        """How many answers are right."""
        return sum(answer.ok is True for answer in self.answers)

    @property
    def passed(self) -> bool:
        """Whether at least seven in ten are."""
        return self.right >= PASS_SHARE * len(self.answers)

    @property
    def by_domain(self) -> list[Score]:
        """The score of each domain that has questions in the paper, in the notes' order."""
        given = {one: [a.ok for a in self.answers if a.question.domain == one] for one in domains()}
        return [Score(one, oks.count(True), oks.count(False), oks.count(None)) for one, oks in given.items() if oks]

    @property
    def reading(self) -> Reading:
        """What to read again."""
        return Reading(self)

    @property
    def _total(self) -> str:
        still_open = [answer.number for answer in self.answers if answer.ok is None]
        verdict = f"{self.right} of {len(self.answers)} right"
        if still_open:
            return f"{verdict}. Still open: {', '.join(still_open)}."
        return f"{verdict}: {'passed' if self.passed else 'not passed'} (a pass is {PASS_SHARE:.0%})."

    def __str__(self) -> str:
        lines = []
        for answer in self.answers:
            if answer.ok is not None:
                verdict = "" if answer.ok else f" Right is {answer.question.key}."
                lines.append(f"{MARKS[answer.ok]} {answer.number}. {answer.letters}.{verdict}")
                lines += [f"   {letter}) {choice.why}" for letter, choice in answer.question.labels]
        return "\n".join([*lines, self._total])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Return the verdicts; as HTML with the explanations of right answers folded away."""
        shown = [_verdict_html(answer) for answer in self.answers if answer.ok is not None]
        return {"text/plain": str(self), "text/html": "<br>".join([*shown, f"<b>{html(self._total)}</b>"])}


def _verdict_html(answer: Answered) -> str:
    head = f"{MARKS[answer.ok]} <b>{answer.number}. {html(answer.question.text)}</b> {answer.letters}"
    choices = "".join(f"<br>{letter}) {html(choice.text)}" for letter, choice in answer.question.labels)
    unfolded = "" if answer.ok else " open"
    explained = f"<details{unfolded}><summary>explanation</summary>{explanation_html(answer.question)}</details>"
    return box(answer.ok, f"{head}{choices}{explained}")


@dataclass(frozen=True)
class Reading:
    """What to read again: for each domain its score and the sections that have what was answered wrongly."""

    marks: Marks

    def _wrong(self, domain: Domain) -> dict[str, str]:
        wrong = [a.question for a in self.marks.answers if a.ok is False and a.question.domain == domain]
        return {_place(question): _address(question) for question in wrong}

    def _head(self, score: Score) -> str:
        asked = score.right + score.wrong + score.open
        still_open = f", {score.open} open" if score.open else ""
        return f"{score.domain.title}: {score.right} of {asked} right{still_open}"

    def __str__(self) -> str:
        lines = []
        for score in self.marks.by_domain:
            lines += [self._head(score), *(f"   {place}" for place in self._wrong(score.domain))]
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        shown = []
        for score in self.marks.by_domain:
            links = "".join(f'<br><a href="{to}">{html(place)}</a>' for place, to in self._wrong(score.domain).items())
            shown.append(box(score.wrong == 0 if not score.open else None, f"<b>{html(self._head(score))}</b>{links}"))
        return {"text/plain": str(self), "text/html": "<br>".join(shown)}
