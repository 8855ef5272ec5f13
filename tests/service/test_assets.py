"""Models, environments, data, components and code, through the SDK and on the wire.

Shapes and statuses: section 6 of the notes on Azure's wire shapes (recordings R1, R3, R5, R6, R7); what can be changed
of a version: azure-cli-extensions#5440; component specs: service-behaviour.md, "On the wire".
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from azure.ai.ml import MLClient, command, load_component
from azure.ai.ml._artifacts._constants import ASSET_PATH_ERROR
from azure.ai.ml.entities import Component, Data, Environment, Model
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from support import API_VERSION, Arm, Deployed, deploy, finish

URI = "azureml://datastores/workspaceblobstore/paths/anywhere"
KINDS = {
    "models": {"modelUri": URI},
    "environments": {"image": "mcr.microsoft.com/azureml/minimal-py311-inference"},
    "data": {"dataUri": URI, "dataType": "uri_folder"},
    "components": {
        "componentSpec": {
            "name": "c",
            "type": "command",
            "command": "true",
            "environment": "azureml://registries/azureml/environments/any/versions/1",
        }
    },
}


@pytest.fixture
def file(tmp_path: Path, name: str) -> Path:
    path = tmp_path / "model.txt"
    path.write_text(name)
    return path


def test_model_of_a_file(ml: MLClient, arm: Arm, file: Path, name: str, tmp_path: Path) -> None:
    model = ml.models.create_or_update(Model(name=name, path=str(file), tags={"a": "1"}, description="d"))
    assert model.version == "1"
    assert model.path.startswith("azureml://subscriptions/")
    assert "/resourceGroups/" in model.path
    assert model.path.endswith("/model.txt")
    got = arm.get(f"/models/{name}/versions/1").json()
    assert got["id"] == f"{arm.workspace}/models/{name}/versions/1"
    assert got["type"] == "Microsoft.MachineLearningServices/workspaces/models/versions"
    assert got["properties"]["modelType"] == "custom_model"
    assert got["properties"]["isAnonymous"] is False
    assert got["properties"]["flavors"] == {}
    assert set(got["systemData"]) == {
        "createdAt", "createdBy", "createdByType", "lastModifiedAt", "lastModifiedBy", "lastModifiedByType",
    }  # fmt: skip
    ml.models.download(name, "1", download_path=str(tmp_path / "back"))
    assert [path.read_text() for path in (tmp_path / "back").rglob("model.txt")] == [name]


def test_model_of_a_folder(ml: MLClient, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "net"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "ü b.txt").write_text("1")
    (folder / "top.txt").write_text("2")
    (folder / "empty").write_text("")
    ml.models.create_or_update(Model(name=name, path=str(folder)))
    ml.models.download(name, "1", download_path=str(tmp_path / "back"))
    found = {path.name: path.read_text() for path in (tmp_path / "back").rglob("*") if path.is_file()}
    assert found == {"ü b.txt": "1", "top.txt": "2", "empty": ""}


def test_versions_count_up_and_latest_is_the_last_written(ml: MLClient, arm: Arm, tmp_path: Path, name: str) -> None:
    for number in (1, 2, 3):
        path = tmp_path / f"{number}.txt"
        path.write_text(f"{name} {number}")
        assert ml.models.create_or_update(Model(name=name, path=str(path))).version == str(number)
    assert arm.put(f"/models/{name}/versions/10", {"properties": {"modelUri": URI}}).status_code == 201
    assert arm.put(f"/models/{name}/versions/beta", {"properties": {"modelUri": URI}}).status_code == 201
    container = arm.get(f"/models/{name}").json()["properties"]
    assert container["nextVersion"] == "11"
    assert container["latestVersion"] == "beta"
    assert ml.models.get(name, label="latest").version == "beta"
    newest = arm.get(f"/models/{name}/versions", orderBy="createdtime desc", top="1").json()
    assert [one["name"] for one in newest["value"]] == ["beta"]
    assert "nextLink" not in newest
    assert {one.version for one in ml.models.list(name)} == {"1", "2", "3", "10", "beta"}
    assert name in {one.name for one in ml.models.list()}


def test_first_version_makes_the_container(arm: Arm, name: str) -> None:
    created = arm.put(f"/models/{name}/versions/1", {"properties": {"modelUri": URI}})
    assert created.status_code == 201
    assert created.headers["Location"].startswith(
        f"https://management.azure.com{arm.workspace}/models/{name}/versions/1?api-version="
    )
    properties = arm.get(f"/models/{name}").json()["properties"]
    assert properties == {
        "description": None, "tags": {}, "properties": {}, "isArchived": False, "latestVersion": "1",
        "nextVersion": "2",
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_repeated_put_changes_nothing(kind: str, arm: Arm, name: str) -> None:
    """[R1]: repeated models 200 with a later ``lastModifiedAt``, environments 201 with the dates of the first."""
    path = f"/{kind}/{name}/versions/1"
    first = arm.put(path, {"properties": KINDS[kind]})
    assert first.status_code == 201
    again = arm.put(path, {"properties": KINDS[kind]})
    assert again.status_code == (201 if kind == "environments" else 200)
    assert again.json()["properties"] == first.json()["properties"]
    assert again.json()["systemData"]["createdAt"] == first.json()["systemData"]["createdAt"]
    if kind == "environments":
        assert again.json()["systemData"] == first.json()["systemData"]
    else:
        assert again.json()["systemData"]["lastModifiedAt"] > first.json()["systemData"]["lastModifiedAt"]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("models", {"modelUri": URI + "/else"}),
        ("models", {"modelType": "mlflow_model"}),
        ("environments", {"image": "mcr.microsoft.com/azureml/minimal-py312-inference"}),
        ("environments", {"condaFile": "dependencies: [pip]"}),
        ("data", {"dataUri": URI + "/else"}),
        ("data", {"dataType": "uri_file"}),
        ("components", {"componentSpec": {"name": "c", "type": "command", "command": "false"}}),
    ],
    ids=str,
)
def test_what_a_version_is_made_of_cannot_be_changed(kind: str, change: dict[str, object], arm: Arm, name: str) -> None:
    path = f"/{kind}/{name}/versions/1"
    arm.put(path, {"properties": KINDS[kind]})
    refused = arm.put(path, {"properties": {**KINDS[kind], **change}})
    assert refused.status_code == 409
    error = refused.json()["error"]
    assert error["code"] == "UserError"
    assert error["target"] == f"properties.{next(iter(change))}"
    if error["target"].endswith("Uri"):
        assert f"({error['code']}) {error['message']}" == ASSET_PATH_ERROR
    else:
        assert f"{name} with version 1 is already registered and cannot be changed" in error["message"]
    described = arm.put(path, {"properties": {**KINDS[kind], "description": "new", "tags": {"a": "b"}}})
    assert described.status_code in (200, 201)
    assert arm.get(path).json()["properties"]["description"] == "new"


def test_version_conflict_through_the_sdk(ml: MLClient, file: Path, tmp_path: Path, name: str) -> None:
    ml.models.create_or_update(Model(name=name, version="7", path=str(file)))
    other = tmp_path / "other.txt"
    other.write_text("other" + name)
    with pytest.raises(ResourceExistsError, match="Asset paths cannot be updated"):
        ml.models.create_or_update(Model(name=name, version="7", path=str(other)))
    same = ml.models.create_or_update(Model(name=name, version="7", path=str(file), description="d"))
    assert same.description == "d"


def test_environment_without_a_version_is_registered_anew_where_it_differs(ml: MLClient, name: str) -> None:
    """azure-ai-ml first tries the latest version, and takes the next where that answers 409
    (``EnvironmentOperations._try_update_latest_version``)."""

    def register(image: str) -> str | None:
        return ml.environments.create_or_update(Environment(name=name, image=image)).version

    assert register("mcr.microsoft.com/azureml/minimal-py311-inference") == "1"
    assert register("mcr.microsoft.com/azureml/minimal-py311-inference") == "1"
    assert register("mcr.microsoft.com/azureml/minimal-py312-inference") == "2"


def test_creators_at_once_never_share_a_version(ml: MLClient, name: str) -> None:
    """azure-ai-ml asks for ``nextVersion`` and repeats what was answered 409, three times at most
    (``MAX_AUTOINCREMENT_ATTEMPTS``): of three creators each succeeds."""
    paths = [f"https://host/{name}/{number}" for number in range(3)]
    with ThreadPoolExecutor(len(paths)) as threads:
        made = list(
            threads.map(lambda path: ml.data.create_or_update(Data(name=name, path=path, type="uri_file")), paths)
        )
    assert sorted(str(one.version) for one in made) == ["1", "2", "3"]
    assert {ml.data.get(name, one.version).path for one in made} == set(paths)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_deleted_versions_are_not_given_again(kind: str, arm: Arm, name: str) -> None:
    for version in ("1", "2"):
        arm.put(f"/{kind}/{name}/versions/{version}", {"properties": KINDS[kind]})
    arm.request("DELETE", f"/{kind}/{name}/versions/2")
    arm.put(f"/{kind}/{name}/versions/mine", {"properties": KINDS[kind]})
    properties = arm.get(f"/{kind}/{name}").json()["properties"]
    assert (properties["latestVersion"], properties["nextVersion"]) == ("mine", "3")


@pytest.mark.parametrize("kind", KINDS)
def test_archived_versions_are_left_out_until_restored(kind: str, ml: MLClient, arm: Arm, name: str) -> None:
    operations = getattr(ml, kind)
    for version in ("1", "2"):
        arm.put(f"/{kind}/{name}/versions/{version}", {"properties": KINDS[kind]})
    before = arm.get(f"/{kind}/{name}/versions/2").json()["properties"]
    operations.archive(name, version="2")
    assert versions(arm, kind, name) == versions(arm, kind, name, "ActiveOnly") == ["1"]
    assert versions(arm, kind, name, "ArchivedOnly") == ["2"]
    assert versions(arm, kind, name, "All") == ["1", "2"]
    assert arm.get(f"/{kind}/{name}/versions/2").json()["properties"] == {**before, "isArchived": True}
    newest = arm.get(f"/{kind}/{name}/versions", orderBy="createdtime desc", top="1").json()["value"]
    assert [one["name"] for one in newest] == ["1"]
    operations.restore(name, version="2")
    assert versions(arm, kind, name) == ["1", "2"]
    assert arm.get(f"/{kind}/{name}/versions/2").json()["properties"] == before


@pytest.mark.parametrize("kind", KINDS)
def test_archived_container_archives_all_its_versions(kind: str, ml: MLClient, arm: Arm, name: str) -> None:
    """``az ml environment archive``, and so for the other kinds: "Archiving an environment container will archive all
    versions of the environment under that given name. […] If the entire environment container is archived, you cannot
    restore individual versions of the environment - you will need to restore the environment container." """
    operations = getattr(ml, kind)
    arm.put(f"/{kind}/{name}/versions/1", {"properties": KINDS[kind]})
    operations.archive(name)
    assert name not in {one.name for one in operations.list()}
    assert name in {one.name for one in operations.list(list_view_type="ArchivedOnly")}
    assert name in {one.name for one in operations.list(list_view_type="All")}
    operations.restore(name, version="1")
    arm.put(f"/{kind}/{name}/versions/2", {"properties": KINDS[kind]})
    assert versions(arm, kind, name) == []
    assert versions(arm, kind, name, "ArchivedOnly") == ["1", "2"]
    # "You can still continue to reference and use an archived environment in your workflows."
    assert operations.get(name, version="1").version == "1"
    operations.restore(name)
    assert name in {one.name for one in operations.list()}
    assert versions(arm, kind, name) == ["1", "2"]


