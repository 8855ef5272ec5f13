"""The command ``azureml-local``."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from azureml_local import __version__, admin, client_environment, daemon, faults, kubernetes_texts, spark_master
from azureml_local.daemon import DaemonError
from azureml_local.edge import listening
from azureml_local.home import Home, HomeError

DESCRIPTION = "An Azure Machine Learning that runs on this machine."
EPILOG = "The state folder is ~/.azureml-local, or AZUREML_LOCAL_HOME where that is set."


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0, or 1 with a plain sentence on standard error."""
    options = _parser().parse_args(arguments)
    home = Home()
    try:
        result: int = options.command(home, options)
        return result
    except (DaemonError, HomeError) as error:
        sys.stderr.write(f"{error}\n")
    except OSError as error:
        sys.stderr.write(f"{home.unusable(error)}\n")
    return 1


def _start(home: Home, options: argparse.Namespace) -> int:
    known = daemon.find(home)
    if known and options.spark_master:
        raise DaemonError("The service runs already: stop it to change its Spark master.")
    _take_spark_master(options)
    running = daemon.start(home, options.port, options.listen)
    state = "runs already" if known else "is ready"
    print(f"azureml-local {state} on 127.0.0.1:{running.port} (state in {home.root}).")
    if running.listens_at:
        print(
            f"It also listens on {running.listens_at}, for Azure's hosts only, by TLS and with tokens. Its authority's "
            f"certificate is {home.tls / 'ca.pem'}."
        )
    if not known:
        print('To use it from this shell: eval "$(azureml-local env)"')
    return 0


def _take_spark_master(options: argparse.Namespace) -> None:
    """Hand the Spark master on, to this process and to those that it starts."""
    if options.spark_master:
        os.environ[spark_master.VARIABLE] = options.spark_master


def _stop(home: Home, _: argparse.Namespace) -> int:
    print("azureml-local has ended." if daemon.stop(home) else "azureml-local was not running.")
    return 0


def _status(home: Home, options: argparse.Namespace) -> int:
    running = daemon.find(home)
    report: dict[str, object] = {"running": running is not None, "home": str(home.root)}
    if running:
        report |= asdict(running) | _memory(running.pid)
        report["started"] = datetime.fromtimestamp(running.started, UTC).isoformat(timespec="seconds")
        report["uptime_seconds"] = round(time.time() - running.started)
    if options.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(f"{name.replace('_', ' '):22} {value}")
    return 0 if running else 1


