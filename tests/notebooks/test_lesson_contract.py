"""What every lesson must have, so that a learner finds the same things at the same places in each."""

from __future__ import annotations

import ast
import re
import statistics
from pathlib import Path

import nbformat
import pytest
import yaml
from lessons import IDS, LESSONS, ROOT, code_cells, read, tagged, tags, text
from nbconvert.filters import markdown2html

from course import exercises, readme
from course.catalogue import Lesson
from course.documents import read as read_document
from helpers import outline
from helpers.checking import exercises_of
from helpers.standing import QUESTIONS

COMMON_PARAMETERS = {"backend", "suffix", "cleanup", "fast"}
LAST_SECTIONS = ["Exercises", "Quiz", "In five lines", "What next", "Clean up"]
# papermill knows the first and nbval the second; neither minds the other's.
KNOWN_TAGS = {"parameters", "nbval-ignore-output"}
LONGEST_CELL = 16  # lines that are not blank: the description of a deployment
MEDIAN_CELL = 4
# Where it is not 4: a patient each, all of the same form; the stages of one design.
MOST_EXERCISES = {"deployment_clinic": 5, "put_it_together": 5}


@pytest.fixture(params=LESSONS, ids=IDS)
def lesson(request: pytest.FixtureRequest) -> Lesson:
    return request.param


@pytest.fixture
def notebook(lesson: Lesson) -> nbformat.NotebookNode:
    return read(lesson)


def _sections(notebook: nbformat.NotebookNode) -> list[str]:
    return re.findall(r"^## (.+)$", text(notebook), re.MULTILINE)


def _index(notebook: nbformat.NotebookNode, words: str) -> int:
    """The place of the one code cell that has these words."""
    places = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code" and words in cell.source]
    assert len(places) == 1, f"{words}: in the cells {places}"
    return places[0]


def test_the_first_cell_says_what_why_and_how_long(lesson: Lesson, notebook: nbformat.NotebookNode) -> None:
    first = notebook.cells[0].source
    title, why, *_ = first.split("\n\n")
    assert title == f"# {lesson.title}"
    assert len(why.split()) > 30
    order = ["**You will be able to**", "\n- ", "**Before you start:**", "**Time:**"]
    places = [first.find(mark) for mark in order]
    assert -1 not in places and places == sorted(places)
    time = f"**Time:** {lesson.minutes} minutes. On Azure about {lesson.azure_minutes}"
    assert time in first and f"about {lesson.azure_usd:.2f} USD" in first


def test_the_sections_are_in_order(notebook: nbformat.NotebookNode) -> None:
    sections = _sections(notebook)
    assert sections[-len(LAST_SECTIONS) :] == LAST_SECTIONS
    objectives = notebook.cells[0].source.count("\n- ")
    assert len(sections) - len(LAST_SECTIONS) >= objectives, "a section for each objective, at least"


def test_the_cells_are_in_order(lesson: Lesson, notebook: nbformat.NotebookNode) -> None:
    (parameters,) = tagged(notebook, "parameters")
    order = [
        notebook.cells.index(parameters),
        _index(notebook, f'helpers.progress("{lesson.id}")'),
        _index(notebook, "helpers.connect(backend)"),
        min(i for i, cell in enumerate(notebook.cells) if "exercise" in cell.metadata),
        _index(notebook, f'helpers.quiz("{lesson.id}", answers)'),
        _index(notebook, "if cleanup:"),
    ]
    assert order == sorted(order)
    assert order[-1] == len(notebook.cells) - 1


def test_the_recap_has_five_lines(notebook: nbformat.NotebookNode) -> None:
    recap = re.search(
        r"^## In five lines\n\n(.+?)\n\n## What next\n\n(.+?)\n\n## Clean up$", text(notebook), re.M | re.S
    )
    assert recap is not None
    assert [line.partition(".")[0] for line in recap[1].splitlines()] == ["1", "2", "3", "4", "5"]
    assert recap[2].strip()


