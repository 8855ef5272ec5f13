"""One voice through the whole course: the same thing has the same name, and stands at the same place in each lesson.

The names are those of ``notebooks/glossary.md``, which are Azure's of today; the spelling is British, but for names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import nbformat
import pytest
from lessons import IDS, LESSONS, ROOT, read, text

from course import minutes
from course.catalogue import Lesson
from course.documents import read as read_document
from helpers import exam, outline

FIRST = LESSONS[0]
NOTEBOOKS = {lesson.id: read(lesson) for lesson in LESSONS}
TEXTS = {lesson: text(notebook) for lesson, notebook in NOTEBOOKS.items()}
NEXT = dict(zip(IDS, LESSONS[1:], strict=False))
TERMS = re.findall(r"^### (.+)$", (ROOT / "notebooks/glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
# Words that the field uses, too, for something that the glossary does not mean.
OTHER_SENSE = {
    "Component": {"consume_an_endpoint"},  # of an OpenAPI document
    "Port": {"use_attached_compute", "deploy_with_keys", "grow_beyond_one_machine", "deploy_locally_with_docker"},
    "Registry": {"deploy_locally_with_docker"},  # of container images
    "Tag": {"grow_beyond_one_machine"},  # of a Dask worker
}
# What is written in place of each, because two names for one thing make two things of it.
SYNONYMS = {
    r"check-points?": "checkpoint",
    r"log workspaces?": "Log Analytics workspace",
    r"machine sizes?": "VM size, or instance type",
    r"instance sizes?": "instance type",
    r"real-time endpoints?": "online endpoint",
    r"batch scoring": "batch inference",
    r"scoring (endpoint|address|url)s?": "scoring URI",
    r"mini ?batch(es)?": "mini-batch",
    r"training clusters?": "compute cluster",
    r"child runs?": "child job",
    r"Azure AD|AAD|Azure Active Directory": "Microsoft Entra ID",
    r"auto-scal(e|ing)|auto scal(e|ing)": "autoscale",
    r"cool-downs?": "cooldown",
    r"the designer": "the Designer",
    r"Azure ML's Studio|the Studio": "the studio",
    r"the Internet": "the internet",
}
AMERICAN = {
    r"\w*(optimi|normali|virtuali|organi|recogni|customi|reali|minimi|generali)z(e[ds]?|ing|ation)": "-ise, -isation",
    r"(color|behavior|favor|gray|center|canceled|canceling|labeled|fulfill|analyze)\w*": "its British form",
}
NO_ENGLISH = {
    r"belongs? into": "belong in",
    r"work(s|ed|ing)? off": "work through",
    r"trainings": "training runs",
    r"over night": "overnight",
}
WORDS = SYNONYMS | AMERICAN | NO_ENGLISH
# Names that are spelled as their owners spell them.
NAMES = (
    r"color jitter|normalized Wasserstein distance|Normalize Data|formerly Azure Active Directory|name is Azure Active"
)
MICROSOFTS = r"\[Microsoft: [^\]]*\]\([^)]*\)"  # the title of a page, and its address

TO_DO = "As in every lesson: replace `...  # YOUR CODE HERE`, run the cell, and read what the check says."
QUIZ = 'A letter for each question in place of `"?"`; then run the cell.'
NOTES = "What the notes say, and what is true today"


@pytest.fixture(params=LESSONS, ids=IDS)
def lesson(request: pytest.FixtureRequest) -> Lesson:
    return request.param


@pytest.fixture
def notebook(lesson: Lesson) -> nbformat.NotebookNode:
    return NOTEBOOKS[lesson.id]


def _prose(markdown: str) -> str:
    """What an author has written in his own words: no code, no quotation, no picture, no address."""
    for left_out in (r"^```.*?^```", r"!\[.*?\]\(.*?\)", r"`[^`\n]*`", r"^>.*?$", MICROSOFTS, r"(?<=\])\(.*?\)", NAMES):
        markdown = re.sub(left_out, " ", markdown, flags=re.MULTILINE | re.DOTALL)
    return markdown


def _section(notebook: nbformat.NotebookNode, title: str) -> str:
    found = re.search(rf"^## {title}\n\n(.+?)(?=^## |\Z)", text(notebook), re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def _written() -> Iterator[tuple[str, str]]:
    """Everything that learners read, by its name: lessons, quizzes, exam, pictures, glossary, README, documentation."""
    for lesson in LESSONS:
        yield lesson.id, TEXTS[lesson.id]
        yield f"{lesson.id}, quiz", outline.find(lesson.id).quiz.read_text(encoding="utf-8")
    for pattern in ("notebooks/glossary.md", "notebooks/*/exam/*.yml", "notebooks/*/images/*.svg", "*.md", "docs/*.md"):
        for page in sorted(ROOT.glob(pattern)):
            yield page.name, page.read_text(encoding="utf-8")


def _is_called(link: str, lesson: Lesson) -> bool:
    """Whether a link's text is the title of its lesson; what comes after a colon may be left out."""
    return link in (lesson.title, lesson.title.partition(":")[0])


def _links_to_lessons(markdown: str) -> list[tuple[str, Lesson]]:
    by_name = {lesson.path.name: lesson for lesson in LESSONS}
    links = re.findall(r"\[([^\]]+)\]\([^)]*?([^/)]+\.ipynb)\)", markdown)
    return [(link, by_name[name]) for link, name in links if name in by_name]


def test_what_next_begins_with_the_next_lesson(lesson: Lesson, notebook: nbformat.NotebookNode) -> None:
    links = _links_to_lessons(_section(notebook, "What next"))
    if lesson.id in NEXT:
        assert links, "it leads nowhere"
        assert links[0][1] == NEXT[lesson.id], f"the next lesson is {NEXT[lesson.id].title}"


