"""What the acceptance has found: plain facts, which a check judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from helpers.prices import usd_a_month

BUDGET = 250.0  # USD a month
# What a run of the night takes, as far as it is paid for: a node starts (assumed), and works off all cases.
STARTING_MINUTES, WORKING_MINUTES = 5, 20
LOW_PRIORITY = "low_priority"
LOW_PRIORITY_SHARE = 0.2  # of the price, as in Evaluate compute options
# 3,000 calls a day, 1,200 bytes each, 2.30 USD a gigabyte, as in Monitor batch jobs.
LOG_USD = 30 * 3000 * 1200 / 1e9 * 2.30


@dataclass(frozen=True)
class Grant:
    """A role that somebody has, and the resource id in which it holds, with all that lies below."""

    role: str
    scope: str

    def is_within(self, resource: str) -> bool:
        """Say whether it holds in that resource, and in nothing beside or above it."""
        scope, resource = self.scope.lower(), resource.lower()
        return scope == resource or scope.startswith(f"{resource}/")


@dataclass(frozen=True)
class Deployed:
    """A deployment of an online endpoint; ``traffic`` is in percent."""

    name: str
    size: str
    instances: int
    traffic: int
    state: str

    @property
    def usd(self) -> float:
        """What it costs a month, whether it is asked or not."""
        return usd_a_month(self.size, machines=self.instances)


@dataclass(frozen=True)
class Online:
    """An online endpoint, and how it answered; ``mode`` is empty where there is none of that name.

    Args:
        name: the endpoint's.
        id: its resource id.
        mode: its ``auth_mode``.
        deployments: what answers there.
        samples: how many samples a call sent.
        opened: the status of your own call, with what opens an endpoint of its mode.
        opinions: how many opinions it brought.
        seconds: the median of your calls.
        nothing: the status of a call that showed no credential.
        clinics: the status of the clinics' call, with their own token.
        auditor: that of the auditor's.
        grants: what the clinics may do.
        is_batch: whether the name is that of a batch endpoint.
    """

    name: str
    id: str = ""
    mode: str = ""
    deployments: tuple[Deployed, ...] = ()
    samples: int = 0
    opened: int = 0
    opinions: int = 0
    seconds: float = 0.0
    nothing: int = 0
    clinics: int = 0
    auditor: int = 0
    grants: tuple[Grant, ...] = ()
    is_batch: bool = False

    @property
    def serving(self) -> tuple[Deployed, ...]:
        """The deployments that take traffic."""
        return tuple(one for one in self.deployments if one.traffic)

    @property
    def usd(self) -> float:
        """What it costs a month."""
        return sum(one.usd for one in self.deployments)


@dataclass(frozen=True)
class Record:
    """What is recorded, and what the auditor finds.

    Args:
        traffic: the ids of the Log Analytics workspaces to which the online endpoint sends who asked.
        jobs: those to which the workspace sends the states of jobs.
        refused: the status with which the auditor's query was refused; 0 if it was answered.
        callers: whom the auditor's query named for a call of the clinics just made: object ids.
        clinics: the object id that has made it.
        grants: what the auditor may do.
    """

    traffic: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    refused: int = 0
    callers: tuple[str, ...] = ()
    clinics: str = ""
    grants: tuple[Grant, ...] = ()

    @property
    def sink(self) -> str:
        """The log that gets both; empty where there is none. The workspace may send to logs of others, too."""
        jobs = {one.lower() for one in self.jobs}
        return next((one for one in self.traffic if one.lower() in jobs), "")


@dataclass(frozen=True)
class Cluster:
    """A compute cluster, or serverless compute; ``size`` is empty where what ran the job is neither."""

    name: str
    size: str = ""
    least: int = 0
    tier: str = "dedicated"
    idle_seconds: int = 0

    @property
    def usd(self) -> float:
        """What it costs a month if it works once a night."""
        a_run = (STARTING_MINUTES + WORKING_MINUTES + self.idle_seconds / 60) / 60
        share = LOW_PRIORITY_SHARE if self.tier == LOW_PRIORITY else 1.0
        return share * usd_a_month(self.size, 24 if self.least else min(24.0, a_run), max(1, self.least))


@dataclass(frozen=True)
class Run:
    """A job that has ended: its last status, how many cases it has listed, its steps, and what they ran on."""

    status: str
    listed: int
    steps: tuple[str, ...] = ()
    computes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clock:
    """When a schedule is due: at which hours of which time zone, and whether on each day."""

    is_enabled: bool
    is_daily: bool
    hours: tuple[int, ...]
    zone: str


@dataclass(frozen=True)
class Night:
    """A batch endpoint and a schedule, and what they have done.

    Args:
        endpoint: the batch endpoint's name; empty where there is none of the name that was given.
        default: its default deployment.
        by_hand: the latest job of that deployment.
        clock: when the schedule is due; None where there is none of the name that was given.
        by_clock: the latest job that the schedule has sent.
        clusters: what these jobs ran on.
        cases: how many cases there are.
        is_online: whether the endpoint's name is that of an online endpoint.
    """

    endpoint: str = ""
    default: str = ""
    by_hand: Run | None = None
    clock: Clock | None = None
    by_clock: Run | None = None
    clusters: tuple[Cluster, ...] = ()
    cases: int = 0
    is_online: bool = False

    @property
    def usd(self) -> float:
        """What it costs a month, as far as clusters are known."""
        return sum(one.usd for one in self.clusters if one.size)


@dataclass(frozen=True)
class Handover:
    """All of it, and what the auditor's own question found.

    Args:
        online: the answers at once, and who gets them.
        record: the log.
        night: the night's work.
        ended: the states that the question gave each job, by the job's id; None where it has no such columns.
    """

    online: Online
    record: Record
    night: Night
    ended: Mapping[str, tuple[str, ...]] | None = field(default_factory=dict)

    @property
    def costs(self) -> dict[str, float]:
        """What each part costs a month, in USD."""
        return {"answers at once": self.online.usd, "the night": self.night.usd, "the log": LOG_USD}

    @property
    def usd(self) -> float:
        """What all of it costs a month."""
        return sum(self.costs.values())
