"""A wheelhouse is judged before anything is installed from it: is it whole, and is it for this machine?

That `make setup` works from one without a network is shown in tests/heavy/test_without_network.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workshop.wheelhouse import ABOUT, SUMS, check, collect, readme, tarballs
from workshop.wheelhouse.check import faults, this_machine
from workshop.wheelhouse.systems import SYSTEMS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    folder = tmp_path / "a stick" / "wheelhouse"
    for name in ("wheels/one-1.0-py3-none-any.whl", "npm/@two/three-1.0.tgz"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(name)
    _is_for(folder, *this_machine())
    return folder


def _is_for(folder: Path, python: str, system: str, glibc: str = "") -> None:
    (folder / SUMS).unlink(missing_ok=True)
    (folder / ABOUT).write_text(json.dumps({"python": python, "system": system, "glibc": glibc}))
    collect._sums(folder)


def test_a_whole_one_is_taken(wheelhouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert faults(wheelhouse) == []
    assert check.main([str(wheelhouse)]) == 0
    assert "is whole, and for this machine" in capsys.readouterr().out


def test_its_checksums_are_what_sha256sum_reads(wheelhouse: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", SUMS], cwd=wheelhouse, check=True)


def test_a_damaged_copy_is_refused(wheelhouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (wheelhouse / "npm" / "@two" / "three-1.0.tgz").write_text("half of it")
    (wheelhouse / "wheels" / "one-1.0-py3-none-any.whl").unlink()
    assert faults(wheelhouse) == [
        "wheels/one-1.0-py3-none-any.whl is missing. Copy it again.",
        "npm/@two/three-1.0.tgz is not as it was collected: the copy is damaged. Copy it again.",
    ]
    assert check.main([str(wheelhouse)]) == 1
    assert "the copy is damaged" in capsys.readouterr().err


def test_one_for_another_machine_says_for_which(wheelhouse: Path) -> None:
    _is_for(wheelhouse, "3.9", "solaris-sparc")
    python, system = this_machine()
    assert faults(wheelhouse) == [
        f"It is for Python 3.9, and this is {python}. "
        f"Run make PYTHON=python3.9 ..., or make one with --python {python}.",
        f"It is for solaris-sparc, and this is {system}. Make one with --system {system}.",
    ]


def test_one_for_a_newer_linux_says_so(wheelhouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _is_for(wheelhouse, *this_machine(), glibc="2.34")
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.9"))
    assert faults(wheelhouse) == [
        "It needs the C library glibc 2.34, and here is 2.9: use a newer release of this Linux."
    ]
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.34"))
    assert faults(wheelhouse) == []


def test_one_that_was_not_finished_is_refused(wheelhouse: Path) -> None:
    (wheelhouse / SUMS).unlink()
    assert [fault.partition(":")[0] for fault in faults(wheelhouse)] == [f"{wheelhouse} is not complete"]


def test_make_refuses_what_is_no_wheelhouse_before_it_installs(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    command = ["make", "setup", f"VENV={venv}", f"PYTHON={sys.executable}", f"WHEELHOUSE={tmp_path / 'a stick'}"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode
    assert f"{tmp_path / 'a stick'} is no wheelhouse: it has no {ABOUT}" in ended.stderr
    assert not venv.exists()


def test_what_is_there_already_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.odt").write_text("years of work")
    assert collect.main([str(tmp_path)]) == 1
    assert f"{tmp_path} holds something else. Name a folder that is empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.odt"]


def test_one_is_made_anew_from_the_start(wheelhouse: Path) -> None:
    collect._begin(wheelhouse, collect.Target("3.12", "darwin-arm64"))
    assert sorted(path.name for path in wheelhouse.rglob("*")) == sorted(["wheels", "npm", ABOUT])


def test_the_c_library_is_the_newest_that_a_wheel_asks_for(tmp_path: Path) -> None:
    for tags in ("manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_28_x86_64.manylinux_2_17_x86_64", "any"):
        (tmp_path / f"one-{len(tags)}-cp311-cp311-{tags}.whl").touch()
    assert collect._glibc(tmp_path) == "2.17"
    (tmp_path / "two-1.0-cp311-abi3-manylinux_2_34_x86_64.whl").touch()
    assert collect._glibc(tmp_path) == "2.34"


def test_every_system_has_its_names_at_pip_uv_and_npm() -> None:
    assert set(SYSTEMS) == set(tarballs.OPTIONS)
    assert "manylinux2014_aarch64" in SYSTEMS["linux-aarch64"].tags
    assert "macosx_11_0_arm64" in SYSTEMS["darwin-arm64"].tags
    assert "macosx_10_9_universal2" in SYSTEMS["darwin-x86_64"].tags


def test_every_lock_file_is_collected() -> None:
    folders = {path.parent for path in (ROOT / "src").rglob("package-lock.json") if "node_modules" not in path.parts}
    assert set(tarballs.lock_files(ROOT / "src")) == folders
    assert len(folders) >= 3


def test_its_readme_says_for_which_machine_it_is() -> None:
    assert "**Python 3.12** on **linux-aarch64**" in readme.text("3.12", "linux-aarch64", "0123abc")
    assert "at commit 0123abc" in readme.text("3.12", "linux-aarch64", "0123abc")
    assert "copy the workbook's folder" in readme.text("3.12", "linux-aarch64", "")
