"""A workshop as it happens, in a real Chromium: a trainer and three learners, by the links that `start` prints.

Ada finishes a lesson. Ben gives a wrong answer three times, and asks the trainer. Cleo tries what is Ada's: the key of
an endpoint, the service, the files. The trainer looks at the board, sends a note, and restarts the hub meanwhile.

With ``SCREENSHOTS=docs/images`` it makes the pictures of learners that docs/workshop.md shows.
"""

from __future__ import annotations

import json
import os
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from playwright.sync_api import Browser, Locator, expect
from rooms import NEEDS_ROOT, Room, room

from browsers import launched
from course import exercises

pytestmark = [NEEDS_ROOT, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
START = ROOT / "notebooks" / "00_start"
LESSON = "workbook/notebooks/00_start/01_score_your_first_model.ipynb"
LESSON_ID, EXERCISE, TITLE = "first_model", "to_request", "Score your first model"
PATIENCE = 240_000  # milliseconds: four labs and their kernels start on two processors, beside other tests
NAMES = ("Ada", "Ben", "Cleo")
WRONG = "def to_request(image):\n    return image"
ENDPOINT = "an-endpoint-of-mine"
# What Cleo runs, in cells of her own. ADAS is what Ada has told her, and more.
MAKE_AN_ENDPOINT = f"""
import helpers, requests
from azure.ai.ml.entities import ManagedOnlineEndpoint
ml_client = helpers.connect("local")
made = ml_client.online_endpoints.begin_create_or_update(
    ManagedOnlineEndpoint(name="{ENDPOINT}", auth_mode="key")).result()
mine = ml_client.online_endpoints.get_keys("{ENDPOINT}").primary_key
print("made", made.name)
"""
TRY_KEYS = """
def ask(key):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return requests.post(made.scoring_uri, json={}, headers=headers, timeout=60).status_code
print("my own key is let in:", ask(mine) not in (401, 403), "| Ada's key:", ask(ADAS["key"]))
"""
TRY_THE_SERVICE = """
from azure.identity import DefaultAzureCredential
token = DefaultAzureCredential().get_token("https://management.azure.com/.default").token
session = requests.Session()
session.trust_env = False
try:
    answer = session.get("https://management.azure.com" + ADAS["id"] + "?api-version=2024-10-01",
        headers={"Authorization": f"Bearer {token}"}, proxies={"https": ADAS["proxy"]}, verify=False, timeout=60)
    print("Ada's service:", answer.status_code)
except requests.exceptions.ProxyError as error:
    print("Ada's service:", type(error).__name__)
"""
TRY_THE_FILES = """
import os
try:
    print("Ada's files:", os.listdir(ADAS["home"]))
except OSError as error:
    print("Ada's files:", type(error).__name__)
"""
TELL = """
import os, json
told = {"key": mine, "id": made.id, "proxy": os.environ["HTTPS_PROXY"], "home": os.path.expanduser("~")}
print("TOLD", json.dumps(told))
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as started:
        yield started


@pytest.fixture(scope="module")
def workshop() -> Iterator[Room]:
    with room(len(NAMES)) as started:
        yield started


class Person:
    """Somebody with a browser of their own."""

    def __init__(self, browser: Browser, name: str) -> None:
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        context.set_default_timeout(PATIENCE)
        self.name, self.page = name, context.new_page()

    def picture(self, what: str) -> None:
        """Keep what the person sees, where pictures are asked for."""
        if folder := os.environ.get("SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"workshop-{what}.png")


class Learner(Person):
    """Somebody who joins, and has a lab."""

    def join(self, link: str) -> None:
        """Fill in the form; the lab opens with the lesson that comes first."""
        self.page.goto(link)
        self.page.get_by_label("Your name").fill(self.name)
        self.page.get_by_label("A PIN of your choice").fill(f"{self.name}-1234")
        self.picture("joining")
        self.page.get_by_role("button", name="Open my lab").click()
        self.page.locator(".jp-Notebook").first.wait_for()

    def write(self, path: str, notebook: Any) -> None:
        """Save a notebook as the learner does, through the lab."""
        content = {"type": "notebook", "format": "json", "content": json.loads(nbformat.writes(notebook))}
        status = self.page.evaluate(
            """async ([path, content]) => {
                const base = location.pathname.match(/^\\/user\\/[^/]+\\//)[0];
                const config = JSON.parse(document.getElementById("jupyter-config-data").textContent);
                const headers = {"Content-Type": "application/json", "Authorization": `token ${config.token}`,
                    "X-XSRFToken": (document.cookie.match(/_xsrf=([^;]+)/) ?? [])[1] ?? ""};
                const answer = await fetch(`${base}api/contents/${path}`,
                    {method: "PUT", headers, body: JSON.stringify(content)});
                return answer.status;
            }""",
            [path, content],
        )
        assert status in (200, 201), status

    def open(self, path: str) -> None:
        """Open a notebook, and wait for its kernel."""
        base = re.match(r"(.*/user/[^/]+)/", self.page.url)
        assert base, self.page.url
        self.page.goto(f"{base[1]}/lab/tree/{path}?reset")
        self.page.get_by_text("(ipykernel) | Idle").wait_for()

    def run(self, *cells: str) -> str:
        """Run cells in a notebook of one's own, and return all that they printed."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        self.write("tried.ipynb", notebook)
        self.open("tried.ipynb")
        self.menu("Run", "Run All Cells")
        outputs = self.page.locator(".jp-CodeCell .jp-OutputArea-output")
        expect(self.page.locator(".jp-CodeCell .jp-InputArea-prompt").last).not_to_have_text(
            re.compile(r"\[[ *]\]"), timeout=PATIENCE
        )
        return "\n".join(outputs.all_inner_texts())

    def menu(self, menu: str, entry: str) -> None:
        """Choose from JupyterLab's menu."""
        self.page.get_by_role("menuitem", name=menu, exact=True).click()
        self.page.get_by_role("menuitem", name=entry, exact=True).click()

    def cell_with(self, text: str) -> Locator:
        """Return the code cell of the open notebook in which this stands."""
        return self.page.locator(".jp-CodeCell").filter(has_text=text).first


class Trainer(Person):
    """Who looks at the board."""

    def log_in(self, room: Room) -> None:
        """Log in by the link that `start` prints; the board opens."""
        status = room.status()
        self.page.goto(status["trainer_link"])
        self.page.get_by_label("Password").fill(Path(status["trainer_password_file"]).read_text().strip())
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("heading", name="Workshop board").wait_for()

    def card(self, name: str) -> Locator:
        """Return what the board shows of a learner."""
        return self.page.locator("#seats > li").filter(has_text=name)


def solved_lesson() -> Any:
    """Return the lesson with right answers."""
    lesson = nbformat.read(START / "01_score_your_first_model.ipynb", as_version=4)
    exercises.fill(lesson, exercises.read(START / "solutions" / "01_score_your_first_model.py"), exercises.solution)
    questions = yaml.safe_load((START / "quizzes" / "01_score_your_first_model.yml").read_text())
    letters = [
        string.ascii_lowercase[[bool(choice.get("right")) for choice in question["choices"]].index(True)]
        for question in questions
    ]
    (quiz,) = [cell for cell in lesson.cells if f'helpers.quiz("{LESSON_ID}"' in cell.source]
    quiz.source = re.sub(r"answers = \[.*\]", f"answers = {letters!r}", quiz.source)
    return lesson


def test_a_workshop(browser: Browser, workshop: Room) -> None:
    """One story, for each part needs what came before."""
    expect.set_options(timeout=PATIENCE)
    solved = solved_lesson()
    trainer = Trainer(browser, "Trainer")
    trainer.log_in(workshop)
    ada, ben, cleo = learners = [Learner(browser, name) for name in NAMES]
    for learner in learners:
        learner.join(workshop.status()["join_link"])
        expect(trainer.card(learner.name)).to_be_visible()

    # Ada solves all of the lesson.
    ada.write(LESSON, solved)
    ada.open(LESSON)
    ada.menu("Run", "Run All Cells")

    # Ben is refused three times, in the lesson's own cell, and asks.
    ben.open(LESSON)
    ben.cell_with("import helpers").locator(".jp-InputArea-editor").click()
    ben.page.keyboard.press("Shift+Enter")
    cell = ben.cell_with(f"{LESSON_ID}/{EXERCISE}")
    for tries in range(3):
        cell.locator(".jp-InputArea-editor").click()
        ben.page.keyboard.press("ControlOrMeta+a")
        ben.page.keyboard.insert_text(f'{WRONG}\n\nhelpers.check("{LESSON_ID}/{EXERCISE}", to_request)  # {tries}')
        ben.page.keyboard.press("Control+Enter")
        expect(cell.locator(".jp-InputArea-prompt")).to_have_text(re.compile(r"\[\d+\]"))
        expect(cell.locator(".jp-OutputArea")).to_contain_text("✗")
    expect(trainer.card("Ben")).to_contain_text(f"3 refused tries of {EXERCISE}")
    cell.locator(".jp-OutputArea").scroll_into_view_if_needed()
    expect(ben.page.get_by_text("official Jupyter news")).to_have_count(0)
    ben.picture("refused")
    ben.page.get_by_role("button", name="Ask the trainer").click()
    dialog = ben.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("What is a request?")
    dialog.get_by_role("button", name="Ask").click()
    expect(trainer.page.locator("#needs")).to_contain_text("What is a request?")

    expect(trainer.card("Ada")).to_contain_text("done", ignore_case=True)
    ada.picture("finished")
    trainer.picture("board")

    # Cleo has been told Ada's key, and where Ada's service is.
    told = json.loads(ada.run(MAKE_AN_ENDPOINT, TELL).partition("TOLD ")[2].splitlines()[0])
    said = cleo.run(f"ADAS = {told!r}", MAKE_AN_ENDPOINT, TRY_KEYS, TRY_THE_SERVICE, TRY_THE_FILES)
    assert "my own key is let in: True | Ada's key: 401" in said, said
    assert re.search(r"Ada's service: (401|ProxyError)", said), said
    assert re.search(r"Ada's files: (PermissionError|FileNotFoundError)", said), said
    cleo.picture("refused-key")

    # All see what the trainer says.
    trainer.page.get_by_role("button", name="Note to all").click()
    trainer.page.get_by_role("textbox").fill("Coffee at half past ten.")
    trainer.page.get_by_role("button", name="Send").click()
    for learner in learners:
        expect(learner.page.get_by_text("Coffee at half past ten.").first).to_be_visible()
    ben.picture("note")

    # While the hub is away, who works works on.
    workshop.command("stop", "--hub-only")
    assert f"made {ENDPOINT}" in cleo.run(MAKE_AN_ENDPOINT)
    workshop.start()
    trainer.page.reload()
    for learner in learners:
        expect(trainer.card(learner.name)).to_be_visible()
