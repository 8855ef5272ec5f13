"""JupyterLab as a learner has it in a browser: its notebooks, and what is done with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

PATIENCE = 120_000  # milliseconds: a kernel that imports the SDK beside other tests takes long


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: where it is, and the folder that it shows."""

    address: str
    token: str = field(repr=False)
    folder: Path

    def write(self, name: str, *cells: str) -> None:
        """Write a notebook."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.folder / name)

    def open(self, page: Page, name: str) -> None:
        """Open a notebook, and wait until its kernel is there."""
        page.goto(f"{self.address}/lab/tree/{name}?token={self.token}&reset")
        page.locator(".jp-Notebook").wait_for()
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()


def run_cell(page: Page, number: int) -> Locator:
    """Run a cell of the open notebook, and return its output: what it will be."""
    cell = page.locator(".jp-CodeCell").nth(number)
    cell.locator(".jp-InputArea-editor").click()
    page.keyboard.press("Shift+Enter")
    return cell.locator(".jp-OutputArea")


def new_context(browser: Browser, **options: Any) -> BrowserContext:
    """Return a window of its own, which waits for what other tests slow down."""
    context = browser.new_context(viewport={"width": 1400, "height": 1300}, **options)
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    return context
