"""A training pipeline, run on the local service and watched in JupyterLab: before, while and after it runs.

With ``SCREENSHOTS=docs/images`` it makes the pictures that are shown of the view.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyterlab_page import Lab, new_context, run_cell
from playwright.sync_api import Browser, Locator, Page, expect

PIPELINE = """
import designer, helpers
import pandas as pd
from azure.ai.ml import Input, dsl
from azure.ai.ml.entities import AmlCompute

frame = pd.DataFrame({"distance": [(17 * n) % 41 / 4 for n in range(60)]})
frame["wind"] = [(13 * n) % 23 / 2 for n in range(60)]
frame.loc[::7, "wind"] = None
frame["late"] = [int(n) for n in frame.distance + frame.wind.fillna(5) > 10]
os.makedirs("flights")
frame.to_csv("flights/flights.csv", index=False)

SCRIPT = '''
import time
from pathlib import Path

def azureml_main(dataframe1=None, dataframe2=None):
    while not Path("GATE").exists():
        time.sleep(0.05)
    return dataframe1.assign(headwind=dataframe1.wind / 2),
'''

ml_client = helpers.connect("local")
cluster = AmlCompute(name="watched", size="Standard_DS3_v2", max_instances=2)
ml_client.compute.begin_create_or_update(cluster).wait()
components = designer.load_components()

@dsl.pipeline(display_name="late flights", default_compute="watched")
def late_flights():
    read = components.import_data(data=Input(type="uri_folder", path="flights"))
    add_headwind = components.execute_python_script(dataset1=read.outputs.dataset, python_script=SCRIPT)
    clean = components.clean_missing_data(
        dataset=add_headwind.outputs.result_dataset,
        columns_to_be_cleaned="wind,headwind",
        cleaning_mode="Replace with mean",
    )
    split = components.split_data(dataset=clean.outputs.cleaned_dataset)
    logistic_regression = components.two_class_logistic_regression()
    train = components.train_model(
        untrained_model=logistic_regression.outputs.untrained_model,
        dataset=split.outputs.results_dataset1,
        label_column="late",
    )
    score = components.score_model(trained_model=train.outputs.trained_model, dataset=split.outputs.results_dataset2)
    evaluate = components.evaluate_model(scored_dataset=score.outputs.scored_dataset)

training = late_flights()
designer.show(training)
"""
RUN = """
job = ml_client.jobs.create_or_update(training)
status = designer.watch(ml_client, job, "train", on_azure="about 12 minutes")
"""
AGAIN = "designer.show(job, ml_client=ml_client)"
THE_WHOLE_RUN = 300_000  # milliseconds, where many other tests run
STEPS = ("read", "add_headwind", "clean", "split", "logistic_regression", "train", "score", "evaluate")


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that a step waits for, so that there is time to look while it runs."""
    return tmp_path_factory.mktemp("gate") / "open"


