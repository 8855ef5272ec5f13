"""Answers one request without a server, as the web service would: to try a package before it is deployed.

    PYTHONPATH=code python -m designer_modules.serving model < request.json
    PYTHONPATH=code python -m designer_modules.serving model format=classic details=true < request.json

The exit status is 0 where the answer's status code is 200.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .service import WebService


def main(folder: str, *query: str) -> int:
    """Print the answer to the request on standard input; return the exit status."""
    service = WebService.load(Path(folder))
    asked = dict(one.partition("=")[::2] for one in query)
    answer = service.answer("POST", sys.stdin.buffer.read(), asked)
    print(answer.body)
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
