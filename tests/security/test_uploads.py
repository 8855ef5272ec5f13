"""What a caller uploads, and names in a deployment, stays within the deployment's own folder (CWE-22, CWE-59, CWE-113).

A blob's name is any text (https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata);
here it becomes the path of a file. No archive is unpacked anywhere: code and models are stored file by file. What a
link points to is uploaded by azure-ai-ml itself, as a file, so that no link ever arrives.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from targets import Endpoint

from raw_client import exchange
from running_service import RunningService

SECONDS = 60
SCRIPT = b"def init():\n    raise SystemExit('it was started')\n"
Arm = Callable[..., requests.Response]
Upload = Callable[..., str]
Deploy = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def storage_token(token_for: Callable[[str], str]) -> str:
    return token_for("https://storage.azure.com")


@pytest.fixture(scope="module")
def upload(service: RunningService, arm: Arm, workspace: str, storage_token: str) -> Upload:
    """Upload blobs under names that are sent as they are, register them as code, and return the code's id."""
    host = f"{service.settings.storage_account}.blob.core.windows.net"

    def send(*targets: str, uri: str | None = None) -> str:
        name = uuid.uuid4().hex
        begun = arm(
            "POST", f"/codes/{name}/versions/1/startPendingUpload", {"pendingUploadType": "TemporaryBlobReference"}
        )
        container = begun.json()["blobReferenceForConsumption"]["blobUri"].rpartition("/")[2]
        for target in targets:
            head = (
                f"PUT /{container}/{target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {storage_token}\r\n"
                f"x-ms-version: 2021-12-02\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: {len(SCRIPT)}\r\n\r\n"
            )
            answer = exchange(service, host, head.encode() + SCRIPT)
            assert answer is not None
            assert answer.status == 201, answer
        put = arm("PUT", f"/codes/{name}/versions/1", {"properties": {"codeUri": uri or f"https://{host}/{container}"}})
        assert put.status_code == 201, put.text
        return f"{workspace}/codes/{name}/versions/1"

    return send


@pytest.fixture(scope="module")
def deploy(
    arm: Arm, session: requests.Session, token_for: Callable[[str], str], workspace: str, key_endpoint: Endpoint
) -> Deploy:
    """Deploy, and return the operation's last status, or the error that it did not begin with; then delete it."""
    properties = {"image": "mcr.microsoft.com/azureml/minimal-py311-inference"}
    assert arm("PUT", "/environments/plain/versions/1", {"properties": properties}).status_code == 201
    authorization = {"Authorization": f"Bearer {token_for('https://management.azure.com')}"}

    def ended(url: str) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while True:
            last: dict[str, Any] = session.get(url, headers=authorization, timeout=SECONDS).json()
            if last["status"] in ("Succeeded", "Failed"):
                return last
            assert time.monotonic() < deadline, last

    def begin(code: str, script: str = "score.py", variables: dict[str, str] | None = None) -> dict[str, Any]:
        path = f"/onlineEndpoints/{key_endpoint.name}/deployments/d{uuid.uuid4().hex[:10]}"
        wanted = {
            "endpointComputeType": "Managed",
            "instanceType": "Standard_DS3_v2",
            "environmentId": f"{workspace}/environments/plain/versions/1",
            "codeConfiguration": {"codeId": code, "scoringScript": script},
            "environmentVariables": variables or {},
        }
        begun = arm("PUT", path, {"location": "eastus", "properties": wanted})
        if begun.status_code != 201:
            assert begun.status_code == 400, begun.text
            return {"status": "refused", **begun.json()}
        last = ended(begun.headers["Azure-AsyncOperation"])
        ended(arm("DELETE", path).headers["Azure-AsyncOperation"])
        return last

    return begin


def require_failure(last: dict[str, Any], words: str) -> None:
    """A deployment must have failed, or been refused, for a reason that names what is wrong."""
    assert last["status"] in ("Failed", "refused"), last
    assert "InternalServerError" not in str(last)
    assert words in last["error"]["message"] + str(last["error"].get("details", "")), last


@pytest.fixture(autouse=True)
def nothing_outside(service: RunningService) -> Any:
    """Whatever is uploaded, no ``evil.py`` comes to lie anywhere in the state folder or above it."""
    yield
    assert [path for path in service.home.root.rglob("evil*") if path.suffix == ".py"] == []
    assert not (service.home.root.parent / "evil.py").exists()
    assert not Path("/tmp/evil.py").exists()


OUT = ["..%2fevil.py", "..%2f..%2f..%2fevil.py", "a%2f..%2f..%2fevil.py", "%2ftmp%2fevil.py", "%2f%2ftmp%2fevil.py",
       "a/%2e%2e/%2e%2e%2fevil.py"]  # fmt: skip


@pytest.mark.parametrize("target", OUT)
def test_blob_whose_name_leads_out(target: str, upload: Upload, deploy: Deploy) -> None:
    require_failure(deploy(upload("score.py", target)), "leads out of its folder")


@pytest.mark.parametrize("pair", [("a", "a/b"), ("a/b", "a//b")])
def test_blobs_that_cannot_lie_side_by_side(pair: tuple[str, str], upload: Upload, deploy: Deploy) -> None:
    require_failure(deploy(upload("score.py", *pair)), "cannot be written as a file")


def test_blob_whose_name_is_too_long_for_a_file(upload: Upload, deploy: Deploy) -> None:
    last = deploy(upload("score.py", "x" * 300))
    assert last["status"] == "Failed"
    assert "InternalServerError" not in str(last)


@pytest.mark.parametrize(
    "script",
    ["../score.py", "/etc/passwd", "sub/../../../settings.json", "..\\score.py", "sub", "", ".", "score.py\0",
     "~/score.py", "../../../../identity/signing-key.pem"],
)  # fmt: skip
def test_script_outside_the_code(script: str, upload: Upload, deploy: Deploy) -> None:
    last = deploy(upload("score.py", "sub/x.py"), script)
    assert last["status"] in ("Failed", "refused"), last
    assert "InternalServerError" not in str(last)
    assert "it was started" not in str(last)


@pytest.mark.parametrize(
    "variables", [{"A\0B": "x"}, {"A": "x\0y"}, {"A=B": "x"}, {"": "x"}], ids=["NUL in name", "NUL", "=", "empty"]
)
def test_variable_that_no_process_can_have(variables: dict[str, str], upload: Upload, deploy: Deploy) -> None:
    """execve(2): text ends with NUL, a name with ``=``."""
    last = deploy(upload("score.py"), variables=variables)
    require_failure(last, "environmentVariables")


@pytest.mark.parametrize(
    "path",
    ["a%0d%0aX: y/b", "a%20HTTP%2f1.1%0d%0a%0d%0aDELETE%20%2fb/x", "../azureml", "%2e%2e/x", "\u65e5/x", "%00/x", "/x"],
)
def test_code_in_a_container_that_is_none(
    path: str, service: RunningService, upload: Upload, deploy: Deploy, arm: Arm
) -> None:
    account = f"https://{service.settings.storage_account}.blob.core.windows.net"
    last = deploy(upload(uri=f"{account}/{path}"))
    assert last["status"] in ("Failed", "refused")
    assert "InternalServerError" not in str(last)