@pytest.fixture(scope="module")
def page(browser: Browser, lab: Lab, gate: Path) -> Iterator[Page]:
    context = new_context(browser, reduced_motion="reduce", permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    lab.write("run.ipynb", "import os" + PIPELINE.replace("GATE", str(gate)), RUN, "", AGAIN)
    lab.open(page, "run.ipynb")
    yield page
    gate.touch()  # whatever became of the test, the job goes on to its end
    context.close()


def picture(of: Locator, name: str, otherwise: Path) -> None:
    """Keep a picture of a view, without the notebook around it."""
    folder = Path(os.environ.get("SCREENSHOTS", otherwise))
    path = folder / f"designer-{name}.png"
    of.screenshot(path=path)
    assert path.stat().st_size < 150_000


def standing(view: Locator, step: str) -> Locator:
    return view.locator(f'[data-id="step {step}"] .dg-stands')


def test_a_run_is_watched_from_its_beginning_to_its_end(page: Page, gate: Path, tmp_path: Path) -> None:
    before = run_cell(page, 0).locator(".dg-graph")
    expect(before.locator(".react-flow__node")).to_have_count(len(STEPS) + 1)
    expect(before.locator(".dg-stands")).to_have_count(0)
    picture(before, "before", tmp_path)

    output = run_cell(page, 1)
    view = output.locator(".dg-graph")
    expect(standing(view, "add_headwind")).to_have_text("▶ Running")
    expect(standing(view, "read")).to_have_text("✓ Completed")
    expect(standing(view, "clean")).to_have_text("○ Not started")
    expect(view.get_by_role("status")).to_contain_text("Execute Python Script, step add_headwind: Running")
    expect(view.locator(".dg-headline")).to_contain_text("train: Running")
    # The kernel works; the view answers all the same.
    view.locator('[data-id="step clean"]').focus()
    page.keyboard.press("Enter")
    panel = view.get_by_role("region", name="Clean Missing Data, step clean")
    expect(panel.get_by_role("heading", level=4)).to_be_focused()
    expect(panel).to_contain_text("wind,headwind")
    expect(panel.get_by_role("button", name="Read cleaned_dataset in a cell")).to_have_count(0)
    picture(view, "during", tmp_path)

    gate.touch()
    expect(view.locator(".dg-headline")).to_contain_text("train: Completed", timeout=THE_WHOLE_RUN)
    for step in STEPS:
        expect(standing(view, step)).to_have_text("✓ Completed")
    expect(view.get_by_role("status")).to_contain_text("The pipeline late flights: Completed.")
    expect(output).to_contain_text("✓ train: Completed (on Azure: about 12 minutes)")
    expect(panel.get_by_role("heading", level=4)).to_be_focused()  # what went on took nothing away
    expect(panel.get_by_role("button", name="Read cleaned_dataset in a cell")).to_have_count(1)


def test_an_output_of_a_finished_step_says_how_to_read_it(page: Page, tmp_path: Path) -> None:
    view = page.locator(".jp-CodeCell").nth(1).locator(".dg-graph")
    view.locator('[data-id="step score"] .react-flow__handle-bottom').click()
    panel = view.get_by_role("region", name="Score Model, step score")
    code = panel.get_by_label("Code that reads it")
    expect(code).to_contain_text("helpers.download_output(ml_client, step, 'scored_dataset')")
    picture(view, "after", tmp_path)
    panel.get_by_role("button", name="Copy").click()
    expect(panel.get_by_role("status")).to_have_text("Copied")
    cell = page.locator(".jp-CodeCell").nth(2)
    cell.locator(".jp-InputArea-editor").click()
    page.keyboard.press("Control+V")
    expect(run_cell(page, 2)).to_contain_text("Scored Labels")


def test_by_keyboard_too(page: Page) -> None:
    view = page.locator(".jp-CodeCell").nth(1).locator(".dg-graph")
    view.locator('[data-id="step train"]').focus()
    page.keyboard.press("Enter")
    button = view.get_by_role("button", name="Read trained_model in a cell")
    while not button.evaluate("button => button === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(view.get_by_label("Code that reads it")).to_contain_text("TrainedModel.load(folder)")
    page.keyboard.press("Escape")
    expect(view.locator(".dg-panel")).to_have_count(0)
    assert page.evaluate("document.activeElement.dataset.id") == "step train"


def test_a_job_that_was_sent_is_shown_as_it_stands(page: Page) -> None:
    view = run_cell(page, 3).locator(".dg-graph")
    for step in STEPS:
        expect(standing(view, step)).to_have_text("✓ Completed")
    view.locator('[data-id="step clean"]').click()
    button = view.get_by_role("button", name="Read cleaning_transformation in a cell")
    button.click()
    expect(view.get_by_label("Code that reads it")).to_contain_text("Transformation.load(folder)")
    expect(button).to_have_attribute("aria-expanded", "true")
