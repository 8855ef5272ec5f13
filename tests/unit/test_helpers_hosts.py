"""The workers that stand in for other machines: nothing of them is left where a lesson cannot begin with them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from helpers import hosts


def test_stand_ins_end_where_their_scheduler_cannot_be_attached(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[subprocess.Popen[str]] = []

    class Started(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    def refuse(action: str, *_: str) -> None:
        raise RuntimeError(f"{action}: nothing answers")

    monkeypatch.setattr(hosts, "NAMES", ())  # a scheduler without workers is there sooner
    monkeypatch.setattr(hosts.subprocess, "Popen", Started)
    monkeypatch.setattr(hosts, "_command", refuse)
    monkeypatch.setattr(hosts.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(RuntimeError, match="attach: nothing answers"):
        hosts.lend_hosts("local", "two")
    (stand_ins,) = started
    assert stand_ins.returncode == 0
    assert list(tmp_path.iterdir()) == []
