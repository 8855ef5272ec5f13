"""A steady load on an endpoint, sent from the background while the cell changes something there."""

from __future__ import annotations

import itertools
import json
import os
import ssl
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx
from tqdm import tqdm

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NO_ANSWER = 0  # the status of a request that no answer came to
ANSWER_TIMEOUT = 200.0  # seconds; a managed endpoint itself gives up after 180
AUTHORITIES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")  # variables that name a file of them
LONGEST_KEPT = 1000  # characters of an answer
TICK = 0.2  # seconds between two updates of the line
_running: list[Load] = []
# Colours that can be told apart by those who do not see red or green; each kind has a marker of its own, too.
STYLES = (("#0072b2", "o"), ("#d55e00", "X"), ("#009e73", "s"), ("#cc79a7", "^"), ("#e69f00", "D"), ("#56b4e9", "v"))


@dataclass(frozen=True)
class Answer:
    """What became of one request.

    Args:
        seconds: when it was sent, since the load began.
        status: the HTTP status; 0 where no answer came.
        ms: how long its answer took, in milliseconds.
        deployment: which deployment answered, as the endpoint says; empty where none did.
        reason: why it failed: the endpoint's ``ms-azureml-model-error-reason``, or the client's error.
        answer: the body's first 1,000 characters.
    """

    seconds: float
    status: int
    ms: float
    deployment: str = ""
    reason: str = ""
    answer: str = ""


