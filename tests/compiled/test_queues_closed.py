"""The compiled stations against formulas: each inside the 99 % interval of independent replications."""

import numpy as np
import pytest
from scipy import stats

from dssn_sim.compiled.networks import QueueStation, Routes, run_network, sample_failures, sample_routes
from dssn_sim.truth.closed import cobham_waits, erlang_b, jackson_time, mmc_wait

JOBS = 40_000
WARM = 4_000
ONE = Routes(np.array([0, 1]), np.array([0]))


def holds(replicate, expected, runs=20):
    """Say whether the expected values lie in the intervals of ``replicate(rng)``, an array of means each."""
    means = np.array([np.atleast_1d(replicate(np.random.default_rng([2024, r]))) for r in range(runs)])
    half = stats.t.ppf(0.995, runs - 1) * means.std(axis=0, ddof=1) / np.sqrt(runs)
    centre = means.mean(axis=0)
    assert (half < 0.05 * centre).all(), f"intervals too wide to say anything: {centre} +- {half}"
    assert (np.abs(centre - expected) <= half).all(), f"{centre} +- {half}, expected {expected}"


def poisson(rng, rate, jobs=JOBS):
    return np.cumsum(rng.exponential(1 / rate, jobs))


def test_mmc_wait():
    def replicate(rng):
        arrivals, services = poisson(rng, 2.4), rng.exponential(1.0, JOBS)
        out = run_network([QueueStation(3)], arrivals, ONE, services)
        return (out.departure_s - arrivals - services)[WARM:].mean()

    holds(replicate, mmc_wait(2.4, 1.0, 3))


RATES, MEANS = np.array([0.3, 0.2, 0.1]), np.array([0.8, 1.2, 1.6])


def mixed(rng):
    """Draw three classes with constant, exponential and two-valued services; return arrivals, services, classes."""
    arrivals = poisson(rng, RATES.sum(), 3 * JOBS)
    classes = rng.choice(3, len(arrivals), p=RATES / RATES.sum())
    kinds = [
        np.ones(len(arrivals)),
        rng.exponential(1.0, len(arrivals)),
        rng.choice([0.2, 1.8], len(arrivals)),
    ]
    return arrivals, np.choose(classes, kinds) * MEANS[classes], classes


SECOND = MEANS**2 * np.array([1.0, 2.0, 1.64])


@pytest.mark.parametrize("preemptive", [False, True])
def test_mg1_with_three_classes(preemptive):
    def replicate(rng):
        arrivals, services, classes = mixed(rng)
        out = run_network([QueueStation(1, "priority", preemptive)], arrivals, ONE, services, classes=classes)
        stay = (out.departure_s - arrivals)[WARM:]
        return [stay[classes[WARM:] == k].mean() for k in range(3)]

    if preemptive:
        # preempt-resume (Kleinrock II, 3.6): E[S_k] / (1 - sigma_{k-1}) + sum_{i<=k} lam_i E[S_i^2] / 2 / (...)
        load = np.concatenate([[0.0], np.cumsum(RATES * MEANS)])
        rest = np.cumsum(RATES * SECOND) / 2
        expected = MEANS / (1 - load[:-1]) + rest / ((1 - load[:-1]) * (1 - load[1:]))
    else:
        expected = MEANS + cobham_waits(RATES, MEANS, SECOND)
    holds(replicate, expected)


def test_lifo_has_the_mean_of_fifo_and_more_spread():
    def replicate(rng):
        arrivals, services = poisson(rng, 0.5), rng.exponential(1.0, JOBS)
        out = run_network([QueueStation(1, "lifo")], arrivals, ONE, services)
        wait = (out.departure_s - arrivals - services)[WARM:]
        return [wait.mean(), (wait**2).mean()]

    # E[W^2] of LCFS is that of FCFS, 2 rho / (1 - rho)^2 for mean 1, over 1 - rho (Takagi, Queueing Analysis I)
    holds(replicate, [0.5 / 0.5, 2 * 0.5 / 0.5**2 / 0.5], runs=60)


ENTRY, ONWARD, STATION_MEANS = (
    [0.5, 0.2, 0.1],
    [[0.1, 0.5, 0.2], [0.3, 0.0, 0.3], [0.2, 0.2, 0.1]],
    [0.4, 0.5, 0.45],
)


