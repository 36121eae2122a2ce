"""Searchable symmetric encryption: Pi_bas and Pi_pack (Cash et al., NDSS 2014).

The host keeps an encrypted index; the guest sends a token a query and gets encrypted identifiers,
work and bytes linear in the matches, one round trip for a batch of queries. ``Pi_pack`` puts 128
identifiers in a block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from dssn_models.engines.api import JobCost
from dssn_models.engines.base import BaseEngine, Builder, Param, Value, num, pages

__all__ = ["SseQuery"]

_PACK = 128.0
_ID = 8.0


class SseQuery(BaseEngine):
    """Search an encrypted index without showing the keyword."""

    name = "sse.query"
    title = "searchable encryption query"
    weight = "light"
    confidentiality = "privacy"
    PARAMETERS: ClassVar[Mapping[str, Param]] = {
        "rows": (1e6, "", "keyword-identifier pairs in the index"),
        "queries": (1.0, "", "queries in one order"),
        "matches": (100.0, "", "identifiers that a query finds"),
        "record": (0.0, "size", "bytes of an encrypted record fetched for each match; 0: identifiers only"),
        "scheme": ("pipack", "", "pibas or pipack"),
        "build": (False, "", "build and send the index first"),
    }
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {"scheme": ("pibas", "pipack")}

    def build(self, p: dict[str, Value], b: Builder, profile: str) -> JobCost:
        """Return the cost at every host."""
        packed = p["scheme"] == "pipack"
        per_pair = b.value(f"sse.{p['scheme']}_s_per_pair")
        pairs, queries = num(p, "rows"), num(p, "queries")
        matches = min(num(p, "matches"), pairs)
        if packed:
            index = pages(pairs, _PACK) * (_PACK * _ID + b.value("sse.block_bytes"))
            answer = queries * pages(matches, _PACK) * (_PACK * _ID + b.value("sse.block_bytes"))
        else:
            index, answer = pairs * b.value("sse.block_bytes"), queries * matches * b.value("sse.block_bytes")
        if p["build"]:
            b.step("build index", dict.fromkeys(b.hosts, pairs * per_pair))
        found = queries * matches
        tokens = queries * b.value("sse.token_bytes")
        b.step(
            "search",
            dict.fromkeys(b.hosts, found * per_pair),
            [t for h in b.hosts for t in (("guest", h, tokens), (h, "guest", answer))],
            rounds=1,
        )
        size = found * num(p, "record")
        if size:
            b.step("fetch records", {}, [(h, "guest", size) for h in b.hosts], rounds=1, data="protocol")
        aead = b.value(f"{b.suite.aead}_s_per_byte") if b.suite.aead else 0.0
        b.step("open answers", {"guest": (answer + size) * aead * len(b.hosts)})
        needs = {"guest": b.need(1.0, answer)} | dict.fromkeys(b.hosts, b.need(4.0, min(index, 8e9)))
        total = found * len(b.hosts)
        return b.job(needs, total * (_ID + num(p, "record")), rows=total, queries=queries, results=total)
