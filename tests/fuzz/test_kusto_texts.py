"""Whatever text is sent as a Kusto query: the log store answers, or says in Azure's frame what is wrong with it."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azureml_local.engines.log_store import AnswerableError
from azureml_local.engines.log_store.server import LogFile
from kusto_samples import CONSOLE, EVENTS, LONGEST, OF_JOBS, OTHERS, TRAFFIC

SAMPLES = (
    *(TRAFFIC, CONSOLE, EVENTS, LONGEST),
    *OTHERS,
    *OF_JOBS,
    "let x = 5; print x, datetime(2020-01-01), 1h, dynamic({'a': 1})",
    "range x from 1 to 10 step 1 | summarize make_list(x), make_set(x)",
    'datatable(a:string, b:int)["x", 1, "y", 2] | sort by b desc | extend c = strcat(a, tostring(b))',
)
TOKEN = re.compile(r"\w+|[^\w\s]|\s+")
ODD = ("\x00", "\u2028", "\n", "é", "😀", "//", "'", '"', "(", ")", "..", "-1", "9" * 20, "int(null)", "dynamic(null)")
WORDS = sorted({word for sample in SAMPLES for word in TOKEN.findall(sample)} | set(ODD))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogFile]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "TZ", "UTC")
        time.tzset()
        log = LogFile(tmp_path_factory.mktemp("log") / "logs.duckdb")
        yield log
        log.close()
    time.tzset()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chance=st.randoms(use_true_random=False))
def test_any_text_is_answered_or_refused(chance: random.Random, log: LogFile) -> None:
    text = changed(chance)
    try:
        assert log.kusto({"text": text, "workspaces": ["guid"], "seconds": 20}).startswith('{"tables": [')
    except AnswerableError as error:
        assert error.status in (400, 504)
        assert error.body["code"]
        assert error.body["message"]


def changed(chance: random.Random) -> str:
    """Return a sample of which some words were replaced, left out, repeated or put in."""
    parts: list[str] = TOKEN.findall(chance.choice(SAMPLES))
    for _ in range(chance.randint(0, 3)):
        at = chance.randrange(len(parts))
        new = chance.choice(([], [chance.choice(WORDS)], parts[at : at + 5], [parts[at], chance.choice(WORDS)]))
        parts[at : at + 1] = new or ["x"] * (len(parts) == 1)
    return "".join(parts)
