"""The entry script of a Designer's web service, for Azure's inference server.

It takes the request as it is (``rawhttp``), because only so a script can answer with a status code of its own: 400 for
a request that is wrong. A managed online endpoint turns that into 424 for the caller, with 400 in the header
``ms-azureml-model-error-statuscode``:
https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#http-status-codes
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

service: Any


def init() -> None:
    """Load the graph and its assets, once, with the modules that lie beside this script, not others of their names."""
    global service
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from designer_modules.serving import WebService

    service = WebService.load(Path(os.environ["AZUREML_MODEL_DIR"]))


@rawhttp  # type: ignore[untyped-decorator]
def run(request: AMLRequest) -> AMLResponse:
    """Answer one request."""
    if request.method == "OPTIONS":  # a browser asks whether it may; the server adds what AML_CORS_ORIGINS allows
        return AMLResponse("", 200)
    answer = service.answer(request.method, request.get_data(), request.args)
    return AMLResponse(answer.body, answer.status, {"Content-Type": "application/json"})
