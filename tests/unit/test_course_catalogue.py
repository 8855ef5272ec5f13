from pathlib import Path

import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell

from course.catalogue import Lesson, NotFoundError, find, select
from course.cells import authored, number_of, timings, title_of
from course.documents import DocumentError
from course.run import main
from written_course import fields, list_lessons

FILES = [
    "00_start/01_hello.ipynb",
    "02_realtime/01_deploy.ipynb",
    "02_realtime/02_score.ipynb",
    "03_batch/01_deploy.ipynb",
]


@pytest.fixture
def workbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Lesson]:
    others = ["02_realtime/train.ipynb", "02_realtime/.ipynb_checkpoints/01_deploy.ipynb", "drafts/01_idea.ipynb"]
    for name in reversed(FILES + others):
        path = tmp_path / "notebooks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    list_lessons(tmp_path)
    monkeypatch.chdir(tmp_path)
    return find(Path("notebooks"))


def names(notebooks: list[Lesson]) -> list[str]:
    return [notebook.name.removeprefix("notebooks/") for notebook in notebooks]


def test_finds_lessons_in_order_and_nothing_else(workbook: list[Lesson]) -> None:
    assert names(workbook) == FILES
    assert [notebook.part for notebook in workbook] == ["00", "02", "02", "03"]


@pytest.mark.parametrize(
    ("part", "wanted", "expected"),
    [
        (None, [], FILES),
        ("02", [], FILES[1:3]),
        (None, ["01_deploy"], [FILES[1], FILES[3]]),
        ("03", ["01_deploy"], [FILES[3]]),
        (None, ["03_batch/01_deploy", "./notebooks/00_start/01_hello.ipynb"], [FILES[0], FILES[3]]),
    ],
)
def test_selects(workbook: list[Lesson], part: str | None, wanted: list[str], expected: list[str]) -> None:
    assert names(select(workbook, part, wanted)) == expected


def test_an_absolute_path_selects(workbook: list[Lesson]) -> None:
    assert names(select(workbook, None, [str(workbook[2].path.absolute())])) == [FILES[2]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--part", "07"], ['no part "07"', "00_start, 02_realtime, 03_batch"]),
        (["--part", "02", "01_hello"], ['no notebook "01_hello" in part 02', "notebooks/02_realtime/02_score.ipynb"]),
        (["deploy"], ['no notebook "deploy"', "notebooks/00_start/01_hello.ipynb"]),
        ([""], ['no notebook ""']),
    ],
)
@pytest.mark.usefixtures("workbook")
def test_what_does_not_exist_is_named_with_what_does(
    arguments: list[str], said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert all(words in message for words in said)
    assert message.count("\n") == 1
    assert not Path("runs").exists()


def test_a_folder_without_a_course(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"There is no .*course\.yml"):
        find(tmp_path)


def _write(parts: object) -> None:
    Path("notebooks/course.yml").write_text(yaml.safe_dump({"parts": parts}), encoding="utf-8")


def _part(*lessons: dict[str, object], part: object = "00") -> dict[str, object]:
    return {"part": part, "title": "Start", "lessons": list(lessons)}


HELLO = FILES[0]


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (_part(fields(HELLO, minutes="ten")), ["parts[0].lessons[0].minutes is 'ten'", "whole number from 1 to 90"]),
        (_part(fields(HELLO, minutes=0)), ["minutes is 0", "from 1 to 90"]),
        (_part(fields(HELLO, timeout_seconds=True)), ["timeout_seconds is True", "from 1 to 3600"]),
        (_part(fields(HELLO, side_by_side="yes")), ["side_by_side is 'yes'", "true where it may run beside"]),
        (_part(fields(HELLO, azure={"minutes": 5})), ["lessons[0].azure lacks usd", "US dollars"]),
        (_part(fields(HELLO, sets={"fast": {}})), ["lessons[0].sets lacks full"]),
        (_part(fields(HELLO, sets={"fast": {"n": [1]}, "full": {}})), ["sets.fast.n is [1]", "a text, a number"]),
        (_part(fields(HELLO, mintues=10)), ["lessons[0] has mintues, which is not known", "minutes, azure"]),
        (_part(fields("01_hello.ipynb")), ["path is '01_hello.ipynb'", "02_realtime/01_deploy_with_keys.ipynb"]),
        (_part(fields(HELLO), part=0), ["parts[0].part is 0", "in quotes"]),
        (_part(), ["parts[0].lessons is []", "at least one lesson"]),
        (_part(fields(HELLO), fields(HELLO)), [f"{HELLO} is there twice"]),
        (_part(fields(FILES[1])), [f'{FILES[1]} stands in part "00"', "the part of its folder"]),
        (_part(fields("00_start/09_gone.ipynb")), ["09_gone.ipynb is listed, but there is no such file"]),
        (_part(fields(HELLO)), ["notebooks/02_realtime/01_deploy.ipynb is not listed; add it to its part"]),
    ],
)
@pytest.mark.usefixtures("workbook")
def test_faults_of_the_course_are_named(part: object, said: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    _write([part])
    assert main([]) == 2
    message = capsys.readouterr().err
    assert all(words in message for words in said), message
    assert all(line.startswith("notebooks/course.yml: ") for line in message.splitlines())
    assert not Path("runs").exists()


@pytest.mark.usefixtures("workbook")
def test_parts_count_up() -> None:
    _write([_part(fields(FILES[1]), part="02"), _part(fields(HELLO))])
    with pytest.raises(DocumentError, match="the parts are 02, 00; right are two digits that count up"):
        find(Path("notebooks"))


@pytest.mark.parametrize("text", ["parts: [", "- 1", "", "\x00"])
@pytest.mark.usefixtures("workbook")
def test_a_file_that_is_no_course(text: str) -> None:
    Path("notebooks/course.yml").write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError, match=r"notebooks/course\.yml: "):
        find(Path("notebooks"))


def test_cells_keep_their_numbers_when_papermill_adds_some() -> None:
    cells = [
        new_markdown_cell("", metadata={"tags": ["papermill-error-cell-tag"]}),
        new_markdown_cell("Some words\n# Deploy a model"),
        new_code_cell("a = 1", metadata={"tags": ["parameters"], "papermill": {"duration": 0.5}}),
        new_code_cell("a = 2", metadata={"tags": ["injected-parameters"], "papermill": {"duration": 0.25}}),
        new_code_cell("a", metadata={"papermill": {"duration": 2.0}}),
        new_code_cell("never ran", metadata={"papermill": {"duration": None}}),
    ]
    assert [cell.source for cell in authored(cells)[1:3]] == ["a = 1", "a"]
    assert [number_of(cells, index) for index in (2, 3, 4)] == [2, 2, 3]
    assert [(timing.number, timing.seconds) for timing in timings(cells)] == [(2, 0.5), (3, 2.0)]
    assert title_of(cells, "01_deploy") == "Deploy a model"
    assert title_of(cells[2:], "01_deploy") == "01_deploy"
