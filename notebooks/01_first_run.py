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
# # A first run
#
# One scenario file describes a network over which data products are traded and computed on. Here it is simulated from order to bill, in
# virtual time, and questions are asked of the result. Runs in about half a minute.

# %%
import dssn

dssn.scenarios()

# %% [markdown]
# `metro` has ten nodes in one city: a bank and a shop buy, a carrier, a hospital and others sell.

# %%
sc = dssn.load("metro", set={"run.horizon": "1 h", "run.warmup": "10 min"})
sc

# %% [markdown]
# Three replications give an interval for every number. Nothing here depends on the machine: the same scenario and seed give the same tables.

# %%
res = dssn.run(sc, replications=3)
res

# %% [markdown]
# ## Numbers
#
# KPIs are in SI units: seconds, bytes, CNY; shares are fractions. `low` and `high` are the 95 % interval.

# %%
res.kpis.loc[["completed_share.share", "order_to_result.p50", "order_to_result.p95"], ["estimate", "low", "high", "n", "method"]]

# %%
res.objectives[["text", "met", "estimate", "low", "high"]]

# %% [markdown]
# Every delivery is a row. Tables come as pandas, as Arrow, or through SQL.

# %%
res.table("deliveries")[["replication", "order", "cls", "engine", "order_to_result_s", "bytes_wire", "cost_cny"]].head()

# %%
res.sql("""
    select engine, count(*) as deliveries, avg(order_to_result_s) as mean_s, sum(bytes_wire) / 1e9 as gigabytes
    from deliveries where state = 'completed' group by engine order by mean_s desc
""")

# %% [markdown]
# ## Figures

# %%
res.plot.phases()

# %%
res.plot.cdf("order_to_result_s")

# %%
res.plot.timeseries()

# %%
res.plot.map()

# %% [markdown]
# ## What if there were more orders?
#
# The scenario has an override `busy`. Both runs see the same random numbers, so the difference has a narrow interval.

# %%
busy = dssn.run(sc.vary("busy"), replications=3)
dssn.compare(res, busy)

# %% [markdown]
# ## The report
#
# The same as `dssn run metro` writes: one HTML file with the answer in words, figures, assumptions and the run card.

# %%
path = res.report()
assert path.stat().st_size > 10_000
print(res.answer())
