"""The command ``azureml-local``: started, found, asked and ended as its help says (``azureml-local --help``), and what
becomes of it when it is killed. State files are their user's alone (design.md, "Safe by default")."""

from __future__ import annotations

import json
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Environment, ManagedOnlineEndpoint, Model
from azure.core.exceptions import AzureError
from azure.identity import ClientSecretCredential
from azure.storage.blob import BlobServiceClient
from support import deploy, finish

from running_service import (
    RunningService,
    clean_environment,
    command_line,
    command_of,
    family,
    start_service,
    survivors,
    users_of,
    wait_for,
)


@pytest.fixture
def root() -> Iterator[Path]:
    """A state folder of the test's own; whatever runs in it is ended."""
    folder = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    yield folder
    command_line(folder, "stop")
    shutil.rmtree(folder, ignore_errors=True)


def test_start_is_idempotent_and_names_the_port(service: RunningService) -> None:
    again = command_line(service.home.root, "start")
    assert again.returncode == 0
    assert f"runs already on 127.0.0.1:{service.port}" in again.stdout
    same = command_line(service.home.root, "start", "--port", str(service.port))
    assert same.returncode == 0


def test_start_on_another_port_while_it_runs_is_refused(service: RunningService) -> None:
    other = command_line(service.home.root, "start", "--port", str(service.port - 1))
    assert other.returncode == 1
    assert str(service.port) in other.stderr
    assert "Traceback" not in other.stderr


def test_port_that_is_in_use_gives_a_plain_sentence(root: Path, service: RunningService) -> None:
    refused = command_line(root, "start", "--port", str(service.port))
    assert refused.returncode == 1
    assert refused.stderr == f"Port {service.port} is in use by another program. Leave out --port to take a free one.\n"
    assert command_line(root, "status").returncode == 1
    assert users_of(root) == []


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_port_that_is_none_is_refused(port: str) -> None:
    refused = command_line("/tmp/azl-none", "start", "--port", port)
    assert refused.returncode == 2
    assert f"invalid port value: '{port}'" in refused.stderr
    assert not Path("/tmp/azl-none").exists()


def test_clock_factor_that_is_none_is_refused(root: Path) -> None:
    environment = {**clean_environment(), "AZUREML_LOCAL_CLOCK_FACTOR": "fast"}
    refused = command_line(root, "start", environment=environment)
    assert (refused.returncode, refused.stderr) == (
        1,
        "AZUREML_LOCAL_CLOCK_FACTOR is 'fast'; it must be a number above 0.\n",
    )


def test_status_tells_the_same_in_words_and_in_json(service: RunningService) -> None:
    report = command_line(service.home.root, "status", "--json")
    assert report.returncode == 0
    status = json.loads(report.stdout)
    assert status["running"] is True
    assert status["port"] == service.port
    assert status["pid"] == service.pid
    assert status["home"] == str(service.home.root)
    assert status["memory_mib"] > 0
    assert str(service.port) in command_line(service.home.root, "status").stdout


def test_nothing_runs_yet(root: Path) -> None:
    status = command_line(root, "status", "--json")
    assert status.returncode == 1
    assert json.loads(status.stdout)["running"] is False
    for command in ("env", "config"):
        refused = command_line(root, command)
        assert refused.returncode == 1
        assert "azureml-local start" in refused.stderr
    stopped = command_line(root, "stop")
    assert (stopped.returncode, stopped.stdout) == (0, "azureml-local was not running.\n")


def test_config_is_what_the_sdk_reads(
    service: RunningService, tmp_path: Path, credential: ClientSecretCredential
) -> None:
    (tmp_path / "config.json").write_text(command_line(service.home.root, "config").stdout)
    client = MLClient.from_config(credential, path=str(tmp_path / "config.json"), enable_telemetry=False)
    assert client.workspaces.get(client.workspace_name).name == service.settings.workspace


