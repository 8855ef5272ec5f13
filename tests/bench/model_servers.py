"""The local servers that people use for a model, against an endpoint that serves the same scikit-learn model.

Each has one worker, as all of them have by default. Ours answers through the edge, over TLS and with a key; theirs are
asked directly, over plain HTTP, as they are when they run on a machine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import mlflow.sklearn
import requests
from comparing import OURS, compare, request
from endpoints import serve, through_endpoint
from installation import MOST_CONNECTIONS, REQUEST_SETTINGS, Client, Installation, wait_for
from load import Spec
from peers import PeerMissingError
from results import Row
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

MLFLOW, BENTOML = "mlflow models serve", "BentoML"
CONNECTIONS = (8, MOST_CONNECTIONS)
ROWS = load_iris().data[:1].tolist()
TABLE = {"columns": list(range(4)), "index": [0], "data": ROWS}
JSON = {"Content-Type": "application/json"}


def model_servers(installation: Installation, client: Client) -> Iterator[Row]:
    """Score with the same model everywhere: with a script of one's own, and as an MLflow model without one."""
    with tempfile.TemporaryDirectory(prefix="azl-", dir="/tmp") as name:
        model = Path(name, "model")
        _save(model)
        files = {path.name: path.read_bytes() for path in model.iterdir()}
        script, no_code = json.dumps({"data": ROWS}), json.dumps({"input_data": TABLE})
        registered = client.register_model("iris", files, "mlflow_model")
        with ExitStack() as stack:
            peers = {MLFLOW: stack.enter_context(mlflow_server(model))}
            try:
                peers[BENTOML] = stack.enter_context(bentoml_server(model / "model.pkl"))
            except PeerMissingError as missing:
                print(f"SKIPPED: {missing}", file=sys.stderr)
            scripted = serve(installation, client, "bench-iris", client.scripted("predict.py", registered), script)
            specs = {OURS: through_endpoint(installation, scripted, script), **peers}
            for connections in CONNECTIONS:
                yield from compare("scikit-learn model, scoring script", specs, connections, {})
            client.delete_deployment("bench-iris", "only")
            properties = {"model": registered, "requestSettings": REQUEST_SETTINGS}
            without = serve(installation, client, "bench-mlflow", properties, no_code)
            specs = {OURS: through_endpoint(installation, without, no_code), MLFLOW: peers[MLFLOW]}
            for connections in CONNECTIONS:
                yield from compare("scikit-learn model, MLflow without a script", specs, connections, {})


def _save(folder: Path) -> None:
    """Train a small model and save it with the packages that are installed here."""
    features, labels = load_iris(return_X_y=True)
    mlflow.sklearn.save_model(
        LogisticRegression(max_iter=1000).fit(features, labels),
        str(folder),
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
        pip_requirements=[*mlflow.sklearn.get_default_pip_requirements(include_cloudpickle=True), "pandas"],
    )


@contextmanager
def mlflow_server(model: Path) -> Iterator[Spec]:
    """Serve the model with MLflow's own server, which the workbook has installed."""
    port, programs = _free_port(), Path(sys.executable).parent
    command = [programs / "mlflow", "models", "serve", "-m", model, "--env-manager", "local", "-p", str(port)]
    with _running(command, port, "/ping", {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}):
        body = json.dumps({"dataframe_split": TABLE})
        yield Spec(address=port, request=request("POST", "/invocations", "127.0.0.1", JSON, body))


@contextmanager
def bentoml_server(model: Path) -> Iterator[Spec]:
    """Serve the model with BentoML. Raises PeerMissingError."""
    program = shutil.which("bentoml", path=str(Path(sys.prefix) / "bentoml" / "bin"))
    if program is None:
        raise PeerMissingError("BentoML is not installed: make bench installs it")
    port, here = _free_port(), Path(__file__).parent
    command = [program, "serve", "bentoml_service:Predictor", "--working-dir", here, "-p", str(port)]
    variables = {"MODEL": str(model), "BENTOML_HOME": str(model.with_name("bentoml")), "BENTOML_DO_NOT_TRACK": "True"}
    with _running([*command, "--host", "127.0.0.1"], port, "/readyz", variables):
        body = json.dumps({"data": ROWS})
        yield Spec(address=port, request=request("POST", "/predict", "127.0.0.1", JSON, body))


@contextmanager
def _running(command: list[str | Path], port: int, ready: str, variables: Mapping[str, str]) -> Iterator[None]:
    """Run a server until the block is left, with all that it starts; the block begins when it answers at ``ready``."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    session = requests.Session()
    session.trust_env = False

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended with exit status {process.returncode}")
        try:
            return session.get(f"http://127.0.0.1:{port}{ready}", timeout=5).ok
        except requests.RequestException:
            return False

    try:
        wait_for(answers)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port() -> int:
    """Return a port that nobody listens at; neither server can be handed a socket, or says which port it has found."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
