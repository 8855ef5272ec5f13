"""Ask an endpoint with nothing but Python's standard library.

This is what the tab "Consume" of Azure ML's Studio offers to copy, but for two things: the key
does not stand in the file (it is read from standard input), and the certificate is checked.
"""

import json
import os
import sys
import urllib.error
import urllib.request

uri = os.environ["SCORING_URI"]
key = sys.stdin.readline().strip()
wine = {"alcohol": 12.4, "flavanoids": 2.1, "color_intensity": 3.0, "proline": 450.0}

body = json.dumps({"wines": [wine]}).encode()
headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
request = urllib.request.Request(uri, body, headers)
try:
    with urllib.request.urlopen(request, timeout=30) as response:
        print(response.read().decode())
except urllib.error.HTTPError as error:
    request_id = error.headers["x-request-id"]
    print("refused with status", error.code, "id", request_id, file=sys.stderr)
    sys.exit(1)
