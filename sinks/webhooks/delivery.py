"""Brings one message to its end: delivered, or dead with the log of every attempt.

What ends in the dead letter topic, and when:
- a definite refusal (4xx): at once, since the same bytes will be refused again;
- any other failed request: when the schedule is exhausted, and the receiver has accepted some other
  message since this one first failed. Then it is evidently up, and it is this message it cannot
  take. As long as it accepts nothing, it is down, and waiting is all there is to do;
- no connection at all: never. It says nothing about the message.
With `hold_while_down` off, an exhausted schedule alone is enough, for all of these.

After 410 nothing is sent any more until a restart: the messages stay in the log, unread.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sinks.status import Status
from sinks.webhooks.endpoint import Attempt, Endpoint, Verdict
from sinks.webhooks.message import Message

# The attempt log keeps the first and the latest, so that an outage of days does not fill memory.
_KEPT_ATTEMPTS = 20


class Stopped(Exception):
    """The process is to end; the message is left for the next run."""


class End(StrEnum):
    """How a message ended."""

    DELIVERED = "DELIVERED"
    REFUSED = "REFUSED"
    EXHAUSTED = "EXHAUSTED"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again; all in seconds, each pause up to a fifth longer (jitter).

    `schedule` holds the pauses after the first, second ... failed request; the last one repeats
    while the receiver is down. `unreachable` likewise after each failed connect. Standard Webhooks
    proposes three days and then gives up; here giving up does not depend on time, so that a weekend
    without the receiver costs nothing, and pauses stay short enough for people on call.
    """

    schedule: Sequence[float] = (5, 30, 120, 300, 300)
    unreachable: Sequence[float] = (0.5, 1, 2, 5, 10, 30)
    hold_while_down: bool = True
    # Requests at the same time, and messages begun and not ended for each partition.
    requests: int = 8
    open_messages: int = 200


@dataclass(slots=True)
class Story:
    """The attempts of one message so far."""

    attempts: list[Attempt] = field(default_factory=list)
    failures: int = 0
    missed: int = 0
    total: int = 0
    accepted_before: int | None = None

    def add(self, attempt: Attempt) -> None:
        """Log an attempt; of very many only the first and the latest are kept."""
        self.total += 1
        self.attempts.append(attempt)
        if len(self.attempts) > _KEPT_ATTEMPTS:
            del self.attempts[_KEPT_ATTEMPTS // 2]


class Delivery:
    """Delivers messages through one endpoint; any number may be in `deliver` at the same time."""

    def __init__(self, endpoint: Endpoint, policy: RetryPolicy, status: Status) -> None:
        self._endpoint = endpoint
        self._policy = policy
        self._status = status
        self._stopping = asyncio.Event()
        self._requests = asyncio.Semaphore(policy.requests)
        # The whole receiver is left alone until then: it cannot be reached, or asked for a pause.
        self._hold_until = 0.0
        self._missed = 0
        self._accepted = 0
        self._gone = False

    def stop(self) -> None:
        """Let requests on the way finish, and end every wait with Stopped."""
        self._stopping.set()

    async def deliver(self, message: Message) -> tuple[End, Story]:
        """Try until the message has ended; raises Stopped if the process is to end first."""
        story = Story()
        while True:
            attempt = await self._try(message)
            story.add(attempt)
            if attempt.verdict is Verdict.DELIVERED:
                return End.DELIVERED, story
            if attempt.verdict is Verdict.REFUSED:
                return End.REFUSED, story
            if story.accepted_before is None:
                story.accepted_before = self._accepted
            self._status.add("retried")
            if self._given_up(story, attempt):
                return End.EXHAUSTED, story
            await self.wait(self._pause(story, attempt))

    async def _try(self, message: Message) -> Attempt:
        async with self._requests:
            while (pause := self._hold_until - time.monotonic()) > 0 or self._gone:
                await self.wait(None if self._gone else pause)
            if self._stopping.is_set():
                raise Stopped
            attempt = await self._endpoint.post(message)
            self._note(attempt)
        return attempt

    def _note(self, attempt: Attempt) -> None:
        """Learn about the receiver as a whole from one attempt."""
        now = time.monotonic()
        verdict = attempt.verdict
        if verdict is Verdict.UNREACHABLE:
            pauses = self._policy.unreachable
            pause = pauses[min(self._missed, len(pauses) - 1)]
            # Requests that were on the way together fail together: that is one miss.
            if now >= self._hold_until:
                self._missed += 1
                self._hold_until = now + _jittered(pause)
            self._status.own_trouble = f"RECEIVER_{attempt.error}"
            return
        self._missed = 0
        if verdict is Verdict.DELIVERED:
            self._status.own_trouble = None
            self._accepted += 1
        elif verdict is Verdict.GONE:
            self._gone = True
            self._status.own_trouble = "RECEIVER_GONE"
        else:
            self._status.own_trouble = f"RECEIVER_{attempt.status or attempt.error}"
            if attempt.busy:
                self._hold_until = max(self._hold_until, now + (attempt.retry_after_s or 0.0))

    def _given_up(self, story: Story, attempt: Attempt) -> bool:
        unreachable = attempt.verdict is Verdict.UNREACHABLE
        story.missed += unreachable
        story.failures += not unreachable
        tries = story.failures if self._policy.hold_while_down else story.failures + story.missed
        if tries <= len(self._policy.schedule):
            return False
        evidently_up = self._accepted > (story.accepted_before or 0)
        return evidently_up or not self._policy.hold_while_down

    def _pause(self, story: Story, attempt: Attempt) -> float:
        """Seconds until this message is tried again; the endpoint's own hold comes on top."""
        if attempt.verdict in (Verdict.UNREACHABLE, Verdict.GONE):
            return 0.0
        schedule = self._policy.schedule
        pause = schedule[min(story.failures, len(schedule)) - 1] if schedule else 0.0
        return max(_jittered(pause), attempt.retry_after_s or 0.0)

    async def wait(self, seconds: float | None) -> None:
        """Wait (for ever if None), but no longer than the process lives."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(1.0, 1.2)
