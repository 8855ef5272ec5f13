"""Collected data of online deployments, read back with azure-storage-blob.

Paths, members and defaults: https://learn.microsoft.com/azure/machine-learning/how-to-collect-production-data and
https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-managed-online. What the scripts send is
the work of the official client, azureml-ai-monitoring.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import (
    AzureBlobDatastore,
    DataCollector,
    DeploymentCollection,
    ManagedOnlineEndpoint,
    RequestLogging,
)
from azure.ai.ml.entities._deployment.data_asset import DataAsset
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient
from support import Arm, Collected, Deployed, Scorer, deploy, finish, quick_session

import helpers
from running_service import RunningService, wait_for


def on(*names: str) -> dict[str, DeploymentCollection]:
    """Return enabled collections. The SDK changes what it is given, so that none can be given to it twice."""
    return {name: DeploymentCollection(enabled="true") for name in names}


@pytest.fixture(scope="module")
def endpoint(ml: MLClient, deployed: Deployed) -> Iterator[ManagedOnlineEndpoint]:
    name = "collect" + deployed.endpoint[3:]
    yield finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)))
    finish(ml.online_endpoints.begin_delete(name))


@pytest.fixture(scope="module")
def scorer(ml: MLClient, endpoint: ManagedOnlineEndpoint) -> Iterator[Scorer]:
    with quick_session() as session:
        yield Scorer(session, endpoint.scoring_uri, ml.online_endpoints.get_keys(endpoint.name).primary_key)


def collect(ml: MLClient, endpoint: str, deployment: str, deployed: Deployed, **options: Any) -> None:
    """Deploy with a data collector."""
    script = options.pop("script", "score.py")
    collector = DataCollector(**options)
    environment = deployed.environment
    finish(deploy(ml, endpoint, deployment, environment=environment, script=script, data_collector=collector))


@pytest.fixture(scope="module")
def tables(ml: MLClient, endpoint: ManagedOnlineEndpoint, deployed: Deployed, blobstore: ContainerClient) -> Collected:
    """The data of a deployment whose script collects."""
    collections = on("model_inputs", "model_outputs")
    collect(ml, endpoint.name, "tables", deployed, script="collects.py", collections=collections)
    return Collected(blobstore, f"modelDataCollector/{endpoint.name}/tables")


@pytest.fixture(scope="module")
def payloads(
    ml: MLClient, endpoint: ManagedOnlineEndpoint, deployed: Deployed, blobstore: ContainerClient
) -> Collected:
    """The data of a deployment whose requests and answers are collected."""
    collect(
        ml,
        endpoint.name,
        "payloads",
        deployed,
        collections={**on("request", "response"), "off": DeploymentCollection(enabled="false")},
        rolling_rate="day",
        request_logging=RequestLogging(capture_headers=["X-Shop-Id"]),
    )
    return Collected(blobstore, f"modelDataCollector/{endpoint.name}/payloads")


# --- what scripts hand over ---


def test_a_table_is_a_line_of_json(tables: Collected, scorer: Scorer, service: RunningService) -> None:
    before = datetime.datetime.now(datetime.UTC)
    answer = scorer.post({"id": "order-1", "table": {"a": [1, 2], "b": [3.5, None]}}, deployment="tables")
    assert answer.status_code == 200
    event = next(event for event in tables.wait("model_inputs") if event["correlationid"] == "order-1")
    deployment = f"/onlineEndpoints/{tables.folder.split('/')[1]}/deployments/tables"
    assert event["source"].startswith(f"/subscriptions/{service.settings.subscription_id}/resourceGroups/")
    assert event["source"].endswith(deployment)
    data = '[{"a":1,"b":3.5},{"a":2,"b":null}]'
    assert event["data"] == json.loads(data)
    written = datetime.datetime.strptime(event["time"], "%Y-%m-%dT%H:%M:%S%z")
    assert abs(written - before) < datetime.timedelta(minutes=5)
    known = {
        "specversion": "1.0",
        "type": "azureml.inference.model_inputs",
        "datacontenttype": "application/json",
        "correlationid": "order-1",
        "xrequestid": "order-1",
        "modelversion": "default",
        "collectdatatype": f"{pd.DataFrame.__module__}.DataFrame",
        "agent": "azureml-ai-monitoring/1.0.0",
        "contentrange": f"bytes 0-{len(data) - 1}/{len(data)}",
        "shopid": "7",  # what the script's context adds
    }
    assert {name: value for name, value in event.items() if name not in ("id", "source", "time", "data")} == known


def test_inputs_and_outputs_have_the_same_correlation_id(tables: Collected, scorer: Scorer) -> None:
    scorer.post({"id": "order-2", "table": {"a": [1], "b": [2]}}, deployment="tables")
    outputs = wait_for(
        lambda: [event for event in tables.events("model_outputs") if event["correlationid"] == "order-2"]
    )
    assert [event["data"] for event in outputs] == [[{"sum": 3}]]


def test_lines_are_appended_in_order_to_a_file_of_the_hour(tables: Collected, scorer: Scorer) -> None:
    ids = [f"in-order-{number}" for number in range(20)]
    for one in ids:
        scorer.post({"id": one, "table": {"a": [1]}}, deployment="tables")
    wait_for(lambda: any(event["correlationid"] == ids[-1] for event in tables.events("model_inputs")))
    found = [event["correlationid"] for event in tables.events("model_inputs")]
    assert [one for one in found if one.startswith("in-order")] == ids
    hours = {
        name.removeprefix(f"{tables.folder}/model_inputs/").rpartition("/")[0] for name in tables.names("model_inputs")
    }
    now = datetime.datetime.now(datetime.UTC)
    assert hours <= {(now - datetime.timedelta(hours=ago)).strftime("%Y/%m/%d/%H") for ago in (0, 1)}


def test_the_sdk_reads_azures_defaults_and_registers_the_data(
    tables: Collected, ml: MLClient, endpoint: ManagedOnlineEndpoint
) -> None:
    collector = ml.online_deployments.get("tables", endpoint.name).data_collector
    assert (collector.rolling_rate, collector.sampling_rate, collector.request_logging) == ("Hour", 1.0, None)
    assert {name: one.enabled for name, one in collector.collections.items()} == {
        "model_inputs": "true",
        "model_outputs": "true",
    }
    data = ml.data.get(f"{endpoint.name}-tables-model_inputs", version="1")
    assert data.path.endswith(f"/datastores/workspaceblobstore/paths/{tables.folder}/model_inputs")
    assert collector.collections["model_inputs"].data.endswith(f"/data/{data.name}/versions/1")


@pytest.fixture(scope="module")
def address(tables: Collected, scorer: Scorer) -> str:
    """Where the script's client sends events: a name, a secret, host and port."""
    asked = {"table": {"a": [1]}, "variables": ["AZUREML_MDC_HOST", "AZUREML_MDC_PORT"]}
    return ":".join(scorer.post(asked, deployment="tables").json())


