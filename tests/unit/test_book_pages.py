"""The book's pages before Jupyter Book has them: links, quizzes, solutions, the exam map, what is written anew.

How Markdown is read comes from CommonMark; how MyST names a heading's anchor, from its documentation of
``myst_heading_anchors``. Whether the built book's links lead somewhere, tests/browser finds out.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
import pytest

from course.book import exam_map, glossary, lessons, linked_files, pages, quizzes
from course.book.finishing import finished
from course.book.markdown import anchor, code, plain, targets, with_targets
from course.catalogue import Lesson, find, find_parts

NOTEBOOKS = Path("notebooks")


@pytest.fixture(scope="module")
def course() -> list[Lesson]:
    return find(NOTEBOOKS)


@pytest.fixture(scope="module")
def made() -> pages.Pages:
    return pages.make(NOTEBOOKS)


def lesson(folder: Path, *cells: Any, solutions: str = "") -> Lesson:
    """Write a lesson of part 7, and what lies beside it."""
    part = folder / "07_more"
    (part / "solutions").mkdir(parents=True)
    (part / "solutions" / "01_one.py").write_text(solutions)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# One\n\nText."), *cells])
    nbformat.write(notebook, part / "01_one.ipynb")
    return Lesson(part / "01_one.ipynb", "one", "One", "do it", 20, 30, 0.5, 60.0, True, {})


def shown(of: Lesson) -> list[Any]:
    """The cells of the page after the first."""
    return nbformat.reads(lessons.page(of, "1 of 1"), as_version=4).cells[1:]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see [a](b.md) and ![c](d.svg)", ["b.md", "d.svg"]),
        ("[`score.py`](x/score.py)", ["x/score.py"]),
        ("`[a](b)` is no link", []),
        ("```python\nf[0](x)\n```\n[a](b)", ["b"]),
        ("f(x) is none either (nor is this)", []),
    ],
)
def test_a_link_is_told_from_what_looks_like_one(text: str, found: list[str]) -> None:
    assert list(targets(text)) == found


def test_a_links_text_stays_as_it_is() -> None:
    assert with_targets("`(a)` [`(a)`](a) (a)", str.upper) == "`(a)` [`(a)`](A) (a)"


@pytest.mark.parametrize(
    ("target", "there"),
    [
        ("https://learn.microsoft.com/a#B", "https://learn.microsoft.com/a#B"),
        ("../glossary.md#compute-target", "../glossary.md#compute-target"),
        ("../02_realtime/01_deploy.ipynb", "../02_realtime/01_deploy.ipynb"),
        ("#Attach-the-cluster", "#attach-the-cluster"),  # as JupyterLab has it, and as MyST has it
        ("images/map.svg", "images/map.svg"),
        ("late_flights/score.py", "late_flights/score.py.md"),
        ("clinic", "clinic.md"),
    ],
)
def test_where_a_lessons_link_leads_in_the_book(target: str, there: str) -> None:
    assert lessons.book_target(target) == there


@pytest.mark.parametrize(
    ("heading", "there"),
    [
        ("What the notes say, and what is true today", "what-the-notes-say-and-what-is-true-today"),
        ("`score.py`: a look", "scorepy-a-look"),
        ("Check-point", "check-point"),
        ("A_b C", "a_b-c"),
    ],
)
def test_the_anchor_of_a_heading(heading: str, there: str) -> None:
    assert anchor(heading) == there


def test_plain_text_means_nothing_in_markdown_but_code_stays_code() -> None:
    assert plain("<key> *is* `a*b` in a_b [x]") == r"\<key\> \*is\* `a*b` in a\_b \[x\]"


def test_code_with_backticks_in_it_ends_where_it_should() -> None:
    assert code("a = '''```'''", "python") == "````python\na = '''```'''\n````\n"


def test_a_quiz_folds_the_right_choice_first_and_says_of_each_why() -> None:
    choices = [{"text": "no", "why": "Because."}, {"text": "yes", "right": True, "why": "Indeed."}]
    text = quizzes.page_text([{"question": "Is *it*?", "choices": choices}])
    asked, answer = text.split(":::::{dropdown} Answer to question 1\n")
    assert r"**1. Is \*it\*?**" in asked
    assert "1. no\n1. yes\n" in asked
    assert "Because" not in asked and "Indeed" not in asked
    assert answer.index("**b) is right.** Indeed.") < answer.index("**a) is wrong.** Because.")


def test_a_solution_is_folded_beneath_its_stub_whose_output_stays(tmp_path: Path) -> None:
    solved = '# %% one/half\n### BEGIN SOLUTION\nhalf = 1 / 2\n### END SOLUTION\nhelpers.check("one/half", half)\n'
    stub = nbformat.v4.new_code_cell("half = ...", metadata={"exercise": "one/half"})
    stub.outputs = [nbformat.v4.new_output("stream", name="stdout", text="still to be done")]
    cell, beneath = shown(lesson(tmp_path, stub, solutions=solved))
    assert cell.source == "half = ..." and cell.outputs[0].text == "still to be done"
    assert beneath.source.startswith(":::::{dropdown} Solution\n```python\nhalf = 1 / 2\nhelpers.check(")


def test_a_lesson_begins_with_its_minutes_and_price(tmp_path: Path) -> None:
    first = nbformat.reads(lessons.page(lesson(tmp_path), "3 of 9"), as_version=4).cells[0].source
    assert first.startswith("# One\n\n::::::{container} facts\nLesson 3 of 9 · 20 minutes · on Azure 30 minutes, about")
    assert first.endswith("Text.")


def test_a_picture_keeps_its_description_where_myst_nb_looks_for_it(tmp_path: Path) -> None:
    cell = nbformat.v4.new_code_cell("helpers.show(figure, alt)")
    data = {"image/png": "aGk=", "text/plain": ""}
    cell.outputs = [nbformat.v4.new_output("display_data", data, metadata={"image/png": {"alt": "It rises"}})]
    (there,) = shown(lesson(tmp_path, cell))
    assert there.metadata.mystnb == {"image": {"alt": "It rises"}}


def test_no_cell_of_a_lesson_is_missing_in_the_book(course: list[Lesson], made: pages.Pages) -> None:
    for one in course:
        page = nbformat.reads(made[PurePosixPath(one.path.relative_to(NOTEBOOKS).as_posix())], as_version=4)
        ids = [cell.id for cell in page.cells if not cell.id.endswith("-book")]
        assert ids == [cell.id for cell in nbformat.read(one.path, as_version=4).cells]


def test_a_linked_file_has_a_page_and_a_folder_one_with_all_that_is_in_it(tmp_path: Path) -> None:
    one = lesson(tmp_path)
    (tmp_path / "07_more/ward/src").mkdir(parents=True)
    (tmp_path / "07_more/ward/src/score.py").write_text("def run(body): ...\n")
    made = linked_files.pages(tmp_path, {tmp_path / "07_more/ward": [one]})
    assert set(made) == {PurePosixPath("07_more/ward.md"), PurePosixPath("07_more/ward/src/score.py.md")}
    assert "- [ward/src/score.py](ward/src/score.py.md)" in made[PurePosixPath("07_more/ward.md")]
    page = made[PurePosixPath("07_more/ward/src/score.py.md")]
    assert "used in [One](../../../07_more/01_one.ipynb)" in page
    assert "```python\ndef run(body): ...\n```" in page


def test_the_glossary_says_where_a_term_is_used(tmp_path: Path) -> None:
    (tmp_path / "glossary.md").write_text("# Glossary\n\n### Used\n\nA term.\n\n### Unused\n\nOne more.\n")
    one = lesson(tmp_path, nbformat.v4.new_markdown_cell("See [it](../glossary.md#used)."))
    assert glossary.page(tmp_path, [one]) == (
        "# Glossary\n\n## Used\n\nA term.\n\nUsed in [One](07_more/01_one.ipynb).\n\n## Unused\n\nOne more.\n"
    )


def test_each_statement_and_each_question_of_the_exam_is_in_the_book(course: list[Lesson]) -> None:
    made = exam_map.pages(NOTEBOOKS, course)
    text = made.pop(PurePosixPath("exam_map.md"))
    asked = {
        f"{place.as_posix()}#question-{number + 1}"
        for place, page in made.items()
        for number in range(_questions(page))
    }
    assert sum(map(_questions, made.values())) == 60
    assert {target for target in targets(text) if "#question-" in target} == asked


def _questions(page: str) -> int:
    return page.count("\n## Question ")


@pytest.mark.parametrize(
    ("kind", "marks", "said"),
    [
        ("single_choice", [{}, {"right": True}], "Right: b)."),
        ("multiple_choice", [{"right": True}, {}, {"right": True}], "Right: a) and c)."),
        ("ordering", [{"place": 2}, {"place": 1}, {}], "Right: b), then a)."),
        ("yes_no", [{"right": True}, {}], "Right: a) yes, b) no."),
    ],
)
def test_how_an_exam_question_is_answered(kind: str, marks: list[dict[str, Any]], said: str) -> None:
    choices = tuple(exam_map.exam_questions.Choice(text="t", why="w", **mark) for mark in marks)
    domain = exam_map.Domain("compute", "Compute")
    question = exam_map.Question("q", domain, kind, "easy", "one", "A section", "What?", choices, {})
    assert exam_map.right_answer(question) == f"**{said}**"


def test_the_first_page_names_each_lesson_with_minutes_and_price(made: pages.Pages, course: list[Lesson]) -> None:
    text = str(made[pages.INDEX])
    assert f"a course of {len(course)} lessons" in text
    for part in find_parts(NOTEBOOKS):
        assert f"\n### {part.title}\n" in text
    for one in course:
        row = f"| {one.what} | {one.minutes} | {one.azure_minutes} min, {one.azure_usd:.2f} USD |"
        assert f"[{one.title}]({one.path.relative_to(NOTEBOOKS).as_posix()}) {row}" in text


def test_only_what_has_changed_is_written(tmp_path: Path) -> None:
    first, second = PurePosixPath("a/b.md"), PurePosixPath("c.md")
    assert pages.write({first: "1", second: "2"}, tmp_path) == {first, second}
    before = (tmp_path / second).stat().st_mtime_ns
    assert pages.write({first: "changed", second: "2"}, tmp_path) == {first}
    assert (tmp_path / second).stat().st_mtime_ns == before
    assert pages.write({first: b"changed"}, tmp_path) == {second}
    assert not (tmp_path / second).exists()


@pytest.mark.parametrize(
    ("place", "all_"), [("index.md", True), ("_static/book.css", True), ("_config.yml", True), ("glossary.md", False)]
)
def test_what_each_page_shows_makes_all_be_built_anew(place: str, all_: bool) -> None:
    assert pages.concerns_all(PurePosixPath(place)) is all_


def test_a_picture_is_a_link_to_itself_and_a_graph_in_the_page_is_left() -> None:
    image = '<img alt="A map" src="../_images/map.svg" />'
    assert finished(image) == f'<a class="picture" href="../_images/map.svg">{image}</a>'
    assert finished('<img src="data:image/svg+xml;base64,x">') == '<img src="data:image/svg+xml;base64,x">'


def test_the_corner_of_a_table_is_no_header() -> None:
    assert finished('<th class="head"><p></p></th><th class="head"><p>a</p></th>') == (
        '<td></td><th class="head"><p>a</p></th>'
    )


def test_what_a_cell_printed_leads_to_the_lessons_page() -> None:
    """JupyterLab's anchors keep capitals and punctuation, percent-encoded."""
    printed = '<a href="../03_batch/02_publish.ipynb#Version-2%2C-beside-version-1">'
    assert finished(printed) == '<a href="../03_batch/02_publish.html#version-2-beside-version-1">'
    assert finished('<a href="a.ipynb#Step-%E2%86%92-a_function">') == '<a href="a.html#step-a-function">'
    assert finished('<a href="02_publish.ipynb">') == '<a href="02_publish.html">'
