"""A stand-in for Docker where no engine answers: the part of its Engine API that local deployments use.

No container runs. What an image would start is a process of this machine, Azure's inference server, with the packages
that the image and its conda file ask for; versions, builds and logs say so. All of it ends with the service.
https://docs.docker.com/reference/api/engine/version/v1.41/
"""

NOTICE = "azureml-local's stand-in for Docker: no containers, but processes of this machine"


class DockerError(Exception):
    """An answer other than success; in the Engine API ``{"message": ...}``."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def unsupported(what: str) -> DockerError:
    """Return what is answered where an engine could do something and the stand-in cannot."""
    return DockerError(501, f"azureml-local's stand-in for Docker does not support {what}.")