def post(address: str, **changed: str) -> requests.Response:
    """Send an event as azureml-ai-monitoring does, but for the changed headers."""
    headers = {"ce-type": "azureml.inference.model_inputs", "ce-time": "1764108000", "Content-Type": "application/json"}
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    return requests.post(f"http://{address}/modeldata/log", data="[]", headers=headers, timeout=60)


def test_receiver_takes_events_only_with_the_deployments_secret(address: str) -> None:
    """Other users of the machine reach the port, too: none of them may write into a deployment's data."""
    credentials, _, host = address.partition("@")
    name, _, secret = credentials.partition(":")
    assert post(address).status_code == 202
    for wrong in ("", f"{name}:", f":{secret}", f"{name}:{secret[:-1]}", f"{name[:-1]}:{secret}", f"{secret}:{name}"):
        assert post(f"{wrong}@{host}" if wrong else host).status_code == 401, wrong
    for header in ("Basic", "Basic !", f"Bearer {secret}"):
        assert post(host, Authorization=header).status_code == 401
    assert post(address, Host="attacker.example").status_code == 421  # a web page, through its own name's address


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("ce_type", "azureml.inference.secret_copy", 404),
        ("ce_type", "model_inputs", 400),
        ("ce_time", "yesterday", 400),
        ("ce_time", "1e300", 400),
    ],
)
def test_receiver_says_what_is_wrong_with_an_event(header: str, value: str, status: int, address: str) -> None:
    answer = post(address, **{header: value})
    assert answer.status_code == status
    assert value in answer.text or value.rpartition(".")[2] in answer.text


