"""A disk that fills under a batch job: the job fails and says so, or completes; with room again the next one completes.

RFC 4918, 11.5 (507); what has been scored until then is no longer there only where the disk was full for its rows, too.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from batch_jobs import Batches
from job_installation import ENDED, Installation
from small_disk import fill, on_a_small_disk

from running_service import command_line, start_service, users_of, wait_for

DISK = 64  # MiB
MINI_BATCHES = 300


def test_disk_full_under_a_batch_job(tmp_path: Path) -> None:
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        on_a_small_disk(root, DISK, lambda: scenario(root, tmp_path))
    except PermissionError as error:
        pytest.skip(f"needs the right to mount: {error}")
    finally:
        shutil.rmtree(root, ignore_errors=True)


def scenario(root: Path, notes: Path) -> None:
    try:
        installation = Installation(root, start_service(root))
        installation.set_up()
        batches = Batches(installation, notes, MINI_BATCHES)
        batches.set_up()
        batches.deploy("dedicated", installation.cluster)
        filler = root / "filler"

        job, place = batches.invoke("dedicated")
        batches.reaches(MINI_BATCHES // 3)
        fill(filler)
        wait_for(lambda: not batches.workers(), "the workers have ended")
        filler.unlink()
        status = installation.reaches(job, *ENDED)
        if status == "Failed":
            (step,) = installation.steps(job)
            assert "room" in installation.error(step)
        else:
            assert (status, batches.rows(place)) == ("Completed", batches.names)

        job, place = batches.invoke("dedicated")
        assert installation.reaches(job, *ENDED) == "Completed"
        assert batches.rows(place) == batches.names
    finally:
        command_line(root, "stop")
    assert users_of(root) == []
