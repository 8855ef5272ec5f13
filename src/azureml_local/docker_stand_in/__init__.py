"""A stand-in for Docker where no engine answers: the part of its Engine API that local deployments use.

No container runs. What an image would start is a process of this machine, Azure's inference server, with the packages
that image and conda file ask for, until the service ends: https://docs.docker.com/reference/api/engine/version/v1.41/
"""

from starlette.exceptions import HTTPException

NOTICE = "azureml-local's stand-in for Docker: no containers, but processes of this machine"


def unsupported(what: str) -> HTTPException:
    """Return what is answered where an engine could do something and the stand-in cannot."""
    return HTTPException(501, f"azureml-local's stand-in for Docker does not support {what}.")