def _memory(pid: int) -> dict[str, int]:
    """Return the resident memory of the service's process and of all that it started, in MiB."""
    process = psutil.Process(pid)
    own = process.memory_info().rss
    children = sum(child.memory_info().rss for child in process.children(recursive=True))
    return {"memory_mib": own // 2**20, "children_memory_mib": children // 2**20}


def _env(home: Home, options: argparse.Namespace) -> int:
    running = daemon.find(home)
    if running is None:
        raise DaemonError("azureml-local is not running: azureml-local start")
    variables = client_environment.complete(home.settings(), running.port, home, os.environ)
    print(json.dumps(variables, indent=2) if options.json else client_environment.as_shell(variables), end="")
    return 0


def _config(home: Home, _: argparse.Namespace) -> int:
    print(json.dumps(workspace_config(home), indent=2))
    return 0


def workspace_config(home: Home) -> Mapping[str, str]:
    """Return what ``MLClient.from_config`` reads from ``config.json``, for the default workspace."""
    settings = home.settings()
    return {
        "subscription_id": settings.subscription_id,
        "resource_group": settings.resource_group,
        "workspace_name": settings.workspace,
    }


def _reset(home: Home, options: argparse.Namespace) -> int:
    if not options.yes:
        answer = input(f"Delete everything in {home.root}: models, endpoints, data, keys? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            print("Nothing was deleted.")
            return 1
    daemon.reset(home)
    print(f"{home.root} is deleted; azureml-local start makes a new one.")
    return 0


def _faults(home: Home, options: argparse.Namespace) -> int:
    if options.action == "clear":
        faults.clear(home, options.id)
        return 0
    if options.action == "add":
        print(
            faults.add(home, **{name: getattr(options, name) for name in FAULT if getattr(options, name) is not None})
        )
        return 0
    found = faults.listed(home)
    if options.json:
        print(json.dumps(found))
    for fault in found if not options.json else ():
        settings = " ".join(f"{name}={fault[name]}" for name in FAULT if fault[name] is not None)
        print(f"{fault['id']:4} injected {fault['injected']} times: {settings}")
    return 0


def _identity(home: Home, options: argparse.Namespace) -> int:
    if options.action == "list":
        found = admin.call(home, "GET", "/identities")
        if options.json:
            print(json.dumps(found))
        for identity in found if not options.json else ():
            roles = ", ".join(f"{one['role']} at {one['scope']}" for one in identity["roles"]) or "no role"
            print(f"{identity['name']:16} {identity['client_id']} {roles}")
        return 0
    if options.name is None:
        raise DaemonError(f"azureml-local identity {options.action} needs a name.")
    if options.action == "delete":
        admin.call(home, "DELETE", f"/identities/{quote(options.name, safe='')}")
        return 0
    asked = {"name": options.name, "role": options.role, "scope": options.scope}
    variables = admin.call(home, "POST", "/identities", asked)
    print(json.dumps(variables, indent=2) if options.json else client_environment.as_shell(variables), end="")
    return 0


def _nodes(home: Home, options: argparse.Namespace) -> int:
    if options.action == "list":
        query = f"?compute={quote(options.compute, safe='')}" if options.compute else ""
        found = admin.call(home, "GET", f"/nodes{query}")
        if options.json:
            print(json.dumps(found))
        for node in found if not options.json else ():
            print(f"{node['state']:10} {node['compute']} {node['node']} {node['job'] or ''}")
        return 0
    if options.compute is None:
        raise DaemonError(f"azureml-local nodes {options.action} needs a compute.")
    path = f"/nodes/{quote(options.compute, safe='')}"
    if options.action == "preempt":
        print(admin.call(home, "POST", f"{path}/preempt", {"node": options.what}))
        return 0
    try:
        rate = float(options.what)
    except (TypeError, ValueError):
        raise DaemonError("azureml-local nodes preempt-rate needs a compute and a rate, such as 0.5.") from None
    admin.call(home, "PUT", f"{path}/preemption", {"rate": rate, "seed": options.seed})
    return 0


def _kubernetes(home: Home, options: argparse.Namespace) -> int:
    if options.action == "list":
        query = f"?cluster={quote(options.name, safe='')}" if options.name else ""
        found = admin.call(home, "GET", f"/kubernetes{query}")
        print(json.dumps(found) if options.json else kubernetes_texts.clusters(found))
        return 0
    if options.name is None:
        raise DaemonError(f"azureml-local kubernetes {options.action} needs the name of a cluster, or of a deployment.")
    if options.action in ("connect", "disconnect"):
        asked = {"cluster": options.name, "reachable": options.action == "connect"}
        admin.call(home, "POST", "/kubernetes/reachable", asked)
        return 0
    if options.action == "export":
        asked = {"deployment": options.name, "image": options.image}
        print(kubernetes_texts.manifests(admin.call(home, "POST", "/kubernetes/export", asked)), end="")
        return 0
    asked = {"cluster": options.name, "objects": kubernetes_texts.read(options.file)}
    method = "PUT" if options.action == "apply" else "DELETE"
    print("\n".join(admin.call(home, method, "/kubernetes", asked)))
    return 0


def _hosts(home: Home, options: argparse.Namespace) -> int:
    if options.action != "list" and not options.scheduler:
        raise DaemonError(f"azureml-local hosts {options.action} needs a scheduler, tls://HOST:PORT.")
    if options.action == "detach":
        admin.call(home, "DELETE", f"/hosts?scheduler={quote(options.scheduler, safe='')}")
        return 0
    if options.action == "attach":
        if not options.compute:
            raise DaemonError("azureml-local hosts attach needs --compute NAME: whose nodes its workers are to be.")
        files = {"ca": options.tls_ca, "certificate": options.tls_cert, "key": options.tls_key}
        whole = {name: str(Path(file).resolve()) for name, file in files.items() if file}
        admin.call(home, "PUT", "/hosts", {"address": options.scheduler, "computes": options.compute, **whole})
    found = admin.call(home, "GET", "/hosts")
    if options.json:
        print(json.dumps(found))
    else:
        print("\n".join(_in_words(found)))
    return 0


def _worker(_: Home, options: argparse.Namespace) -> int:
    from azureml_local.engines.compute import host_worker
    from azureml_local.engines.compute.hosts import HostsError, SchedulerSettings

    if not (options.scheduler and options.compute):
        raise DaemonError("azureml-local worker needs a scheduler, tls://HOST:PORT, and --compute NAME.")
    files = (options.tls_ca or "", options.tls_cert or "", options.tls_key or "")
    try:
        host_worker.run(SchedulerSettings(options.scheduler, tuple(options.compute), *files), options.name)
    except HostsError as error:
        raise DaemonError(str(error)) from error
    return 0


def _in_words(schedulers: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is attached, for people."""
    if not schedulers:
        yield "No Dask scheduler is attached: every node is on this machine."
    for found in schedulers:
        yield found["problem"] or f"{found['scheduler']} has the nodes of {', '.join(found['computes'])}."
        for worker in found["workers"]:
            is_at = f"runs {worker['job']}" if worker["job"] else "idle" if worker["node"] else "free"
            computes = ",".join(worker["computes"])
            yield f"{worker['name']:24} {worker['address']:28} {computes:16} {worker['problem'] or is_at}"


def port(text: str) -> int:
    """Return a TCP port. Raises ValueError for anything else; argparse then names the value, and this function."""
    number = int(text)
    if not 0 < number < 65536:
        raise ValueError(text)
    return number


def place(text: str) -> listening.Place:
    """Return where to listen, of ``ADDR[:PORT]``. Raises ArgumentTypeError for anything else."""
    try:
        return listening.parse(text)
    except listening.ListenError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def master(text: str) -> str:
    """Return the address of a Spark master. Raises ArgumentTypeError for anything else."""
    try:
        return spark_master.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def duration(text: str) -> float:
    """Return the seconds of ``2s``, ``300ms`` or ``0.5``. Raises ValueError for anything else."""
    for unit, seconds in (("ms", 0.001), ("s", 1.0), ("", 1.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * seconds
    raise ValueError(text)


def _doctor(home: Home, options: argparse.Namespace) -> int:
    from azureml_local import doctor

    return doctor.main(home, install=options.install)


def _run(_: Home, options: argparse.Namespace) -> int:
    from azureml_local.temporary_service import temporary_service

    program = options.program[options.program[:1] == ["--"] :]
    if not program:
        raise DaemonError("azureml-local run needs a program: azureml-local run -- python train.py")
    if shutil.which(program[0]) is None:
        raise DaemonError(f"There is no program '{program[0]}' that you may run.")
    # Ends the program and the service as a Ctrl-C does: CI ends what it cancels so.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with temporary_service(options.config) as service:
        environment = {**os.environ, **service.environment(os.environ)}
        try:
            status = subprocess.call(program, env=environment)  # noqa: S603 - the user's own program
        except KeyboardInterrupt:  # which the program got, too
            status = -signal.SIGINT
    return status if status >= 0 else 128 - status


def _serve(home: Home, options: argparse.Namespace) -> int:
    _take_spark_master(options)
    return daemon.serve(home, options.port, options.ready, options.listen, options.lifeline)


Command = Callable[[Home, argparse.Namespace], int]
Flag = tuple[str, dict[str, Any]]
PORT: Flag = (
    "--port",
    {"type": port, "metavar": "N", "help": "listen on this port of 127.0.0.1 (default: a free one)"},
)
LISTEN: Flag = (
    "--listen",
    {
        "type": place,
        "metavar": "ADDR[:PORT]",
        "help": "listen on this address of the machine, too, for nodes and clients on others (default: loopback only)",
    },
)
SPARK_MASTER: Flag = (
    "--spark-master",
    {
        "type": master,
        "metavar": "spark://HOST:PORT",
        "help": "run the tasks of Databricks clusters on this Spark standalone cluster (default: on this machine)",
    },
)
JSON: Flag = ("--json", {"action": "store_true", "help": "print JSON"})
YES: Flag = ("--yes", {"action": "store_true", "help": "do not ask"})
INSTALL: Flag = (
    "--install",
    {
        "nargs": "?",
        "const": "azurite",
        "choices": ("azurite", "spark"),
        "help": "install what is missing: Azurite, with npm (default); or spark, for clusters of Databricks",
    },
)
ACTION: Flag = ("action", {"choices": ("add", "list", "clear"), "help": "what to do"})
FAULT: Mapping[str, dict[str, Any]] = {
    "host": {"help": "pattern of the host, e.g. '*.inference.ml.azure.com' (default: any)"},
    "path": {"help": "pattern of the path, e.g. '*/onlineEndpoints/*' (default: any)"},
    "method": {"help": "the HTTP method (default: any)"},
    "status": {"type": int, "help": "answer this status, as Azure would"},
    "latency": {"type": duration, "help": "wait first, e.g. 2s or 300ms"},
    "reset": {"nargs": "?", "const": "before", "choices": ("before", "during"), "help": "break the connection"},
    "rate": {"type": float, "help": "how many of the requests, 0 to 1 (default: 1, every one)"},
    "count": {"type": int, "help": "how many at most (default: no end)"},
    "seed": {"type": int, "help": "of the choice: the same requests are hit for the same seed (default: 0)"},
    "retry_after": {"type": int, "help": "seconds in Retry-After (default: 1 with 429 and 503)"},
}
FAULT_FLAGS: tuple[Flag, ...] = tuple((f"--{name.replace('_', '-')}", settings) for name, settings in FAULT.items())
IDENTITY: tuple[Flag, ...] = (
    ("action", {"choices": ("create", "list", "delete"), "help": "what to do"}),
    ("name", {"nargs": "?", "help": "of the identity"}),
    ("--role", {"help": "e.g. Reader or 'AzureML Data Scientist' (default: none)"}),
    ("--scope", {"metavar": "ID", "help": "where it has the role (default: the resource group)"}),
)
NODES: tuple[Flag, ...] = (
    ("action", {"choices": ("list", "preempt", "preempt-rate"), "help": "what to do"}),
    ("compute", {"nargs": "?", "help": "its name, or WORKSPACE/NAME"}),
    (
        "what",
        {
            "nargs": "?",
            "metavar": "NODE|RATE",
            "help": "preempt: which node (default: one that has a job, or else any); preempt-rate: how many "
            "preemptions are expected of each node in an hour of the service's clock (0 for none)",
        },
    ),
    ("--seed", {"type": int, "default": 0, "help": "of the times between preemptions (default: 0)"}),
)
KUBERNETES: tuple[Flag, ...] = (
    (
        "action",
        {"choices": ("list", "apply", "delete", "disconnect", "connect", "export"), "help": "what to do"},
    ),
    (
        "name",
        {
            "nargs": "?",
            "metavar": "CLUSTER|ENDPOINT/DEPLOYMENT",
            "help": "the cluster: its name, its id, or a compute that it is attached as; export: the deployment",
        },
    ),
    (
        "file",
        {
            "nargs": "?",
            "metavar": "FILE",
            "default": "-",
            "help": "apply, delete: YAML as kubectl takes it, of InstanceType, Node, Namespace or ResourceQuota "
            "(default: standard input)",
        },
    ),
    ("--image", {"help": "export: what the pods are to run (default: a name to be replaced)"}),
)
SCHEDULER: tuple[Flag, ...] = (
    ("scheduler", {"nargs": "?", "metavar": "tls://HOST:PORT", "help": "the Dask scheduler"}),
    (
        "--compute",
        {
            "action": "append",
            "metavar": "NAME",
            "help": "whose nodes are the workers with the resource node:NAME (may be given again)",
        },
    ),
    ("--tls-ca", {"metavar": "FILE", "help": "the authority of the scheduler's certificate"}),
    ("--tls-cert", {"metavar": "FILE", "help": "one's own certificate for the scheduler"}),
    ("--tls-key", {"metavar": "FILE", "help": "its key"}),
)
HOSTS: tuple[Flag, ...] = (
    ("action", {"choices": ("attach", "list", "detach"), "help": "what to do"}),
    *SCHEDULER,
)
NAME: Flag = ("--name", {"help": "of the worker (default: this machine's)"})
ID: Flag = ("--id", {"help": "clear only this fault"})
READY: Flag = ("--ready", {"type": int, "help": argparse.SUPPRESS})
LIFELINE: Flag = ("--lifeline", {"type": int, "help": argparse.SUPPRESS})
CONFIG: Flag = (
    "--config",
    {
        "type": Path,
        "metavar": "FILE",
        "help": "the program's own config.json: the service has the workspace that it names (default: another one)",
    },
)
PROGRAM: Flag = (
    "program",
    {"nargs": argparse.REMAINDER, "metavar": "-- PROGRAM ...", "help": "what to run, with its arguments"},
)
COMMANDS: Mapping[str, tuple[Command, str, tuple[Flag, ...]]] = {
    "start": (_start, "start the service, and return when it answers", (PORT, LISTEN, SPARK_MASTER)),
    "stop": (_stop, "end the service and all that it started", ()),
    "status": (_status, "say whether it runs, and what it takes", (JSON,)),
    "reset": (_reset, "end the service and delete its state folder", (YES,)),
    "env": (_env, 'print the variables for clients: eval "$(azureml-local env)"', (JSON,)),
    "config": (_config, "print config.json of the default workspace", ()),
    "doctor": (_doctor, "check this machine, and say what to do where something is missing", (INSTALL,)),
    "faults": (_faults, "make requests fail on purpose: faults add|list|clear", (ACTION, *FAULT_FLAGS, ID, JSON)),
    "identity": (_identity, "service principals with roles: identity create|list|delete NAME", (*IDENTITY, JSON)),
    "nodes": (_nodes, "nodes of computes: nodes list|preempt|preempt-rate COMPUTE", (*NODES, JSON)),
    "kubernetes": (
        _kubernetes,
        "attached clusters: kubernetes list|apply|delete|disconnect|connect|export",
        (*KUBERNETES, JSON),
    ),
    "hosts": (_hosts, "nodes on other machines: hosts attach|list|detach", (*HOSTS, JSON)),
    "worker": (_worker, "be a node of a service on another machine, in the foreground", (*SCHEDULER, NAME)),
    "run": (_run, "run a program with a service of its own, which ends with it", (CONFIG, PROGRAM)),
    "serve": (_serve, "run the service in the foreground", (PORT, LISTEN, SPARK_MASTER, READY, LIFELINE)),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("azureml-local", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (command, text, flags) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=text, description=text, epilog=EPILOG)
        for flag, settings in flags:
            subparser.add_argument(flag, **settings)
        subparser.set_defaults(command=command)
    return parser
