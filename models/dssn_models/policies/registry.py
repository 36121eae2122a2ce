"""Finding policies: by registered name, by entry point, by ``module:object``, or as an object.

A policy is a class with ``decide(view, now, rng)``, an instance of one, or a plain function of
that signature. Options of the scenario become constructor arguments of a class, and
``view.options`` of a function.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, cast, get_args

import numpy as np

from dssn_models.plan import PolicyPlan
from dssn_models.policies import admission, placement, queueing, routing, technology
from dssn_models.policies.api import DecideFunction, Decision, Policy, PolicyKind, View
from dssn_models.units import UnitError, parse_quantity

__all__ = [
    "ENTRY_POINT_GROUP",
    "KINDS",
    "SHIPPED",
    "FunctionPolicy",
    "OptionInfo",
    "PolicyError",
    "PolicyInfo",
    "as_kind",
    "as_policy",
    "available",
    "label",
    "resolve",
]  # fmt: skip

ENTRY_POINT_GROUP: Final = "dssn.policies"
KINDS: Final[tuple[PolicyKind, ...]] = get_args(PolicyKind)

#: (kind, name) -> class.
SHIPPED: Final[Mapping[tuple[PolicyKind, str], type[Any]]] = {
    ("placement", "nearest"): placement.Nearest,
    ("placement", "least_loaded"): placement.LeastLoaded,
    ("placement", "cheapest"): placement.Cheapest,
    ("placement", "random"): placement.Random,
    ("placement", "joint"): placement.Joint,
    ("placement", "earliest_finish"): placement.EarliestFinish,
    ("routing", "shortest_delay"): routing.ShortestDelay,
    ("routing", "least_utilised"): routing.LeastUtilised,
    ("routing", "cheapest"): routing.CheapestRoute,
    ("admission", "always"): admission.Always,
    ("admission", "max_in_flight"): admission.MaxInFlight,
    ("admission", "token_bucket"): admission.TokenBucket,
    ("admission", "deadline_aware"): admission.DeadlineAware,
    ("queueing", "fifo"): queueing.Fifo,
    ("queueing", "priority"): queueing.Priority,
    ("queueing", "earliest_deadline"): queueing.EarliestDeadline,
    ("queueing", "shortest_job"): queueing.ShortestJob,
    ("technology", "cheapest"): technology.CheapestTechnology,
    ("technology", "fastest"): technology.Fastest,
    ("technology", "fixed"): technology.Fixed,
}


class PolicyError(ValueError):
    """A policy that cannot be used.

    Attributes
    ----------
    code : str
        ``unknown`` (no such name), ``import`` (module or object not found), ``kind`` (decides another
        kind of question), ``signature`` (not ``decide(view, now, rng)``), ``option``.
    found, allowed : str
        What was asked for, and what there is.
    hint : str
        The nearest name, or ''.
    """

    def __init__(self, code: str, found: str, allowed: str = "", hint: str = "") -> None:
        text = (
            found
            + (f"; allowed: {allowed}" if allowed else "")
            + (f"; did you mean {hint!r}?" if hint else "")
        )
        super().__init__(text)
        self.code = code
        self.found = found
        self.allowed = allowed
        self.hint = hint


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """An option of a policy: its name, default, unit kind ('' if none) and meaning."""

    name: str
    default: Any
    unit: str
    doc: str


@dataclass(frozen=True, slots=True)
class PolicyInfo:
    """A policy that a scenario may name."""

    kind: str
    name: str
    origin: str  # "shipped", or the distribution of the entry point
    doc: str
    options: tuple[OptionInfo, ...] = ()


@dataclass
class FunctionPolicy:
    """A plain function ``decide(view, now, rng)`` as a policy of a kind."""

    kind: PolicyKind
    function: DecideFunction
    options: Mapping[str, Any] = field(default_factory=dict)

    def decide(self, view: View, now: float, rng: np.random.Generator) -> Decision:
        """Call the function; the scenario's options stand in ``view.options``."""
        if self.options:
            view = dataclasses.replace(view, options={**self.options, **view.options})
        return self.function(view, now, rng)


# ------------------------------------------------------------ listing


@cache
def _entry_points() -> tuple[EntryPoint, ...]:
    return tuple(sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: (e.name, e.value)))


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n", 1)[0]


