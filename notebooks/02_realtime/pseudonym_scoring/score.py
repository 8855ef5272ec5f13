"""Scoring script: names in, pseudonyms out. A name always gets the same one."""

import functools
import hashlib
import hmac
import json
import os
import uuid


def init():
    """Give this process a name, by which its answers can be told from another's."""
    global process
    process = uuid.uuid4().hex


@functools.cache
def secret():
    """Return what the pseudonyms are made with; fetched once, when it is first needed."""
    return (from_vault() if "VAULT_URL" in os.environ else os.environ["SECRET"]).encode()


def from_vault():
    """Read the secret from a key vault, as the endpoint's managed identity."""
    from azure.identity import ManagedIdentityCredential
    from azure.keyvault.secrets import SecretClient

    vault = SecretClient(os.environ["VAULT_URL"], ManagedIdentityCredential())
    return vault.get_secret(os.environ["SECRET_NAME"]).value


def run(raw_data):
    """Return a pseudonym for each name, and which process made them.

    raw_data is the request's body: {"names": [...]}.
    """
    names = json.loads(raw_data)["names"]
    made = [
        hmac.new(secret(), name.encode(), hashlib.sha256).hexdigest()[:12] for name in names
    ]
    return {"pseudonyms": made, "process": process}