@pytest.mark.parametrize("kind", ["models", "environments", "components"])
def test_archived_by_label(kind: str, ml: MLClient, arm: Arm, name: str) -> None:
    for version in ("1", "2"):
        arm.put(f"/{kind}/{name}/versions/{version}", {"properties": KINDS[kind]})
    getattr(ml, kind).archive(name, label="latest")
    assert versions(arm, kind, name) == ["1"]
    getattr(ml, kind).restore(name, version="2")
    assert versions(arm, kind, name) == ["1", "2"]


def versions(arm: Arm, kind: str, name: str, view: str | None = None) -> list[str]:
    query = {} if view is None else {"listViewType": view}
    return [one["name"] for one in arm.get(f"/{kind}/{name}/versions", **query).json()["value"]]


def test_environment_returns_its_conda_file_as_json(ml: MLClient, arm: Arm, name: str) -> None:
    """Goes in as YAML, comes back as JSON text of two spaces, keys in their order."""
    conda = "name: n\nchannels: [conda-forge]\ndependencies:\n  - python=3.11\n  - pip:\n      - numpy\n"
    answer = arm.put(
        f"/environments/{name}/versions/foo", {"properties": {**KINDS["environments"], "condaFile": conda}}
    )
    expected = {"name": "n", "channels": ["conda-forge"], "dependencies": ["python=3.11", {"pip": ["numpy"]}]}
    assert answer.json()["properties"]["condaFile"] == json.dumps(expected, indent=2)
    assert answer.json()["properties"]["osType"] == "Linux"
    assert answer.json()["properties"]["environmentType"] == "UserCreated"
    got = ml.environments.get(name, label="latest")
    assert got.version == "foo"
    assert got.conda_file == expected


