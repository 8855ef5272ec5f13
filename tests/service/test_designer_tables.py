"""Components for tables as the steps of pipeline jobs, submitted with azure-ai-ml as they are declared.

Truth: the same functions and pandas, called here with the same texts; a component's log, where it fails.
"""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from azure.ai.ml import Input, MLClient, dsl, load_component
from azure.ai.ml.entities import AmlCompute
from azure.storage.blob import BlobServiceClient
from designer_modules.data_sources import enter_data_manually, import_data
from designer_modules.normalization import normalize_data
from job_support import Jobs
from pandas.testing import assert_frame_equal
from pipeline_support import Pipelines, Ran
from support import Arm, finish

from designer.declarations import OUR_COMPONENTS
from running_service import RunningService

pytestmark = pytest.mark.slow

CLUSTER = "designer-cluster"

# What shells and templates take for something else: quotes, variables, commands, comments, escapes, lines, markers.
AWKWARD = ["it's", 'say "hi"', "$HOME", "`id`", "$(id)", r"back\slash\n", "100%", "a; b & c | d", "# no", "{x}", "é€✈"]
NAME = "it's, so to say,"
NUMBERS = [float(place) for place in range(len(AWKWARD))]
ROWS = pd.DataFrame({"text": AWKWARD, "number": NUMBERS, NAME: NUMBERS})
TYPED = ROWS.to_csv(index=False)
SCRIPT = r'''import pandas as pd

QUOTES = """it's "quoted" `here` for $HOME\n"""


def azureml_main(dataframe1=None, dataframe2=None):
    # a comment's apostrophe
    dataframe1["length"] = [len(text) for text in dataframe1["text"]]
    dataframe1["quotes"] = QUOTES
    return dataframe1, dataframe1.head(1)
'''
QUERY = """-- the author's query
SELECT "text", number, "length", quotes || ' $HOME `x` it''s' AS quotes
FROM t1
WHERE text <> 'a "b"'
ORDER BY number DESC"""


def component(name: str) -> Callable[..., Any]:
    return load_component(OUR_COMPONENTS / f"{name}.yml")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def pipelines(ml: MLClient, arm: Arm, service: RunningService) -> Iterator[Pipelines]:
    cluster = AmlCompute(name=CLUSTER, size="Standard_DS3_v2", max_instances=2, idle_time_before_scale_down=600)
    finish(ml.compute.begin_create_or_update(cluster))
    settings = service.settings
    address = f"https://{settings.storage_account}.blob.core.windows.net"
    yield Pipelines(Jobs(ml, arm, BlobServiceClient(address, settings.storage_key)))
    finish(ml.compute.begin_delete(CLUSTER))


@dsl.pipeline(name="tables", compute=CLUSTER)
def tables() -> None:
    typed = component("enter_data_manually")(data=TYPED, has_header=True)
    selected = component("select_columns_in_dataset")(
        dataset=typed.outputs.dataset, select_columns=r'["it\u0027s, so to say,", "text"]', preserve_column_order=True
    )
    component("summarize_data")(dataset=selected.outputs.results_dataset)
    scripted = component("execute_python_script")(dataset1=typed.outputs.dataset, python_script=SCRIPT)
    queried = component("execute_sql_transformation")(t1=scripted.outputs.result_dataset, sql_query_script=QUERY)
    normalized = component("normalize_data")(dataset=queried.outputs.results_dataset, columns_to_transform="number")
    parts = component("split_data")(
        dataset=normalized.outputs.transformed_dataset,
        splitting_mode="Regular Expression",
        regular_expression=r"""\"text" ['"$`\\]""",
    )
    component("apply_transformation")(
        transformation=normalized.outputs.transformation_function, dataset=typed.outputs.dataset
    )
    component("export_data")(dataset=parts.outputs.results_dataset1)


@pytest.fixture(scope="module")
def ran(pipelines: Pipelines) -> Ran:
    return pipelines.run(tables(), force_rerun=True)


