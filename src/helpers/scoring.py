"""Calling a deployed model as any program would: plain HTTP."""

from __future__ import annotations

from typing import Any

import requests


def score(scoring_uri: str, key: str | None, payload: Any, deployment: str | None = None) -> requests.Response:
    """POST ``payload`` as JSON to an endpoint and return the response, whatever its status.

    Args:
        scoring_uri: the endpoint's ``scoring_uri``.
        key: one of its keys; None sends no ``Authorization`` header.
        payload: what the scoring script's ``run()`` expects.
        deployment: a deployment to ask by name, past the traffic rules.
    """
    headers = {}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    if deployment is not None:
        headers["azureml-model-deployment"] = deployment
    return requests.post(scoring_uri, json=payload, headers=headers, timeout=180)
