"""Online endpoints and deployments: what the control plane answers, through the SDK and on the wire.

Shapes: recording R1 (test_online_deployment.json of azure-sdk-for-python) as digested in the notes on Azure's wire
shapes, sections 1.1 to 1.5; getLogs: section 4 (Get-AzMLWorkspaceOnlineDeploymentLog).
"""

from __future__ import annotations

import re

import psutil
import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import ManagedOnlineEndpoint
from azure.core.exceptions import ResourceNotFoundError
from support import API_VERSION, Arm, Deployed, Scorer, deploy, finish

from running_service import RunningService, family, wait_for

GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def test_endpoint_put_answers_201_with_a_status_to_poll(arm: Arm, name: str) -> None:
    body = {"location": "eastus", "identity": {"type": "SystemAssigned"}, "properties": {"authMode": "key"}, "tags": {}}
    begun = arm.put(f"/onlineEndpoints/{name}", body)
    assert begun.status_code == 201
    url = begun.headers["Azure-AsyncOperation"]
    assert re.fullmatch(
        re.escape(f"https://management.azure.com{arm.subscription}/providers/Microsoft.MachineLearningServices/")
        + rf"locations/eastus/mfeOperationsStatus/(oe|oeidp):{GUID}:{GUID}\?api-version=2024-10-01",
        url,
    )
    assert begun.headers["Location"].startswith(f"https://management.azure.com{arm.workspace}/onlineEndpoints/{name}?")
    assert begun.headers["x-ms-async-operation-timeout"] == "PT30M"
    assert "Retry-After" not in begun.headers  # azure-core takes a 0 for 30 s
    first = begun.json()
    assert set(first) == {"id", "name", "type", "properties", "systemData", "tags", "location", "kind", "identity"}
    assert first["id"] == f"{arm.workspace}/onlineEndpoints/{name}"
    assert first["type"] == "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
    properties = first["properties"]
    assert properties["provisioningState"] == "Creating"
    assert properties["scoringUri"] is None
    assert properties["swaggerUri"] is None
    assert properties["authMode"] == "Key"
    assert properties["traffic"] == {}
    assert properties["publicNetworkAccess"] == "Enabled"
    assert properties["properties"]["azureml.onlineendpointid"] == first["id"].lower()
    assert set(first["systemData"]) == {"createdAt", "createdBy", "lastModifiedAt"}
    assert first["identity"]["type"] == "SystemAssigned"
    assert re.fullmatch(GUID, first["identity"]["principalId"])
    status = arm.ended(begun)
    assert set(status) == {"id", "name", "startTime", "endTime", "percentComplete", "status"}
    assert status["status"] == "Succeeded"
    assert status["percentComplete"] == 100.0
    locations = f"{arm.subscription}/providers/Microsoft.MachineLearningServices/locations"
    assert status["id"] == f"{locations}/eastus/mfeOperationsStatus/{status['name']}"
    after = arm.get(f"/onlineEndpoints/{name}").json()
    assert after["properties"]["provisioningState"] == "Succeeded"
    assert after["properties"]["scoringUri"] == f"https://{name}.eastus.inference.ml.azure.com/score"
    assert after["properties"]["swaggerUri"] == f"https://{name}.eastus.inference.ml.azure.com/swagger.json"
    assert after["identity"] == first["identity"]


def test_properties_name_the_last_operation(arm: Arm, deployed: Deployed, name: str) -> None:
    """``properties.properties.AzureAsyncOperationUri`` of both kinds [R1]."""
    begun = arm.put(f"/onlineEndpoints/{name}", {"location": "eastus", "properties": {"authMode": "Key"}})
    url = begun.headers["Azure-AsyncOperation"]
    arm.ended(begun)
    got = arm.get(f"/onlineEndpoints/{name}").json()["properties"]["properties"]
    assert got.get("AzureAsyncOperationUri") == url
    deployment = arm.get(f"/onlineEndpoints/{deployed.endpoint}/deployments/blue").json()
    assert "/mfeOperationsStatus/od" in deployment["properties"]["properties"].get("AzureAsyncOperationUri", "")


