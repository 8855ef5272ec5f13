"""The built book, served on loopback, and what is asked of each of its pages in a browser.

What counts as accessible is axe-core's judgement by the rules of WCAG 2.1 AA and its own best practices.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "build" / "book" / "html"
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
SMALLEST = 16  # pixels

# Of each block's coloured words one of a kind: ten thousand more tell nothing new of contrast, and take minutes.
THINNED = """() => {
    const seen = new Set();
    for (const word of document.querySelectorAll(".highlight span[class]")) {
        const kind = `${word.closest(".cell_input, .cell_output, .sd-dropdown")?.className} ${word.className}`;
        if (seen.has(kind)) word.replaceWith(...word.childNodes);
        else seen.add(kind);
    }
}"""
# axe would otherwise fetch the style sheets again, and seek what they import beside the page.
AXE = """async rules => (await axe.run(document, {
    resultTypes: ["violations"], preload: false, ...(rules.length && {runOnly: rules}),
})).violations.flatMap(found => found.nodes.map(node => `${found.id}: ${node.html.slice(0, 300)}`))"""
TOO_SMALL = """smallest => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
    while (texts.nextNode()) {
        const holder = texts.currentNode.parentElement;
        if (texts.currentNode.data.trim() && holder.getClientRects().length
            && holder.checkVisibility({opacityProperty: true, visibilityProperty: true})
            && parseFloat(getComputedStyle(holder).fontSize) < smallest)
            found.push(`${getComputedStyle(holder).fontSize}: ${texts.currentNode.data.trim().slice(0, 60)}`);
    }
    return found;
}"""
WIDER_THAN_THE_WINDOW = """() => {
    const page = document.scrollingElement;
    const scrolls = one => one && one !== document.body
        && (["auto", "scroll", "hidden"].includes(getComputedStyle(one).overflowX) || scrolls(one.parentElement));
    if (page.scrollWidth <= page.clientWidth) return [];
    const wide = [...document.querySelectorAll("body *")].filter(
        one => one.getBoundingClientRect().right > page.clientWidth + 1 && !scrolls(one.parentElement));
    return [`the page: ${page.scrollWidth}`, ...wide.map(one => one.outerHTML.slice(0, 200))];
}"""


def build() -> Path:
    """Build the book as ``make book`` does, or what has changed since; return the folder of its HTML."""
    finished = subprocess.run([sys.executable, "-m", "course.book"], cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    return BOOK


def pages(book: Path) -> list[str]:
    """Return the names of all pages."""
    return [path.relative_to(book).as_posix() for path in sorted(book.rglob("*.html")) if "_static" not in path.parts]


@contextmanager
def served(book: Path) -> Iterator[str]:
    """Serve the book on loopback; gives the address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing of each request."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(book)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Reader:
    """Somebody who reads the book in a browser, at a desk, on a phone, or in the dark.

    Args:
        browser: a running one.
        address: where the book is served.
    """

    def __init__(self, browser: Browser, address: str) -> None:
        self._address = address
        self._contexts = {
            "desk": browser.new_context(viewport=DESK),
            "phone": browser.new_context(viewport=PHONE, is_mobile=True, has_touch=True),
            "dark": browser.new_context(viewport=DESK, color_scheme="dark"),
        }
        self._said: list[str] = []
        for context in self._contexts.values():
            context.set_default_timeout(120_000)  # milliseconds; the machine does other things, too
            context.on("console", self._told)
            context.on("weberror", lambda error: self._said.append(str(error.error)))
            context.on("request", self._asked)
            context.on("response", self._answered)
        self._open = {name: context.new_page() for name, context in self._contexts.items()}

    def _told(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self._said.append(f"{message.type}: {message.text}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((f"{self._address}/", "data:")):
            self._said.append(f"asks elsewhere: {request.url}")

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            self._said.append(f"status {response.status}: {response.url}")

    @property
    def contexts(self) -> dict[str, BrowserContext]:
        """The windows."""
        return self._contexts

    def open(self, name: str, where: str = "desk") -> Page:
        """Open a page, and wait until all of it has come."""
        page = self._open[where]
        page.goto(f"{self._address}/{name}")
        return page

    def faults(self, name: str) -> list[str]:
        """Return what is wrong with a page, in each of the three ways to read it."""
        self._said.clear()
        page = self.open(name)
        found = [f"desk, {fault}" for fault in _axe(page)]
        page = self.open(name, "dark")
        found += [f"dark, {fault}" for fault in _axe(page, "color-contrast")]
        page = self.open(name, "phone")
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        found += [f"phone, too wide: {fault}" for fault in page.evaluate(WIDER_THAN_THE_WINDOW)]
        found += [f"phone, too small: {fault}" for fault in page.evaluate(TOO_SMALL, SMALLEST)]
        found += [f"phone, {fault}" for fault in _axe(page, "scrollable-region-focusable", "meta-viewport")]
        return [*found, *self._said]

    def close(self) -> None:
        """Close all windows."""
        for context in self._contexts.values():
            context.close()


def _axe(page: Page, *rules: str) -> list[str]:
    """Return what axe finds against these rules, or all."""
    page.evaluate(THINNED)
    page.evaluate(AXE_SCRIPT)
    found: list[str] = page.evaluate(AXE, list(rules))
    return found
