"""Each page of the book in Chromium, at a desk, in the dark and on a phone; some of them are in tests/browser, too."""

from __future__ import annotations

import book_site
from browsers import launched


def test_every_page_can_be_read_by_everybody() -> None:
    book = book_site.build()
    with book_site.served(book) as address, launched() as browser:
        reader = book_site.Reader(browser, address)
        faults = {name: found for name in book_site.pages(book) if (found := reader.faults(name))}
    assert faults == {}