def test_env_is_evaluated_by_a_shell_and_leads_curl_and_python_to_the_service(service: RunningService) -> None:
    printed = command_line(service.home.root, "env")
    assert printed.returncode == 0
    assert json.loads(command_line(service.home.root, "env", "--json").stdout)["HTTPS_PROXY"].endswith(
        str(service.port)
    )
    url = f"https://login.microsoftonline.com/{service.settings.tenant_id}/v2.0/.well-known/openid-configuration"
    python = f"import requests; print(requests.get('{url}').status_code)"
    script = f'eval "$ENV_LINES"; curl -sS {url} && "$PYTHON" -c "{python}"'
    finished = subprocess.run(
        ["/bin/sh", "-c", script],
        env={**clean_environment(), "ENV_LINES": printed.stdout, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f'"issuer":"https://login.microsoftonline.com/{service.settings.tenant_id}/v2.0"' in finished.stdout
    assert finished.stdout.endswith("200\n")


def test_env_names_all_that_the_design_promises(service: RunningService) -> None:
    """design.md, "azureml-local env exports"."""
    names = set(json.loads(command_line(service.home.root, "env", "--json").stdout))
    assert names >= {
        "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
        "NODE_USE_ENV_PROXY", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET",
        "AZUREML_RUN_POLLING_INTERVAL_MIN", "AZUREML_RUN_POLLING_INTERVAL_MAX",
    }  # fmt: skip


def test_too_long_a_path_is_refused_with_its_length(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 80)
    refused = command_line(long, "start")
    assert refused.returncode == 1
    assert f"{len(str(long))} bytes long" in refused.stderr
    assert "AZUREML_LOCAL_HOME" in refused.stderr
    assert not long.exists()


def test_settings_of_another_version_or_damaged_are_refused_in_a_sentence(root: Path) -> None:
    for content in ('{"schema": 99}', "no json", "[]"):
        (root / "settings.json").write_text(content)
        refused = command_line(root, "start")
        assert refused.returncode == 1
        assert str(root) in refused.stderr
        assert "Traceback" not in refused.stderr
    assert (root / "settings.json").read_text() == "[]"


def test_only_loopback_is_listened_on(service: RunningService) -> None:
    listening = [
        connection.laddr.ip
        for process in family(service.pid)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert set(listening) == {"127.0.0.1"}


def test_state_is_its_users_alone(service: RunningService, deployed) -> None:  # type: ignore[no-untyped-def]
    home = service.home
    for folder in (
        home.root,
        home.tls,
        home.signing_key.parent,
        home.storage,
        home.logs,
        home.deployments,
        home.sockets,
    ):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    secret = [home.settings_file, home.signing_key, home.tls / "ca.key", home.running_file]
    secret += home.root.glob("state.db*")
    secret += home.deployments.rglob("launch.json")
    secret += home.sockets.iterdir()
    assert len(secret) >= 8
    for path in secret:
        mode = stat.S_IMODE(path.stat().st_mode)
        # Programs make sockets with modes of their own; whose they are alone is what counts.
        assert not mode & 0o077 if path.is_socket() else mode == 0o600, path


def test_secrets_are_in_no_log_and_on_no_command_line(service: RunningService, deployed) -> None:  # type: ignore[no-untyped-def]
    settings = service.settings
    secrets = [settings.client_secret, settings.identity_header, settings.storage_key]
    secrets += [deployed.primary_key, deployed.secondary_key]
    wrong = requests.post(
        f"https://login.microsoftonline.com/{settings.tenant_id}/oauth2/v2.0/token",
        data={"grant_type": "client_credentials", "client_id": "x", "client_secret": settings.client_secret},
        timeout=30,
    )
    assert wrong.status_code == 400
    written = [path for path in home_files(service.home.root) if path.suffix in (".log", ".jsonl")]
    assert {path.name for path in written} >= {"service.log", "azurite.log", "inference-server.log"}
    for path in written:
        text = path.read_text(errors="replace")
        assert not [secret for secret in secrets if secret in text], path
        assert not re.search(r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.", text), f"a token in {path}"
    for process in family(service.pid):
        line = command_of(process)
        assert not [secret for secret in secrets if secret in line], line


def home_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]


class Clients:
    """Clients of one service that do not read this process's environment: it belongs to the session's service."""

    def __init__(self, started: RunningService) -> None:
        transport = {
            "proxies": {"https": f"http://127.0.0.1:{started.port}"},
            "connection_verify": started.environment["REQUESTS_CA_BUNDLE"],
        }
        settings = started.settings
        self.credential = ClientSecretCredential(
            settings.tenant_id, settings.client_id, settings.client_secret, **transport
        )
        self.blobs = BlobServiceClient(
            f"https://{settings.storage_account}.blob.core.windows.net",
            settings.storage_key,
            retry_total=0,
            **transport,
        )
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.proxies = transport["proxies"]
        self.session.verify = transport["connection_verify"]


def use(patch: pytest.MonkeyPatch, started: RunningService) -> MLClient:
    """Lead this process to ``started`` and return a client of it."""
    for name, value in started.environment.items():
        patch.setenv(name, value)
    settings = started.settings
    credential = ClientSecretCredential(settings.tenant_id, settings.client_id, settings.client_secret)
    return MLClient(
        credential, settings.subscription_id, settings.resource_group, settings.workspace, enable_telemetry=False
    )


def test_ctrl_c_ends_a_service_in_the_foreground(root: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "azureml_local", "serve"],
        env={**clean_environment(), "AZUREML_LOCAL_HOME": str(root)},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: command_line(root, "status").returncode == 0)
    processes = family(process.pid)
    process.send_signal(2)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert survivors(processes) + users_of(root) == []


def test_help_lists_every_command() -> None:
    text = command_line("/tmp/azl-none", "--help").stdout
    for command in ("start", "stop", "status", "reset", "env", "config", "doctor", "serve"):
        assert command in text
    assert not Path("/tmp/azl-none").exists()


@pytest.mark.slow
def test_stopped_twice_started_elsewhere_and_reset(root: Path) -> None:
    first = start_service(root)
    processes = family(first.pid)
    assert len(processes) > 1
    stopped = command_line(root, "stop")
    assert (stopped.returncode, stopped.stdout) == (0, "azureml-local has ended.\n")
    assert survivors(processes) + users_of(root) == []
    again = command_line(root, "stop")
    assert (again.returncode, again.stdout) == (0, "azureml-local was not running.\n")
    # A last port that another program has taken is given up; everything else is as it was.
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", first.port))
        squatter.listen()
        second = start_service(root)
    assert second.port != first.port
    assert second.settings == first.settings
    refused = command_line(root, "reset", stdin="n\n")
    assert refused.returncode == 1
    assert psutil.pid_exists(second.pid)
    processes = family(second.pid)
    assert command_line(root, "reset", "--yes").returncode == 0
    assert not root.exists()
    assert survivors(processes) + users_of(root) == []


def test_reset_leaves_a_folder_that_is_no_state_folder(root: Path) -> None:
    (root / "thesis").mkdir()
    assert command_line(root, "reset", "--yes").returncode == 1
    assert (root / "thesis").exists()


@pytest.fixture(scope="module")
def second() -> Iterator[RunningService]:
    """Another service beside the session's."""
    folder = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        yield start_service(folder)
    finally:
        command_line(folder, "stop")
        shutil.rmtree(folder, ignore_errors=True)


def test_two_services_side_by_side_know_nothing_of_each_other(service: RunningService, second: RunningService) -> None:
    assert second.port != service.port
    one, two = Clients(service), Clients(second)
    token = two.credential.get_token("https://management.azure.com/.default").token
    headers = {"Authorization": f"Bearer {token}"}
    url = "https://management.azure.com/subscriptions/{}/resourceGroups/azureml-local?api-version=2021-04-01"
    assert two.session.get(url.format(second.settings.subscription_id), headers=headers).status_code == 200
    assert one.session.get(url.format(service.settings.subscription_id), headers=headers).status_code == 401
    stranger = Clients(service).session
    stranger.verify = two.session.verify
    with pytest.raises(requests.exceptions.SSLError):
        stranger.get(url.format(service.settings.subscription_id), headers=headers)


def test_storage_that_dies_is_started_again_with_its_data(second: RunningService) -> None:
    container = Clients(second).blobs.create_container("kept")
    container.upload_blob("blob", b"data")
    node = next(process for process in family(second.pid) if Path(process.cmdline()[0]).name == "node")
    node.terminate()
    node.wait(20)

    def downloaded() -> bytes | None:
        try:
            return bytes(container.download_blob("blob").readall())
        except AzureError:
            return None  # the storage is not there yet

    assert wait_for(downloaded) == b"data"


def test_bad_input_does_not_keep_the_service_from_starting_again(second: RunningService) -> None:
    """What would be refused must not be stored either: the next start reads it."""
    clients = Clients(second)
    token = clients.credential.get_token("https://management.azure.com/.default").token
    base = (
        f"https://management.azure.com/subscriptions/{second.settings.subscription_id}/resourceGroups/azureml-local"
        "/providers/Microsoft.MachineLearningServices/workspaces/workbook/onlineEndpoints/one"
    )
    options = {"headers": {"Authorization": f"Bearer {token}"}, "params": {"api-version": "2024-10-01"}, "timeout": 30}
    body = {"location": "eastus", "properties": {"authMode": "Key"}}
    assert clients.session.put(base, json=body, **options).status_code == 201
    wait_for(lambda: clients.session.get(base, **options).json()["properties"]["provisioningState"] == "Succeeded")
    clients.session.post(f"{base}/regenerateKeys", json={"keyType": "Primary", "keyValue": ["k"]}, **options)
    assert command_line(second.home.root, "stop").returncode == 0
    again = command_line(second.home.root, "start")
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
def test_after_kill_9_nothing_runs_on_nothing_is_lost_and_what_was_begun_ends(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A change is on disk before it is acknowledged (design.md, "write before you acknowledge"), also one that was made
    right before the kill; long-running operations survive a restart; no process survives the service."""
    first = start_service(root)
    ml = use(monkeypatch, first)
    file = tmp_path / "weights.txt"
    file.write_text("1 2 3")
    endpoint = finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name="kept")))
    environment = Environment(image="mcr.microsoft.com/azureml/minimal-py311-inference")
    finish(deploy(ml, "kept", "blue", environment=environment))
    endpoint.traffic = {"blue": 100}
    endpoint = finish(ml.online_endpoints.begin_create_or_update(endpoint))
    keys = ml.online_endpoints.get_keys("kept")
    model = ml.models.create_or_update(Model(name="weights", path=str(file)))
    gate = tmp_path / "gate"
    begun = {"DEPLOYMENT": "green", "INIT_WAITS_FOR": str(gate)}
    deploy(ml, "kept", "green", environment=environment, environment_variables=begun)
    assert ml.online_deployments.get("green", "kept").provisioning_state == "Updating"
    processes = family(first.pid)
    assert len(processes) >= 5
    psutil.Process(first.pid).kill()

    second = start_service(root)
    gate.touch()
    assert second.port == first.port
    seen: set[int] = set()

    def scores(deployment: str) -> bool:
        headers = {"Authorization": f"Bearer {keys.primary_key}", "azureml-model-deployment": deployment}
        answer = requests.post(endpoint.scoring_uri, json={}, headers=headers, timeout=30)
        if deployment == "blue":
            seen.add(answer.status_code)
        return answer.status_code == 200

    wait_for(lambda: scores("blue"))
    assert survivors(processes) == []
    # The signing key was kept: the token of the time before goes on.
    assert ml.online_endpoints.get("kept").traffic["blue"] == 100
    assert ml.online_endpoints.get_keys("kept").primary_key == keys.primary_key
    assert ml.models.get("weights", label="latest").version == model.version
    ml.models.download("weights", model.version, download_path=str(tmp_path / "back"))
    assert [path.read_text() for path in (tmp_path / "back").rglob("weights.txt")] == ["1 2 3"]
    wait_for(lambda: ml.online_deployments.get("green", "kept").provisioning_state == "Succeeded")
    assert scores("green")
    # 404 would say that there is no such deployment; while instances start, Azure says that the model is not ready.
    assert seen <= {200, 424, 503}
