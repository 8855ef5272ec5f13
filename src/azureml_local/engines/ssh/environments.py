"""Environments on an attached machine: its own ``python3`` where that has every package, else a venv of it.

What makes the venv, and where packages come from, is the machine's own: its ``venv``, its ``pip``, its network. Nothing
but the names of packages is sent there.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from azureml_local.engines.environments import SHOWN_LINES, Interpreter
from azureml_local.engines.requirements import EnvironmentBuildError, Requirements, of_environment
from azureml_local.engines.ssh import agent
from azureml_local.engines.ssh.machine import Machine
from azureml_local.engines.ssh.session import Facts, Session

# What to do, by the words in which venv and pip say what went wrong.
ADVICE = {
    "ensurepip is not": "Install Python's venv module there (on Debian and Ubuntu: apt install python3-venv).",
    "NewConnectionError": "The machine cannot reach the package index: check its network and its proxy.",
    "No matching distribution": "Change the versions in the conda file to some that exist for that Python.",
}


async def interpreter_on(machine: Machine, properties: Mapping[str, Any], log: Path) -> Interpreter:
    """Return the interpreter on a machine for an environment version's ``properties``.

    Args:
        machine: which.
        properties: the version's image and conda file.
        log: receives what a build says.

    Raises:
        EnvironmentBuildError: the environment cannot be had; the message has pip's last words.
        MachineError: the machine cannot be reached, or has no Python.
    """
    requirements = of_environment(properties)
    async with await Session.open(machine) as session:
        facts = await session.facts()
        unmet = requirements.unmet_among(facts.packages, facts.markers)
        notes = [f"Image {properties.get('image')}: packages only; azureml-local runs no containers."]
        notes += _python_notes(requirements, facts, machine)
        if not unmet:
            return Interpreter(facts.python, (*notes, f"Every package is there in {facts.python} of {machine}."))
        notes.append(f"{facts.python} of {machine} lacks: {'; '.join(unmet)}.")
        folder = await _built(session, facts, requirements.to_install(), log)
        return Interpreter(f"{folder}/bin/python", (*notes, f"Its own environment there: {folder}."))


async def _built(session: Session, facts: Facts, lines: Sequence[str], log: Path) -> str:
    """Return the folder of an environment on a machine, made where it is missing."""
    identity = "\n".join((facts.python, facts.markers["python_full_version"], *lines))
    key = hashlib.sha256(identity.encode()).hexdigest()[:16]
    if await session.build(key, lines, log):
        said = await asyncio.to_thread(log.read_text, errors="replace")
        last = " ".join(" ".join(said.splitlines()[-SHOWN_LINES:]).split())
        advice = [advice for words, advice in ADVICE.items() if words in said]
        raise EnvironmentBuildError(
            " ".join([f"The environment could not be built on {session.machine}:", last, *advice])
        )
    return f"{facts.home}/{agent.OWN}/environments/{key}"


def _python_notes(requirements: Requirements, facts: Facts, machine: Machine) -> list[str]:
    version = facts.markers["python_full_version"]
    if requirements.python.contains(version):
        return []
    return [
        f"WARNING: python{requirements.python} was asked for; {machine} has Python {version} as python3, which is used."
    ]
