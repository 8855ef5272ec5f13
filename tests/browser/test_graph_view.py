"""The interactive view of a graph, in JupyterLab and Chromium: seen, read by a screen reader, worked by keyboard alone.

What roles and names things must have comes from WAI-ARIA (https://www.w3.org/WAI/ARIA/apg/); where boxes lie, and what
is in them, from the graph and from the static picture of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from jupyterlab_page import Lab, new_context, run_cell
from playwright.sync_api import Browser, Locator, Page, expect

from designer.graph import FromInput, FromNode
from designer.view.boxes import boxes, edges
from designer.view.placing import place
from designer_graphs import late_flights

GRAPH = late_flights()
STATUSES = {"flight_columns": "Completed", "clean": "Reused", "split": "Running", "train": "Failed"}
CELL = f"""
import designer
from designer_graphs import late_flights
graph = late_flights()
designer.show(graph, {STATUSES})
"""
COMPARED = """
from designer.rewriting import realtime_inference
designer.show(designer.compare(graph, realtime_inference(graph, scorer="score")))
"""


@pytest.fixture(scope="module")
def page(browser: Browser, lab: Lab) -> Iterator[Page]:
    """A page of JupyterLab that shows a graph."""
    context = new_context(browser)
    page = context.new_page()
    lab.write("graph.ipynb", CELL, COMPARED)
    lab.open(page, "graph.ipynb")
    expect(run_cell(page, 0).locator(".react-flow__node")).to_have_count(len(boxes(GRAPH)))
    yield page
    context.close()


@pytest.fixture(autouse=True)
def nothing_open(page: Page) -> None:
    """Close the panel that another test has left open."""
    if page.locator(".dg-panel").count():
        page.locator(".dg-close").click()


def box(page: Page, key: str) -> Locator:
    return page.locator(".dg-graph").first.locator(f'.react-flow__node[data-id="{key}"]')


def focused(page: Page) -> str:
    """The key of the box that has the focus."""
    return str(page.evaluate("document.activeElement.closest('.react-flow__node')?.dataset.id ?? ''"))


def test_it_shows_each_box_with_its_ports_where_the_picture_has_them(page: Page) -> None:
    placed = place(boxes(GRAPH), edges(GRAPH))
    for key, there in placed.boxes.items():
        shown = box(page, key)
        expect(shown.locator("strong")).to_have_text(there.title)
        named = [port.name for port in (*there.inputs, *there.outputs) if port.name]
        assert shown.locator(".dg-port").all_text_contents() == named
        assert shown.locator(".react-flow__handle-top").count() == len(there.inputs)
        assert shown.locator(".react-flow__handle-bottom").count() == len(there.outputs)
        found = re.search(r"translate\((.+?)px, ?(.+?)px\)", shown.get_attribute("style") or "")
        assert found and [float(one) for one in found.groups()] == pytest.approx(
            [placed.places[key].left, placed.places[key].y], abs=0.01
        )
    drawn = page.locator(".react-flow__edge-path").evaluate_all("paths => paths.map(path => path.getAttribute('d'))")
    assert sorted(drawn) == sorted(placed.paths.values())


def test_how_a_step_stands_is_said_by_mark_word_and_colour(page: Page) -> None:
    colours = set()
    for step, (mark, status) in {
        "flight_columns": ("✓", "Completed"),
        "clean": ("↺", "Reused"),
        "split": ("▶", "Running"),
        "train": ("✗", "Failed"),
    }.items():
        expect(box(page, f"step {step}").locator(".dg-stands")).to_have_text(f"{mark} {status}")
        colours.add(box(page, f"step {step}").locator(".dg-box").evaluate("box => getComputedStyle(box).background"))
    assert len(colours) == 4


def test_everything_has_a_role_and_a_name(page: Page) -> None:
    view = page.get_by_role("region", name="Graph of the pipeline late flights")
    expect(view).to_have_count(1)
    name = "Clean Missing Data, step clean, Reused, gets results_dataset of join_planes"
    expect(view.get_by_role("button", name=name, exact=True)).to_have_count(1)
    for label in ("Zoom In", "Zoom Out", "Fit View"):
        expect(view.get_by_role("button", name=label)).to_have_count(1)
    expect(view.get_by_role("list", name="Legend")).to_contain_text("Data Transformation")
    expect(view.get_by_role("status")).to_have_attribute("aria-live", "polite")
    nameless = view.locator("button, [role=button], [role=img], [tabindex='0'], a").evaluate_all(
        """all => all.filter(one => !one.closest('[aria-hidden=true]'))
            .filter(one => !(one.getAttribute('aria-label') || one.getAttribute('title') || one.innerText).trim())
            .map(one => one.outerHTML.slice(0, 200))"""
    )
    assert nameless == []
    ids = page.evaluate("[...document.querySelectorAll('.dg-graph [id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))


def test_tab_goes_through_the_boxes_in_the_order_of_the_graph(page: Page) -> None:
    order = [*place(boxes(GRAPH), edges(GRAPH)).boxes]
    box(page, order[0]).focus()
    visited = [focused(page)]
    for _ in order[1:]:
        page.keyboard.press("Tab")
        visited.append(focused(page))
    assert visited == order
    for name, node in GRAPH.nodes.items():
        for bound in node.bindings.values():
            if isinstance(bound, FromNode | FromInput) and (key := _key(bound)) in order:
                assert order.index(key) < order.index(f"step {name}")
    page.keyboard.press("Tab")
    assert focused(page) == ""  # on to the controls: nobody is caught in the graph
    page.keyboard.press("Shift+Tab")
    assert focused(page) == order[-1]


def _key(bound: FromNode | FromInput) -> str:
    return f"step {bound.node}" if isinstance(bound, FromNode) else f"input {bound.name}"


def test_the_focus_is_seen(page: Page) -> None:
    box(page, "input flights").focus()
    page.keyboard.press("Tab")
    outline = page.locator(".react-flow__node:focus").evaluate("box => getComputedStyle(box).outline")
    assert "solid 3px" in outline


def test_arrow_keys_lead_along_edges_and_rows(page: Page) -> None:
    box(page, "step split").focus()
    for pressed, reached in (
        ("ArrowUp", "step normalize"),
        ("ArrowDown", "step split"),
        ("ArrowDown", "step train"),
        ("ArrowDown", "step score"),
        ("ArrowRight", "step score_forest"),
        ("ArrowLeft", "step score"),
        ("ArrowDown", "step evaluate"),
        ("ArrowDown", "output evaluation"),
        ("ArrowDown", "output evaluation"),
    ):
        page.keyboard.press(pressed)
        assert focused(page) == reached


def test_jupyterlabs_shortcuts_stay_out(page: Page) -> None:
    """To a notebook, B means a new cell, and D twice that this one goes."""
    cells = page.locator(".jp-CodeCell").count()
    box(page, "step split").focus()
    for pressed in ("b", "d", "d", "ArrowDown"):
        page.keyboard.press(pressed)
    assert focused(page) == "step train"
    assert page.locator(".jp-CodeCell").count() == cells


def test_enter_opens_what_there_is_to_know_and_escape_closes_it(page: Page) -> None:
    box(page, "step clean").focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("region", name="Clean Missing Data, step clean")
    expect(panel.get_by_role("heading", level=4)).to_be_focused()
    expect(box(page, "step clean")).to_have_attribute("aria-expanded", "true")
    expect(panel).to_contain_text("What Clean Missing Data does.")
    expect(panel).to_contain_text("↺ Reused")
    expect(panel.locator("dt")).to_have_text(["columns", "cleaning_mode"])
    expect(panel.locator("dd")).to_have_text(["not set default", "cleaning of the pipeline = remove_row"])
    ports = panel.get_by_role("listitem")
    expect(ports.nth(0)).to_contain_text("dataset: dataset from results_dataset of join_planes")
    expect(ports.nth(2)).to_contain_text("cleaning_transformation: transformation")
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    assert focused(page) == "step clean"
    expect(box(page, "step clean")).to_have_attribute("aria-expanded", "false")


def test_a_click_opens_and_closes_it_too(page: Page) -> None:
    box(page, "input planes").click()
    expect(page.get_by_role("region", name="planes, input planes")).to_contain_text("dataset")
    box(page, "step score").click()
    expect(page.get_by_role("region", name="Score Model, step score")).to_be_visible()
    expect(page.locator(".dg-panel")).to_have_count(1)
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".dg-panel")).to_have_count(0)


def test_it_can_be_moved_and_zoomed_and_fitted_again(page: Page) -> None:
    viewport = page.locator(".react-flow__viewport")
    page.get_by_role("button", name="Fit View").click()
    fitted = viewport.get_attribute("style")
    page.get_by_role("button", name="Zoom In").click()
    expect(viewport).not_to_have_attribute("style", fitted or "")
    zoomed = viewport.get_attribute("style")
    canvas = page.locator(".dg-canvas").bounding_box()
    assert canvas
    page.mouse.move(canvas["x"] + 20, canvas["y"] + 20)
    page.mouse.down()
    page.mouse.move(canvas["x"] + 90, canvas["y"] + 60)
    page.mouse.up()
    expect(viewport).not_to_have_attribute("style", zoomed or "")
    page.get_by_role("button", name="Fit View").click()
    expect(viewport).to_have_attribute("style", fitted or "")


def test_the_whole_graph_is_in_sight_also_beside_the_panel(page: Page) -> None:
    page.get_by_role("button", name="Fit View").click()
    expect_in_sight(page)
    box(page, "step clean").click()
    expect(page.locator(".dg-panel")).to_be_visible()
    expect_in_sight(page)


def expect_in_sight(page: Page) -> None:
    page.wait_for_function(
        """() => {
            const canvas = document.querySelector('.dg-canvas').getBoundingClientRect();
            const nodes = document.querySelector('.dg-graph').querySelectorAll('.react-flow__node');
            return [...nodes].every(node => {
                const box = node.getBoundingClientRect();
                return canvas.left <= box.left && box.right <= canvas.right
                    && canvas.top <= box.top && box.bottom <= canvas.bottom;
            });
        }"""
    )


def test_what_works_moves_only_for_those_who_want_it(page: Page) -> None:
    works = box(page, "step split").locator(".dg-box")
    for wish, animation in (("no-preference", "dg-works"), ("reduce", "none")):
        page.emulate_media(reduced_motion=wish)
        assert works.evaluate("box => getComputedStyle(box).animationName") == animation


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_it_follows_jupyterlabs_theme(page: Page, theme: str) -> None:
    """Words are told from what they stand on: WCAG 2.2 asks a contrast of 4.5."""
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.locator(".lm-Menu-item").get_by_text("Theme", exact=True).click()
    page.locator(".lm-Menu-item").get_by_text(theme, exact=True).click()
    expect(page.locator(".dg-graph")).to_have_attribute("data-theme", theme.split()[1].lower())
    box(page, "step clean").click()
    for place_of_words in (".dg-panel h4", ".dg-legend li", ".dg-box strong", ".dg-stands"):
        for words in page.locator(place_of_words).all():
            assert contrast(words) >= 4.5, (place_of_words, words.inner_text())


def contrast(words: Locator) -> float:
    """The contrast of a text with what it stands on: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    colours = words.evaluate(
        """element => {
            let under = element;
            while (getComputedStyle(under).backgroundColor === 'rgba(0, 0, 0, 0)') under = under.parentElement;
            return [getComputedStyle(element).color, getComputedStyle(under).backgroundColor];
        }"""
    )
    lights = sorted(_light(colour) for colour in colours)
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _light(colour: str) -> float:
    """The relative luminance of ``rgb(r, g, b)``."""
    parts = [int(float(one)) / 255 for one in re.findall(r"[\d.]+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_what_has_changed_is_said_by_mark_word_colour_and_line(page: Page) -> None:
    view = run_cell(page, 1).locator(".dg-graph")
    for key, said, line in (
        ("step train", "- removed", "dashed"),
        ("input train_trained_model", "⇄ replaced", "solid"),
        ("step web_service_input", "+ added", "solid"),
        ("step score", None, "solid"),
    ):
        there = view.locator(f'.react-flow__node[data-id="{key}"]')
        expect(there.locator(".dg-box")).to_have_css("border-top-style", line)
        expect(there.locator(".dg-stands")).to_have_text([said] if said else [])
        expect(there).to_have_accessible_name(re.compile(said.split()[1] if said else "kept"))
    legend = view.get_by_role("list", name="Legend")
    for means in ("= kept", "⇄ replaced", "+ added", "- removed"):
        expect(legend).to_contain_text(f"{means}: ")
    view.locator('[data-id="step train"]').click()
    expect(view.get_by_role("region", name="Train Model, step train")).to_contain_text("removed")
