"""Who may do what: role assignments at a scope, and all below it.

https://learn.microsoft.com/azure/role-based-access-control/overview#how-azure-rbac-determines-if-a-user-has-access-to-a-resource
"""

from __future__ import annotations

from azureml_local.identity.roles import BY_GUID, Role
from azureml_local.identity.tokens import Principal
from azureml_local.store import Store

TYPE = "Microsoft.Authorization/roleAssignments"
MOST_ANSWERS = 4096  # that are remembered


class Authorizer:
    """Answers from the store's role assignments, and remembers answers until something in the store changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changes = -1
        self._assigned: dict[str, list[tuple[str, Role]]] = {}  # by object id: the scopes' keys, and the roles there
        self._answers: dict[tuple[str, str, str, bool], bool] = {}

    def permits(self, principal: Principal, action: str, scope: str, *, data: bool = False) -> bool:
        """Say whether one of the caller's roles grants ``action`` over ``scope``, a resource's id.

        Args:
            principal: the caller.
            action: e.g. ``Microsoft.MachineLearningServices/workspaces/read``.
            scope: the id of a resource, or of what holds resources; in any case.
            data: the action is one on data.
        """
        self._follow_changes()
        question = (principal.object_id, action, scope, data)
        answer = self._answers.get(question)
        if answer is None:
            assigned = self._assigned.get(principal.object_id, ())
            answer = any(_lies_in(scope, held) and role.grants(action, data=data) for held, role in assigned)
            if len(self._answers) >= MOST_ANSWERS:
                self._answers.clear()
            self._answers[question] = answer
        return answer

    def has_role_in(self, principal: Principal, scope: str) -> bool:
        """Say whether the caller has any role at ``scope``, or somewhere below."""
        self._follow_changes()
        return any(_lies_in(held, scope.lower()) for held, _ in self._assigned.get(principal.object_id, ()))

    def roles_at(self, principal: Principal, scope: str) -> list[Role]:
        """Return the caller's roles at ``scope`` and above it, one for each assignment."""
        self._follow_changes()
        return [role for held, role in self._assigned.get(principal.object_id, ()) if _lies_in(scope, held)]

    def _follow_changes(self) -> None:
        """Learn the assignments anew where anything was written: also a deleted workspace takes some with it."""
        changes = self._store.changes
        if changes == self._changes:
            return
        self._changes = changes
        self._answers.clear()
        self._assigned.clear()
        for assignment in self._store.all_of(TYPE):
            properties = assignment.properties
            role = BY_GUID[properties["roleDefinitionId"].rpartition("/")[2]]
            self._assigned.setdefault(properties["principalId"], []).append((properties["scope"].lower(), role))


def _lies_in(scope: str, outer: str) -> bool:
    """Say whether a scope, in any case, is another one (given in lower case), or lies below it."""
    inner = scope.lower()
    return inner == outer or inner.startswith(outer + "/")