def test_the_last_cell_cleans_up_and_verifies_it(notebook: nbformat.NotebookNode) -> None:
    source = notebook.cells[-1].source
    assert source.startswith("if cleanup:")
    assert "helpers.leftovers(" in source and "assert not left" in source


def test_parameters_are_plain_literals_with_a_comment_each(notebook: nbformat.NotebookNode) -> None:
    """papermill replaces this cell's values and derives nothing anew from them."""
    (cell,) = tagged(notebook, "parameters")
    names = set()
    for statement, line in zip(ast.parse(cell.source).body, cell.source.splitlines(), strict=True):
        assert isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
        ast.literal_eval(statement.value)
        assert "#" in line, f"no comment: {line}"
        names.add(statement.targets[0].id)
    assert names >= COMMON_PARAMETERS


def test_each_key_of_a_parameter_set_is_declared(lesson: Lesson, notebook: nbformat.NotebookNode) -> None:
    """papermill only warns of a name that the cell does not have."""
    (cell,) = tagged(notebook, "parameters")
    declared = {statement.targets[0].id for statement in ast.parse(cell.source).body}
    for name, parameters in lesson.sets.items():
        assert set(parameters) | {"backend"} <= declared, name


def test_parameters_are_not_assigned_again(notebook: nbformat.NotebookNode) -> None:
    (parameters,) = tagged(notebook, "parameters")
    declared = _stored(parameters)
    for cell in code_cells(notebook):
        if cell != parameters:
            assert not _stored(cell) & declared, cell.source


def test_no_two_lessons_name_something_alike() -> None:
    """``make run`` runs lessons side by side in one workspace: each base of a name is one lesson's."""
    bases: dict[str, set[str]] = {}
    for lesson in LESSONS:
        for cell in code_cells(read(lesson)):
            for base in re.findall(r'unique_name\(\s*"([^"]+)"', cell.source):
                bases.setdefault(base, set()).add(lesson.id)
    assert len(bases) > len(LESSONS) / 2
    assert not {base: lessons for base, lessons in bases.items() if len(lessons) > 1}


def _stored(cell: nbformat.NotebookNode) -> set[str]:
    nodes = ast.walk(ast.parse(cell.source))
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def test_cells_are_short(notebook: nbformat.NotebookNode) -> None:
    lengths = {cell.id: sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in code_cells(notebook)}
    assert max(lengths.values()) <= LONGEST_CELL, lengths
    assert statistics.median(lengths.values()) <= MEDIAN_CELL, lengths


def test_every_code_cell_stands_between_sentences(notebook: nbformat.NotebookNode) -> None:
    """One before it says what to expect; one after it, what was seen. Nobody runs what comes after the clean-up."""
    (parameters,) = tagged(notebook, "parameters")
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and cell != parameters:
            assert _last_sentence(notebook.cells[number - 1]), f"nothing before: {cell.source}"
            if number + 1 < len(notebook.cells):
                assert _first_sentence(notebook.cells[number + 1]), f"nothing after: {cell.source}"


def _last_sentence(cell: nbformat.NotebookNode) -> bool:
    return cell.cell_type == "markdown" and not cell.source.rstrip().splitlines()[-1].startswith("#")


def _first_sentence(cell: nbformat.NotebookNode) -> bool:
    return cell.cell_type == "markdown" and not cell.source.startswith(("#", "|", "!"))


def test_a_failure_is_caused_and_read(notebook: nbformat.NotebookNode) -> None:
    """A caller's or a model's error status, and the line of a log or a message that names the error."""
    outputs = "".join(output.get("text", "") for cell in code_cells(notebook) for output in cell.outputs)
    assert re.search(r"\b[45]\d\d\b", outputs) and re.search(r"^\w+(Error|Exception)\b", outputs, re.MULTILINE)


