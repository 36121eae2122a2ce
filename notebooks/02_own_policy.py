# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A policy of your own
#
# Every decision a user may want to replace is a policy: placement, routing, admission, queueing, technology. A policy is a class or function
# `decide(view, now, rng) -> Decision`. It sees state as old as the telemetry and returns an intent.

# %%
import dssn

dssn.policies()

# %% [markdown]
# ## A scenario in which placement matters
#
# `metro` has one TEE pool. Here it gets two more, a small and a large one, and many TEE orders. Lists of things with an id merge by id.

# %%
sc = dssn.loads("""
dssn: 1
title: Metro with three unequal TEE pools
question: Which pool should run a TEE job?
import: [metro]
nodes:
  - {id: hospital, size: 64C128G}
  - {id: bank, size: 64C128G}
  - {id: shop, size: 64C128G}
  - {id: enclave, size: 8C16G}
  - {id: enclave_small, role: tee_pool, site: site3, size: 4C8G, tee: sgx2}
  - {id: enclave_large, role: tee_pool, site: site5, size: 32C64G, tee: sgx2}
workload:
  psi: {arrivals: {rate: 6 /h}}
  tee: {arrivals: {kind: poisson, rate: 1000 /h}, chain: [{id: run, rows: 300000}]}
run: {horizon: 1 h, warmup: 5 min, replications: 4, seed: 1}
""")
sc

# %% [markdown]
# ## What a placement policy sees
#
# A small policy that remembers what it was shown, and takes the first candidate.

# %%
from dssn_models.policies.api import Choose


class Curious:
    kind = "placement"
    seen = None

    def decide(self, view, now, rng):
        Curious.seen = view
        return Choose(view.candidates[0].id, "the first one")


dssn.run(sc, replications=1, policies={"placement": Curious})
Curious.seen.job, Curious.seen.candidates[0]

# %% [markdown]
# ## The policy
#
# Estimate when each candidate would be done: work that waits there, our own work on its cores, and the time to carry the bytes.


# %%
def earliest_done(view, now, rng):
    """Choose the node on which the job is estimated to end first."""

    def done(node):
        cores = max(node.cores * node.core_speed, 1e-9)
        waiting = node.backlog_core_s / cores
        own = view.job.work_core_s / cores
        carry = 8 * view.job.traffic_bytes / max(node.bottleneck_bps, 1.0)
        return waiting + own + carry + node.rtt_s

    return Choose(min(view.candidates, key=lambda node: (done(node), node.id)).id, "earliest estimated end")


mine = dssn.run(sc, policies={"placement": earliest_done})
chance = dssn.run(sc, policies={"placement": "random"})

# %% [markdown]
# ## Is it better than chance?
#
# Paired by replication: the same orders arrive in both runs.

# %%
found = dssn.compare(chance, mine)
found.table.loc[["order_to_result.mean[urgent]", "order_to_result.p95[urgent]"], ["a", "b", "difference", "low", "high", "verdict"]]

# %%
mine.sql("select choice, count(*) as jobs from decisions where kind = 'placement' group by choice order by jobs desc")

# %%
mine.plot.cdf("order_to_result_s")

# %% [markdown]
# ## Keep it
#
# `dssn new policy earliest_done` writes a module with a policy and its test. A scenario names it as
# `policies: {placement: earliest_done:EarliestDone}`, and so does the command line: `--set policies.placement=earliest_done:EarliestDone`.