def test_environment_of_a_conda_file_through_the_sdk(ml: MLClient, tmp_path: Path, name: str) -> None:
    conda = tmp_path / "conda.yml"
    conda.write_text("dependencies:\n  - python=3.11\n  - pip:\n      - numpy\n")
    environment = Environment(name=name, image=KINDS["environments"]["image"], conda_file=str(conda))
    created = ml.environments.create_or_update(environment)
    assert created.conda_file["dependencies"] == ["python=3.11", {"pip": ["numpy"]}]
    assert ml.environments.create_or_update(environment).version == created.version


@pytest.mark.parametrize("conda", ["a: &a [*a]", "[" * 5000, "{", "- a\n- b", "just text", ""])
def test_environment_with_a_conda_file_that_is_none(conda: str, arm: Arm, name: str) -> None:
    properties = {**KINDS["environments"], "condaFile": conda}
    assert arm.put(f"/environments/{name}/versions/1", {"properties": properties}).status_code == 400


def test_conda_file_with_a_date_in_it(arm: Arm, name: str) -> None:
    """YAML reads ``2024-01-31`` as a date; JSON knows it as text only."""
    properties = {**KINDS["environments"], "condaFile": "name: 2024-01-31\ndependencies: [pip]"}
    answer = arm.put(f"/environments/{name}/versions/1", {"properties": properties})
    assert answer.status_code == 201
    assert json.loads(answer.json()["properties"]["condaFile"])["name"] == "2024-01-31"