def test_endpoint_is_found_in_any_case_and_keeps_its_own(arm: Arm, deployed: Deployed) -> None:
    shouted = f"{arm.workspace}/onlineEndpoints/{deployed.endpoint}".upper()
    answer = arm.request("GET", shouted.replace("/SUBSCRIPTIONS", "/subscriptions"))
    assert answer.status_code == 200
    assert answer.json()["id"] == f"{arm.workspace}/onlineEndpoints/{deployed.endpoint}"


def test_update_answers_201_with_the_old_traffic(arm: Arm, deployed: Deployed) -> None:
    path = f"/onlineEndpoints/{deployed.endpoint}"
    before = arm.get(path).json()
    changed = {"authMode": "Key", "traffic": {"blue": 90, "green": 10}}
    begun = arm.put(path, {"location": "eastus", "properties": changed, "tags": {"a": "b"}})
    try:
        assert begun.status_code == 201
        assert begun.json()["properties"]["traffic"] == before["properties"]["traffic"]
        assert begun.json()["properties"]["provisioningState"] == "Updating"
        arm.ended(begun)
        after = arm.get(path).json()
        assert after["properties"]["traffic"] == {"blue": 90, "green": 10}
        assert after["tags"] == {"a": "b"}
        assert after["systemData"]["createdAt"] == before["systemData"]["createdAt"]
        assert after["systemData"]["lastModifiedAt"] > before["systemData"]["lastModifiedAt"]
        assert after["identity"] == before["identity"]
    finally:
        changed = {"authMode": "Key", "traffic": {"blue": 100, "green": 0}}
        arm.ended(arm.put(path, {"location": "eastus", "properties": changed}))


def test_deployment_has_azures_defaults(arm: Arm, deployed: Deployed) -> None:
    got = arm.get(f"/onlineEndpoints/{deployed.endpoint}/deployments/blue").json()
    assert set(got) == {"id", "name", "type", "properties", "systemData", "tags", "location", "kind", "sku"}
    properties = got["properties"]
    assert properties["requestSettings"] == {
        "maxQueueWait": "PT0S",
        "requestTimeout": "PT5S",
        "maxConcurrentRequestsPerInstance": 1,
    }
    times = {"timeout": "PT2S", "period": "PT10S", "initialDelay": "PT10S"}
    probe = {"failureThreshold": 30, "successThreshold": 1, **times}
    assert properties["livenessProbe"] == probe
    assert properties["readinessProbe"] == probe
    assert properties["scaleSettings"] == {"scaleType": "Default"}
    assert properties["endpointComputeType"] == "Managed"
    assert properties["instanceType"] == "Standard_DS3_v2"
    assert properties["provisioningState"] == "Succeeded"
    assert properties["environmentVariables"] == {"DEPLOYMENT": "blue"}
    assert properties["codeConfiguration"]["scoringScript"] == "score.py"
    assert got["sku"] == {"name": "Default", "tier": "Standard", "capacity": 1}
    assert set(got["systemData"]) == {"createdAt", "createdBy", "lastModifiedAt"}


def test_lists_hold_what_get_returns(arm: Arm, deployed: Deployed, ml: MLClient) -> None:
    path = f"/onlineEndpoints/{deployed.endpoint}"
    listed = arm.get(f"{path}/deployments").json()
    assert "nextLink" not in listed
    assert arm.get(f"{path}/deployments/blue").json() in listed["value"]
    assert arm.get(path).json() in arm.get("/onlineEndpoints").json()["value"]
    assert {"blue", "green"} <= {one.name for one in ml.online_deployments.list(deployed.endpoint)}
    assert deployed.endpoint in {one.name for one in ml.online_endpoints.list()}


