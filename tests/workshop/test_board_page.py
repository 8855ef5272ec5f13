"""The board as a trainer has it: in real Chromium, light and dark, by keyboard, by screen reader, with bad names.

With ``SCREENSHOTS=docs/images`` it makes the pictures that are shown of it.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from board_room import BoardRoom, furnish, running, workshop_folder
from playwright.sync_api import Browser, Page, expect

from browsers import launched
from workshop.folder import Folder

pytestmark = pytest.mark.slow

PATIENCE = 60_000  # milliseconds
LAPTOP, PROJECTOR, PHONE = (1366, 768), (1920, 1080), (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as started:
        yield started


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Folder]:
    """Returns a workshop's folder in which so many have joined, which takes a while."""
    return functools.cache(lambda seats: workshop_folder(tmp_path_factory.mktemp("workshop") / "room", seats))


@pytest.fixture
def seats() -> int:
    return 3


@pytest.fixture
def board(folders: Callable[[int], Folder], seats: int) -> Iterator[BoardRoom]:
    folder = folders(seats)
    (folder.hub / "board.db").unlink(missing_ok=True)
    with running(folder) as board:
        board.call(lambda: furnish(board))
        with board.client("learner01") as client:
            client.post("api/asked", json={"text": "What is a traffic split?", "may_open": True})
        yield board


@pytest.fixture
def said() -> list[str]:
    """What the page complained about, above all of what its policy forbids."""
    return []


@pytest.fixture
def page(browser: Browser, board: BoardRoom, said: list[str]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": LAPTOP[0], "height": LAPTOP[1]}, locale="en-GB")
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"a dialog: {dialog.message}"))
    page.goto(board.address)
    page.locator("#seats li").first.wait_for()
    yield page
    context.close()


def picture(page: Page, name: str, otherwise: Path) -> None:
    page.screenshot(path=Path(os.environ.get("SCREENSHOTS", otherwise)) / f"workshop-{name}.png")


def until_called(page: Page, board: BoardRoom, times: int) -> None:
    """Wait until the hub was asked so often to do something with servers."""
    end = time.monotonic() + PATIENCE / 1000
    while len(board.calls_about_servers()) < times and time.monotonic() < end:
        page.wait_for_timeout(50)


def assert_accessible(page: Page) -> None:
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize(("seats", "colours"), [(3, "dark"), (30, "light")])
def test_it_is_accessible_and_complains_of_nothing(
    page: Page, seats: int, said: list[str], tmp_path: Path, colours: str
) -> None:
    page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
    expect(page.locator("#seats li")).to_have_count(seats)
    expect(page.locator("#machine")).to_contain_text("Memory")
    assert_accessible(page)
    picture(page, f"board-{seats}-{colours}", tmp_path)
    page.get_by_role("button", name="Grace Hopper").last.click()
    assert_accessible(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Whole room").click()
    assert_accessible(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Note to all").click()
    assert_accessible(page)
    assert said == []


@pytest.mark.parametrize("seats", [30])
def test_all_seats_are_seen_at_once_and_nothing_is_cut_off(page: Page) -> None:
    for width, height in (LAPTOP, PROJECTOR):
        page.set_viewport_size({"width": width, "height": height})
        last = page.locator("#seats li").last.bounding_box()
        assert last and last["y"] + last["height"] <= height
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def test_a_name_that_is_a_script_is_a_name(page: Page, said: list[str]) -> None:
    name = "<script>alert(1)</script>"
    expect(page.locator("#seats .name").nth(1)).to_have_text(name)
    expect(page.locator("#needs").get_by_role("button", name=name)).to_be_visible()
    page.locator("#seats button").nth(1).click()
    expect(page.locator("#seat-name")).to_have_text(f"{name} · seat 2")
    assert page.locator("script").count() == 1
    assert said == []


def test_a_notebook_whose_path_is_a_script_is_text(page: Page, board: BoardRoom, said: list[str]) -> None:
    path = "<img src=x onerror=alert(1)>/javascript:alert(1)"
    with board.client("learner01") as client:
        assert client.post("api/report", json={"notebook": path}).status_code == 204
    expect(page.locator("#seats .lesson").first).to_have_text(path)
    link = page.locator("#needs").get_by_role("link", name="Open lab").get_attribute("href") or ""
    assert link.startswith("/user/learner01/lab/tree/%3Cimg")
    assert page.locator("img").count() == 0
    assert said == []


def test_who_needs_the_trainer_is_said_with_the_reason(page: Page) -> None:
    first = page.locator("#needs li").first
    expect(first).to_contain_text("Ada Lovelace")
    expect(first).to_contain_text("asked for you: What is a traffic split?")
    expect(page.locator("#needs")).to_contain_text("4 refused tries of")
    expect(page.locator("#needs")).to_contain_text(
        "nothing for 14 minutes after a cell that failed (HttpResponseError)"
    )
    assert page.title().startswith("(")


def test_by_keyboard_alone(page: Page, board: BoardRoom) -> None:
    def tab_to(name: str) -> None:
        for _ in range(100):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent") == name:
                return
        raise AssertionError(f"{name} cannot be reached")

    tab_to("I am coming")
    page.keyboard.press("Enter")
    expect(page.locator("#needs li").first.get_by_role("button", name="I am coming")).to_have_count(0)
    expect(page.locator("#seats .state").first).to_have_text("You are coming")
    page.locator("#seats button").first.focus()
    page.keyboard.press("Enter")
    tab_to("Stop")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Stop: Ada Lovelace?")).to_be_visible()
    tab_to("Cancel")
    page.keyboard.press("Enter")
    assert board.calls_about_servers() == []
    tab_to("Stop")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")  # the first button says what is done
    until_called(page, board, 1)
    assert board.calls_about_servers() == [("DELETE", "/users/learner01/server", None)]


def test_reset_asks_first_and_says_what_it_means(page: Page, board: BoardRoom) -> None:
    page.locator("#seats button").nth(2).click()
    page.locator("#seat .reset select").select_option("notebooks")
    page.locator("#seat .do-reset").click()
    sure = page.get_by_role("dialog", name="Reset all notebooks of Grace Hopper?")
    expect(sure).to_contain_text("moved aside, not deleted")
    sure.get_by_role("button", name="Reset").click()
    until_called(page, board, 2)
    path = "/users/learner03/server"
    assert board.calls_about_servers() == [("DELETE", path, None), ("POST", path, {"reset": "notebooks"})]


def test_a_note_to_all(page: Page, board: BoardRoom) -> None:
    page.get_by_role("button", name="Note to all").click()
    page.get_by_label("It appears in JupyterLab").fill("Coffee at 11 <b>")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#notes")).to_contain_text("to all: Coffee at 11 <b>")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_hub_goes_and_comes_back(page: Page, board: BoardRoom) -> None:
    board.hub.away = True
    expect(page.get_by_role("alert")).to_contain_text("The hub is away. Learners work on")
    board.hub.away = False
    expect(page.get_by_role("alert")).to_be_hidden()


def test_the_join_page(page: Page, board: BoardRoom, said: list[str], tmp_path: Path) -> None:
    page.goto(f"{board.address}join")
    expect(page.locator(".code svg")).to_be_visible()
    assert_accessible(page)
    for width, height in (LAPTOP, PROJECTOR):
        page.set_viewport_size({"width": width, "height": height})
        box = page.locator(".code svg").bounding_box()
        assert box and box["width"] > 300 and box["y"] >= 0
        assert page.evaluate("document.documentElement.scrollHeight") <= height
    picture(page, "join", tmp_path)
    assert said == []
