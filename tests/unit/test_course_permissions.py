"""What the lesson on roles has from the helpers: a second identity, and patience until a role holds.

Azure's words on how long that takes:
https://learn.microsoft.com/azure/role-based-access-control/troubleshooting (up to 10 minutes).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential

import helpers
from helpers import waiting


def _error(status: int) -> HttpResponseError:
    error = HttpResponseError(f"refused with {status}")
    error.status_code = status
    return error


def _response(status: int) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    return response


def _answers(*answers: object) -> Callable[[], object]:
    """A call that is answered so, one after the other; an exception is raised."""
    left = list(answers)

    def call() -> object:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return call


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "SPREAD_TICK", 0)


@pytest.mark.parametrize(
    "before",
    [(), (_error(403),), (_error(403), _error(401)), (_response(401),), (_response(403), _error(403))],
    ids=str,
)
def test_a_call_is_made_until_it_is_permitted(before: tuple[object, ...], capsys: pytest.CaptureFixture[str]) -> None:
    permitted = _response(404)  # let in, and nothing there
    assert helpers.until_permitted(_answers(*before, permitted), "call the model") is permitted
    assert capsys.readouterr().out.startswith("✓ call the model: answered")


@pytest.mark.parametrize("status", [400, 404, 409, 500])
def test_another_error_is_raised_at_once(status: int) -> None:
    with pytest.raises(HttpResponseError, match=f"refused with {status}"):
        helpers.until_permitted(_answers(_error(status), "not asked again"), "read")


def test_a_refusal_that_stays_is_raised_or_returned_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "SPREAD_SECONDS", -1)
    with pytest.raises(HttpResponseError, match="refused with 403"):
        helpers.until_permitted(_answers(_error(403), "not asked again"), "read")
    assert helpers.until_permitted(_answers(_response(401), "not asked again"), "call").status_code == 401


def test_on_azure_the_second_identity_is_given_and_its_secret_no_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant, client = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
    monkeypatch.setenv("SECOND_CLIENT_SECRET", "secret")
    assert isinstance(helpers.second_identity("azure", "second", tenant, client), ClientSecretCredential)
    helpers.remove_identity("azure", "second")  # which stays


@pytest.mark.parametrize("missing", ["tenant", "client", "secret"])
def test_what_is_missing_on_azure_is_asked_for(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"tenant": "t", "client": "c", "secret": "s", missing: ""}
    monkeypatch.setenv("SECOND_CLIENT_SECRET", given["secret"])
    with pytest.raises(ValueError, match=r"second_tenant_id and second_client_id .* SECOND_CLIENT_SECRET"):
        helpers.second_identity("azure", "second", given["tenant"], given["client"])