def _options_of(cls: object) -> tuple[OptionInfo, ...]:
    if not dataclasses.is_dataclass(cls):
        return ()
    return tuple(
        OptionInfo(
            f.name,
            None if f.default is dataclasses.MISSING else f.default,
            str(f.metadata.get("unit", "")),
            str(f.metadata.get("doc", "")),
        )
        for f in dataclasses.fields(cls)
        if f.init
    )


def available() -> list[PolicyInfo]:
    """Return every policy that a scenario may name: the shipped ones, then those of entry points.

    An entry point that cannot be loaded is listed with the error as its text.
    """
    out = [
        PolicyInfo(kind, name, "shipped", _first_line(cls), _options_of(cls))
        for (kind, name), cls in SHIPPED.items()
    ]
    for point in _entry_points():
        origin = point.dist.name if point.dist is not None else "entry point"
        try:
            loaded = point.load()
        except Exception as error:  # noqa: BLE001  a broken plug-in must not hide the others
            out.append(PolicyInfo("", point.name, origin, f"cannot be loaded: {error}"))
            continue
        kind = str(getattr(loaded, "kind", ""))
        out.append(PolicyInfo(kind, point.name, origin, _first_line(loaded), _options_of(loaded)))
    return sorted(
        out,
        key=lambda p: (KINDS.index(p.kind) if p.kind in KINDS else len(KINDS), p.origin != "shipped", p.name),
    )


# ------------------------------------------------------------ resolving


def resolve(plan: PolicyPlan) -> Policy:
    """Return the policy object that a plan names.

    Each call gives a new object for a class, so a policy with memory starts afresh in each replication.

    Parameters
    ----------
    plan : PolicyPlan
        Kind, name (registered, entry point, or ``module:object``) and options.

    Raises
    ------
    PolicyError
        With a code, what was found, what is allowed and the nearest name.

    Examples
    --------
    >>> resolve(PolicyPlan("placement", "nearest")).kind
    'placement'
    """
    kind = as_kind(plan.kind)
    if ":" in plan.name:
        return as_policy(_import(plan.name), kind, plan.options, name=plan.name)
    shipped = SHIPPED.get((kind, plan.name))
    if shipped is not None:
        return as_policy(shipped, kind, plan.options, name=plan.name)
    other_kind: list[PolicyError] = []
    for point in _entry_points():
        if point.name != plan.name:
            continue
        try:
            return as_policy(_load(point), kind, plan.options, name=plan.name)
        except PolicyError as error:
            if error.code != "kind":
                raise
            other_kind.append(error)
    if other_kind:
        raise other_kind[0]
    raise _unknown(kind, plan.name)


def as_kind(kind: str) -> PolicyKind:
    """Return the kind of this name, or raise :class:`PolicyError`."""
    if kind not in KINDS:
        raise PolicyError("kind", f"{kind!r} is no kind of policy", ", ".join(KINDS), _near(kind, KINDS))
    return kind


def _near(word: str, words: Iterable[str]) -> str:
    folded = {w.lower(): w for w in words}
    close = get_close_matches(word.lower().replace("-", "_"), list(folded), n=1, cutoff=0.6)
    return folded[close[0]] if close else ""


def _unknown(kind: PolicyKind, name: str) -> PolicyError:
    names = sorted({n for k, n in SHIPPED if k == kind} | {p.name for p in _entry_points()})
    others = sorted(k for k, n in SHIPPED if n == name)
    found = f"{name!r} is no {kind} policy"
    if others:
        return PolicyError("kind", f"{found} but one of {', '.join(others)}", ", ".join(names))
    return PolicyError("unknown", found, f"{', '.join(names)}, or module:object", _near(name, names))


def _load(point: EntryPoint) -> object:
    try:
        return cast(object, point.load())
    except Exception as error:
        raise PolicyError(
            "import", f"entry point {point.name!r} ({point.value}) cannot be loaded: {error}"
        ) from error


def _import(name: str) -> object:
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise PolicyError(
            "import", f"{name!r} is not complete", "module:object, for example mine.policies:Mine"
        )
    try:
        thing: object = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise PolicyError(
                "import",
                f"there is no module {module_name!r}",
                "a module in the working directory or installed",
            ) from error
        raise PolicyError(
            "import", f"module {module_name!r} needs {error.name!r}, which is not installed"
        ) from error
    except (Exception, SystemExit) as error:
        raise PolicyError(
            "import", f"module {module_name!r} fails on import: {type(error).__name__}: {error}"
        ) from error
    for part in path.split("."):
        if not hasattr(thing, part):
            names = [n for n in vars(thing) if not n.startswith("_")] if hasattr(thing, "__dict__") else []
            raise PolicyError("import", f"{module_name!r} has no object {path!r}", hint=_near(part, names))
        thing = getattr(thing, part)
    return thing


