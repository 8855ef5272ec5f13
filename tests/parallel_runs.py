"""Runs parallel jobs by their nodes' supervisors alone: no service, no storage, no Dask."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import textwrap
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from azureml_local.engines.jobs import data
from azureml_local.engines.jobs.fence import MARK
from azureml_local.engines.jobs.parallel.ledger import Ledger, Tally
from azureml_local.engines.jobs.parallel.shared_ledger import LocalLedger, SharedLedger
from azureml_local.engines.jobs.parallel.splitting import SplitError
from azureml_local.engines.jobs.parallel.supervisor import Place, Supervisor
from azureml_local.engines.jobs.spec import Attempt, CommandSpec, Input, Output, ParallelTask, Storage
from azureml_local.engines.process import base_environment
from azureml_local.engines.staging import BlobPath

INPUT, OUTPUT = "data", "scores"


class Log:
    """Stands for a log in storage."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, text: bytes) -> None:
        self.content += text

    def say(self, text: str) -> None:
        self.write(f"{text}\n".encode())


@dataclass
class ParallelRun:
    """A parallel job in a folder.

    Args:
        folder: of the job; made here.
        script: the entry script.
        settings: members of its :class:`ParallelTask`.
        nodes: how many.
        python: the interpreter of its workers.
        values: what stands for further inputs.
        is_file: its output is a file.
    """

    folder: Path
    script: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    nodes: int = 1
    python: str = sys.executable
    values: Mapping[str, str] = field(default_factory=dict)
    is_file: bool = False
    attempts: int = 0
    metrics: list[Mapping[str, float]] = field(default_factory=list)
    logs: dict[str, Log] = field(default_factory=lambda: defaultdict(Log))

    @property
    def input(self) -> Path:
        return self.folder / "input"

    @property
    def output(self) -> Path:
        return data.output_place(self.folder, OUTPUT)

    @property
    def task(self) -> ParallelTask:
        defaults = {"workers": 2, "rows_output": OUTPUT, "rows_file": "rows.txt"}
        return ParallelTask(
            **{"entry_script": "score.py", "arguments": "", "input": INPUT, **defaults, **self.settings}
        )

    def supervisor(self, rank: int) -> Supervisor:
        """Return the supervisor of a node of the present attempt."""
        outputs = {OUTPUT: Output(BlobPath("c", "o"), is_file=self.is_file)}
        spec = CommandSpec(
            "/jobs/j", "j", "", None, {}, {}, {INPUT: Input()}, outputs, BlobPath("c", "a"),
            parallel=self.task,
        )  # fmt: skip
        folder = self.folder / f"{self.attempts}-{rank}"
        work = folder / "exe" / "wd"
        attempt = Attempt(
            spec, self.attempts, rank, str(self.folder), self.python, (), {}, Storage("account", "a2V5", 1)
        )
        log = f"user_logs/std_log_{rank}.txt"
        environment = {**base_environment(), MARK: str(work), "PYTHONUNBUFFERED": "1"}
        return Supervisor(
            attempt,
            self.task,
            Place(
                folder,
                work,
                environment,
                cast(Any, self.logs.__getitem__),
                log,
                self.metrics.append,
                self.ledger(),
                self.keep,
            ),
        )

    async def attempt(self, nodes: list[Supervisor] | None = None) -> list[str | None]:
        """Run the job once; return why it failed, by node."""
        supervisors = self.begin() if nodes is None else nodes
        values = {f"inputs.{INPUT}": str(self.input), f"outputs.{OUTPUT}": str(self.output), **self.values}
        (self.output.parent if self.is_file else self.output).mkdir(parents=True, exist_ok=True)
        try:
            try:
                await supervisors[0].plan(values)
            except SplitError as error:
                return [str(error)]
            return await asyncio.gather(*(one.run(values) for one in supervisors))
        finally:
            for one in supervisors:
                await one.end_processes()

    def begin(self) -> list[Supervisor]:
        """Begin an attempt; return its supervisors, whose workers start."""
        self.attempts += 1
        supervisors = [self.supervisor(rank) for rank in range(self.nodes)]
        for rank, one in enumerate(supervisors):
            one.start()
            code = self.folder / f"{self.attempts}-{rank}" / "exe" / "wd" / "score.py"
            code.write_text(textwrap.dedent(self.script))
            one.import_ahead()
        return supervisors

    def run(self) -> str | None:
        """Run the job to its end; return why it failed."""

        async def main() -> str | None:
            supervisors = self.begin()
            ends = await self.attempt(supervisors)
            for one in supervisors[1:]:
                await one.finish(is_first=False)
            await supervisors[0].finish(is_first=True)
            return next((why for why in ends if why), None)

        return asyncio.run(main())

    @property
    def rows(self) -> list[str]:
        """What was appended to the output."""
        return (self.output / "rows.txt").read_text().splitlines()

    async def keep(self) -> None:
        """Nothing is lost with this machine."""

    def ledger(self) -> SharedLedger:
        """Return the ledger as a node has it."""
        return LocalLedger(self.folder)

    @property
    def is_planned(self) -> bool:
        with contextlib.closing(Ledger(self.folder)) as ledger:
            return ledger.is_planned()

    @property
    def tally(self) -> Tally:
        with contextlib.closing(Ledger(self.folder)) as ledger:
            return ledger.tally()

    def log(self, name: str) -> str:
        """Return the logs whose names hold ``name``."""
        return "".join(log.content.decode() for full, log in sorted(self.logs.items()) if name in full)

    def kept(self, name: str, rank: int = 0) -> Path:
        """Return a file that is kept with the run's logs."""
        return self.folder / f"{self.attempts}-{rank}" / "exe" / "wd" / "logs" / name


def job(folder: Path, script: str, files: Mapping[str, str | bytes], **settings: Any) -> ParallelRun:
    """Return a job whose input are some files.

    Args:
        folder: exists and is empty.
        script: the entry script.
        files: contents, by their names.
        settings: members of the :class:`ParallelTask`.
    """
    run = ParallelRun(folder, script, settings)
    run.input.mkdir()
    for name, content in files.items():
        path = run.input / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return run
