from playwright.sync_api import Page
from pathlib import Path


def test_try(lab, page: Page):
    lab.write(
        "a.ipynb",
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1] / 'unit')!r})\nfrom designer_graphs import late_flights\nimport designer\nstatuses={{'clean':'Completed','split':'Running'}}\ndesigner.show(late_flights(), statuses)",
    )
    log = []
    page.on("console", lambda m: log.append(m.text))
    lab.open(page, "a.ipynb")
    page.locator(".jp-CodeCell").first.click()
    page.keyboard.press("Shift+Enter")
    try:
        page.locator(".dg-graph").wait_for(timeout=60000)
        page.wait_for_timeout(1500)
        page.locator('.react-flow__node[data-id="step clean"]').click()
        page.wait_for_timeout(500)
    finally:
        page.screenshot(path="/tmp/h-view-lab.png")
        print("\n".join(log))
        print(page.locator(".dg-graph").count() and page.locator(".dg-graph").aria_snapshot())