def test_what_is_missing_is_not_found(arm: Arm, ml: MLClient, deployed: Deployed) -> None:
    for path in ("/onlineEndpoints/absent", f"/onlineEndpoints/{deployed.endpoint}/deployments/absent"):
        answer = arm.get(path)
        assert answer.status_code == 404
        error = answer.json()["error"]
        assert error["code"] == "NotFound"
        assert error["message"] == "The specified resource was not found."
        assert [entry["type"] for entry in error["additionalInfo"]] == [
            "ComponentName", "Correlation", "Environment", "Location", "Time",
        ]  # fmt: skip
    with pytest.raises(ResourceNotFoundError):
        ml.online_endpoints.get("absent")
    with pytest.raises(ResourceNotFoundError):
        ml.online_deployments.get("absent", deployed.endpoint)
    assert arm.request("DELETE", "/onlineEndpoints/absent").status_code == 204
    assert arm.request("DELETE", f"/onlineEndpoints/{deployed.endpoint}/deployments/absent").status_code == 204
    assert arm.request("POST", "/onlineEndpoints/absent/listKeys").status_code == 404


def test_secrets_are_given_out_by_list_keys_only(arm: Arm, deployed: Deployed) -> None:
    text = arm.get(f"/onlineEndpoints/{deployed.endpoint}").text + arm.get("/onlineEndpoints").text
    assert deployed.primary_key not in text
    assert deployed.secondary_key not in text
    assert deployed.primary_key != deployed.secondary_key
    keys = arm.request("POST", f"/onlineEndpoints/{deployed.endpoint}/listKeys").json()
    assert keys == {"primaryKey": deployed.primary_key, "secondaryKey": deployed.secondary_key}


def test_regenerate_takes_a_given_key_and_refuses_unknown_kinds(arm: Arm, name: str) -> None:
    """RegenerateEndpointKeysRequest of the OpenAPI: ``keyType`` Primary or Secondary, optional ``keyValue``."""
    arm.ended(arm.put(f"/onlineEndpoints/{name}", {"location": "eastus", "properties": {"authMode": "Key"}}))
    regenerate = f"/onlineEndpoints/{name}/regenerateKeys"
    assert arm.request("POST", regenerate, json={"keyType": "Primary", "keyValue": "k" * 32}).status_code in (200, 202)
    assert arm.request("POST", f"/onlineEndpoints/{name}/listKeys").json()["primaryKey"] == "k" * 32
    for wrong in ({}, {"keyType": "Third"}, {"keyType": 1}, {"keyType": "Primary", "keyValue": ["k"]}):
        assert arm.request("POST", regenerate, json=wrong).status_code == 400, wrong


def test_keys_given_at_creation_are_used(arm: Arm, name: str) -> None:
    """EndpointPropertiesBase.keys of the OpenAPI: write-only, "to set on creation"."""
    keys = {"primaryKey": "p" * 32, "secondaryKey": "s" * 32}
    begun = arm.put(f"/onlineEndpoints/{name}", {"location": "eastus", "properties": {"authMode": "Key", "keys": keys}})
    assert "keys" not in begun.json()["properties"]
    arm.ended(begun)
    assert arm.request("POST", f"/onlineEndpoints/{name}/listKeys").json() == keys
    assert "p" * 32 not in arm.get(f"/onlineEndpoints/{name}").text


def test_logs_tell_status_events_and_output(ml: MLClient, deployed: Deployed) -> None:
    log = ml.online_deployments.get_logs("blue", deployed.endpoint, lines=5000)
    head, _, output = log.partition("Container logs:")
    assert head.startswith(
        "Instance status:\nSystemSetup: Succeeded\nUserContainerImagePull: Succeeded\nModelDownload: Succeeded\n"
        "UserContainerStart: Succeeded\n\nContainer events:\n"
    )
    assert re.search(
        r"^Kind: Pod, Name: Pulling, Type: Normal, Time: \d{4}-\d\d-\d\dT[0-9:]{8}\.\d{6}Z, Message: Start pulling",
        head,
        re.M,
    )
    for event in ("Pulled", "Downloading", "Downloaded", "Created", "Started", "ContainerReady"):
        assert f"Name: {event}, " in head
    assert "init of blue" in output


def test_logs_of_the_storage_initializer_name_the_models_files(ml: MLClient, deployed: Deployed) -> None:
    log = ml.online_deployments.get_logs("blue", deployed.endpoint, lines=100, container_type="storage-initializer")
    assert "plain.txt" in log
    assert "init of blue" not in log


def test_log_tail_is_as_long_as_asked(ml: MLClient, deployed: Deployed, scorer: Scorer) -> None:
    for _ in range(3):
        scorer.post({})
    log = ml.online_deployments.get_logs("blue", deployed.endpoint, lines=2)
    assert len(log.partition("Container logs:\n")[2].splitlines()) == 2


