"""A deployment's running instances: which of them gets a request, and how they are replaced, added and taken away.

An instance is handed as many requests at a time as it may have (``max_concurrent_requests_per_instance``). As many
again wait here, in order, for the first instance that is free; more are refused
(https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#http-status-codes, 429). So a
request that waits is lost with no instance, and one whose time runs out while it waits never reaches a model.

On Kubernetes, any number of requests waits, each for at most ``max_queue_wait_ms``
(https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-kubernetes-online#requestsettings).

A request that runs longer than its time keeps its place until the instance has answered it, or is no more: the
inference server goes on with it (https://github.com/Azure/azure-sdk-for-python/issues/36296), and cannot take another
meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from operator import attrgetter
from pathlib import Path

from azureml_local.engines.data_collection.collector import DataCollector
from azureml_local.engines.guard import OUT_OF_MEMORY
from azureml_local.engines.inference_server import Instance, InstanceError, LaunchPlan, Tell, out_of_memory
from azureml_local.engines.instance_log import bound
from azureml_local.engines.probes import UNREACHABLE
from azureml_local.engines.process import Forks
from azureml_local.engines.secret_references import ReadSecret
from azureml_local.http.upstream import BodyTooLargeError, Headers, UnreachableError, UpstreamError

logger = logging.getLogger(__name__)

RESTART_DELAYS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds before an instance that ended is started again
_in_flight = attrgetter("in_flight")


class NotReadyError(Exception):
    """No instance takes requests at the moment."""


class TooManyRequestsError(Exception):
    """As many requests as the instances may have are running and waiting."""


class Replica:
    """One of a deployment's places for an instance. ``instance`` is None while it starts, or starts again."""

    def __init__(self, instance: Instance | None) -> None:
        self.instance = instance
        self.is_leaving = False
        self.supervisor: asyncio.Task[None]

    @property
    def in_flight(self) -> int:
        """How many requests its instance is at."""
        return self.instance.in_flight if self.instance else -1