def test_tags_are_known_to_both_tools(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        assert tags(cell) <= KNOWN_TAGS, cell.source


def test_every_picture_has_a_text(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for alt in re.findall(r'<img[^>]*?alt="(.*?)"', markdown2html(cell.source)):
                assert len(alt) > 20, cell.source
            assert "<img" not in cell.source, "Markdown's own form is the one that has an alt text here"
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                assert len(output.metadata["image/png"]["alt"]) > 20
            for alt in re.findall(r'<img[^>]*? alt="(.*?)"', output.get("data", {}).get("text/html", ""), re.DOTALL):
                assert len(alt) > 20
            assert "image/svg+xml" not in output.get("data", {}), "an image that comes as SVG has no alt text"


def test_linked_files_exist(lesson: Lesson, notebook: nbformat.NotebookNode) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text(notebook)):
        assert (lesson.path.parent / target).exists(), target


def test_exercises_are_made_from_their_solutions(lesson: Lesson, notebook: nbformat.NotebookNode) -> None:
    """What is stored is what ``make notebooks`` would store."""
    solved = exercises.read(lesson.solutions)
    assert 2 <= len(solved) <= MOST_EXERCISES.get(lesson.id, 4)
    for cell in notebook.cells:
        if name := cell.metadata.get("exercise"):
            assert cell.source == exercises.stub(name, solved[name]), "run make notebooks"
    exercises.fill(notebook, solved, exercises.stub)  # which refuses other exercises, or another order


def test_each_exercise_has_a_judge_and_each_judge_an_exercise(lesson: Lesson) -> None:
    assert [exercise.id for exercise in exercises_of(lesson.id)] == list(exercises.read(lesson.solutions))


def test_the_quiz_follows_its_schema(lesson: Lesson) -> None:
    questions = read_document(outline.find(lesson.id).quiz, "quiz")
    assert len(questions) == QUESTIONS
    places = {[bool(choice.get("right")) for choice in question["choices"]].index(True) for question in questions}
    assert len(places) > 1, "the right answer should not always be the same letter"
    for question in questions:
        words = [choice["text"] for choice in question["choices"]]
        assert len(set(words)) == len(words)


def test_nothing_lies_beside_a_lesson_that_is_no_lessons() -> None:
    for kind in ("solutions", "quizzes"):
        stems = {path.stem for path in (ROOT / "notebooks").glob(f"*/{kind}/*.*") if path.suffix in (".py", ".yml")}
        assert stems == {lesson.path.stem for lesson in LESSONS}


def test_readme_has_the_table_of_the_course() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    names = [lesson.path.relative_to(ROOT) for lesson in LESSONS]
    table = readme.table(LESSONS).replace(f"{ROOT.as_posix()}/", "")
    assert readme.BEGIN + table + readme.END in page, "run make notebooks"
    assert all(name.as_posix() in table for name in names)


def test_readme_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"README\.md needs the lines"):
        readme.with_table("no marks", LESSONS)
    old = f"a\n{readme.BEGIN}old\n{readme.END}b\n"
    assert readme.with_table(old, LESSONS) == f"a\n{readme.BEGIN}{readme.table(LESSONS)}{readme.END}b\n"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda quiz: quiz.pop(), "the file is [{"),
        (lambda quiz: quiz[0]["choices"][0].pop("why"), "[0].choices[0] lacks why: a text that says why"),
        (lambda quiz: [choice.pop("right", None) for choice in quiz[1]["choices"]], "exactly one says"),
        (lambda quiz: [choice.update(right=True) for choice in quiz[1]["choices"]], "exactly one says"),
    ],
)
def test_a_quiz_that_is_not_right_is_refused(tmp_path: Path, fault: object, said: str) -> None:
    quiz = yaml.safe_load(outline.find(LESSONS[0].id).quiz.read_text(encoding="utf-8"))
    fault(quiz)  # type: ignore[operator]
    file = tmp_path / "quiz.yml"
    file.write_text(yaml.safe_dump(quiz), encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(said)):
        read_document(file, "quiz")
