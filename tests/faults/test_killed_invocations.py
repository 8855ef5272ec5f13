"""SIGKILL of the service after an invocation of a batch endpoint: who sends it again gets the job that there is.

Truth: https://docs.oasis-open.org/odata/repeatable-requests/v1.0/repeatable-requests-v1.0.html, whose header
azure-ai-ml sends with each invocation, which it repeats where the connection was lost.
"""

from __future__ import annotations

import uuid
from typing import Any

import psutil
import pytest
from batch_jobs import DATASTORE, ENDPOINT, Batches
from job_installation import ENDED, installed


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with installed() as installation:
        made = Batches(installation, tmp_path_factory.mktemp("notes"), 3)
        made.set_up()
        made.deploy("dedicated", installation.cluster)
        yield made


def test_same_request_after_a_kill_makes_no_second_job(batches: Batches) -> None:
    installation, request_id = batches.installation, str(uuid.uuid4())

    def invoke() -> str:
        clients = installation.clients
        token = clients.credential.get_token("https://ml.azure.com/.default").token
        answer = clients.session.post(
            f"https://{ENDPOINT}.eastus.inference.ml.azure.com/jobs",
            json={"properties": {"inputData": {"files": {"jobInputType": "UriFolder", "uri": f"{DATASTORE}/noted"}}}},
            headers={
                "Authorization": f"Bearer {token}",
                "azureml-model-deployment": "dedicated",
                "repeatability_request-id": request_id,
            },
            timeout=60,
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["name"])

    first = invoke()
    psutil.Process(installation.service.pid).kill()
    installation.start_again()
    assert invoke() == first
    assert installation.reaches(first, *ENDED) == "Completed"
    assert invoke() == first
    jobs = installation.request("GET", "/jobs")["value"]
    assert [job["name"] for job in jobs] == [first]
    assert sorted(set(batches.begun())) == batches.names