class Load:
    """Sends requests from threads of its own; see :func:`load`."""

    def __init__(
        self,
        scoring_uri: str,
        headers: dict[str, str],
        payload: Any,
        *,
        clients: int,
        per_second: float | None,
        longest: float,
        most: int,
    ) -> None:
        if clients < 1 or most < 1 or longest <= 0 or (per_second is not None and per_second <= 0):
            raise ValueError(
                f"clients is {clients}, per_second {per_second}, longest {longest} and most {most}; "
                "each must be more than 0."
            )
        self._request = (scoring_uri, headers, json.dumps(payload).encode())
        self._limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients, keepalive_expiry=None)
        self._client: httpx.Client
        self._interval = 1 / per_second if per_second else 0.0
        self._longest = longest
        self._left = most
        self._due = 0.0
        self._taking = threading.Lock()
        self._stopping = threading.Event()
        self._answers: list[Answer] = []  # appending is atomic
        self._marks: list[tuple[float, str]] = []
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(clients)]
        self._began = 0.0

    def __enter__(self) -> Self:
        # One for all threads: each of its own would read all authorities, and begin late.
        self._client = httpx.Client(verify=_trusted(), timeout=ANSWER_TIMEOUT, limits=self._limits)
        self._began = self._due = time.monotonic()
        _running.append(self)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:  # each ends with the answer that it waits for
            thread.join()
        self._client.close()
        _running.remove(self)

    @property
    def answers(self) -> pd.DataFrame:
        """What became of each request so far, in the order of sending: the columns are :class:`Answer`'s."""
        import pandas as pd

        answers = sorted(self._answers, key=lambda answer: answer.seconds)
        return pd.DataFrame([asdict(answer) for answer in answers], columns=list(Answer.__dataclass_fields__))

    @property
    def statuses(self) -> dict[int, int]:
        """How many requests ended with each status so far."""
        return dict(sorted(Counter(answer.status for answer in list(self._answers)).items()))

    @property
    def failed(self) -> int:
        """How many requests ended with another status than 200 so far, or without an answer."""
        return sum(count for status, count in self.statuses.items() if status != httpx.codes.OK)

    def mark(self, what: str) -> float:
        """Note that something happens now, and return the seconds since the load began; :meth:`draw` shows a line."""
        seconds = time.monotonic() - self._began
        self._marks.append((seconds, what))
        return seconds

    def go_on(self, seconds: float) -> None:
        """Let the load go on for so many seconds, or until its end; a line shows how it stands meanwhile."""
        until = time.monotonic() + seconds
        with tqdm(desc="… load", bar_format="{desc}{postfix}", leave=False) as line:
            while (left := until - time.monotonic()) > 0 and any(thread.is_alive() for thread in self._threads):
                line.set_postfix_str(f"{left:.0f} s left, {self.describe()}")
                time.sleep(min(TICK, left))

    def describe(self) -> str:
        """Say how the load stands, e.g. ``40 answers, of them 429: 2``."""
        failed = ", ".join(f"{status or 'none'}: {count}" for status, count in self.statuses.items() if status != 200)
        return f"{len(self._answers)} answers, of them {failed or 'none failed'}"

    def draw(self, axis: Axes, by: str = "status") -> None:
        """Draw each request as a point: when it was sent, how long its answer took.

        Args:
            axis: where to draw it.
            by: the column that decides the colour: ``"status"``, ``"deployment"`` or ``"answer"``.
        """
        for (kind, some), (colour, marker) in zip(self.answers.groupby(by), itertools.cycle(STYLES), strict=False):
            axis.scatter(some.seconds, some.ms, s=14, color=colour, marker=marker, alpha=0.7, label=str(kind))
        for seconds, what in self._marks:
            axis.axvline(seconds, color="#767676", linestyle="--", linewidth=1)
            axis.annotate(what, (seconds, 1), (3, -3), ("data", "axes fraction"), "offset points", va="top")
        axis.set(xlabel="sent after (seconds)", ylabel="answered after (ms)", ylim=(0, None))
        axis.legend(title=by, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

    def _send(self) -> None:
        """Send one request after another, each when it is due, until the load is to end."""
        while (due := self._next_due()) is not None:
            if self._stopping.wait(max(0.0, due - time.monotonic())):
                return
            self._answers.append(self._ask())

    def _next_due(self) -> float | None:
        """Return when the next request is to be sent; None where there is to be none.

        What could not be sent in time, because no client was free, is left out: sent all at once it would be another
        load.
        """
        with self._taking:
            now = time.monotonic()
            if self._stopping.is_set() or not self._left or now - self._began > self._longest:
                return None
            self._left -= 1
            due = max(self._due, now)
            self._due = due + self._interval
            return due

    def _ask(self) -> Answer:
        uri, headers, body = self._request
        sent = time.monotonic()
        try:
            response = self._client.post(uri, headers=headers, content=body)
        except httpx.HTTPError as error:
            return Answer(sent - self._began, NO_ANSWER, _ms_since(sent), reason=type(error).__name__)
        return Answer(
            sent - self._began,
            response.status_code,
            _ms_since(sent),
            response.headers.get("azureml-model-deployment", ""),
            response.headers.get("ms-azureml-model-error-reason", ""),
            response.text[:LONGEST_KEPT],
        )


def standing() -> str:
    """Say how the loads stand that run at the moment, to be put behind a wait's seconds; empty where none runs."""
    return "".join(f" | load: {load.describe()}" for load in _running)


def _trusted() -> ssl.SSLContext | bool:
    """Return the authorities that the environment names, as requests and httpx name them; True: the public ones."""
    file = next((os.environ[name] for name in AUTHORITIES if os.environ.get(name)), None)
    return ssl.create_default_context(cafile=file) if file else True


def _ms_since(moment: float) -> float:
    return 1000 * (time.monotonic() - moment)


def load(
    scoring_uri: str,
    key: str,
    payload: Any,
    *,
    clients: int = 1,
    per_second: float | None = None,
    deployment: str | None = None,
    longest: float = 1800.0,
    most: int = 20_000,
) -> Load:
    """Return a load, which is sent while its ``with`` block runs; the block changes something meanwhile.

    Each client sends a request, waits for its answer, and sends the next. With ``per_second`` it waits until the next
    one is due, so that the load stays the same however fast the answers come, as long as some client is free.

    Args:
        scoring_uri: the endpoint's ``scoring_uri``.
        key: one of its keys, or a token.
        payload: what the scoring script's ``run()`` expects; sent as JSON.
        clients: how many requests there are at once, at most.
        per_second: how many requests are sent a second, by all clients together; None: as many as are answered.
        deployment: a deployment to ask by name, past the traffic rules.
        longest: the load ends after so many seconds, even if the block has not.
        most: the load ends after so many requests, even if the block has not.

    Raises:
        ValueError: one of the numbers is not more than 0.
    """
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    if deployment is not None:
        headers["azureml-model-deployment"] = deployment
    return Load(scoring_uri, headers, payload, clients=clients, per_second=per_second, longest=longest, most=most)