def test_data_of_a_file_and_of_an_uri(ml: MLClient, file: Path, name: str) -> None:
    data = ml.data.create_or_update(Data(name=name, path=str(file), type="uri_file"))
    assert data.version == "1"
    assert data.path.endswith("/model.txt")
    assert ml.data.get(name, version="1").type == "uri_file"
    elsewhere = ml.data.create_or_update(Data(name=name, path="https://bla/", type="uri_file"))
    assert (elsewhere.version, elsewhere.path) == ("2", "https://bla/")
    assert ml.data.get(name, label="latest").version == "2"


def test_component_comes_back_with_its_scalars_as_text(ml: MLClient, arm: Arm, name: str) -> None:
    component = command(
        name=name,
        command="echo ${{inputs.n}}",
        environment="azureml://registries/azureml/environments/any/versions/1",
        inputs={"n": {"type": "integer", "default": 1}},
    ).component
    created = ml.components.create_or_update(component, version="1")
    assert (created.name, created.version) == (name, "1")
    spec = arm.get(f"/components/{name}/versions/1").json()["properties"]["componentSpec"]
    assert spec["inputs"]["n"]["default"] == "1"
    assert "_source" not in spec
    assert ml.components.get(name, "1").command == "echo ${{inputs.n}}"
    assert name in {one.name for one in ml.components.list()}
    # Without a version azure-ai-ml asks for "azureml_default" (constants/_common.py).
    assert ml.components.get(name).version == "1"


def test_component_that_is_not_registered_keeps_its_name(arm: Arm, name: str) -> None:
    """azure-ai-ml makes its version of all but the name, and reads the name in the specification."""
    for own_name in ("first", "second"):
        spec = {"name": own_name, "type": "command", "command": "true"}
        path = f"/components/azureml_anonymous/versions/{name}"
        made = arm.put(path, {"properties": {"componentSpec": spec, "isAnonymous": True}})
        assert made.status_code in (200, 201), made.text
        assert arm.get(path).json()["properties"]["componentSpec"]["name"] == own_name
    other = {"componentSpec": {"name": "second", "type": "command", "command": "false"}, "isAnonymous": True}
    assert arm.put(path, {"properties": other}).status_code == 409


