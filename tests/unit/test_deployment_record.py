"""azureml_local.engines.deployment_record: the text of getLogs, laid out as Azure's (section 4 of the notes on Azure's
wire shapes: help of Get-AzMLWorkspaceOnlineDeploymentLog)."""

import re
from pathlib import Path

import pytest

from azureml_local.engines.deployment_record import LARGEST_EVENTS, DeploymentRecord


@pytest.fixture
def record(tmp_path: Path) -> DeploymentRecord:
    return DeploymentRecord.new(tmp_path)


def phases(text: str) -> list[str]:
    return text.partition("\n\n")[0].splitlines()


def test_begun(record: DeploymentRecord) -> None:
    record.event("Pulling")
    text = record.text("inferenceserver", 10)
    assert phases(text) == ["Instance status:", "SystemSetup: Succeeded", "UserContainerImagePull: InProgress"]
    assert re.search(
        r"^Kind: Pod, Name: Pulling, Type: Normal, Time: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z, "
        r"Message: Start pulling container image$",
        text,
        re.M,
    )


def test_complete(record: DeploymentRecord) -> None:
    for event in ("Pulling", "Pulled", "Downloading", "Downloaded", "Created", "Started", "ContainerReady"):
        record.event(event)
    assert phases(record.text("inferenceserver", 10)) == [
        "Instance status:", "SystemSetup: Succeeded", "UserContainerImagePull: Succeeded", "ModelDownload: Succeeded",
        "UserContainerStart: Succeeded",
    ]  # fmt: skip


def test_phase_that_failed_is_the_last(record: DeploymentRecord) -> None:
    for event in ("Pulling", "Pulled", "Downloading"):
        record.event(event)
    record.event("DownloadFailed", "nothing there")
    text = record.text("inferenceserver", 10)
    assert phases(text)[-1] == "ModelDownload: Failed"
    assert "Name: DownloadFailed, Type: Warning" in text
    assert "Message: nothing there" in text


def test_tail_is_counted_in_lines_and_each_container_has_its_own(record: DeploymentRecord) -> None:
    for number in range(20):
        record.write("inferenceserver", f"line {number}")
    record.write("storageinitializer", "a model")
    lines = record.text("inferenceserver", 3).partition("Container logs:\n")[2].splitlines()
    assert lines == ["line 17", "line 18", "line 19"]
    assert record.text("storageinitializer", 3).endswith("Container logs:\na model\n")


def test_log_that_is_no_unicode_is_shown_all_the_same(record: DeploymentRecord) -> None:
    record.log("inferenceserver").write_bytes(b"bad \xff byte\n")
    assert "bad \ufffd byte" in record.text("inferenceserver", 3)


def test_latest_attempt(tmp_path: Path) -> None:
    assert DeploymentRecord.latest(tmp_path) is None
    attempts = [DeploymentRecord.new(tmp_path).folder for _ in range(20)]
    assert [record.folder for record in DeploymentRecord.all(tmp_path)] == attempts
    assert DeploymentRecord.latest(tmp_path).folder == attempts[-1]  # type: ignore[union-attr]


def test_warnings_of_probes_do_not_make_a_phase_fail(record: DeploymentRecord) -> None:
    """github.com/MicrosoftLearning/mslearn-azure-ml/issues/100: they come while the phase is in progress."""
    for event in ("Pulling", "Pulled", "Downloading", "Downloaded", "Created", "Started"):
        record.event(event)
    record.event("LivenessProbeFailed", "Liveness probe failed: HTTP probe failed with statuscode: 502")
    assert phases(record.text("inferenceserver", 10))[-1] == "UserContainerStart: InProgress"


def test_of_very_many_events_the_first_and_the_last_are_kept(record: DeploymentRecord) -> None:
    record.event("Pulling")
    record.event("Pulled")
    for number in range(5000):
        record.event("LivenessProbeFailed", f"Liveness probe failed: {number}")
    text = record.text("inferenceserver", 10)
    assert "UserContainerImagePull: Succeeded" in text
    assert "Liveness probe failed: 4999" in text
    assert len(text) < 2 * LARGEST_EVENTS


def test_event_that_was_cut_off_takes_no_other_log_away(record: DeploymentRecord) -> None:
    """By a disk that was full for a moment, or by a kill; the next event comes on the same line."""
    record.event("Pulling")
    with record.events.open("a") as file:
        file.write('{"name": "Pulled", "ki')
    record.event("Downloading")
    record.event("Downloaded")
    assert [event["name"] for event in record.read_events()] == ["Pulling", "Downloaded"]
    record.write("inferenceserver", "a line")
    assert "a line" in record.text("inferenceserver", 10)
