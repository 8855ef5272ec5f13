"""What programs that share the processors and the memory are given: variables of OpenMP, OpenBLAS, glibc and Arrow.

https://gcc.gnu.org/onlinedocs/libgomp/OMP_005fWAIT_005fPOLICY.html,
https://man7.org/linux/man-pages/man3/mallopt.3.html, https://arrow.apache.org/docs/cpp/env_vars.html
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping

import pytest

from azureml_local.engines.process import MEMORY, SHARING, THREADS, base_environment
from course.processors import SIDE_BY_SIDE


@pytest.fixture
def _none_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SHARING, *THREADS, *MEMORY):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_none_set")
def test_threads_that_wait_sleep_and_their_number_is_not_limited() -> None:
    environment = base_environment()
    assert environment["OMP_WAIT_POLICY"] == "passive"
    assert not {*THREADS, *MEMORY} & set(environment)


@pytest.mark.usefixtures("_none_set")
def test_the_operators_word_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"OMP_WAIT_POLICY": "active", "OPENBLAS_NUM_THREADS": "3"}.items():
        monkeypatch.setenv(name, value)
        assert base_environment()[name] == value


@pytest.mark.usefixtures("_none_set")
def test_what_side_by_side_means_reaches_all_that_the_service_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SIDE_BY_SIDE.items():
        monkeypatch.setenv(name, value)
    assert base_environment().items() >= SIDE_BY_SIDE.items()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the variables are glibc's")
def test_memory_that_nothing_holds_is_given_back() -> None:
    """Of 60 blocks of 2 MB the last one stays: with glibc's own growing threshold all would lie below it, and stay."""
    code = (
        "import re\n"
        "blocks = [bytearray(b'x') * 2_000_000 for _ in range(60)]\n"
        "blocks[0] = None\n"
        "blocks += [bytearray(b'x') * 2_000_000 for _ in range(60)]\n"
        "del blocks[:-1]\n"
        "print(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )

    def used(variables: Mapping[str, str]) -> int:
        environment = {name: value for name, value in os.environ.items() if name not in MEMORY} | variables
        command = [sys.executable, "-I", "-S", "-c", code]
        return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)

    assert used(SIDE_BY_SIDE) < used({}) / 3
