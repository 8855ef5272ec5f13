"""Writes events without end until it is killed; says of each that its change of state is on disk.

python log_writer.py STATE_FOLDER PREFIX
"""

from __future__ import annotations

import asyncio
import sys

from azureml_local.home import Home
from log_store import running


async def main(root: str, prefix: str) -> None:
    """Emit one event a transaction, while the log store takes them."""
    async with running(Home(root)) as logs:
        number = 0
        while True:
            with logs.store.transaction():
                logs.submit(f"{prefix}{number}")
            print(f"{prefix}{number}", flush=True)
            number += 1
            await asyncio.sleep(0)


asyncio.run(main(*sys.argv[1:]))
