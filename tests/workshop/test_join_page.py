"""Joining a workshop by its page, as a browser sends the form, at a hub that ``start`` has started."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import rooms
from rooms import NEEDS_ROOT, Browser, Room, refusal

from workshop.authenticator import PINS_AT_ONCE
from workshop.folder import Folder, read_secret

pytestmark = [NEEDS_ROOT, pytest.mark.slow]
ODD = "<img src=x onerror=alert(1)> & 'Zoë' \"😀\""


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with rooms.room(learners=3) as made:
        yield made


@pytest.fixture
def browser(room: Room) -> Browser:
    return Browser(room.status()["join_link"])


def test_a_learner_joins_and_comes_back_from_another_laptop(room: Room) -> None:
    link = room.status()["join_link"]
    for laptop in (Browser(link), Browser(link)):
        answer = laptop.join("Anna", "1234")
        assert (answer.status_code, answer.headers["Location"]) == (302, "/hub/spawn")
        me = laptop.session.get(f"{laptop.base}/hub/api/user", headers=laptop.headers("/hub/"))
        assert me.json()["name"] == f"{room.prefix}01" and not me.json()["admin"]
    assert [seat["name"] for seat in room.status()["seats"]].count("Anna") == 1


def test_a_name_with_odd_characters_is_shown_as_it_is_and_does_nothing(browser: Browser) -> None:
    assert ODD not in browser.join(ODD, "12").text
    assert html.escape(ODD, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in browser.page.text
    assert browser.join(ODD, "1234").status_code == 302
    home = browser.session.get(f"{browser.base}/hub/home").content.decode()
    assert "<img" not in home and "&lt;img src=x" in home


def test_the_same_name_with_another_pin_is_told_both_what_may_be(room: Room, browser: Browser) -> None:
    Browser(room.status()["join_link"]).join("Same", "1234")
    answer = browser.join("SAME", "9999")
    assert answer.status_code == 403
    assert "try your PIN again" in refusal(answer) and "add something to your name" in refusal(answer)
    assert 'value="SAME"' in answer.text and browser.code in answer.text, "what was typed stays"
    assert "9999" not in answer.text, "but for the PIN"


def test_a_full_room(room: Room, browser: Browser) -> None:
    for name in ("Anna", "Same", ODD):
        Browser(room.status()["join_link"]).join(name, "1234")
    assert "All 3 seats are taken" in refusal(browser.join("One more", "1234"))


@pytest.mark.parametrize("code", ["", "wrong", "ä" * 8])
def test_without_the_code_nobody_comes_in(browser: Browser, code: str) -> None:
    answer = browser.join("Anna", "1234", code)
    assert answer.status_code == 403 and "not this workshop's code" in refusal(answer)


def test_a_code_as_people_type_it(browser: Browser) -> None:
    typed = f" {browser.code[:4].upper()}-{browser.code[4:].upper()} "
    assert browser.join("Anna", "1234", typed).status_code == 302


def test_wrong_pins_are_slowed_down_for_their_name_and_for_nobody_else(room: Room, browser: Browser) -> None:
    Browser(room.status()["join_link"]).join("Same", "1234")
    codes = [browser.join("Same", "0000").status_code for _ in range(PINS_AT_ONCE + 1)]
    assert codes == [403] * PINS_AT_ONCE + [429]
    assert re.search(r"Try again in \d+ seconds", refusal(browser.join("same ", "1234")))
    assert browser.join("Anna", "1234").status_code == 302, "from the same address"


def test_without_the_forms_token_nothing_is_done(browser: Browser) -> None:
    form = {"username": "Anna", "pin": "1234", "code": browser.code}
    answer = browser.session.post(f"{browser.base}/hub/login", data=form, allow_redirects=False)
    assert answer.status_code == 403 and "Try again" in refusal(answer)


@pytest.mark.parametrize("missing", ["username", "pin", "code"])
def test_a_form_without_a_field_is_refused(browser: Browser, missing: str) -> None:
    form = {"username": "Anna", "pin": "1234", "code": browser.code, "_xsrf": browser.form_token()}
    del form[missing]
    assert browser.session.post(f"{browser.base}/hub/login", data=form, allow_redirects=False).status_code == 403


def test_the_trainer_comes_in_by_the_password_alone(room: Room) -> None:
    found = room.status()
    trainer = Browser(found["trainer_link"])
    assert 'name="code"' not in trainer.page.text
    wrong = trainer.join("trainer", "1234", "")
    assert wrong.status_code == 403 and "not the trainer's password" in refusal(wrong)
    password = Path(found["trainer_password_file"]).read_text().strip()
    answer = trainer.join("Trainer", password, "")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/services/board/")
    me = trainer.session.get(f"{trainer.base}/hub/api/user", headers=trainer.headers("/hub/")).json()
    assert me["name"] == "trainer" and not me["admin"]
    assert [scope for scope in me["scopes"] if scope.startswith("access:servers")] == ["access:servers!user=trainer"]


def test_a_learner_may_neither_see_nor_touch_another(browser: Browser, room: Room) -> None:
    browser.join("Anna", "1234")
    for path in ("users", f"users/{room.prefix}02", "proxy", "shutdown"):
        method = "POST" if path == "shutdown" else "GET"
        answer = browser.session.request(
            method, f"{browser.base}/hub/api/{path}", headers=browser.headers("/hub/"), json={}
        )
        assert answer.status_code in (403, 404), (path, answer.text)


@pytest.mark.parametrize("elsewhere", ["https://example.org/", "//example.org", "/\\example.org"])
def test_the_page_leads_nowhere_else(browser: Browser, elsewhere: str) -> None:
    form = {"username": "Anna", "pin": "1234", "code": browser.code, "_xsrf": browser.form_token()}
    answer = browser.session.post(
        f"{browser.base}/hub/login", params={"next": elsewhere}, data=form, allow_redirects=False
    )
    assert re.match(r"/(?![/\\])", answer.headers["Location"]), "a path of this host, as browsers read it"


def test_who_opens_the_link_again_is_led_to_their_lab_without_the_code(browser: Browser) -> None:
    browser.join("Anna", "1234")
    again = browser.session.get(f"{browser.base}/hub/login?code={browser.code}", allow_redirects=False)
    assert again.headers["Location"] == "/hub/spawn"


def test_no_page_asks_anything_of_another_host(browser: Browser) -> None:
    pages = [browser.page.text, browser.session.get(f"{browser.base}/hub/none").text]
    assert not [found for page in pages for found in re.findall(r'(?:src|href)="(?:https?:)?//[^"]*', page)]


def test_no_secret_stands_in_a_log_or_on_a_command_line(room: Room, browser: Browser) -> None:
    browser.join("Anna", "a-pin-to-look-for")
    folder = Folder(room.folder)
    files = (folder.trainer_password, folder.join_code, folder.proxy_token, folder.command_token, folder.cookie_secret)
    secrets = [*map(read_secret, files), "a-pin-to-look-for"]
    logs = "".join(path.read_text() for path in room.folder.joinpath("hub").glob("*.log"))
    lines = "".join(" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
    assert not [secret for secret in secrets if secret in logs or secret in lines]


def test_only_the_proxy_listens_where_learners_may(room: Room) -> None:
    found = room.status()
    programs = [psutil.Process(found["hub"]), psutil.Process(found["proxy"])]
    family = programs + programs[0].children(recursive=True)
    listening = {
        place.laddr
        for process in family
        for place in process.net_connections("inet")
        if place.status == psutil.CONN_LISTEN
    }
    assert {place.ip for place in listening} == {"127.0.0.1"}
    others = sorted(place.port for place in listening if f":{place.port}/" not in found["join_link"])
    assert others and others[-1] < 1024, "only root may take their place"