def test_lessons_are_called_by_their_titles(lesson: Lesson, notebook: nbformat.NotebookNode) -> None:
    (before,) = re.findall(r"^\*\*Before you start:\*\* (.+)$", text(notebook), re.MULTILINE)
    for link, other in _links_to_lessons(before + _section(notebook, "What next")):
        assert _is_called(link, other), f'"{link}" is {other.title}'


def test_the_same_is_said_at_the_same_place(lesson: Lesson, notebook: nbformat.NotebookNode) -> None:
    """The first lesson and the capstone say at more length how exercises go."""
    assert "Expect two lines." in _section(notebook, "What you have done so far")
    if lesson.part not in ("00", "05"):
        assert _section(notebook, "Exercises").startswith(TO_DO)
    if lesson != FIRST:
        assert _section(notebook, "Quiz").startswith(QUIZ)
    assert _section(notebook, "Quiz").rstrip().endswith("Change a letter and run it again until all five are right.")


def test_what_is_said_of_the_notes_has_one_heading(notebook: nbformat.NotebookNode) -> None:
    sections = re.findall(r"^## (.+)$", text(notebook), re.MULTILINE)
    assert {section for section in sections if section.endswith("what is true today")} <= {NOTES}


def test_parameters_that_all_lessons_have_are_explained_alike() -> None:
    for name in ("backend", "suffix"):
        lines = {line for lesson in LESSONS for line in _code_lines(lesson) if line.startswith(f"{name} = ")}
        assert len(lines) == 1, lines


def _code_lines(lesson: Lesson) -> list[str]:
    cells = (cell for cell in NOTEBOOKS[lesson.id].cells if "parameters" in cell.metadata.get("tags", []))
    return [line for cell in cells for line in cell.source.splitlines()]


@pytest.mark.parametrize("word", WORDS)
def test_one_thing_has_one_name(word: str) -> None:
    pattern = re.compile(rf"\b({word})\b")
    found = {name: match[0] for name, said in _written() if (match := pattern.search(_prose(said)))}
    assert not found, f"write: {WORDS[word]}"


def _without_titles(markdown: str) -> str:
    return _prose(re.sub(r"\[[^\]]*\]\([^)]*\.ipynb\)|^#+ .+$", " ", markdown, flags=re.MULTILINE))


CELLS = {
    name: [(cell.source, _without_titles(cell.source)) for cell in notebook.cells if cell.cell_type == "markdown"]
    for name, notebook in NOTEBOOKS.items()
}


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_linked_where_the_course_first_uses_it(term: str) -> None:
    """A title of another lesson is no use; nor is a word that means something else there."""
    words = r"[\s-]+".join(map(re.escape, term.split()))
    longer = "|".join(re.escape(other[len(term) :]) for other in TERMS if other.startswith(f"{term} ")) or "(?!)"
    pattern = re.compile(rf"\b{words}s?\b(?!{longer})", re.IGNORECASE)
    anchor = f"glossary.md#{term.lower().replace(' ', '-')})"
    cells = [cell for name in IDS if name not in OTHER_SENSE.get(term, ()) for cell in CELLS[name]]
    uses = [number for number, (_, prose) in enumerate(cells) if pattern.search(prose)]
    links = [number for number, (source, _) in enumerate(cells) if anchor in source]
    assert not uses or links[0] <= uses[0], f"no link before or in: {cells[uses[0]][0]}"


def test_a_status_that_is_told_has_been_seen(notebook: nbformat.NotebookNode) -> None:
    """A sentence that begins with a status in bold speaks of what a cell above it has asked for, or printed."""
    seen = ""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            seen += f"{cell.source}\n{cell.outputs}"
        elif told := re.match(r"\*\*(\d{3})\*\*", cell.source):
            assert told[1] in seen, cell.source


def test_the_minutes_are_near_what_is_counted(lesson: Lesson, notebook: nbformat.NotebookNode) -> None:
    quiz = read_document(outline.find(lesson.id).quiz, "quiz")
    counted = minutes.of_lesson(notebook.cells, quiz, drawn=exam.PAPER if lesson.id == exam.LESSON else 0)
    least, most = minutes.NEAR
    assert least * counted <= lesson.minutes <= most * counted, f"counted are {counted:.1f}"
    assert lesson.minutes <= minutes.LONGEST


@pytest.mark.parametrize(
    ("markdown", "counted"),
    [
        ("word " * 200, 1.0),
        ("[word](https://learn.microsoft.com/azure) " * 200, 1.0),
        (f"![{'word ' * 100}](a.svg)", 0.0),
        ("```bash\none\n\n)\n```", 2 / 60),
    ],
)
def test_what_is_read_is_counted(markdown: str, counted: float) -> None:
    assert minutes.of_lesson([nbformat.v4.new_markdown_cell(markdown)], []) == pytest.approx(counted)


def test_what_is_run_and_solved_is_counted() -> None:
    cell = nbformat.v4.new_code_cell("import os\n\nprint(\n    1\n)")
    exercise = nbformat.v4.new_code_cell("answer = ...", metadata={"exercise": "a/b"})
    assert minutes.of_lesson([cell], []) == pytest.approx((10 + 2 * 2) / 60)
    assert minutes.of_lesson([exercise], []) == pytest.approx(12 / 60 + 2.5)
    question = {"question": "word " * 50, "choices": [{"text": "word " * 75}] * 2}
    assert minutes.of_lesson([], [question]) == pytest.approx(1.0)
    assert minutes.of_lesson([], [], drawn=20) == pytest.approx(20)
