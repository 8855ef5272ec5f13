"""The exercises of *Identities and roles*."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from helpers.verdicts import CheckResult, exercise, right, wrong

ML = "Microsoft.MachineLearningServices/workspaces"
Permission = tuple[list[str], list[str] | None]  # actions, not_actions
READER: Permission = ["*/read"], []
# As Azure defines AzureML Data Scientist, shortened.
SCIENTIST: Permission = (
    [f"{ML}/*/read", f"{ML}/*/action", f"{ML}/*/delete", f"{ML}/*/write"],
    [f"{ML}/delete", f"{ML}/write", f"{ML}/computes/*/write", f"{ML}/listKeys/action"],
)
CONTRIBUTOR: Permission = ["*"], ["Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write"]
# Roles, each a list of permissions; an action; whether it is allowed; what a function that errs has overlooked.
CASES: tuple[tuple[list[Permission], str, bool, str], ...] = (
    ([READER], f"{ML}/models/read", True, "a * stands for any text, slashes too"),
    ([READER], f"{ML}/models/write", False, "the part after the star counts, too"),
    ([READER], f"{ML.upper()}/MODELS/READ", True, "upper and lower case are the same"),
    ([SCIENTIST], f"{ML}/onlineEndpoints/score/action", True, "any one of the actions is enough"),
    ([SCIENTIST], f"{ML}/listKeys/action", False, "`not_actions` takes it away again"),
    ([SCIENTIST], "Microsoft.Storage/storageAccounts/read", False, "the part before the star counts, too"),
    ([CONTRIBUTOR], "Microsoft.Authorization/roleAssignments/write", False, "`not_actions` takes it away again"),
    ([(["a/b/read"], None)], "a/b/read", True, "`not_actions` may be None, or empty"),
    ([(["a/b/read"], [])], "xa/b/readers", False, "a pattern fits the whole action, not a part of it"),
    ([CONTRIBUTOR, READER], f"{ML}/write", True, "a role may have several permissions; one that allows it is enough"),
    (
        [CONTRIBUTOR, (["Microsoft.Authorization/*"], [])],
        "Microsoft.Authorization/roleAssignments/write",
        True,
        "`not_actions` takes away from its own permission only",
    ),
)


@exercise("identities_and_roles/allows", "Write a function of a role definition and an action, True or False.")
def allows(answer: Any) -> CheckResult:
    """Accept a function that decides as Azure does: some permission has the action and does not take it away."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for permissions, action, expected, overlooked in CASES:
        role = SimpleNamespace(
            permissions=[SimpleNamespace(actions=allowed, not_actions=excepted) for allowed, excepted in permissions]
        )
        if bool(answer(role, action)) != expected:
            said = "refuses" if expected else "allows"
            return wrong(f"your function {said} {action} with {permissions[0]}. Look again: {overlooked}.")
    return right("with this and the message of a 403 you find a role for anything.")


# By need: the roles that are just enough, and why others that come to mind are not.
ENOUGH = {
    "auditor": {"Reader"},
    "team": {"AzureML Data Scientist"},
    "operator": {"AzureML Compute Operator"},
    "loader": {"Storage Blob Data Contributor"},
    "lead": {"Role Based Access Control Administrator", "User Access Administrator"},
}
WHY_NOT = {
    ("auditor", "AzureML Data Scientist"): "that one changes and deletes models and endpoints.",
    ("team", "Reader"): "a Reader registers nothing.",
    ("team", "Azure AI Developer"): "that one also creates and deletes clusters; theirs are there.",
    ("team", "AzureML Compute Operator"): "that one is for machines only: no models, no endpoints.",
    ("operator", "AzureML Data Scientist"): "creating and deleting compute is what that role excepts.",
    ("loader", "Storage Blob Data Reader"): "that one reads.",
    ("loader", "Storage Blob Data Owner"): "that one also decides who else may.",
    ("loader", "AzureML Data Scientist"): "it has no data actions: storage would refuse the program.",
}
TOO_MUCH = {"Owner", "Contributor"}


@exercise("identities_and_roles/smallest", "Assign a dictionary with the five keys of the table.")
def smallest(answer: Any) -> CheckResult:
    """Accept for each need a built-in role that is enough and gives nothing else."""
    if not isinstance(answer, dict):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    if missing := [need for need in ENOUGH if need not in answer]:
        return wrong(f"the keys are those of the table; missing: {', '.join(missing)}.")
    for need, enough in ENOUGH.items():
        given = str(answer[need]).strip()
        if given.lower() in {role.lower() for role in enough}:
            continue
        if given in TOO_MUCH:
            return wrong(f'"{need}": as {given} it could do far more than it needs, such as delete the workspace.')
        why = WHY_NOT.get((need, given), "that is not the one. What does it need, and is it data or a resource?")
        return wrong(f'"{need}", {given}: {why}')
    return right("five needs, five roles, and none of them is Contributor.")


BLOB_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
BLOB_OWNER = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"
PROBE = "uploaded-by-the-check.txt"


@exercise("identities_and_roles/upload", "Call `give`, then `helpers.until_permitted` with an upload; assign a pair.")
def upload(answer: Any) -> CheckResult:
    """Accept a role assignment in one container, and a client with which a blob can be uploaded there."""
    from azure.core.exceptions import HttpResponseError

    if not isinstance(answer, list | tuple) or len(answer) != 2:
        return wrong("a pair is wanted: the role assignment, and the second identity's container client.")
    assignment, container = answer
    if not hasattr(assignment, "role_definition_id") or not hasattr(container, "upload_blob"):
        return wrong("the first should be what `give` returns, the second a `ContainerClient`.")
    role = str(assignment.role_definition_id).rpartition("/")[2].lower()
    if role == BLOB_OWNER:
        return wrong("Storage Blob Data Owner writes, and also decides who else may. Less will do.")
    if role != BLOB_CONTRIBUTOR:
        return wrong("that role has no data action that writes blobs. Which built-in role for blobs has?")
    if not str(assignment.scope).lower().endswith(f"/containers/{container.container_name}".lower()):
        return wrong("the role holds in more than this one container. A scope can be a single container.")
    try:
        container.upload_blob(PROBE, b"", overwrite=True)
        container.delete_blob(PROBE)
    except HttpResponseError as error:
        return wrong(f"the check's own upload was answered {error.status_code}. Does the role hold yet, and for whom?")
    return right("it writes into this container, and into no other.")
