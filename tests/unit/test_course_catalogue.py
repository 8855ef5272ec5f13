from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from course.catalogue import Notebook, NotFoundError, find, select
from course.cells import authored, number_of, timings, title_of
from course.run import main

FILES = [
    "00_start/01_hello.ipynb",
    "02_realtime/01_deploy.ipynb",
    "02_realtime/02_score.ipynb",
    "03_batch/01_deploy.ipynb",
]


@pytest.fixture
def workbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Notebook]:
    others = ["02_realtime/train.ipynb", "02_realtime/.ipynb_checkpoints/01_deploy.ipynb", "drafts/01_idea.ipynb"]
    for name in reversed(FILES + others):
        path = tmp_path / "notebooks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return find(Path("notebooks"))


def names(notebooks: list[Notebook]) -> list[str]:
    return [notebook.name.removeprefix("notebooks/") for notebook in notebooks]


def test_finds_lessons_in_order_and_nothing_else(workbook: list[Notebook]) -> None:
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
def test_selects(workbook: list[Notebook], part: str | None, wanted: list[str], expected: list[str]) -> None:
    assert names(select(workbook, part, wanted)) == expected


def test_an_absolute_path_selects(workbook: list[Notebook]) -> None:
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


def test_a_folder_without_notebooks(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no notebooks in"):
        find(tmp_path)


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