def test_helper_returns_rows_as_the_script_has_collected_them(
    tables: Collected, ml: MLClient, endpoint: ManagedOnlineEndpoint, scorer: Scorer
) -> None:
    """Also those of a table of more than 4 MB, which lie in a blob of their own."""
    scorer.post({"id": "small", "table": {"a": [1, 2]}}, deployment="tables")
    text = "x" * 600_000
    scorer.post({"id": "large", "table": {"a": list(range(8)), "b": [text] * 8}}, deployment="tables")

    def rows(one: str) -> pd.DataFrame:
        found = helpers.collected(ml, endpoint.name, "tables", "model_inputs")
        return found[found["correlationid"] == one]

    wait_for(lambda: len(rows("large")) == 8)
    assert rows("large")["a"].tolist() == list(range(8))
    assert set(rows("large")["b"]) == {text}
    assert rows("small")["a"].tolist() == [1, 2]
    index = helpers.collected(ml, endpoint.name, "tables", "model_inputs").index
    assert index.is_monotonic_increasing
    assert (index.name, str(index.tz)) == ("time", "UTC")


def test_helper_returns_no_rows_before_there_are_any(
    ml: MLClient, endpoint: ManagedOnlineEndpoint, payloads: Collected
) -> None:
    assert helpers.collected(ml, endpoint.name, "payloads", "off").empty


def test_helper_deletes_one_collection(
    tables: Collected, ml: MLClient, endpoint: ManagedOnlineEndpoint, scorer: Scorer
) -> None:
    scorer.post({"id": "to go", "table": {"a": [1]}}, deployment="tables")
    wait_for(lambda: "to go" in [event["correlationid"] for event in tables.events("model_outputs")])
    helpers.delete_collected(ml, endpoint.name, "tables", "model_outputs")
    assert tables.names("model_outputs") == []
    assert tables.names("model_inputs") != []


# --- what the router sees ---


def ask(
    scorer: Scorer, body: bytes | str, content_type: str | None, deployment: str = "payloads", **headers: str
) -> str:
    """Send a body and return the request's id."""
    headers |= {"Content-Type": content_type} if content_type else {}
    answer = scorer.post(deployment=deployment, data=body, headers=headers)
    return answer.headers["x-request-id"]


def find(collected: Collected, collection: str, request_id: str) -> dict[str, Any]:
    """Return the event of a request, once it is there."""

    def found() -> dict[str, Any] | None:
        return next((one for one in collected.events(collection) if one["xrequestid"] == request_id), None)

    event = wait_for(found, f"the {collection} {request_id}")
    assert event is not None
    return event


