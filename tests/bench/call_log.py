"""Run by IPython as a kernel starts: notes how long each call takes that leaves the kernel by ``requests``.

Azure's clients send by it, too. A line a call, as JSON, in the file that ``CALL_LOG`` names: when, method, host, path,
status, and the milliseconds from the first byte sent, or the connection's first, to the answer's head.
"""

import json
import os
import time
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter


def _note_calls(file, send):
    def noted(self, request, **options):
        began, status = time.perf_counter(), 0
        try:
            response = send(self, request, **options)
            status = response.status_code
            return response
        finally:
            spent = (time.perf_counter() - began) * 1000
            parts = urlsplit(request.url)
            line = [time.time(), request.method, parts.hostname, parts.path, status, round(spent, 1)]
            os.write(file, (json.dumps(line) + "\n").encode())

    return noted


HTTPAdapter.send = _note_calls(
    os.open(os.environ["CALL_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), HTTPAdapter.send
)