def as_policy(
    thing: object, kind: PolicyKind, options: Mapping[str, Any] | None = None, *, name: str = ""
) -> Policy:
    """Return a policy object from a class, an instance or a plain function.

    Parameters
    ----------
    thing : object
        The class, instance or function.
    kind : PolicyKind
        The question it is to decide; a class or instance that names another kind is refused.
    options : Mapping, optional
        Constructor arguments (class) or ``view.options`` (function). Options of shipped policies that
        have a unit are unit strings ("10 s").
    name : str
        What messages call it.

    Raises
    ------
    PolicyError
        Wrong kind, signature or option.
    """
    options = options or {}
    name = name or getattr(thing, "__name__", type(thing).__name__)
    own = getattr(thing, "kind", None)
    if own is not None and own != kind:
        raise PolicyError("kind", f"{name!r} is a {own} policy, not a {kind} policy")
    if inspect.isclass(thing):
        policy = _construct(thing, options, name)
        _check_signature(getattr(policy, "decide", None), name)
    elif hasattr(thing, "decide"):
        if options:
            raise PolicyError("option", f"{name!r} is an object already made; it takes no options")
        policy = cast(Policy, thing)
        _check_signature(policy.decide, name)
    elif callable(thing):
        _check_signature(thing, name)
        return FunctionPolicy(kind, cast(DecideFunction, thing), dict(options))
    else:
        raise PolicyError(
            "signature", f"{name!r} is neither a policy class, an object with decide nor a function"
        )
    if own is None:
        return FunctionPolicy(kind, policy.decide)
    return cast(Policy, policy)


def label(policy: object) -> str:
    """Return what messages and tables call a policy object: its class, or the function it wraps."""
    if isinstance(policy, FunctionPolicy):
        owner = getattr(policy.function, "__self__", None)
        return type(owner).__name__ if owner is not None else getattr(policy.function, "__name__", "function")
    return type(policy).__name__


def _check_signature(function: object, name: str) -> None:
    if not callable(function):
        raise PolicyError("signature", f"{name!r} has no method decide(view, now, rng)")
    try:
        inspect.signature(function).bind(None, 0.0, None)
    except TypeError as error:
        raise PolicyError(
            "signature", f"{name!r} cannot be called as decide(view, now, rng): {error}"
        ) from error
    except ValueError:  # built-ins without a signature
        return


def _construct(cls: type[Any], options: Mapping[str, Any], name: str) -> Any:
    given = dict(options)
    infos = {o.name: o for o in _options_of(cls)}
    if dataclasses.is_dataclass(cls):
        for key in given:
            if key not in infos:
                raise PolicyError(
                    "option",
                    f"{name!r} has no option {key!r}",
                    ", ".join(infos) or "no options",
                    _near(key, infos),
                )
            given[key] = _value(infos[key], given[key], name)
    try:
        return cls(**given)
    except Exception as error:
        raise PolicyError("option", f"{name!r} cannot be made with options {given}: {error}") from error


def _value(option: OptionInfo, value: Any, name: str) -> Any:
    """Return an option's value in SI units, checked against its default's type."""
    what = f"option {option.name!r} of {name!r}"
    if option.unit:
        try:
            return parse_quantity(value, option.unit)
        except UnitError as error:
            raise PolicyError(
                "option", f"{what}: {error.found}", error.allowed.removeprefix("allowed: "), error.hint or ""
            ) from error
    if isinstance(option.default, bool):
        wrong, wanted = not isinstance(value, bool), "true or false"
    elif isinstance(option.default, int):
        wrong, wanted = (
            isinstance(value, bool) or not isinstance(value, int) or value < 0,
            "a whole number of zero or more",
        )
    elif isinstance(option.default, float):
        wrong, wanted = (
            isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e300,
            "a number above zero",
        )
    elif isinstance(option.default, str):
        wrong, wanted = not isinstance(value, str), "a name"
    else:
        return value
    if wrong:
        raise PolicyError("option", f"{what} is {value!r}", wanted)
    return value