@pytest.mark.parametrize("body", [{"tail": 0}, {"tail": -5}, {"tail": "all"}, {"containerType": "Sidecar"}], ids=str)
def test_log_request_that_is_wrong(body: dict[str, object], arm: Arm, deployed: Deployed) -> None:
    path = f"/onlineEndpoints/{deployed.endpoint}/deployments/blue/getLogs"
    assert arm.request("POST", path, json=body).status_code == 400


def test_name_is_taken_for_the_whole_region(
    arm: Arm, ml: MLClient, deployed: Deployed, service: RunningService
) -> None:
    """azureml-examples#1931: 400, the name must be unique within a region, also across workspaces."""
    from azure.ai.ml.entities import Workspace

    finish(ml.workspaces.begin_create(Workspace(name="second", location="eastus")))
    path = arm.workspace.replace(service.settings.workspace, "second")
    body = {"location": "eastus", "properties": {"authMode": "Key"}}
    answer = arm.put(f"{path}/onlineEndpoints/{deployed.endpoint}", body)
    assert answer.status_code == 400
    assert "There is already an endpoint with this name" in answer.text


def test_operation_in_progress_409(arm: Arm, name: str) -> None:
    """Two PUTs at once: the second is refused with 409 or comes after the first's end; it never mixes with it."""
    body = {"location": "eastus", "properties": {"authMode": "Key"}}
    first = arm.put(f"/onlineEndpoints/{name}", body)
    second = arm.put(f"/onlineEndpoints/{name}", {**body, "tags": {"second": "1"}})
    assert second.status_code in (201, 409)
    arm.ended(first)
    tags = arm.get(f"/onlineEndpoints/{name}").json()["tags"]
    assert tags == ({"second": "1"} if second.status_code == 201 else {})


def test_updates_while_a_deployment_begins_are_refused_with_409(
    ml: MLClient, arm: Arm, deployed: Deployed, name: str
) -> None:
    """how-to-troubleshoot-online-endpoints, 409: an operation on the resource is in progress. Deleting the endpoint
    under its deployment is refused for the same reason."""
    poller = deploy(ml, deployed.endpoint, name, environment=deployed.environment)
    path = f"/onlineEndpoints/{deployed.endpoint}/deployments/{name}"
    assert arm.get(path).json()["properties"]["provisioningState"] in ("Updating", "Creating")
    assert arm.request("DELETE", path).status_code == 409
    assert arm.request("DELETE", f"/onlineEndpoints/{deployed.endpoint}").status_code == 409
    finish(poller)
    finish(ml.online_deployments.begin_delete(name, deployed.endpoint))


def test_delete_of_an_endpoint_ends_its_instances_and_its_address(
    ml: MLClient, arm: Arm, deployed: Deployed, name: str, scorer: Scorer, service: RunningService
) -> None:
    endpoint = finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)))
    before = set(family(service.pid))
    finish(deploy(ml, name, "only", environment=deployed.environment))
    instances = set(family(service.pid)) - before
    assert instances
    scorer.uri, scorer.key = endpoint.scoring_uri, ml.online_endpoints.get_keys(name).primary_key
    assert scorer.post({}, deployment="only").status_code == 200
    folders = len(list(service.home.deployments.iterdir()))
    begun = arm.request("DELETE", f"/onlineEndpoints/{name}")
    assert begun.status_code == 202
    assert begun.text == "null"
    assert "/mfeOperationsStatus/" in begun.headers["Azure-AsyncOperation"]
    assert "/mfeOperationResults/" in begun.headers["Location"]
    assert arm.ended(begun)["status"] == "Succeeded"
    result = arm.session.get(begun.headers["Location"], headers={"Authorization": f"Bearer {arm.token}"}, timeout=30)
    assert result.status_code in (200, 204)
    assert result.content == b""
    assert arm.get(f"/onlineEndpoints/{name}").status_code == 404
    assert arm.get(f"/onlineEndpoints/{name}/deployments/only").status_code == 404
    assert scorer.post({}, deployment="only").status_code == 404
    _, alive = psutil.wait_procs(list(instances), timeout=10)
    assert alive == []
    wait_for(lambda: len(list(service.home.deployments.iterdir())) < folders, timeout=5)


