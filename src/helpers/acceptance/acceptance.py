"""What a lesson's cell has in hand: one method for each part of the need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from helpers.acceptance import answers, logs, nights, people
from helpers.acceptance.facts import Handover, Night, Online, Record, Run
from helpers.scoring import score

if TYPE_CHECKING:
    import pandas as pd
    from azure.ai.ml import MLClient
    from azure.core.credentials import TokenCredential


class Acceptance:
    """Collects what there is to say about a design, whichever way it was built.

    Args:
        ml_client: the connected workspace, as its owner.
        clinics: the credential of the clinics' program.
        auditor: the credential of the auditor.
        samples: what the clinics send: a sample a row, a measurement a column.
        cases: how many cases are open.
        patience: for how many seconds a row of the log is waited for.
    """

    def __init__(
        self,
        ml_client: MLClient,
        *,
        clinics: TokenCredential,
        auditor: TokenCredential,
        samples: pd.DataFrame,
        cases: int,
        patience: float,
    ) -> None:
        from azure.identity import DefaultAzureCredential
        from azure.mgmt.authorization import AuthorizationManagementClient

        self._ml_client = ml_client
        self._owner = DefaultAzureCredential()
        self._roles = AuthorizationManagementClient(self._owner, ml_client.subscription_id)
        self._clinics, self._auditor = clinics, auditor
        self._payload = {"samples": samples.to_dict(orient="records")}
        self._cases = cases
        self._patience = patience

    def online(self, endpoint: str) -> Online:
        """Look at an online endpoint, and call it: as its owner, as nobody, as the clinics, and as the auditor."""
        found = self._endpoint(endpoint)
        if found is None:
            return Online(endpoint, is_batch=self._batch_endpoint(endpoint) is not None)
        opener = answers.opener(self._ml_client, found, self._owner)
        answer, seconds = answers.timed(found.scoring_uri, opener, self._payload)
        return Online(
            name=endpoint,
            id=str(found.id),
            mode=str(found.auth_mode),
            deployments=tuple(answers.deployed(self._ml_client, found)),
            samples=len(self._payload["samples"]),
            opened=answer.status_code,
            opinions=answers.opinions(answer),
            seconds=seconds,
            nothing=self._call(found, None).status_code,
            clinics=self._call(found, self._clinics).status_code,
            auditor=self._call(found, self._auditor).status_code,
            grants=self._grants(self._clinics),
        )

    def record(self, endpoint: str) -> Record:
        """Look at what is logged of an endpoint, call it as the clinics, and ask the log about it as the auditor."""
        from azure.core.exceptions import HttpResponseError

        found = self._endpoint(endpoint)
        if found is None:
            return Record()
        traffic = logs.sinks(self._owner, found.id, logs.TRAFFIC)
        refused, callers = 0, tuple[str, ...]()
        if traffic:
            try:
                callers = self._callers(found, self._reader(traffic[0]))
            except HttpResponseError as error:
                refused = int(error.status_code or 0)
        return Record(
            traffic=traffic,
            jobs=logs.sinks(self._owner, self._workspace_id, logs.JOBS),
            refused=refused,
            callers=callers,
            clinics=people.object_id(self._clinics),
            grants=self._grants(self._auditor),
        )

    def night(self, endpoint: str, schedule: str) -> Night:
        """Look at a batch endpoint and a schedule, and at the last job of each."""
        found, due = self._batch_endpoint(endpoint), _found(self._ml_client.schedules.get, schedule)
        by_hand = by_clock = None
        default = str((found.defaults and found.defaults.deployment_name) or "") if found else ""
        if default:
            made = self._ml_client.batch_deployments.list_jobs(endpoint_name=endpoint, name=default)
            by_hand = self._last_run(job.name for job in made)
        if due:
            sent = [job for job in self._ml_client.jobs.list() if str(job.display_name).startswith(f"{schedule}-")]
            by_clock = self._last_run(job.name for job in sent)
        computes = [name for run in (by_hand, by_clock) if run for name in run.computes]
        return Night(
            endpoint=endpoint if found else "",
            default=default,
            by_hand=by_hand,
            clock=nights.clock(due.trigger, bool(due.is_enabled)) if due else None,
            by_clock=by_clock,
            clusters=nights.clusters(self._ml_client, computes),
            cases=self._cases,
            is_online=found is None and self._endpoint(endpoint) is not None,
        )

    def _last_run(self, jobs: Iterable[str]) -> Run | None:
        return nights.run_of(self._ml_client, nights.latest(self._ml_client, jobs))

    def handover(self, endpoint: str, batch_endpoint: str, schedule: str, question: str) -> Handover:
        """Look at all of it anew, and ask the log the auditor's own question as the auditor.

        Args:
            endpoint: the online endpoint's name.
            batch_endpoint: the batch endpoint's.
            schedule: the schedule's.
            question: in Kusto; it names each job in ``JobId``, and in ``ExecutionState`` how it stands.
        """
        record, night = self.record(endpoint), self.night(batch_endpoint, schedule)
        return Handover(self.online(endpoint), record, night, self._ended(record, night, question))

    def _ended(self, record: Record, night: Night, question: str) -> dict[str, tuple[str, ...]] | None:
        if record.refused or not record.sink or not night.by_clock:
            return {}
        reader = self._reader(record.sink)
        last = night.by_clock.steps[-1]
        reader.until(
            f"{logs.JOBS} | where JobId == '{last}' and ExecutionState == 'succeeded'", bool, "the night's job"
        )
        states: dict[str, tuple[str, ...]] = defaultdict(tuple)
        for row in reader.rows(question):
            if not {"JobId", "ExecutionState"} <= set(row):
                return None
            states[str(row["JobId"])] += (str(row["ExecutionState"]),)
        return dict(states)

    def _endpoint(self, name: str) -> Any:
        return _found(self._ml_client.online_endpoints.get, name)

    def _batch_endpoint(self, name: str) -> Any:
        return _found(self._ml_client.batch_endpoints.get, name)

    def _call(self, endpoint: Any, who: TokenCredential | None) -> Any:
        return score(endpoint.scoring_uri, None if who is None else people.token(who), self._payload)

    def _callers(self, endpoint: Any, reader: logs.Reader) -> tuple[str, ...]:
        """Call as the clinics, and return whom the log names for that."""
        request = self._call(endpoint, self._clinics).headers.get("x-request-id")
        query = f"{logs.TRAFFIC} | where XRequestId == '{request}' | project IdentityData"
        return tuple(str(row["IdentityData"]) for row in reader.until(query, bool, "the call is in the log"))

    def _reader(self, sink: str) -> logs.Reader:
        return logs.Reader(self._auditor, self._owner, sink, self._patience)

    def _grants(self, who: TokenCredential) -> tuple[Any, ...]:
        group = self._workspace_id.partition("/providers/")[0]
        return people.grants(self._roles, group, people.object_id(who))

    @property
    def _workspace_id(self) -> str:
        return str(self._ml_client.workspaces.get(self._ml_client.workspace_name).id)


def _found(get: Callable[[str], Any], name: str) -> Any:
    """Return what has that name, or None."""
    from azure.core.exceptions import ResourceNotFoundError

    with suppress(ResourceNotFoundError):
        return get(name)
    return None