def test_request_and_response_are_collected_under_the_request_id(payloads: Collected, scorer: Scorer) -> None:
    request_id = ask(scorer, '{"asked":\n  1}', "application/json", **{"X-Shop-Id": "9"})
    request, response = find(payloads, "request", request_id), find(payloads, "response", request_id)
    assert request.keys() - {"id", "source", "time"} == {
        "specversion", "type", "datacontenttype", "data", "path", "method", "contentrange", "correlationid",
        "xrequestid", "xshopid",
    }  # fmt: skip
    assert (request["type"], request["data"]) == ("azureml.inference.request", {"asked": 1})
    assert (request["path"], request["method"]) == ("/score", "POST")
    assert (request["contentrange"], request["xshopid"]) == ("bytes 0-13/14", "9")
    assert request["correlationid"] == response["correlationid"] == request_id
    assert response["type"] == "azureml.inference.response"
    assert response["data"] == {"deployment": "payloads", "asked": {"asked": 1}}
    assert scorer.key not in json.dumps([request, response])
    assert all(name.split("/")[4:7] == request["time"][:10].split("-") for name in payloads.names("request"))


def test_answer_of_a_failing_model_is_collected(payloads: Collected, scorer: Scorer) -> None:
    request_id = ask(scorer, '{"status": 418}', "application/json")
    assert find(payloads, "request", request_id)["data"] == {"status": 418}
    assert find(payloads, "response", request_id)["data"] == {"said": "this"}


def test_what_the_model_was_not_asked_is_not_collected(payloads: Collected, scorer: Scorer) -> None:
    wrong = scorer.post({}, headers={"Authorization": "Bearer nothing"}, deployment="payloads")
    swagger = scorer.session.get(
        scorer.uri.replace("/score", "/swagger.json"),
        headers={"Authorization": f"Bearer {scorer.key}", "azureml-model-deployment": "payloads"},
        timeout=60,
    )
    find(payloads, "response", ask(scorer, "{}", "application/json"))
    ids = {event["xrequestid"] for event in payloads.events("request")}
    assert ids.isdisjoint((wrong.headers["x-request-id"], swagger.headers["x-request-id"]))


def blob_of(url: str, blobstore: ContainerClient) -> bytes:
    path = urlsplit(url).path.lstrip("/").removeprefix(f"{blobstore.container_name}/")
    assert urlsplit(url).hostname == urlsplit(blobstore.url).hostname
    return blobstore.download_blob(path).readall()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"\xff\x00", "application/octet-stream"), (b"{}", "text/plain"), (b"{broken", None), (b'{"a": NaN}', None)],
)
def test_what_is_no_json_is_a_blob_of_its_own(
    body: bytes, content_type: str | None, payloads: Collected, scorer: Scorer, blobstore: ContainerClient
) -> None:
    event = find(payloads, "request", ask(scorer, body, content_type))
    assert event["datainblob"] == "true"
    assert event["data"].endswith(f"/{event['id']}")
    assert blob_of(event["data"], blobstore) == body


def test_large_data_is_a_blob_of_its_own(payloads: Collected, scorer: Scorer, blobstore: ContainerClient) -> None:
    """More than 4 MB. Microsoft's reader of collected data (in azureml-assets) follows ``dataref``."""
    body = json.dumps({"count": True, "padding": "x" * 5_000_000}).encode()
    request_id = ask(scorer, body, "application/json")
    event = find(payloads, "request", request_id)
    assert "data" not in event
    assert blob_of(event["dataref"], blobstore) == body
    assert find(payloads, "response", request_id)["data"] == len(body)


def test_collection_that_is_off_has_nothing(payloads: Collected, scorer: Scorer, ml: MLClient) -> None:
    find(payloads, "request", ask(scorer, "{}", "application/json"))
    assert payloads.names("off") == []
    endpoint = payloads.folder.split("/")[1]
    collections = ml.online_deployments.get("payloads", endpoint).data_collector.collections
    assert {name: one.enabled for name, one in collections.items()} == {
        "request": "true", "response": "true", "off": "false",
    }  # fmt: skip


