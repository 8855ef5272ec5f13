"""What Azure's inference server makes of entry scripts: schemas, OpenAPI documents, binary bodies, several models.

https://learn.microsoft.com/azure/machine-learning/how-to-deploy-advanced-entry-script and the samples of Azure's
public repository azureml-examples, sdk/python/endpoints/online/managed (openapi, inference-schema, binary-payloads,
multimodel), which these tests follow in their own words.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import CodeConfiguration, ManagedOnlineDeployment, ManagedOnlineEndpoint, Model
from support import SCRIPTS, SECONDS, Deployed, Scorer, deploy, finish, quick_session

# A picture would do as well: every byte there is, none of it text.
BYTES = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def served(ml: MLClient, deployed: Deployed) -> Iterator[Scorer]:
    """An endpoint of this module's own, with a deployment ``numpy`` and one ``bytes``."""
    name = "entry" + deployed.endpoint[3:]
    endpoint = finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)))
    environment = deployed.environment
    pollers = [
        deploy(ml, name, "numpy", environment=environment, script="numpy_schema.py"),
        deploy(ml, name, "bytes", environment=environment, script="bytes_in_and_out.py"),
    ]
    for poller in pollers:
        finish(poller)
    endpoint.traffic = {"numpy": 100}
    finish(ml.online_endpoints.begin_create_or_update(endpoint))
    with quick_session() as session:
        yield Scorer(session, endpoint.scoring_uri, ml.online_endpoints.get_keys(name).primary_key)
    ml.online_endpoints.begin_delete(name).result()


def document(served: Scorer, deployment: str, **query: str) -> dict[str, object]:
    """GET the OpenAPI document of a deployment; its address is the endpoint's ``openapi_uri``."""
    uri = served.uri.replace("/score", "/swagger.json")
    headers = {"Authorization": f"Bearer {served.key}", "azureml-model-deployment": deployment}
    answer = served.session.get(uri, params=query, headers=headers, timeout=SECONDS)
    assert answer.status_code == 200
    content: dict[str, object] = answer.json()
    return content


def test_inference_schema_turns_json_into_what_run_takes(served: Scorer) -> None:
    assert served.post({"data": [[1, 2], [3, 4]]}).json() == {"sums": [3.0, 7.0], "type": "ndarray"}


@pytest.mark.parametrize("body", [{"dta": [[1, 2]]}, {"data": [[1, 2, 3]]}, {"data": "text"}, [1]])
def test_input_that_does_not_fit_the_schema_is_the_models_400(body: object, served: Scorer) -> None:
    answer = served.post(body)
    assert answer.status_code == 424
    assert answer.headers["ms-azureml-model-error-statuscode"] in ("400", "500")
    assert answer.headers["ms-azureml-model-error-reason"] == "model_error"


@pytest.mark.parametrize("query", [{}, {"version": "2"}])
def test_openapi_2_is_the_default(query: dict[str, str], served: Scorer) -> None:
    found = document(served, "numpy", **query)
    assert found["swagger"] == "2.0"
    schema = found["definitions"]["ServiceInput"]["properties"]["data"]  # type: ignore[index]
    assert schema["items"]["items"] == {"type": "number", "format": "double"}
    assert found["definitions"]["ServiceInput"]["example"] == {"data": [[1.5, 2.5]]}  # type: ignore[index]


def test_openapi_3(served: Scorer) -> None:
    found = document(served, "numpy", version="3")
    assert str(found["openapi"]).startswith("3.0")
    assert "ServiceInput" in found["components"]["schemas"]  # type: ignore[index]


def test_openapi_needs_the_key(served: Scorer) -> None:
    assert served.session.get(served.uri.replace("/score", "/swagger.json"), timeout=SECONDS).status_code == 401


def test_openapi_in_a_version_that_there_is_not_is_the_models_404(served: Scorer) -> None:
    uri = served.uri.replace("/score", "/swagger.json")
    headers = {"Authorization": f"Bearer {served.key}"}
    answer = served.session.get(uri, params={"version": "9"}, headers=headers, timeout=SECONDS)
    assert (answer.status_code, answer.headers["ms-azureml-model-error-statuscode"]) == (424, "404")


@pytest.mark.parametrize("how", ["body", "form"])
def test_binary_bodies_go_both_ways_unchanged(how: str, served: Scorer) -> None:
    sent = {"data": BYTES} if how == "body" else {"files": {"file": ("picture.jpg", BYTES)}}
    answer = served.post(None, deployment="bytes", **sent)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.content == BYTES[::-1]


def test_raw_requests_can_be_gets_with_a_query(served: Scorer) -> None:
    headers = {"Authorization": f"Bearer {served.key}", "azureml-model-deployment": "bytes"}
    answer = served.session.get(served.uri, params={"a": "1 2", "b": "é"}, headers=headers, timeout=SECONDS)
    assert answer.json() == {"a": "1 2", "b": "é"}


def test_code_folder_brings_its_own_openapi_document_and_its_name_may_lead_the_scripts_path(
    ml: MLClient, served: Scorer, deployed: Deployed, name: str
) -> None:
    """A ``swagger2.json`` at the root of the code folder is served (sample ``openapi``); the script is given as
    ``<folder>/score.py``, as the sample ``binary-payloads`` does in its second deployment."""
    endpoint = served.uri.removeprefix("https://").partition(".")[0]
    deployment = ManagedOnlineDeployment(
        name=name,
        endpoint_name=endpoint,
        environment=deployed.environment,
        code_configuration=CodeConfiguration(code=str(SCRIPTS / "described_by_hand"), scoring_script="score.py"),
        instance_type="Standard_DS3_v2",
        instance_count=1,
    )
    deployment = finish(ml.online_deployments.begin_create_or_update(deployment))
    assert document(served, name)["info"] == {"title": "By hand", "version": "7"}
    code_id = deployment.code_configuration.code
    deployment.code_configuration = CodeConfiguration(code=code_id, scoring_script="described_by_hand/score.py")
    finish(ml.online_deployments.begin_create_or_update(deployment))
    assert served.post({}, deployment=name).json() == "described by hand"
    assert document(served, name)["info"] == {"title": "By hand", "version": "7"}
    ml.online_deployments.begin_delete(name, endpoint).result()


def test_several_models_are_one_model_of_a_folder(
    ml: MLClient, served: Scorer, deployed: Deployed, name: str, tmp_path: Path
) -> None:
    """how-to-deploy-online-endpoints, "Register your model and environment": a deployment has one model, which may be a
    folder of several."""
    folder = tmp_path / "models"
    for path in ("diabetes.sav", "iris.sav", "deep/er/third.sav"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    endpoint = served.uri.removeprefix("https://").partition(".")[0]
    model = Model(name=name, path=str(folder))
    finish(deploy(ml, endpoint, name, model=model, environment=deployed.environment))
    found = served.post({"files": True}, deployment=name).json()
    assert found == {f"models/{path}": path for path in ("diabetes.sav", "iris.sav", "deep/er/third.sav")}
    ml.online_deployments.begin_delete(name, endpoint).result()