def test_component_without_a_version_counts_up(ml: MLClient, tmp_path: Path, name: str) -> None:
    def register(words: str) -> Component:
        path = tmp_path / "component.yml"
        path.write_text(
            f"type: command\nname: {name}\ncommand: echo {words}\n"
            "environment: azureml://registries/azureml/environments/any/versions/1\n"
        )
        return ml.components.create_or_update(load_component(path))

    assert [register(words).version for words in ("a", "b")] == ["1", "2"]
    assert ml.components.get(name, label="latest").version == "2"


def test_code_is_uploaded_once_whatever_its_name(ml: MLClient, arm: Arm, deployed: Deployed, name: str) -> None:
    """codes?hash= finds it again: a second deployment of the same folder uploads nothing and has the same code."""
    path = f"/onlineEndpoints/{deployed.endpoint}/deployments"
    code = arm.get(f"{path}/blue").json()["properties"]["codeConfiguration"]["codeId"]
    assert arm.get(f"{path}/green").json()["properties"]["codeConfiguration"]["codeId"] == code
    version = arm.get(code).json()
    properties = version["properties"]
    assert properties["properties"]["hash_sha256"]
    assert properties["isArchived"] is False
    assert properties["codeUri"].startswith(f"https://{arm.settings.storage_account}.blob.core.windows.net")
    anything = code.split("/")[-3].replace("-", "")
    found = arm.get(f"/codes/{anything}/versions", hash=properties["properties"]["hash_sha256"], hashVersion="202208")
    assert [one["id"] for one in found.json()["value"]] == [code]
    other = arm.get(f"/codes/{anything}/versions", hash="0" * 64, hashVersion="202208")
    assert other.json()["value"] == []
    # Another folder is another code.
    finish_failed = deploy(ml, deployed.endpoint, name, environment=deployed.environment, script="init_raises.py")
    assert arm.get(f"{path}/{name}").json()["properties"]["codeConfiguration"]["codeId"] == code
    with pytest.raises(HttpResponseError):
        finish(finish_failed)


@pytest.mark.parametrize(
    ("kind", "detail"),
    [("models", "Model"), ("environments", "Environment"), ("data", "Data"), ("components", "Component")],
)
def test_missing_assets(kind: str, detail: str, arm: Arm) -> None:
    for path in (f"/{kind}/absent", f"/{kind}/absent/versions", f"/{kind}/absent/versions/1"):
        answer = arm.get(path)
        assert answer.status_code == 404, path
        assert answer.headers["x-ms-response-type"] == "error"
        error = answer.json()["error"]
        assert (error["code"], error["message"]) == ("UserError", "The specified resource was not found.")
        assert detail in error["details"][0]["message"]
    container = arm.get("/models/absent").json()["error"]["details"][0]
    assert container["code"] == "ModelNotFound"
    assert container["message"] == "Model container with name: absent not found."


def test_missing_assets_through_the_sdk(ml: MLClient) -> None:
    with pytest.raises(ResourceNotFoundError):
        ml.models.get("absent", version="1")
    with pytest.raises(ResourceNotFoundError):
        ml.data.get("absent", version="1")


@pytest.mark.parametrize("bad", ["-a", ".a", "a b", "a" * 256, "ä", "a%0A"])
def test_asset_names_must_follow_azures_rule(bad: str, arm: Arm) -> None:
    """``^[a-zA-Z0-9][a-zA-Z0-9\\-_.]{0,254}$`` in mfe.json of the public OpenAPI."""
    assert arm.put(f"/models/{bad}/versions/1", {"properties": KINDS["models"]}).status_code == 400
    assert arm.put(f"/models/good/versions/{bad}", {"properties": KINDS["models"]}).status_code == 400


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("models", {}),
        ("models", {"modelUri": ["a"]}),
        ("models", {"modelUri": URI, "tags": "a"}),
        ("models", {"modelUri": URI, "modelType": ["a"]}),
        ("data", {"dataUri": URI}),
        ("data", {"dataUri": {"a": "b"}, "dataType": "uri_file"}),
        ("data", {"dataUri": URI, "dataType": "uri_thing"}),
        ("components", {"componentSpec": "echo"}),
        ("environments", {"image": "i", "condaFile": {"dependencies": []}}),
    ],
    ids=str,
)
def test_wrong_properties_are_refused(kind: str, properties: dict[str, object], arm: Arm, name: str) -> None:
    answer = arm.put(f"/{kind}/{name}/versions/1", {"properties": properties})
    assert answer.status_code == 400, answer.text
    assert arm.get(f"/{kind}/{name}/versions/1").status_code == 404