def test_sampling_takes_a_request_and_its_response_together(
    ml: MLClient, endpoint: ManagedOnlineEndpoint, deployed: Deployed, scorer: Scorer, blobstore: ContainerClient
) -> None:
    collect(ml, endpoint.name, "half", deployed, collections=on("request", "response"), sampling_rate=0.5)
    ids = [ask(scorer, "{}", "application/json", "half") for _ in range(100)]
    half_collected = Collected(blobstore, f"modelDataCollector/{endpoint.name}/half")
    finish(ml.online_deployments.begin_delete("half", endpoint.name))  # what was collected is written before it ends
    requests_, responses = (
        [event["xrequestid"] for event in half_collected.events(name)] for name in ("request", "response")
    )
    assert requests_ == responses == [one for one in ids if one in requests_]
    assert 20 < len(requests_) < 80  # with a chance of 1 - 1e-9


def test_data_goes_to_a_container_of_ones_own(
    ml: MLClient, endpoint: ManagedOnlineEndpoint, deployed: Deployed, scorer: Scorer, name: str, credential: Any
) -> None:
    store = ml.datastores.get("workspaceblobstore")
    url = f"https://{store.account_name}.blob.core.windows.net"
    with ContainerClient(url, name, credential=credential) as own:
        own.create_container()
        ml.datastores.create_or_update(
            AzureBlobDatastore(name=name, account_name=store.account_name, container_name=name)
        )
        asset = DataAsset(name=name, path=f"azureml://datastores/{name}/paths/watched", version="3")
        collections = {"request": DeploymentCollection(enabled="true", data=asset)}
        collect(ml, endpoint.name, "own", deployed, collections=collections, rolling_rate="minute")
        ask(scorer, "{}", "application/json", "own")
        collected = Collected(own, "watched")
        wait_for(lambda: list(own.list_blob_names(name_starts_with="watched/2")))
        assert {len(one.split("/")) for one in own.list_blob_names()} == {7}  # the folder, five of time, the file
        assert ml.data.get(name, version="3").path.endswith(f"/datastores/{name}/paths/watched")
        assert collected.names("request") == []
    finish(ml.online_deployments.begin_delete("own", endpoint.name))


# --- what is refused ---


@pytest.mark.parametrize(
    ("collector", "named"),
    [
        ({"collections": {"request": {"samplingRate": 1.5}}}, "samplingRate is 1.5"),
        ({"collections": {"request": {"samplingRate": -0.1}}}, "samplingRate is -0.1"),
        ({"collections": {"../up": {}}}, "../up"),
        ({"collections": {"request": {"dataId": "azureml:none:1"}}}, "dataId"),
        ({"collections": {}, "requestLogging": {"captureHeaders": ["Authorization"]}}, "Authorization"),
        ({"collections": {}, "rollingRate": "Second"}, "rollingRate"),
        ({"collections": {"request": {"dataCollectionMode": "Sometimes"}}}, "dataCollectionMode"),
        ({}, "collections"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused_by_name(
    collector: dict[str, Any], named: str, arm: Arm, deployed: Deployed, endpoint: ManagedOnlineEndpoint
) -> None:
    body = arm.get(f"/onlineEndpoints/{deployed.endpoint}/deployments/blue").json()
    body["properties"]["dataCollector"] = collector
    answer = arm.put(f"/onlineEndpoints/{endpoint.name}/deployments/wrong", body)
    assert answer.status_code == 400
    assert named in answer.text
    assert arm.get(f"/onlineEndpoints/{endpoint.name}/deployments/wrong").status_code == 404


def test_script_that_collects_what_is_not_enabled_fails_as_on_azure(
    ml: MLClient, endpoint: ManagedOnlineEndpoint, deployed: Deployed
) -> None:
    """The client raises by default: "custom logging is not enabled, drop the data"."""
    with pytest.raises(HttpResponseError, match="ResourceNotReady"):
        collect(ml, endpoint.name, "not-enabled", deployed, script="collects.py", collections=on("request"))
    log = ml.online_deployments.get_logs("not-enabled", endpoint.name, lines=200)
    assert "custom logging is not enabled, drop the data" in log
    finish(ml.online_deployments.begin_delete("not-enabled", endpoint.name))
