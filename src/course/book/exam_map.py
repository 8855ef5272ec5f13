"""The exam map: what the exam's notes say, the lessons that show it, and the mock exam's questions about it.

``exam_domain.yml`` ties the notes' statements to lessons, ``05_capstone/exam/*.yml`` the questions to statements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from course.book.markdown import anchor, classed, folded, plain
from course.catalogue import Lesson
from course.documents import read
from helpers import exam_questions
from helpers.exam_questions import Domain, Question

MAP = "exam_map"
LEAD = """# Exam map

What the notes for the exam say, statement by statement, with what is true today, the lessons that show it, and the
questions about it. The questions are those of the mock exam: whoever means to sit it should do that first.
"""


def pages(folder: Path, lessons: Sequence[Lesson]) -> dict[PurePosixPath, str]:
    """Return the map, and for each domain a page with its questions.

    Args:
        folder: where ``exam_domain.yml`` lies.
        lessons: the course.

    Raises:
        course.documents.DocumentError: the map is not as it should be.
    """
    known = {lesson.id: lesson for lesson in lessons}
    document = read(folder / "exam_domain.yml", "exam_domain")
    domains = [Domain(domain["id"], domain["title"]) for domain in document["domains"]]
    asked = {domain.id: exam_questions.questions_of(domain) for domain in domains}
    about = {domain.id: _statements(folder, domain) for domain in domains}
    text = LEAD
    for domain in document["domains"]:
        text += f"\n## {domain['title']}\n\n"
        for statement in domain["statements"]:
            numbers = [
                number
                for number, question in enumerate(asked[domain["id"]], start=1)
                if about[domain["id"]][question.id] == statement["id"]
            ]
            text += _statement(folder, statement, known, _place(domain["id"]), numbers)
    questions = {
        PurePosixPath(f"{_place(domain.id)}.md"): _questions(folder, domain, asked[domain.id], known)
        for domain in domains
    }
    return {PurePosixPath(f"{MAP}.md"): text, **questions}


def places(folder: Path) -> list[str]:
    """Return the names of these pages, in order; raises as ``pages`` does."""
    document = read(folder / "exam_domain.yml", "exam_domain")
    return [MAP, *(_place(domain["id"]) for domain in document["domains"])]


def _place(domain: str) -> str:
    return f"exam_{domain}"


def _statements(folder: Path, domain: Domain) -> dict[str, str]:
    """Return by the id of a domain's question the id of the statement that it is about."""
    entries = read(folder / exam_questions.FOLDER / f"{domain.id}.yml", "exam")["questions"]
    return {entry["id"]: entry["statement"] for entry in entries}


def _statement(
    folder: Path, statement: Mapping[str, Any], known: Mapping[str, Lesson], page: str, numbers: Sequence[int]
) -> str:
    lines = [f"**The notes:** {plain(statement['notes'])}"]
    if "today" in statement:
        lines.append(f"**Today:** {plain(statement['today'])}")
    for shown in statement["lessons"]:
        lesson = known[shown["lesson"]]
        sections = ", ".join(_section(folder, lesson, section) for section in shown["sections"])
        lines.append(f"**Lesson:** [{plain(lesson.title)}]({_file(folder, lesson)}): {sections}")
    if numbers:
        lines.append("**Questions:** " + ", ".join(f"[{number}]({page}.md#question-{number})" for number in numbers))
    return classed("statement", "\n\n".join(lines)) + "\n"


def _file(folder: Path, lesson: Lesson) -> str:
    return lesson.path.relative_to(folder).as_posix()


def _section(folder: Path, lesson: Lesson, heading: str) -> str:
    return f"[{plain(heading)}]({_file(folder, lesson)}#{anchor(heading)})"


def _questions(folder: Path, domain: Domain, questions: Sequence[Question], known: Mapping[str, Lesson]) -> str:
    text = f"# Questions: {domain.title}\n\nOf the mock exam; the [exam map]({MAP}.md) says what each is about.\n"
    for number, question in enumerate(questions, start=1):
        choices = classed("choices", "".join(f"1. {plain(choice.text)}\n" for _, choice in question.labels))
        text += f"\n## Question {number}\n\n{plain(question.text)} {question.task}\n\n{choices}\n"
        text += folded(f"Answer to question {number}", _answer(folder, question, known[question.lesson]))
    return text


def _answer(folder: Path, question: Question, lesson: Lesson) -> str:
    whys = "".join(f"- **{letter})** {plain(choice.why)}\n" for letter, choice in question.labels)
    read_again = f"{_section(folder, lesson, question.section)}, in [{plain(lesson.title)}]({_file(folder, lesson)})"
    source = f"; Microsoft: [{plain(question.source['page'])}]({question.source['url']})" if question.source else ""
    return f"{_right(question)}\n\n{whys}\nTo read: {read_again}{source}."


def _right(question: Question) -> str:
    if question.kind == "yes_no":
        said = ((letter, "yes" if choice.right else "no") for letter, choice in question.labels)
        return f"**Right: {', '.join(f'{letter}) {word}' for letter, word in said)}.**"
    between = ", then " if question.kind == "ordering" else " and "
    return f"**Right: {between.join(f'{letter})' for letter in question.key)}.**"
