"""Right and wrong designs for the capstone, as the facts that its acceptance would find of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from helpers.acceptance.facts import Clock, Cluster, Deployed, Grant, Handover, Night, Online, Record, Run

GROUP = "/subscriptions/s/resourceGroups/g"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/w"
ENDPOINT = f"{WORKSPACE}/onlineEndpoints/opinion"
SINK = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs"
NEW_YORK = "Eastern Standard Time"
SCIENTIST = "AzureML Data Scientist"


def _deployed(size: str = "Standard_DS2_v2", instances: int = 2, traffic: int = 100, name: str = "blue") -> Deployed:
    return Deployed(name, size, instances, traffic, "Succeeded")


def _online(*deployed: Deployed, **changed: Any) -> Online:
    """An endpoint that is right before and after the clinics have their role."""
    found = Online(
        name="opinion",
        id=ENDPOINT,
        mode="aad_token",
        deployments=deployed or (_deployed(),),
        samples=3,
        opened=200,
        opinions=3,
        seconds=0.03,
        nothing=401,
        clinics=200,
        auditor=401,
        grants=(Grant(SCIENTIST, ENDPOINT),),
    )
    return replace(found, **changed)


def _record(**changed: Any) -> Record:
    found = Record((SINK,), (SINK,), 0, ("clinics-id",), "clinics-id", (Grant("Log Analytics Reader", SINK),))
    return replace(found, **changed)


def _run(**changed: Any) -> Run:
    return replace(Run("Completed", 2200, ("step",), ("conference",)), **changed)


def _clock(*hours: int, zone: str = NEW_YORK, is_daily: bool = True, is_enabled: bool = True) -> Clock:
    return Clock(is_enabled, is_daily, hours or (2,), zone)


def _cluster(**changed: Any) -> Cluster:
    return replace(Cluster("conference", "STANDARD_DS2_V2", 0, "dedicated", 120), **changed)


def _night(**changed: Any) -> Night:
    found = Night("by-night", "version-1", _run(), _clock(), _run(steps=("last",)), (_cluster(),), 2200)
    return replace(found, **changed)


def _handover(**changed: Any) -> Handover:
    found = Handover(_online(), _record(), _night(), {"step": ("succeeded",), "last": ("succeeded",)})
    return replace(found, **changed)


TWO_COLOURS = (_deployed(traffic=50, size="Standard_DS1_v2"), _deployed("Standard_F2s_v2", 2, 50, "green"))
RIGHT: dict[str, list[object]] = {
    "put_it_together/answers": [
        _online(),
        _online(_deployed("Standard_F2s_v2", 3)),
        _online(_deployed("standard_ds1_v2", 4)),
        _online(*TWO_COLOURS),
        _online(clinics=401, grants=()),
    ],
    "put_it_together/callers": [
        _online(),
        _online(grants=(Grant("may ask", ENDPOINT.lower()),)),
        _online(grants=(Grant(SCIENTIST, f"{ENDPOINT}/deployments/blue"),)),
        _online(opened=401),
    ],
    "put_it_together/record": [
        _record(),
        _record(grants=(Grant("Reader", SINK.upper()),)),
        _record(grants=(Grant("Monitoring Reader", f"{SINK}/tables/AmlComputeJobEvent"),)),
        _record(jobs=(f"{GROUP}/others", SINK.lower())),
        _record(traffic=(f"{GROUP}/others", SINK)),
    ],
    "put_it_together/night": [
        _night(),
        _night(clock=_clock(23)),
        _night(clock=_clock(7, zone="UTC")),
        _night(clusters=(Cluster("Serverless", "Standard_DS3_v2"),)),
        _night(clusters=(_cluster(), _cluster(name="other", size="Standard_D4s_v3", idle_seconds=1800))),
    ],
    "put_it_together/handover": [
        _handover(),
        _handover(online=_online(*TWO_COLOURS), night=_night(clock=_clock(5, zone="utc"))),
        _handover(ended={"last": ("succeeded",)}),
        _handover(ended={"last": ("succeeded",), "broken": ("failed",)}),
    ],
}

WRONG: dict[str, list[tuple[object, str]]] = {
    "put_it_together/answers": [
        (Online("opinion"), "no online endpoint of the name opinion"),
        (Online("opinion", is_batch=True), "the patient would wait for minutes"),
        (_online(mode="key"), "could not say who has asked"),
        (_online(mode="aml_token"), "no log says who that was"),
        (_online(deployments=(), opened=404), "no deployment takes traffic"),
        (_online(_deployed(traffic=0), opened=404), "no deployment takes traffic"),
        (_online(replace(_deployed(), state="Failed"), opened=503), "blue is not well"),
        (_online(opened=424, opinions=0), "the scoring script failed"),
        (_online(opened=403, opinions=0), "closed to the internet"),
        (_online(opened=500, opinions=0), "was answered 500"),
        (_online(opinions=1), "1 opinions came back"),
        (_online(seconds=2.5), "2 s are allowed"),
        (_online(_deployed(instances=1)), "blue has one instance"),
        (_online(_deployed(traffic=90), _deployed(instances=1, traffic=10, name="green")), "green has one instance"),
        (_online(_deployed(instances=3)), "315 USD a month"),
        (_online(_deployed("Standard_DS3_v2")), "more than the whole budget"),
        (_online(_deployed(), _deployed(traffic=0, name="green")), "green takes no traffic, and costs"),
        (_online(_deployed("Standard_NC6s_v2")), "no size with a price"),
        (_online(nothing=200), "show nothing at all"),
        ("opinion", "of type str"),
        (_record(), "of type Record"),
        ([], "of type list"),
    ],
    "put_it_together/callers": [
        (Online("opinion"), "no online endpoint"),
        (_online(mode="key", clinics=401), "its `auth_mode` is key"),
        (_online(clinics=401, grants=()), "has no role yet"),
        (_online(clinics=401, grants=(Grant("Reader", ENDPOINT),)), "has the role Reader"),
        (_online(clinics=404), "no deployment takes traffic"),
        (_online(auditor=200), "the auditor is answered, too"),
        (_online(grants=(Grant("Contributor", ENDPOINT),)), "as Contributor the program could do"),
        (_online(grants=(Grant("owner", ENDPOINT),)), "as owner"),
        (_online(grants=(Grant(SCIENTIST, WORKSPACE),)), "holds in a whole workspace"),
        (_online(grants=(Grant(SCIENTIST, GROUP),)), "holds in the resource group"),
        (_online(grants=(Grant(SCIENTIST, "/subscriptions/s"),)), "holds in the subscription"),
        (_online(grants=(Grant(SCIENTIST, f"{ENDPOINT}-2"),)), "holds in onlineEndpoints/opinion-2"),
        (_online(grants=(Grant(SCIENTIST, ENDPOINT), Grant("Reader", WORKSPACE))), "its role Reader holds"),
        (200, "of type int"),
    ],
    "put_it_together/record": [
        (Record(), "no diagnostic setting of the endpoint"),
        (_record(traffic=()), "no diagnostic setting of the endpoint"),
        (_record(jobs=()), "Jobs are the workspace's"),
        (_record(jobs=(f"{GROUP}/others",)), "go to different logs"),
        (_record(refused=403, callers=(), grants=()), "she has no role yet"),
        (_record(refused=403, callers=(), grants=(Grant("Reader", ENDPOINT),)), "she has the role Reader"),
        (_record(refused=404, callers=()), "was answered 404"),
        (_record(callers=()), "does not find the call"),
        (_record(callers=("None",)), "and not who made it"),
        (_record(grants=(Grant("Log Analytics Contributor", SINK),)), "do more than read"),
        (_record(grants=(Grant("Owner", SINK),)), "do more than read"),
        (_record(grants=(Grant("Reader", GROUP),)), "holds in the resource group"),
        (_record(grants=(Grant("Log Analytics Reader", SINK), Grant("Reader", WORKSPACE))), "a whole workspace"),
        (_online(), "of type Online"),
        ("", "of type str"),
    ],
    "put_it_together/night": [
        (Night(), "there is no batch endpoint"),
        (Night(is_online=True), "it would stand there all day"),
        (_night(default=""), "no default deployment"),
        (_night(by_hand=None), "Invoke the endpoint once"),
        (_night(by_hand=_run(status="Failed", listed=0)), "the default deployment is Failed"),
        (_night(by_hand=_run(listed=200)), "lists 200 of 2200 cases"),
        (_night(clock=None), "somebody would have to be awake"),
        (_night(clock=_clock(is_enabled=False)), "disabled"),
        (_night(clock=_clock(is_daily=False)), "not due each night"),
        (_night(clock=_clock(2, 14)), "due 2 times a day"),
        (_night(clock=Clock(True, True, (), NEW_YORK)), "due 0 times a day"),
        (_night(clock=_clock(2, zone="UTC")), "not between 22 and 4"),
        (_night(clock=_clock(8, zone="UTC")), "not between 22 and 4"),
        (_night(clock=_clock(6)), "not between 22 and 4"),
        (_night(clock=_clock(zone="Tokyo Standard Time")), "its time zone is Tokyo"),
        (_night(by_clock=None), "makes it send one now"),
        (_night(by_clock=_run(status="Running")), "the schedule is Running"),
        (_night(by_clock=_run(listed=0)), "lists 0 of 2200"),
        (_night(clusters=(_cluster(least=1),)), "keeps 1 node all day, for 105 USD"),
        (_night(clusters=(_cluster(tier="low_priority"),)), "of low priority"),
        (_night(clusters=(_cluster(idle_seconds=7200),)), "idles for 120 minutes"),
        (_night(clusters=(Cluster("my-machine"),)), "a machine that is there all day"),
        (_night(clusters=(_cluster(), Cluster("my-machine"))), "a machine that is there all day"),
        (_night(clusters=(_cluster(size="Standard_ND96isr_H100_v5"),)), "more than the whole budget"),
        (True, "of type bool"),
    ],
    "put_it_together/handover": [
        (_handover(online=Online("opinion")), "answers: there is no online endpoint"),
        (_handover(online=_online(_deployed(instances=1))), "answers: blue has one instance"),
        (_handover(online=_online(clinics=401, grants=())), "callers: the clinics' call was answered 401"),
        (_handover(record=Record()), "record: no diagnostic setting"),
        (_handover(night=_night(clock=None)), "night: there is no schedule"),
        (_handover(ended=None), "no columns JobId and ExecutionState"),
        (_handover(ended={}), "What ran before the diagnostic setting"),
        (_handover(ended={"step": ("succeeded",)}), "What ran before the diagnostic setting"),
        (_handover(ended={"last": ("queued", "running", "succeeded")}), "3 rows for one job"),
        (_handover(ended={"last": ("queued",)}), "says 'queued'"),
        (
            _handover(
                night=_night(clusters=(_cluster(size="Standard_D32s_v3", idle_seconds=1800),)),
            ),
            "and the budget is 250",
        ),
        (_night(), "of type Night"),
        ({}, "of type dict"),
    ],
}