def test_pages_lead_to_one_another(arm: Arm, ml: MLClient, name: str) -> None:
    """Resource Manager's paging: ``nextLink`` is absolute, followed as it is, until a page has none."""
    for number in range(1, 131):
        assert arm.put(f"/data/{name}/versions/{number}", {"properties": KINDS["data"]}).status_code == 201
    first = arm.get(f"/data/{name}/versions").json()
    assert first["nextLink"].startswith(f"https://management.azure.com{arm.workspace}/data/{name}/versions?")
    seen = [one["name"] for one in first["value"]]
    link = first["nextLink"]
    while link:
        page = arm.session.get(link, headers={"Authorization": f"Bearer {arm.token}"}, timeout=30).json()
        seen += [one["name"] for one in page["value"]]
        link = page.get("nextLink")
    assert sorted(seen, key=int) == [str(number) for number in range(1, 131)]
    assert len(list(ml.data.list(name))) == 130
    # More than a page holds: what is left out is reachable, and no more than was asked for.
    assert len(all_pages(arm, f"/data/{name}/versions", top="120")) == 120
    descending = all_pages(arm, f"/data/{name}/versions", orderBy="createdtime desc")
    assert descending == [str(number) for number in range(130, 0, -1)]


def all_pages(arm: Arm, path: str, **query: str) -> list[str]:
    page = arm.get(path, **query).json()
    names = [one["name"] for one in page["value"]]
    while "nextLink" in page:
        page = arm.session.get(page["nextLink"], headers={"Authorization": f"Bearer {arm.token}"}, timeout=30).json()
        names += [one["name"] for one in page["value"]]
    return names


def test_pages_neither_hide_nor_repeat_what_did_not_change(arm: Arm, name: str) -> None:
    """A client that deletes what it lists still sees everything, because ``$skip`` is a token and no number."""
    names = [f"{name}{letter}" for letter in "abcdef"]
    for one in names:
        body = {"datastoreType": "AzureBlob", "credentials": {"credentialsType": "None"}}
        assert arm.put(f"/datastores/{one}", {"properties": body}).status_code == 201
    query = {"searchText": name, "count": "2", "orderBy": "name", "orderByAsc": "true", "api-version": API_VERSION}
    page, seen = arm.request("GET", "/datastores", params=query).json(), []
    while True:
        seen += [one["name"] for one in page["value"]]
        for one in page["value"]:
            assert arm.request("DELETE", f"/datastores/{one['name']}").status_code == 200
        if "nextLink" not in page:
            break
        page = arm.session.get(page["nextLink"], headers={"Authorization": f"Bearer {arm.token}"}, timeout=30).json()
    assert seen == names


def test_orders_of_versions(arm: Arm, name: str) -> None:
    """ "Please choose OrderBy value from ['createdtime', 'modifiedtime']" (OpenAPI, DataVersions_List)."""
    for version in ("a", "b", "c"):
        arm.put(f"/models/{name}/versions/{version}", {"properties": KINDS["models"]})
    arm.put(f"/models/{name}/versions/a", {"properties": {**KINDS["models"], "description": "changed"}})
    path = f"/models/{name}/versions"
    orders = {
        "createdtime": "abc", "createdtime asc": "abc", "CreatedTime desc": "cba",
        "modifiedtime": "bca", "modifiedtime desc": "acb",
    }  # fmt: skip
    for order, expected in orders.items():
        assert "".join(all_pages(arm, path, orderBy=order)) == expected, order
    assert all_pages(arm, path, orderBy="createdtime desc", top="2", offset="1") == ["b", "a"]


def test_filters_of_model_versions(arm: Arm, name: str) -> None:
    """OpenAPI, ModelVersions_List: "Comma-separated list of tag names (and optionally values). Example:
    tag1,tag2=value2"."""
    for version, tags in {"1": {"a": "x"}, "2": {"a": "y", "b": "x"}, "3": {}}.items():
        properties = {**KINDS["models"], "tags": tags, "properties": tags, "description": f"the {version}"}
        arm.put(f"/models/{name}/versions/{version}", {"properties": properties})
    path = f"/models/{name}/versions"
    for parameter in ("tags", "properties"):
        assert all_pages(arm, path, **{parameter: "a"}) == ["1", "2"]
        assert all_pages(arm, path, **{parameter: "a=y"}) == ["2"]
        assert all_pages(arm, path, **{parameter: "a,b=x"}) == ["2"]
        assert all_pages(arm, path, **{parameter: "a=none"}) == []
    assert all_pages(arm, path, version="2") == ["2"]
    assert all_pages(arm, path, description="the 3") == ["3"]


