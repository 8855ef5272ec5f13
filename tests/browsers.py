"""A real Chromium. Where the machine has none, a test that needs one says so."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NAMED = "CHROMIUM"  # the variable that may name one


def chromium() -> str:
    """Return the path of a Chromium or a Chrome."""
    found = os.environ.get(NAMED) or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed, and {NAMED} names none")
    if subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
        pytest.skip(f"no browser: {found} does not start")
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    """Start it, and end it."""
    path = chromium()
    with sync_playwright() as playwright:
        # The sandbox needs rights that a container's root does not have; only our own pages are opened.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