class ReplicaSet:
    """A deployment's running instances; one that ends, or fails its liveness probe, is replaced.

    Args:
        plan: what each of them runs.
        sockets: the folder of their sockets.
        environment: lets their code reach the service as a client.
        tell: is told what happens to them.
        collector: takes what they collect; closed when they have ended.
        read_secret: reads the secrets that the plan's variables name.
        forks: forks their processes, where that is possible.
    """

    def __init__(
        self,
        plan: LaunchPlan,
        sockets: Path,
        environment: Mapping[str, str],
        tell: Tell = lambda *_: None,
        collector: DataCollector | None = None,
        read_secret: ReadSecret | None = None,
        forks: Forks | None = None,
    ) -> None:
        self.plan = plan
        self.collector = collector
        self._environment = environment
        self._sockets = sockets
        self._tell = tell
        self._read_secret = read_secret
        self._forks = forks
        self._replicas: list[Replica] = []
        self._rotation: list[Instance] = []  # those that get requests; whose turn is next comes first
        self._waiting: deque[asyncio.Future[Instance]] = deque()
        self._in_flight = 0
        self._changed = asyncio.Event()  # set when a request has left an instance
        self._asked = asyncio.Event()  # set when a request comes
        self._checks: set[asyncio.Task[None]] = set()

    @property
    def most_in_flight(self) -> int | None:
        """How many requests are accepted at once: one running and one waiting for each place; None for any number."""
        return None if self.plan.pod else 2 * self.plan.max_concurrent * self.plan.instance_count

    @property
    def load(self) -> tuple[float, int]:
        """How many instances' worth of requests are running, and how many requests wait."""
        return self._in_flight / self.plan.max_concurrent, len(self._waiting)

    @property
    def instances(self) -> list[Instance]:
        """Those that run; without those that are still being started."""
        return [replica.instance for replica in self._replicas if replica.instance]

    async def until_busy(self) -> None:
        """Return when the next request comes."""
        self._asked.clear()
        await self._asked.wait()

    # --- requests ---

    async def exchange(
        self, method: str, target: str, headers: Headers, body: bytes, largest: int
    ) -> tuple[int, Headers, bytes]:
        """Let an instance answer a request; return status, headers and body.

        Raises:
            NotReadyError: no instance is there to take it.
            TooManyRequestsError: too many are running and waiting.
            TimeoutError: it was not answered in its time.
            BodyTooLargeError: the answer has more than ``largest`` bytes.
            UpstreamError: the instance broke off.
        """
        most = self.most_in_flight
        if most is not None and self._in_flight + len(self._waiting) >= most:
            raise TooManyRequestsError
        if not self._rotation and not self._checks:
            raise NotReadyError
        self._asked.set()
        now = asyncio.get_running_loop().time
        deadline = now() + self.plan.request_timeout
        while True:
            instance = (None if self._waiting else self._take()) or await self._queued(deadline - now())
            try:
                return await instance.upstream.exchange(
                    method,
                    target,
                    headers,
                    body,
                    seconds=deadline - now(),
                    largest=largest,
                    ended=partial(self._leave, instance),
                )
            except UnreachableError:  # it never got it
                self._doubt(instance)
            except BodyTooLargeError:
                raise
            except UpstreamError:
                self._doubt(instance)
                raise

    def _take(self) -> Instance | None:
        """Take a place at the least busy instance, of equals at the one that had none for longest; None if all are."""
        instance = min(self._rotation, key=_in_flight, default=None)
        if instance is None or instance.in_flight >= self.plan.max_concurrent:
            return None
        self._rotation.remove(instance)
        self._rotation.append(instance)
        instance.in_flight += 1
        self._in_flight += 1
        return instance

    def _leave(self, instance: Instance) -> None:
        instance.in_flight -= 1
        self._in_flight -= 1
        self._changed.set()
        if self._waiting:  # soon: whether the instance is to be doubted is told in this moment
            asyncio.get_running_loop().call_soon(self._hand_out)

    async def _queued(self, seconds: float) -> Instance:
        """Wait for a place. Raises as :meth:`_turn` does, and TooManyRequestsError after the longest wait there is."""
        longest = self.plan.queue_wait
        if longest is None or longest >= seconds:
            return await self._turn(seconds)
        try:
            return await self._turn(longest)
        except TimeoutError as error:
            raise TooManyRequestsError from error

    async def _turn(self, seconds: float) -> Instance:
        """Wait for a place. Raises TimeoutError, or NotReadyError where the instances are taken down."""
        turn: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        timer = asyncio.get_running_loop().call_later(seconds, self._end_turn, turn, TimeoutError())
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and not turn.exception():
                self._leave(turn.result())
            raise
        finally:
            timer.cancel()
            if turn in self._waiting:
                self._waiting.remove(turn)
            self._changed.set()

    def _end_turn(self, turn: asyncio.Future[Instance], error: Exception) -> None:
        if not turn.done():
            turn.set_exception(error)
            self._waiting.remove(turn)

    def _hand_out(self) -> None:
        """Give the places that are free to those who wait."""
        while self._waiting:
            if self._waiting[0].done():  # cancelled
                self._waiting.popleft()
                continue
            instance = self._take()
            if instance is None:
                return
            self._waiting.popleft().set_result(instance)

    # --- which instances get requests ---

    def _admit(self, replica: Replica) -> None:
        if replica.instance and not replica.is_leaving and replica.instance not in self._rotation:
            self._rotation.insert(0, replica.instance)
            self._hand_out()

    def _dismiss(self, instance: Instance) -> None:
        if instance in self._rotation:
            self._rotation.remove(instance)

    def _doubt(self, instance: Instance) -> None:
        """Send an instance nothing until it answers its probe again: its worker, or all of it, may have ended.

        A worker that is started anew runs ``init()`` first, for which requests would wait.
        """
        replica = next((one for one in self._replicas if one.instance is instance), None)
        if replica and instance in self._rotation:
            self._dismiss(instance)
            check = asyncio.get_running_loop().create_task(self._check(replica, instance))
            self._checks.add(check)
            check.add_done_callback(self._checks.discard)

    async def _check(self, replica: Replica, instance: Instance) -> None:
        while replica.instance is instance and (failure := await instance.ask()):
            if failure == UNREACHABLE:
                return  # its supervisor replaces it
        if replica.instance is instance:
            self._admit(replica)

    # --- how many there are ---

    async def start(self) -> None:
        """Start every instance; return when all serve. Raises InstanceError, with none left running."""
        try:
            await self.grow(self.plan.instance_count)
        except BaseException:
            await self.stop()
            raise

    def start_in_background(self) -> None:
        """Start every instance, as often as it takes: it has served before."""
        self._keep(Replica(None) for _ in range(self.plan.instance_count))

    async def grow(self, count: int) -> None:
        """Start as many instances as are missing; return when all serve. Raises InstanceError, with none added."""
        starting = [self._new_instance() for _ in range(count - len(self._replicas))]
        starts = [asyncio.ensure_future(instance.start()) for instance in starting]
        try:
            await asyncio.gather(*starts)
        except BaseException:  # one has failed, or nobody wants them any more
            for start in starts:
                start.cancel()
            results = await asyncio.gather(*starts, return_exceptions=True)
            started = [instance for instance, result in zip(starting, results, strict=True) if result is None]
            await asyncio.gather(*(instance.stop() for instance in started))
            raise
        self._keep(Replica(instance) for instance in starting)

    async def shrink(self, count: int) -> None:
        """Take away the instances that are too many, the idlest first; each finishes what it has, within its time."""
        surplus = sorted(self._replicas, key=_in_flight)[: max(0, len(self._replicas) - count)]
        for replica in surplus:
            self._replicas.remove(replica)
            replica.is_leaving = True
            if replica.instance:
                self._dismiss(replica.instance)
        try:
            await self._until(lambda: all(replica.in_flight <= 0 for replica in surplus))
        finally:
            await _end(surplus)

    def apply(self, plan: LaunchPlan) -> None:
        """Follow a plan that differs in its counts and in the time of a request: nothing is started anew for it."""
        self.plan = plan
        self._hand_out()

    async def drain(self) -> None:
        """End every instance once it has answered what it has, and what waits; at the latest when that is overdue."""
        try:
            await self._until(lambda: self._in_flight == 0 and not self._waiting)
        finally:
            await self.stop()

    async def stop(self) -> None:
        """End every instance."""
        replicas, self._replicas, self._rotation = self._replicas, [], []
        for turn in list(self._waiting):
            self._end_turn(turn, NotReadyError())
        for check in self._checks:
            check.cancel()
        await _end(replicas)
        if self.collector:
            await self.collector.close()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        """Wait until requests have left the instances so far, or the last of them has had its time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.plan.request_timeout):
                while not is_so():
                    self._changed.clear()
                    await self._changed.wait()

    # --- keeping them running ---

    def _keep(self, replicas: Iterable[Replica]) -> None:
        for replica in replicas:
            self._replicas.append(replica)
            replica.supervisor = asyncio.get_running_loop().create_task(self._supervise(replica))
            self._admit(replica)

    def _new_instance(self) -> Instance:
        path = self._sockets / f"{secrets.token_hex(4)}.sock"
        return Instance(self.plan, path, self._environment, self._tell, self._read_secret, self._forks)

    async def _supervise(self, replica: Replica) -> None:
        """Keep an instance running in a place until cancelled, or until it ends while it leaves."""
        while not replica.is_leaving:
            instance = replica.instance = replica.instance or await self._replacement()
            try:
                self._admit(replica)
                await self._serve(replica, instance)
            finally:
                self._dismiss(instance)
                exit_code = await instance.stop()
                replica.instance = None
                self._changed.set()
            logger.warning("an instance of %s ended; starting another", self.plan.app_root)
            if exit_code == OUT_OF_MEMORY:
                self._tell("OOMKilled", f"Container inference-server: {out_of_memory(self.plan)}")

    async def _serve(self, replica: Replica, instance: Instance) -> None:
        """Return when an instance has ended, or has to."""
        begun = (instance.failed_liveness(), self._follow_readiness(replica, instance))
        watching = [asyncio.ensure_future(one) for one in begun]
        try:
            await asyncio.wait((instance.process.ended, *watching), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in watching:
                one.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    async def _follow_readiness(self, replica: Replica, instance: Instance) -> None:
        async for is_ready in instance.readiness():
            if is_ready:
                self._admit(replica)
            else:
                self._dismiss(instance)
            await bound(Path(self.plan.log))

    async def _replacement(self) -> Instance:
        attempt = 0
        while True:
            await asyncio.sleep(RESTART_DELAYS[min(attempt, len(RESTART_DELAYS) - 1)])
            instance = self._new_instance()
            try:
                await instance.start()
                return instance
            except InstanceError as error:
                logger.warning("an instance of %s did not start: %s", self.plan.app_root, error)
            except Exception:  # a secret that cannot be read, say: the place must not stay empty for it
                logger.exception("an instance of %s was not started", self.plan.app_root)
            self._tell("BackOff", "Back-off restarting failed container")
            attempt += 1


async def _end(replicas: list[Replica]) -> None:
    for replica in replicas:
        replica.supervisor.cancel()
    await asyncio.gather(*(replica.supervisor for replica in replicas), return_exceptions=True)
    # A supervisor that is cancelled before it ever ran has stopped nothing.
    await asyncio.gather(*(replica.instance.stop() for replica in replicas if replica.instance))
