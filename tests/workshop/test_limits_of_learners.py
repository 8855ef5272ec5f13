"""What is written into control groups, as https://docs.kernel.org/admin-guide/cgroup-v2.html and -v1 name the files.

The trees here are folders; test_confined_learners.py shows the kernel's effect, on a machine with either version.
"""

from __future__ import annotations

from pathlib import Path

import psutil

from workshop import limits
from workshop.limits import Limits

GIB = 1024**3
LIMITS = Limits(memory=3 * GIB, pids=500)


def test_version_2_hands_the_controllers_down_and_limits_the_learner_and_the_room(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory hugetlb pids")
    (tree,) = limits.hierarchies(tmp_path)

    group = tree.create("learner01", LIMITS)

    room = tmp_path / "azureml-workshop"
    assert group == room / "learner01"
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"
    assert (room / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"
    assert (group / "memory.max").read_text() == str(3 * GIB)
    assert (group / "pids.max").read_text() == "500"
    assert int((room / "memory.max").read_text()) < psutil.virtual_memory().total


def test_version_1_has_a_tree_for_each_controller(tmp_path: Path) -> None:
    for name in ("memory", "pids", "cpu", "freezer"):
        (tmp_path / name).mkdir()

    groups = [tree.create("learner01", LIMITS) for tree in limits.hierarchies(tmp_path)]

    assert [group.relative_to(tmp_path).parts[0] for group in groups] == ["memory", "pids", "cpu"]
    assert (groups[0] / "memory.limit_in_bytes").read_text() == str(3 * GIB)
    assert (groups[1] / "pids.max").read_text() == "500"
    assert list(groups[2].iterdir()) == []  # an equal share is the default


def test_a_machine_without_control_groups_is_said_to_lack_all(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(limits, "hierarchies", lambda: [])

    assert limits.create("learner01", LIMITS) == []
    assert limits.lacking() == ["memory", "pids", "cpu"]
