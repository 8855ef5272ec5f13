"""The code that reads what a finished step has put out, for a cell."""

from __future__ import annotations

from designer.view.boxes import Port

# What reads a folder, by what goes through the port.
READERS = {
    "dataset": ("from designer_modules import Dataset", "Dataset.load(folder).frame.head()"),
    "untrained model": ("from designer_modules.models import UntrainedModel", "UntrainedModel.load(folder)"),
    "trained model": ("from designer_modules.models import TrainedModel", "TrainedModel.load(folder)"),
    "transformation": ("from designer_modules.fitted import Transformation", "Transformation.load(folder)"),
}
FILES = ("", "sorted(folder.rglob('*'))")


def reading(job: str, step: str, port: Port) -> str:
    """Return the code that reads an output of a step.

    Args:
        job: the name of the pipeline job.
        step: the step's name.
        port: its output.
    """
    loads, reads = READERS.get(port.carries, FILES)
    imports = [line for line in ("import helpers", loads) if line]
    fetched = [
        f"step = helpers.steps(ml_client, {job!r})[{step!r}]",
        f"folder = helpers.download_output(ml_client, step, {port.name!r})",
    ]
    return "\n".join((*imports, "", *fetched, reads))
