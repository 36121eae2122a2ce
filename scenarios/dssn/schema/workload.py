"""Section ``workload``: streams of orders, when they arrive and what they ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dssn.problems import nearest
from dssn.schema.base import BY_SHAPE, LIST, VALUE, WORD, Flag, Id, Model, Number, Positive, Short, Text
from dssn.schema.errors import ITEMS, MISSING, REFUSED, Line, error, line, raise_lines
from dssn.schema.jobs import Job
from dssn.schema.network import Technology
from dssn.schema.quantities import (
    Amount,
    Duration,
    Frequency,
    Money,
    RandomDuration,
    RandomLevel,
    Rate,
    Share,
)
from dssn.schema.selectors import AssetSelector, ConsumerChoice

__all__ = [
    "Arrivals",
    "Burst",
    "Bursts",
    "ClassColumn",
    "Diurnal",
    "NetOrder",
    "Poisson",
    "Renewal",
    "Schedule",
    "SizeColumn",
    "Stream",
    "TimeColumn",
    "Trace",
]


class _Window(Model):
    """Limits that every kind of arrivals has."""

    limit: Annotated[int, Field(strict=True, ge=1, le=10_000_000)] | None = None
    """At most this many orders."""
    start: Duration = 0.0
    """No order before this time."""
    end: Duration | None = None
    """No order after this time; default: the horizon."""


class Poisson(_Window):
    """Orders at random with a constant rate."""

    kind: Literal["poisson"]
    rate: Frequency
    """Mean rate."""


Profile = Annotated[
    tuple[Annotated[float, Field(strict=True, ge=0, le=1e6)], ...], Field(min_length=24, max_length=24)
]


class Diurnal(_Window):
    """Orders at random with a rate that follows the hours of a day."""

    kind: Literal["diurnal"]
    rate: Frequency
    """Mean rate over the day."""
    profile: Annotated[Annotated[Profile, LIST] | Annotated[Id, VALUE], BY_SHAPE]
    """Name of a day profile (section ``profiles``), or 24 numbers, one an hour; only their shape counts."""


class Burst(Model):
    """A window in which the rate is multiplied."""

    at: Duration
    """Start."""
    duration: Duration
    """Length."""
    factor: Annotated[Positive, Field(le=10_000)]
    """Rate in the window over the background rate."""


class Bursts(_Window):
    """Orders at random with windows of a higher (or lower) rate."""

    kind: Literal["bursts"]
    rate: Frequency
    """Background rate."""
    windows: Annotated[tuple[Burst, ...], Field(min_length=1, max_length=10_000)]
    """The windows."""


class Schedule(_Window):
    """Orders at given times."""

    kind: Literal["schedule"]
    times: Annotated[tuple[Duration, ...], Field(max_length=1_000_000)] = ()
    """The times, or give ``every``."""
    every: Duration | None = None
    """Period of a regular schedule from ``start`` on."""

    @model_validator(mode="after")
    def _one_of(self) -> Schedule:
        if bool(self.times) == (self.every is not None):
            raise error(MISSING, "a schedule needs its times", "either times: [...] or every: a duration")
        if self.every is not None and self.every < 1e-3:
            raise error(REFUSED, f"every {self.every:g} s", "a period of 1 ms or more")
        return self


class Renewal(_Window):
    """Orders with independent gaps of any distribution."""

    kind: Literal["renewal"]
    gap: RandomDuration
    """Time between two orders."""


def _column(value: Any) -> Any:
    """Take a name as short for ``{column: name}``."""
    return {"column": value} if isinstance(value, str) else value


class TimeColumn(Model):
    """Where a trace has its times."""

    column: Text
    """Name of the column."""
    unit: Literal["ns", "us", "ms", "s", "min", "h", "d", "timestamp"] | None = None
    """Unit of numbers, or ``timestamp`` for date strings; default: seconds if numeric, else timestamps."""


class SizeColumn(Model):
    """A job parameter read from a trace: ``(column - minus) * times * scale``, within ``min`` and ``max``."""

    column: Text
    """Name of the column."""
    minus: Text | None = None
    """Column to subtract."""
    times: Text | None = None
    """Column to multiply with."""
    scale: Number = 1.0
    """Factor to SI units of the parameter."""
    min: Number | None = None
    """Smaller values become this."""
    max: Number | None = None
    """Larger values become this."""


class ClassColumn(Model):
    """A column that sets the priority class of each order."""

    column: Text
    """Name of the column."""
    map: Annotated[dict[str, Id], Field(min_length=1)]
    """Value in the column to class; rows of other values take the stream's class."""


class Trace(_Window):
    """Orders at the times of a CSV or Parquet file."""

    kind: Literal["trace"]
    file: Text
    """Path: absolute, or relative to the scenario file or the library."""
    time: Annotated[TimeColumn, Short(_column, (WORD,))]
    """Column of times; the first order comes at ``start``."""
    skip: Duration = 0.0
    """Begin of the trace that is left out, counted from its first row and before ``time_scale``."""
    sizes: dict[Id, Annotated[SizeColumn, Short(_column, (WORD,))]] = Field(default_factory=dict)
    """Job parameter (``rows``, ``size``, ``calls``, ...) to column."""
    classes: ClassColumn | None = None
    """Column of priority classes."""
    where: dict[str, str] = Field(default_factory=dict)
    """Take only rows with these values."""
    time_scale: Positive = 1.0
    """Factor on all times: 0.1 plays the trace ten times as fast."""


