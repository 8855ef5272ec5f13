"""Under load an endpoint is scaled, switched and loses an instance: only requests that the lost one was at may fail.

Truth: a scale-out, a new deployment and traffic change nothing for clients
(https://learn.microsoft.com/azure/machine-learning/concept-endpoints-online#native-blue-green-deployment), and a
request whose instance is lost is answered 424, as a model's error
(https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#http-status-codes).
"""

from __future__ import annotations

import pytest
from demonstration import PLACES, client_of, demonstrate, own_service

SECONDS = 12


def test_only_requests_in_flight_on_a_killed_instance_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    with own_service() as (service, notes):
        shown = demonstrate(service, client_of(service, monkeypatch.setenv), SECONDS, notes)
    answers, kill, table = shown.answers, shown.kill, shown.table()
    answered = answers[answers.status == 200]
    assert set(answered.phase) == set(shown.phases), table

    failed = answers[answers.status != 200]
    assert kill.unfinished <= len(failed) <= PLACES, table
    assert set(failed.status) <= {424} and set(failed.reason) <= {"model_error"}, table
    assert (failed.seconds <= kill.ended).all(), "sent when it had ended"
    assert (failed.seconds + failed.ms / 1000 >= kill.begun).all(), "answered before it was killed"

    *before, beside, switch, last = shown.phases
    assert set(answered[answered.phase.isin([*before, beside])].deployment) == {"blue"}, table
    assert set(answered[answered.phase == switch].deployment) <= {"blue", "green"}, table
    assert set(answered[answered.phase == last].deployment) == {"green"}, table
