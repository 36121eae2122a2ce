"""Plain delivery: API queries, bulk packages, streams. The only engines whose bytes may be raw data.

``content`` says what the bytes are. It is ``raw`` unless the scenario says ``result`` (a report, a
model) or ``sealed``, so that a forgotten word shows up as exposed raw data and never hides it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from dssn_models.engines.api import JobCost
from dssn_models.engines.base import BaseEngine, Builder, Param, Value, num, pages

__all__ = ["ApiQuery", "BulkTransfer", "StreamTransfer"]

_CONTENT: Mapping[str, tuple[str, ...]] = {"content": ("raw", "result", "sealed")}
_CLASS = {"raw": "raw", "result": "result", "sealed": "protocol"}
_SAY: Param = ("raw", "", "what the bytes are: raw, result or sealed (ciphertext)")


class ApiQuery(BaseEngine):
    """Request and answer, one record or aggregate at a time."""

    name = "api.query"
    title = "API query"
    weight = "light"
    confidentiality = "plain"
    PARAMETERS: ClassVar[Mapping[str, Param]] = {
        "calls": (1.0, "", "calls in one order, to each provider"),
        "rows": (1.0, "", "records in an answer; counts for metering"),
        "request": (500.0, "size", "bytes of a request"),
        "answer": (4000.0, "size", "bytes of an answer"),
        "concurrency": (1.0, "", "calls under way at once"),
        "content": _SAY,
    }
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = _CONTENT

    def build(self, p: dict[str, Value], b: Builder, profile: str) -> JobCost:
        """Return the cost: ``calls / concurrency`` round trips, a fixed time per call and end."""
        calls, parallel = num(p, "calls"), max(num(p, "concurrency"), 1.0)
        request, answer = num(p, "request") * calls, num(p, "answer") * calls
        copy = b.value("transfer.copy_s_per_byte") * (request + answer)
        each = b.value("api.call_s") * calls + copy
        count = len(b.hosts)
        # Request and answer stand in one step: the request is small and counts with the answer's class.
        b.step(
            "call and answer",
            {"guest": count * each} | dict.fromkeys(b.hosts, each),
            [t for h in b.hosts for t in (("guest", h, request), (h, "guest", answer))],
            rounds=pages(calls, parallel),
            overlap=1.0,
            data=_CLASS[str(p["content"])],
        )
        need = b.need(min(parallel, 8.0), 0.0)
        return b.job(
            dict.fromkeys(("guest", *b.hosts), need),
            answer * count,
            calls=calls * count,
            rows=num(p, "rows") * calls * count,
        )


class _Transfer(BaseEngine):
    weight = "light"
    confidentiality = "plain"
    operators = ("cipher",)
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = _CONTENT

    @staticmethod
    def _send(
        p: Mapping[str, Value], b: Builder, size: float, rows: float, name: str, *, hashed: bool
    ) -> JobCost:
        each = b.value("transfer.copy_s_per_byte") * size
        digest = b.value(f"{b.suite.hash}_s_per_byte") * size if hashed and b.suite.hash else 0.0
        each += digest
        count = len(b.hosts)
        b.step(
            name,
            {"guest": count * each} | dict.fromkeys(b.hosts, each),
            [(h, "guest", size) for h in b.hosts],
            rounds=1,
            overlap=0.0,
            operator="cipher" if digest else "",
            accelerable=digest / each if digest else 0.0,
            data=_CLASS[str(p["content"])],
        )
        streams = max(num(p, "streams"), 1.0)
        needs = {"guest": b.need(streams * count, 0.0)} | dict.fromkeys(b.hosts, b.need(streams, 0.0))
        return b.job(needs, size * count, rows=rows * count)


class BulkTransfer(_Transfer):
    """One package: read, send, hash at both ends; all streamed."""

    name = "transfer.bulk"
    title = "bulk delivery of a data package"
    PARAMETERS: ClassVar[Mapping[str, Param]] = {
        "size": (0.0, "size", "bytes of the package; 0: rows times row_size"),
        "rows": (1e6, "", "records in the package"),
        "row_size": (256.0, "size", "bytes of a record"),
        "streams": (1.0, "", "parallel connections (one core each at either end)"),
        "content": _SAY,
    }

    def build(self, p: dict[str, Value], b: Builder, profile: str) -> JobCost:
        """Return the cost: bytes, copy and hash at both ends, fully overlapped."""
        size = num(p, "size") or num(p, "rows") * num(p, "row_size")
        return self._send(p, b, size, num(p, "rows"), "send package", hashed=True)


class StreamTransfer(_Transfer):
    """A stream of messages over a time.

    The bytes of the whole stream go as fast as the network lets them: a source that makes data more
    slowly than that is not modelled (the meter ``stream_s`` carries the duration).
    """

    name = "transfer.stream"
    title = "stream delivery"
    PARAMETERS: ClassVar[Mapping[str, Param]] = {
        "duration": (600.0, "duration", "length of the stream"),
        "rate": (1e6, "rate", "mean rate of the source"),
        "message": (1000.0, "size", "bytes of a message"),
        "rows": (0.0, "", "records; 0: one a message"),
        "streams": (1.0, "", "parallel connections"),
        "content": _SAY,
    }

    def build(self, p: dict[str, Value], b: Builder, profile: str) -> JobCost:
        """Return the cost: duration times rate in bytes, copy at both ends."""
        size = num(p, "duration") * num(p, "rate") / 8.0
        rows = num(p, "rows") or pages(size, max(num(p, "message"), 1.0))
        job = self._send(p, b, size, rows, "stream messages", hashed=False)
        return JobCost(
            job.steps,
            job.needs,
            job.result_bytes,
            job.sources,
            {**job.meters, "stream_s": num(p, "duration")},
        )