def test_model_versions_of_a_stage_through_the_sdk(ml: MLClient, arm: Arm, name: str) -> None:
    for version, stage in (("1", "Development"), ("2", "Production")):
        arm.put(f"/models/{name}/versions/{version}", {"properties": {**KINDS["models"], "stage": stage}})
    assert [(one.version, one.stage) for one in ml.models.list(name, stage="Production")] == [("2", "Production")]


def test_filter_of_data_versions_is_spelt_with_a_dollar(arm: Arm, name: str) -> None:
    for version, tags in {"1": {"a": "x"}, "2": {}}.items():
        arm.put(f"/data/{name}/versions/{version}", {"properties": {**KINDS["data"], "tags": tags}})
    assert all_pages(arm, f"/data/{name}/versions", **{"$tags": "a=x"}) == ["1"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/models", {"listViewType": "Some"}),
        ("/models", {"$skip": "x"}),
        ("/models", {"$skip": "WzFd"}),
        ("/models", {"count": "0"}),
        ("/models", {"count": "ten"}),
        ("{versions}", {"$top": "-1"}),
        ("{versions}", {"$top": "ten"}),
        ("{versions}", {"$top": "٣"}),
        ("{versions}", {"$top": "9" * 30}),
        ("{versions}", {"$top": "0" * 20 + "9" * 5000}),
        ("{versions}", {"offset": "x"}),
        ("{versions}", {"$orderBy": "name"}),
        ("{versions}", {"$orderBy": "createdtime down"}),
        ("/datastores", {"count": "x"}),
        ("/datastores", {"isDefault": "maybe"}),
        ("/datastores", {"orderBy": "size"}),
        ("/onlineEndpoints", {"orderBy": "createdtime"}),
        ("/onlineEndpoints", {"computeType": "Quantum"}),
    ],
    ids=str,
)
def test_wrong_query_is_refused(path: str, query: dict[str, str], arm: Arm, name: str) -> None:
    if path == "{versions}":
        path = f"/models/{name}/versions"
        arm.put(f"{path}/1", {"properties": KINDS["models"]})
    answer = arm.request("GET", path, params={"api-version": API_VERSION, **query})
    assert answer.status_code == 400
    assert next(iter(query.values())) in answer.json()["error"]["message"]


@pytest.mark.parametrize("kind", KINDS)
def test_deleted_versions_and_containers(kind: str, arm: Arm, name: str) -> None:
    """DELETE of the OpenAPI: 200 where it was there, 204 where not."""
    for version in ("1", "2"):
        assert arm.put(f"/{kind}/{name}/versions/{version}", {"properties": KINDS[kind]}).status_code == 201
    assert arm.request("DELETE", f"/{kind}/{name}/versions/1").status_code == 200
    assert arm.request("DELETE", f"/{kind}/{name}/versions/1").status_code == 204
    assert arm.get(f"/{kind}/{name}/versions/1").status_code == 404
    assert [one["name"] for one in arm.get(f"/{kind}/{name}/versions").json()["value"]] == ["2"]
    assert arm.request("DELETE", f"/{kind}/{name}").status_code == 200
    assert arm.get(f"/{kind}/{name}/versions/2").status_code == 404
    assert arm.get(f"/{kind}/{name}").status_code == 404
    assert arm.request("DELETE", f"/{kind}/{name}").status_code == 204


def test_scalars_in_maps_of_text_become_text(arm: Arm, name: str) -> None:
    """azure-ai-ml itself sends a number there: ``properties.properties.hash_version`` of each code
    (azure/ai/ml/entities/_assets/_artifacts/code.py), which [R1] shows accepted."""
    properties = {**KINDS["models"], "properties": {"hash_version": 202208}, "tags": {"layers": 3}}
    answer = arm.put(f"/models/{name}/versions/1", {"properties": properties})
    assert answer.status_code == 201
    assert answer.json()["properties"]["properties"] == {"hash_version": "202208"}
    assert answer.json()["properties"]["tags"] == {"layers": "3"}
