"""The stand-in for Docker under clients that send what is wrong, and two things at once.

Truth: https://docs.docker.com/reference/api/engine/version/v1.41/ (status codes; a message in each refusal).
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker
import psutil
import pytest
from docker.models.containers import Container

from running_service import RunningService

IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
PYTHON = f"python:{sys.version_info[0]}.{sys.version_info[1]}-slim"


@pytest.fixture
def engine(service: RunningService) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(f"unix://{service.home.docker_socket}")
    yield client
    client.close()


@pytest.fixture
def container(engine: docker.DockerClient) -> Iterator[Container]:
    engine.images.pull(IMAGE, tag="latest")
    made = engine.containers.create(IMAGE, ports={"5001/tcp": None})
    yield made
    made.remove(force=True)


def archive(*files: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    return packed.getvalue()


def post(engine: docker.DockerClient, path: str, body: bytes | str = b"", **query: str) -> tuple[int, str]:
    """Return the status and the message of a request that is refused."""
    answer = engine.api.post(engine.api._url(path), data=body, params=query)
    return answer.status_code, answer.json()["message"]


@pytest.mark.parametrize("context", [b"no archive", archive(("../../state.db", b"x"))[:-1], b"\x1f\x8b\x08garbage"])
def test_a_build_context_that_is_none_is_refused(engine: docker.DockerClient, context: bytes) -> None:
    status, message = post(engine, "/build", context)
    assert (status, "context cannot be unpacked" in message) == (400, True)


@pytest.mark.parametrize("name", ["/etc/passwd", "../../identity/signing-key.pem", "absent"])
def test_a_dockerfile_is_looked_for_in_the_context_alone(
    service: RunningService, engine: docker.DockerClient, name: str
) -> None:
    context = archive(("Dockerfile", f"FROM {PYTHON}".encode()))
    answer = engine.api.post(engine.api._url("/build"), data=context, params={"dockerfile": name})
    (line,) = answer.text.splitlines()
    assert json.loads(line)["error"].startswith(f"The Dockerfile {name} cannot be read: ")


def on_disk(service: RunningService) -> set[str]:
    """Return the files and folders that images, builds and containers have."""
    return {one.name for one in service.home.docker.glob("*")}


def test_a_build_that_fails_leaves_nothing_behind(service: RunningService, engine: docker.DockerClient) -> None:
    engine.images.pull(IMAGE, tag="latest")
    before = on_disk(service)
    context = archive(("Dockerfile", f"FROM {PYTHON}\nRUN reboot".encode()))
    with pytest.raises(docker.errors.BuildError, match="RUN reboot"):
        engine.images.build(fileobj=io.BytesIO(context), custom_context=True)
    assert on_disk(service) == before


def build(engine: docker.DockerClient, tag: str, text: str) -> docker.models.images.Image:
    context = archive(("Dockerfile", f"FROM {IMAGE}\nENV WHICH={text}".encode()))
    return engine.images.build(fileobj=io.BytesIO(context), custom_context=True, tag=tag)[0]


def test_of_an_image_that_is_built_anew_the_former_one_leaves_no_files(
    service: RunningService, engine: docker.DockerClient
) -> None:
    before = on_disk(service)
    for text in ("first", "second", "third"):
        last = build(engine, "anew:1", text)
        engine.images.pull(IMAGE, tag="latest")
    folders = {name for name in on_disk(service) - before if not name.endswith(".log")}
    assert last.id.removeprefix("sha256:") in folders
    assert len(folders) <= 2  # that one, and the one it is built on where no other test had that
    engine.images.remove("anew:1")
    assert last.id.removeprefix("sha256:") not in on_disk(service)


def test_a_container_keeps_the_files_of_an_image_that_was_built_anew(
    service: RunningService, engine: docker.DockerClient
) -> None:
    first = build(engine, "kept:1", "first")
    folder = first.id.removeprefix("sha256:")
    containers = [engine.containers.create("kept:1") for _ in range(2)]
    build(engine, "kept:1", "second")
    for container in containers:
        assert folder in on_disk(service)
        container.remove()
    assert folder not in on_disk(service)
    engine.images.remove("kept:1")


@pytest.mark.parametrize(
    ("path", "body", "query", "status", "said"),
    [
        ("/images/create", "", {}, 501, "fromImage"),
        ("/build", "", {"buildargs": "x"}, 400, "buildargs is no JSON"),
        ("/build", "", {"buildargs": "[1]"}, 400, "buildargs must be a JSON object"),
        ("/containers/create", "x", {}, 400, "body is no JSON"),
        ("/containers/create", "[" * 100_000, {}, 400, "body is no JSON"),
        ("/containers/create", "[]", {}, 400, "body must be a JSON object"),
        ("/containers/create", "{}", {}, 400, "Image is missing"),
        ("/containers/create", '{"Image": ""}', {}, 400, "Image is missing"),
        ("/containers/create", '{"Image": 5}', {}, 400, "Image is missing"),
        ("/containers/create", '{"Image": "sha256:"}', {}, 404, "No such image: sha256:"),
    ],
)
def test_what_is_malformed_is_refused(
    engine: docker.DockerClient, path: str, body: str, query: dict[str, str], status: int, said: str
) -> None:
    found, message = post(engine, path, body, **query)
    assert (found, said in message) == (status, True), message


@pytest.mark.parametrize(
    "config",
    [
        {"Env": 5},
        {"Env": [5]},
        {"Env": "A=b"},
        {"Env": {"A": "b"}},
        {"Env": ["A=\0b"]},
        {"Env": ["A=\ud800"]},
        {"Env": ["=x"]},
        {"Env": [""]},
        {"Labels": ["a"]},
        {"HostConfig": {"Binds": ["nowhere"]}},
        {"HostConfig": {"Memory": "much"}},
        {"HostConfig": {"PortBindings": {"5001/tcp": [{"HostPort": "http"}]}}},
        {"HostConfig": {"PortBindings": {"5001/tcp": [{"HostPort": "70000"}]}}},
        {"Cmd": 5},
    ],
)
def test_a_container_that_cannot_be_is_refused_before_it_is_made(engine: docker.DockerClient, config: object) -> None:
    engine.images.pull(IMAGE, tag="latest")
    before = len(engine.containers.list(all=True))
    status, message = post(engine, "/containers/create", json.dumps({"Image": IMAGE, **config}))
    assert (status, "configuration is malformed" in message) == (400, True), message
    assert len(engine.containers.list(all=True)) == before


def test_a_variable_that_no_process_can_have_is_named(engine: docker.DockerClient) -> None:
    engine.images.pull(IMAGE, tag="latest")
    for pair in ("A=\0b", "=x"):
        _, message = post(engine, "/containers/create", json.dumps({"Image": IMAGE, "Env": ["B=c", pair]}))
        assert message.endswith(f"invalid environment variable: Env has {json.dumps(pair)}")


def test_filters_that_are_none_are_refused(engine: docker.DockerClient) -> None:
    answer = engine.api.get(engine.api._url("/containers/json"), params={"filters": "x"})
    assert (answer.status_code, "filters is no JSON" in answer.text) == (400, True)


@pytest.mark.parametrize("label", [5, "a", [[1]], [1], [None], None])
def test_labels_that_are_none_are_refused_by_name(
    engine: docker.DockerClient, container: Container, label: Any
) -> None:
    filters = json.dumps({"label": label})
    answer = engine.api.get(engine.api._url("/containers/json"), params={"filters": filters, "all": "1"})
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        f"filters.label is {json.dumps(label)}; it must be a list of texts",
    )


def test_labels_are_taken_as_older_clients_send_them(engine: docker.DockerClient) -> None:
    made = engine.containers.create(IMAGE, labels={"age": "old"})
    filters = json.dumps({"label": {"age=old": True}})
    answer = engine.api.get(engine.api._url("/containers/json"), params={"filters": filters, "all": "1"})
    made.remove()
    assert [one["Id"] for one in answer.json()] == [made.id]


def test_a_tail_that_is_no_number_of_lines_is_refused(engine: docker.DockerClient, container: Container) -> None:
    url = engine.api._url("/containers/{0}/logs", container.id)
    answer = engine.api.get(url, params={"stdout": "1", "tail": "9" * 5000})
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        f"tail is {'9' * 60}; it must be a number of at most 18 digits, or all",
    )
    for tail in ("all", "many", "9" * 18, "\N{SUPERSCRIPT TWO}", "0"):
        assert engine.api.get(url, params={"stdout": "1", "tail": tail}).status_code == 200


def servers(service: RunningService) -> set[int]:
    """Return the processes that the service has begun."""
    return {child.pid for child in psutil.Process(service.pid).children()}


def at_once(*acts: Callable[[], object]) -> list[BaseException | None]:
    """Do several things at once, and return what each has raised."""
    with ThreadPoolExecutor(len(acts)) as threads:
        return [one.exception() for one in [threads.submit(act) for act in acts]]


def test_a_container_runs_once_however_often_it_is_started(
    service: RunningService, engine: docker.DockerClient, container: Container
) -> None:
    before = servers(service)
    assert at_once(*[engine.containers.get(container.id).start for _ in range(4)]) == [None] * 4
    assert len(servers(service) - before) == 1
    again = engine.api.post(engine.api._url("/containers/{0}/start", container.id))
    assert again.status_code == 304
    container.stop()
    assert servers(service) <= before
    assert engine.api.post(engine.api._url("/containers/{0}/stop", container.id)).status_code == 304
    with pytest.raises(docker.errors.APIError, match="is not running") as refused:
        container.kill()
    assert refused.value.response.status_code == 409


def test_a_container_that_is_removed_while_it_starts_runs_no_more(
    service: RunningService, engine: docker.DockerClient
) -> None:
    engine.images.pull(IMAGE, tag="latest")
    before = servers(service)
    for _ in range(3):
        made = engine.containers.create(IMAGE)
        at_once(made.start, lambda made=made: engine.containers.get(made.id).remove(force=True))
        with pytest.raises(docker.errors.NotFound):
            made.reload()
    assert servers(service) <= before


def test_the_port_that_is_listed_is_the_one_that_is_served(engine: docker.DockerClient) -> None:
    engine.images.pull(IMAGE, tag="latest")
    made = engine.containers.create(IMAGE, environment={"SERVER_PORT": "6001"}, ports={"6001/tcp": None})
    made.start()
    try:
        (listed,) = [one for one in engine.api.containers() if one["Id"] == made.id]
        assert [port["PrivatePort"] for port in listed["Ports"]] == [6001]
    finally:
        made.remove(force=True)
