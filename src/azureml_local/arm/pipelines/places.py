"""Where a pipeline's outputs lie: the templates of paths, filled in.

https://learn.microsoft.com/azure/machine-learning/how-to-manage-inputs-outputs-pipeline has ``${{default_datastore}}``,
``${{name}}`` (the job's) and ``${{output_name}}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

DEFAULT_DATASTORE = "workspaceblobstore"
_VARIABLE = re.compile(r"\$\{\{\s*(default_datastore|name|output_name)\s*\}\}")
_PLACE = "azureml://datastores/${{default_datastore}}/paths/azureml/${{name}}/${{output_name}}/"


def filled(uri: str | None, job: str, output: str, datastore: str | None) -> str | None:
    """Return the URI of an output whose path may be a template; None for the service's own choice.

    Args:
        uri: as given; None for a folder of the default datastore that is named after the job and the output.
        job: the job's name.
        output: its name.
        datastore: the pipeline's default one; None for the workspace's.
    """
    if uri is None:
        if datastore in (None, DEFAULT_DATASTORE):
            return None
        uri = _PLACE
    values = {"default_datastore": datastore or DEFAULT_DATASTORE, "name": job, "output_name": output}
    return _VARIABLE.sub(lambda found: values[found[1]], uri)


def all_filled(outputs: Mapping[str, Any], job: str, datastore: str | None) -> dict[str, Any]:
    """Return a job's outputs with their URIs filled in."""
    return {name: {**one, "uri": filled(one["uri"], job, name, datastore)} for name, one in outputs.items()}


def datastore_of(settings: Mapping[str, Any]) -> str | None:
    """Return the name of a pipeline's default datastore, which may be given by its id; None where it has none."""
    given = settings.get("default_datastore")
    return str(given).removeprefix("azureml:").rpartition("/")[2] if given else None