Arrivals = Annotated[
    Poisson | Diurnal | Bursts | Schedule | Renewal | Trace,
    Field(discriminator="kind"),
]


class NetOrder(Model):
    """What each order asks of the network."""

    technology: Technology | None = None
    """Carrier service; default: the technology policy decides."""
    rate: Rate | None = None
    """Guaranteed rate; default: best effort in its class."""
    isolation: Literal["none", "soft", "hard"] = "none"
    """``hard``: a slice of its own; ``soft``: a weight in shared links."""
    max_delay: Duration | None = None
    """Refuse routes with a longer one-way delay."""
    keep_open: Duration = 0.0
    """How long an idle channel stays open for reuse."""
    suite: Literal["international", "sm"] = "international"
    """Cipher suite of channels and engines."""


def _one_step(value: Any) -> Any:
    """Take a single step as short for a list of one."""
    return [value] if isinstance(value, dict) else value


Steps = Annotated[tuple[Job, ...], Short(_one_step, item=True), Field(min_length=1, max_length=50)]


class Stream(Model):
    """A stream of orders of one kind."""

    id: Id
    """Name of the stream."""
    cls: Id = Field(default="standard", alias="class")
    """Priority class."""
    arrivals: Arrivals
    """When orders arrive."""
    consumers: ConsumerChoice
    """Which DRN order: a list of ids, or ``{role: drn}`` and other properties, with weights."""
    assets: AssetSelector
    """What they order: a list of ids, or ``{sector: ...}`` and other properties, with weights."""
    parties: Amount = Field(default=1, validate_default=True)
    """How many providers take part in one order."""
    job: Job | None = None
    """The engine run, or give ``chain``."""
    chain: Steps | None = None
    """Several engine runs, joined by ``after``."""
    channel: Literal["privacy", "api", "package", "stream", "tee"] = "privacy"
    """Form of delivery, as the review and the assets' ``forms`` know it. An engine that hands out the data makes a package
    of ``privacy`` and ``tee``; one that protects more than asked (``tee.job`` under ``privacy``) is welcome. Requests of a
    dual channel that run ``alternate`` have channel ``api``."""
    net: NetOrder = NetOrder()
    """What is asked of the network."""
    exchange: Id | None = None
    """Node of the exchange that closed the trade; it settles when the delivery is confirmed."""
    purpose: Id = "statistics"
    """Purpose of use, for the compliance review."""
    cross_border: Flag = False
    """Whether the result leaves the country."""
    deadline: Duration | None = None
    """Time allowed from order to result; default: the class's."""
    price: Money = 0.0
    """Price of one delivery; added to the assets' prices."""
    sensitivity: RandomLevel | None = None
    """Dual channel: level of each request, 1 to 4."""
    threshold: Annotated[int, Field(strict=True, ge=1, le=5)] | None = None
    """Dual channel: requests of this level and above use ``job`` or ``chain``, the others ``alternate``."""
    alternate: Steps | None = None
    """Dual channel: what requests below the threshold run, usually an API query."""
    quality_defect: Share = 0.0
    """Share of deliveries that fail the quality assessment."""
    baseline: Flag = False
    """Deliver the old way: raw data to the consumer, without review or evidence."""
    per: Literal["province", "region", "sector"] | None = None
    """Make one stream per province, region or sector, whose consumers and assets both lie in it; the rate is
    divided by the number of consumers (of assets for ``sector``)."""

    @model_validator(mode="after")
    def _consistent(self) -> Stream:
        if (self.job is None) == (self.chain is None):
            raise error(
                MISSING, "both job and chain" if self.job else "neither job nor chain", "one of job and chain"
            )
        dual = [self.sensitivity is not None, self.threshold is not None, self.alternate is not None]
        if any(dual) and not all(dual):
            names = ("sensitivity", "threshold", "alternate")
            lacking = ", ".join(n for n, given in zip(names, dual, strict=True) if not given)
            raise error(
                MISSING,
                f"a dual-channel stream without {lacking}",
                "sensitivity, threshold and alternate together",
            )
        faults = [f for key in ("chain", "alternate") for f in _chain_faults(key, getattr(self, key) or ())]
        if faults:
            raise_lines("stream", faults)
        return self

    @property
    def steps(self) -> tuple[Job, ...]:
        """The engine runs, whether given as job or as chain."""
        return self.chain or ((self.job,) if self.job else ())


def _chain_faults(key: str, steps: tuple[Job, ...]) -> Iterator[Line]:
    """Yield what is wrong with a chain: two steps of one name, ``after`` that names no step, a cycle."""
    ids = [s.id for s in steps]
    for i, name in enumerate(ids):
        if name in ids[:i]:
            twice = error(ITEMS, f"two steps called {name!r}", "a name of its own for each step of a chain")
            yield line(twice, key, i, "id", found=name)
    for i, step in enumerate(steps):
        for name in step.after:
            if name not in ids:
                what = f"step {step.id!r} comes after {name!r}, which is no step"
                near = nearest(name, ids)
                yield line(error(REFUSED, what, ", ".join(ids), near), key, i, "after", found=name)
    done: set[str] = set()
    rest = list(steps)
    while ready := [s for s in rest if not {a for a in s.after if a in ids} - done]:
        done |= {s.id for s in ready}
        rest = [s for s in rest if s.id not in done]
    if rest:
        names = ", ".join(s.id for s in rest)
        yield line(error(REFUSED, f"steps that wait for each other: {names}", "a chain without a cycle"), key)
