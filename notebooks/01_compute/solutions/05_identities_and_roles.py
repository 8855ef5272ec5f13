"""The exercises of *Identities and roles*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% identities_and_roles/allows
### BEGIN SOLUTION
from fnmatch import fnmatch


def matches(action, patterns):
    return any(fnmatch(action.lower(), pattern.lower()) for pattern in patterns or [])


def allows(role, action):
    return any(
        matches(action, permission.actions) and not matches(action, permission.not_actions)
        for permission in role.permissions
    )


### END SOLUTION
helpers.check("identities_and_roles/allows", allows)

# %% identities_and_roles/smallest
### BEGIN SOLUTION
smallest = {
    "auditor": "Reader",
    "team": "AzureML Data Scientist",
    "operator": "AzureML Compute Operator",
    "loader": "Storage Blob Data Contributor",
    "lead": "Role Based Access Control Administrator",
}
### END SOLUTION
helpers.check("identities_and_roles/smallest", smallest)

# %% identities_and_roles/upload
### BEGIN SOLUTION
writing = give("Storage Blob Data Contributor", second_id, container_scope)
helpers.until_permitted(
    lambda: container.upload_blob(f"{second_name}.txt", b"hello", overwrite=True), "upload"
)
container.delete_blob(f"{second_name}.txt")
upload = (writing, container)
### END SOLUTION
helpers.check("identities_and_roles/upload", upload)