def test_jackson_network_with_feedback():
    def replicate(rng):
        arrivals = poisson(rng, sum(ENTRY))
        routes = sample_routes(np.array(ENTRY) / sum(ENTRY), np.array(ONWARD), JOBS, rng)
        services = rng.exponential(1.0, len(routes.stations)) * np.array(STATION_MEANS)[routes.stations]
        out = run_network([QueueStation(1)] * 3, arrivals, routes, services)
        return (out.departure_s - arrivals)[WARM:].mean()

    holds(replicate, jackson_time(ENTRY, ONWARD, STATION_MEANS))


def test_erlang_loss_does_not_depend_on_the_service_law():
    def replicate(rng):
        services = rng.lognormal(-0.5, 1.0, JOBS)  # mean 1
        out = run_network([QueueStation(6, limit=0)], poisson(rng, 5.0), ONE, services)
        return np.isnan(out.departure_s)[WARM:].mean()

    holds(replicate, erlang_b(6, 5.0))


def test_finite_queue_loses_what_mm1k_says():
    def replicate(rng):
        out = run_network([QueueStation(1, limit=3)], poisson(rng, 0.8), ONE, rng.exponential(1.0, JOBS))
        return np.isnan(out.departure_s)[WARM:].mean()

    holds(replicate, 0.8**4 * (1 - 0.8) / (1 - 0.8**5))


@pytest.mark.parametrize("resumes", [False, True])
def test_mm1_with_breakdowns(resumes):
    lam, mu, fails, repairs = 0.4, 1.0, 0.1, 0.3

    def replicate(rng):
        arrivals = poisson(rng, lam)
        services = rng.exponential(1 / mu, JOBS) if resumes else np.full(JOBS, 1 / mu)
        changes = sample_failures([1], [1 / fails], [1 / repairs], arrivals[-1], rng)
        out = run_network([QueueStation(1, resumes=resumes)], arrivals, ONE, services, changes=changes)
        last = arrivals <= arrivals[-1] * 0.99  # the server fails no more once the last job has come
        return [(out.departure_s - arrivals)[WARM:][last[WARM:]].mean(), out.down_s[0] / out.end_s]

    if resumes:
        # White and Christie (1958), mean number over the arrival rate
        both = fails + repairs
        time = (mu * fails + both**2) / (both * (mu * repairs - lam * both))
    else:
        time = restarted_constant_service(lam, 1 / mu, fails, repairs)
    holds(replicate, [time, fails / (fails + repairs)])


def restarted_constant_service(lam, service, fails, repairs):
    """Return the mean time in M/D/1 where failures restart the service and happen to an idle server too.

    An M/G/1 queue whose service is the completion time C (Gaver 1962): with N failures before a stretch of
    ``service`` without one, C = sum of N stretches (exponential, below ``service``) and repairs, + service. A job that finds the
    server idle and down first waits for the rest of its repair: exceptional first service (Welch 1964).
    """
    # moments of C: with a = E[e^{-fails x}] for constants
    p = np.exp(-fails * service)  # a stretch succeeds
    cut1 = 1 / fails - service * p / (1 - p)  # mean of a stretch that is cut
    cut2 = 2 / fails**2 - p / (1 - p) * (service**2 + 2 * service / fails)
    lost1 = cut1 + 1 / repairs
    lost2 = cut2 + 2 * cut1 / repairs + 2 / repairs**2
    n1, n2 = (1 - p) / p, (1 - p) * (2 - p) / p**2  # failures before success: mean, second moment
    c1 = n1 * lost1 + service
    c2 = n1 * (lost2 - lost1**2) + n2 * lost1**2 + 2 * service * n1 * lost1 + service**2
    # the first job of a busy period finds the server down: up when the last job left, down with this chance when it comes
    down = fails / (lam + fails + repairs)
    first1 = c1 + down / repairs
    first2 = c2 + 2 * c1 * down / repairs + 2 * down / repairs**2
    wait = lam * c2 / (2 * (1 - lam * c1)) + lam * (first2 - c2) / (2 * (1 - lam * c1 + lam * first1))
    idle = (1 - lam * c1) / (1 - lam * c1 + lam * first1)
    return wait + idle * first1 + (1 - idle) * c1


def test_servers_that_fail_one_by_one():
    """Two servers, plenty of room: the jobs in service wait for servers, the share of time with both down is known."""

    def replicate(rng):
        arrivals = poisson(rng, 0.2, 2_000)
        changes = sample_failures([2], [4.0], [2.0], arrivals[-1], rng)
        out = run_network(
            [QueueStation(2, resumes=True)], arrivals, ONE, rng.exponential(1.0, 2_000), changes=changes
        )
        return out.down_s[0] / out.end_s

    holds(replicate, (2 / 6) ** 2)