def files(ran: Ran, step: str, port: str) -> dict[str, bytes]:
    found = ran.jobs.step(ran.child(step).name).output(port)
    return {name.lstrip("/"): content for name, content in found.items()}


def frame(ran: Ran, step: str, port: str) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(files(ran, step, port)["data.parquet"]))


def test_texts_arrive_as_they_were_typed(ran: Ran) -> None:
    assert ran.status == "Completed", ran.error
    assert_frame_equal(frame(ran, "typed", "dataset"), ROWS)
    scripted = frame(ran, "scripted", "result_dataset")
    assert set(scripted["quotes"]) == {'it\'s "quoted" `here` for $HOME\n'}
    assert scripted["length"].tolist() == [len(text) for text in AWKWARD]
    assert_frame_equal(frame(ran, "scripted", "result_dataset2"), scripted.head(1))
    queried = frame(ran, "queried", "results_dataset")
    assert queried["text"].tolist() == AWKWARD[::-1]
    assert set(queried["quotes"]) == {"it's \"quoted\" `here` for $HOME\n $HOME `x` it's"}


def test_columns_are_selected_by_names_with_commas_and_apostrophes(ran: Ran) -> None:
    assert list(frame(ran, "selected", "results_dataset").columns) == [NAME, "text"]
    assert frame(ran, "summarize_data", "results_dataset")["Feature"].tolist() == [NAME, "text"]


def test_a_transformation_does_to_others_what_it_did(ran: Ran) -> None:
    expected, _ = normalize_data(enter_data_manually(TYPED), "number")
    assert_frame_equal(frame(ran, "apply_transformation", "transformed_dataset"), expected.frame)
    content = json.loads(files(ran, "normalized", "transformation_function")["transformation.json"])
    assert content["transformation"] == "Normalization"


def test_rows_go_to_the_first_part_or_to_the_second(ran: Ran) -> None:
    first, second = (set(frame(ran, "parts", f"results_dataset{number}")["text"]) for number in (1, 2))
    assert first == {text for text in AWKWARD if any(sign in text for sign in "'\"$`\\")}
    assert first | second == set(AWKWARD)
    exported = pd.read_csv(io.BytesIO(files(ran, "export_data", "exported_data")["data.csv"]))
    assert set(exported["text"]) == first


def test_what_fails_is_said_in_the_log_and_in_the_jobs_error(pipelines: Pipelines) -> None:
    @dsl.pipeline(name="failing", compute=CLUSTER)
    def failing() -> None:
        typed = component("enter_data_manually")(data="a,b\n1,x\n")
        component("execute_sql_transformation")(
            t1=typed.outputs.dataset, sql_query_script="SELECT a\nFROM t1\nWHERE nobody = 'it''s'"
        )

    ran = pipelines.run(failing(), force_rerun=True)
    assert ran.status == "Failed"
    log = ran.jobs.step(ran.child("execute_sql_transformation").name).log
    assert "sql.execute_sql_transformation: Error 0069" in log
    assert "LINE 3: WHERE nobody" in log
    assert "Traceback" not in log


def test_files_of_a_folder_are_imported(pipelines: Pipelines, tmp_path: Path) -> None:
    ROWS.head(3).to_csv(tmp_path / "a.csv", index=False)
    ROWS.tail(3).to_csv(tmp_path / "b.csv", index=False)

    @dsl.pipeline(name="importing", compute=CLUSTER)
    def importing(data: Input(type="uri_folder")) -> None:  # type: ignore[valid-type]
        imported = component("import_data")(data=data)
        component("clean_missing_data")(dataset=imported.outputs.dataset, columns_to_be_cleaned="text, number")

    ran = pipelines.run(importing(data=Input(type="uri_folder", path=str(tmp_path))), force_rerun=True)
    assert ran.status == "Completed", ran.error
    assert_frame_equal(frame(ran, "imported", "dataset"), import_data(tmp_path).frame)
    assert_frame_equal(frame(ran, "clean_missing_data", "cleaned_dataset"), import_data(tmp_path).frame)