def test_patch_changes_tags_and_nothing_else(arm: Arm, deployed: Deployed, scorer: Scorer) -> None:
    """PATCH of the OpenAPI: tags and identity of an endpoint, tags and sku of a deployment; 200 with the resource."""
    for path in (f"/onlineEndpoints/{deployed.endpoint}", f"/onlineEndpoints/{deployed.endpoint}/deployments/blue"):
        before = arm.get(path).json()
        answer = arm.request("PATCH", path, json={"tags": {"patched": "yes"}})
        assert answer.status_code == 200
        after = arm.get(path).json()
        assert after["tags"] == {"patched": "yes"}
        assert after["properties"] == before["properties"]
        assert arm.request("PATCH", path, json={"tags": before["tags"]}).status_code == 200
    assert scorer.post({}).status_code == 200
    assert arm.request("PATCH", "/onlineEndpoints/absent", json={"tags": {}}).status_code == 404


def test_settings_that_are_not_used_are_kept(arm: Arm, deployed: Deployed, name: str) -> None:
    sku = {"name": "Default", "tier": "Standard", "capacity": 1}
    body = {
        "LOCATION": "eastus",
        "sku": sku,
        "properties": {"AuthMode": "key", "description": "d", "mirrorTraffic": {}},
    }
    begun = arm.put(f"/onlineEndpoints/{name}", body)
    assert begun.status_code == 201, begun.text
    got = begun.json()
    assert (got["location"], got["sku"]) == ("eastus", sku)
    assert (got["properties"]["authMode"], got["properties"]["description"]) == ("Key", "d")
    arm.ended(begun)
    arm.ended(arm.request("DELETE", f"/onlineEndpoints/{name}"))


def test_endpoints_by_name_tags_properties_and_order(arm: Arm, name: str) -> None:
    """OpenAPI, OnlineEndpoints_List: name, count, computeType, tags, properties, orderBy."""
    names = [f"{name}-{letter}" for letter in "bac"]
    for one in names:
        mine = {"batch": name} | ({"last": "yes"} if one.endswith("c") else {})
        properties = {"authMode": "Key", "properties": mine}
        arm.ended(arm.put(f"/onlineEndpoints/{one}", {"location": "eastus", "properties": properties, "tags": mine}))

    def listed(**query: str) -> str:
        answer = arm.request("GET", "/onlineEndpoints", params={"api-version": API_VERSION, **query})
        return "".join(one["name"][-1] for one in answer.json()["value"])

    assert listed(tags=f"batch={name}") == listed(properties=f"batch={name}") == "bac"
    assert listed(tags=f"batch={name},last") == listed(properties=f"batch={name},last=yes") == "c"
    assert listed(name=names[0].upper()) == "b"
    assert listed(name=name) == ""
    assert listed(tags=f"batch={name}", computeType="managed") == "bac"
    assert listed(tags=f"batch={name}", computeType="Kubernetes") == ""
    assert listed(tags=f"batch={name}", count="2") == "ba"
    assert arm.request("PATCH", f"/onlineEndpoints/{names[0]}", json={"tags": {"batch": name}}).status_code == 200
    orders = {"CreatedAtAsc": "bac", "createdatdesc": "cab", "UpdatedAtDesc": "bca", "UpdatedAtAsc": "acb"}
    for order, expected in orders.items():
        assert listed(tags=f"batch={name}", orderBy=order) == expected, order
    for one in names:
        arm.ended(arm.request("DELETE", f"/onlineEndpoints/{one}"))


def test_deployments_in_order(arm: Arm, deployed: Deployed) -> None:
    path = f"/onlineEndpoints/{deployed.endpoint}/deployments"
    ascending = [one["name"] for one in arm.get(path).json()["value"]]
    descending = [one["name"] for one in arm.get(path, orderBy="createdtime desc").json()["value"]]
    assert descending == ascending[::-1]
    assert [one["name"] for one in arm.get(path, top="1").json()["value"]] == ascending[:1]
