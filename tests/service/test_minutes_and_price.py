"""What is said before a long wait on Azure, by what the unmodified SDK has made and the prices of the workspace.

The local service has Azure's prices: azureml_local/arm/compute/vm_sizes.yml names their source.
"""

from __future__ import annotations

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import AmlCompute, CodeConfiguration, ManagedOnlineDeployment, ManagedOnlineEndpoint
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from support import SCRIPTS, SECONDS, Deployed, deploy, finish

from azureml_local import admin
from helpers import cleanup, leftovers, meter
from helpers.meter import Meter
from running_service import RunningService


@pytest.fixture
def metered() -> Meter:
    return Meter()


@pytest.fixture
def client(service: RunningService, credential: ClientSecretCredential, metered: Meter) -> MLClient:
    """A client as ``connect("azure")`` makes it."""
    settings = service.settings
    names = (settings.subscription_id, settings.resource_group, settings.workspace)
    return MLClient(credential, *names, enable_telemetry=False, raw_response_hook=metered.note)


def cluster(name: str, nodes: int, tier: str = "dedicated") -> AmlCompute:
    return AmlCompute(name=name, size="STANDARD_DS3_v2", max_instances=nodes, tier=tier)


def test_machines_are_counted_from_their_making_to_their_deletion(
    client: MLClient, metered: Meter, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    metered.start(client)
    finish(client.compute.begin_create_or_update(cluster(name, 2)))
    assert metered.usd_per_hour == pytest.approx(2 * 0.29)
    metered.announce("train", "5 to 15 minutes")
    said = capsys.readouterr()
    assert said.err == "train: 5 to 15 minutes, at most 0.14 USD, 0.00 USD so far (0.58 USD an hour)\n"
    assert said.out == "", "what is compared and stored is the same on Azure and here"
    finish(client.compute.begin_create_or_update(cluster(name, 4)))  # the same one, larger: not a second one
    assert metered.costs() == {f"computes/{name}": pytest.approx(4 * 0.29)}
    finish(client.compute.begin_delete(name))
    assert metered.usd_per_hour == 0 and metered.costs() == {}
    assert 0 < metered.usd < 0.1


def test_low_priority_costs_a_fifth(client: MLClient, metered: Meter, name: str) -> None:
    metered.start(client)
    finish(client.compute.begin_create_or_update(cluster(name, 1, "low_priority")))
    assert metered.usd_per_hour == pytest.approx(0.06)
    finish(client.compute.begin_delete(name))


def test_what_is_refused_costs_nothing(client: MLClient, metered: Meter, deployed: Deployed, name: str) -> None:
    """There is no quota for that many: https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas."""
    metered.start(client)
    finish(client.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)))
    many = ManagedOnlineDeployment(
        name="blue",
        endpoint_name=name,
        environment=deployed.environment,
        code_configuration=CodeConfiguration(code=str(SCRIPTS), scoring_script="score.py"),
        instance_type="Standard_DS5_v2",
        instance_count=50,
    )
    with pytest.raises(HttpResponseError, match="Not enough quota"):
        client.online_deployments.begin_create_or_update(many).result()
    assert metered.costs() == {}
    finish(client.online_endpoints.begin_delete(name))


def test_instances_of_deployments_are_counted_until_their_endpoint_goes(
    client: MLClient, metered: Meter, deployed: Deployed, name: str
) -> None:
    metered.start(client)
    finish(client.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)))
    deployment = deploy(client, name, "blue", environment=deployed.environment, instance_type="Standard_DS3_v2")
    assert metered.costs() == {f"onlineendpoints/{name}/deployments/blue": pytest.approx(0.29)}
    deployment.wait(SECONDS)
    finish(client.online_endpoints.begin_delete(name))
    assert metered.costs() == {}


def test_short_waits_and_those_on_this_machine_are_not_announced(
    client: MLClient, metered: Meter, capsys: pytest.CaptureFixture[str]
) -> None:
    metered.announce("deploy", "about 8 minutes")
    metered.start(client)
    metered.announce("create the cluster", "about half a minute")
    metered.announce("change the traffic", "")
    assert capsys.readouterr() == ("", "")


def test_who_may_not_read_prices_is_told_so_once(
    service: RunningService, metered: Meter, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    made = admin.call(service.home, "POST", "/identities", {"name": name, "role": None, "scope": None})
    nobody = ClientSecretCredential(made["AZURE_TENANT_ID"], made["AZURE_CLIENT_ID"], made["AZURE_CLIENT_SECRET"])
    settings = service.settings
    theirs = MLClient(nobody, settings.subscription_id, settings.resource_group, settings.workspace)
    metered.start(theirs)
    metered._running[name] = meter._Machines("standard_ds3_v2", "Standard", 1, 0.0)
    metered.announce("deploy", "about 8 minutes")
    metered.announce("deploy", "about 8 minutes")
    assert capsys.readouterr().err.count("What this costs is not known") == 1
    admin.call(service.home, "DELETE", f"/identities/{name}")


def test_leftovers_say_what_still_costs_money(
    client: MLClient,
    metered: Meter,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    metered.start(client)
    monkeypatch.setattr(cleanup, "METER", metered)
    monkeypatch.setattr(cleanup, "LONGEST_DELETION", 0.1)
    finish(client.compute.begin_create_or_update(cluster(name, 2)))
    assert leftovers(client, computes=[name]) == [f"compute {name}"]
    assert f"still there: computes/{name}, at most 0.58 USD an hour\n" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setattr(cleanup, "METER", metered)
    client.compute.begin_delete(name)  # not waited for
    assert leftovers(client, computes=[name]) == []
    said = capsys.readouterr().err
    assert "still there" not in said and "have cost at most 0.00 USD" in said


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("about 8 minutes", 8),
        ("5 to 15 minutes", 15),
        ("up to 10 minutes", 10),
        ("about half a minute", 1),
        ("a minute", 1),
        ("", 0),
    ],
)
def test_minutes_are_the_most_that_a_text_speaks_of(words: str, number: int) -> None:
    assert meter.minutes(words) == number
