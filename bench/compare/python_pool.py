#!/usr/bin/env python3
"""The workloads of achilles-bench with Python's pools, for compare.py.

    python_pool.py {multiprocessing,executor,mpi4py,dask} {W1,W2,W3,W4,W5,W7} [--slots N] [--quick]

mpi4py's is started by mpiexec, see launch(). Prints one line of JSON, in achilles-bench's units. Every result is checked.
"""
import argparse
import concurrent.futures
import itertools
import json
import math
import multiprocessing
import subprocess
import sys
import time

MIB = 1 << 20
DISTINCT_PAYLOADS = 64


def square(x):
    return x * x


def touch(payload):
    words = bytearray(payload)
    words[0] = (words[0] + 1) % 256
    return bytes(words)


def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return seconds


def lengths(count):
    """As bench/skew_workload.cpp: exponentially distributed, eight long ones at the end."""
    state = 1
    short_mean = (0.002 * count - 8 * 0.1) / (count - 8)
    result = []
    for _ in range(count - 8):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        result.append(-math.log(((state >> 11) + 0.5) * 2.0**-53) * short_mean)
    return result + [0.1] * 8


def launch(kind, slots):
    """The command that runs this program with that pool; its arguments are to follow."""
    program = [sys.executable, __file__, kind]
    if kind != "mpi4py":
        return program
    # One process hands out, the others are the pool.
    return ["mpiexec", "--allow-run-as-root", "--oversubscribe", "-n", str(slots + 1),
            sys.executable, "-m", "mpi4py.futures"] + program[1:]


def command(kind, workload, slots):
    # W7 starts it itself, again and again.
    return (launch(kind, slots) if workload != "W7" else [sys.executable, __file__, kind]) + [workload]


def slowness(pool):
    """By how much fewer of the tiny tasks such a pool gets, for it needs so much longer."""
    return {Mpi: 3, Dask: 20}.get(type(pool), 1)


def expect(holds, what):
    if not holds:
        sys.exit(f"wrong result: {what}")


class Multiprocessing:
    def __init__(self, slots):
        self.pool = multiprocessing.Pool(slots)

    def as_they_come(self, f, inputs):
        return self.pool.imap_unordered(f, inputs, chunksize=1)

    def in_order(self, f, inputs):
        return self.pool.imap(f, inputs, chunksize=1)

    def all(self, f, inputs, chunksize=None):
        return self.pool.map(f, inputs, chunksize)

    def one(self, f, x):
        return self.pool.apply(f, (x,))

    def close(self):
        self.pool.terminate()


class Executor:
    def __init__(self, slots):
        self.pool = self.make(slots)

    def make(self, slots):
        return concurrent.futures.ProcessPoolExecutor(slots)

    def as_they_come(self, f, inputs):
        futures = [self.pool.submit(f, x) for x in inputs]
        return (future.result() for future in concurrent.futures.as_completed(futures))

    def in_order(self, f, inputs):
        return self.pool.map(f, inputs, chunksize=1)

    def all(self, f, inputs, chunksize=None):
        return list(self.pool.map(f, inputs, chunksize=chunksize or 1000))

    def one(self, f, x):
        return self.pool.submit(f, x).result()

    def close(self):
        self.pool.shutdown()


class Mpi(Executor):
    def make(self, slots):
        from mpi4py.futures import MPIPoolExecutor
        return MPIPoolExecutor(slots)


class Dask:
    """A scheduler and workers of this machine, over TCP. It has no chunks: W2 is not for it."""

    def __init__(self, slots):
        import distributed
        import logging
        logging.disable(logging.WARNING)
        self.as_completed = distributed.as_completed
        self.client = distributed.Client(n_workers=slots, threads_per_worker=1,
                                         dashboard_address=None)

    def as_they_come(self, f, inputs):
        futures = self.client.map(f, inputs, pure=False)
        return (result for _, result in self.as_completed(futures, with_results=True))

    def in_order(self, f, inputs):
        for future in self.client.map(f, list(inputs), pure=False):
            yield future.result()

    def all(self, f, inputs, chunksize=None):
        return self.client.gather(self.client.map(f, inputs, pure=False))

    def one(self, f, x):
        return self.client.submit(f, x, pure=False).result()

    def close(self):
        self.client.shutdown()


KINDS = {"multiprocessing": Multiprocessing, "executor": Executor, "mpi4py": Mpi, "dask": Dask}


def w1(pool, slots, quick):
    count = 2_000 if quick else 60_000 // slowness(pool)
    began = time.perf_counter()
    total = sum(pool.as_they_come(square, range(count)))
    seconds = time.perf_counter() - began
    expect(total == sum(x * x for x in range(count)), "the sum of squares")
    return {"value": count / seconds / 1e3}


def w2(pool, slots, quick):
    count = 50_000 if quick else 2_000_000
    inputs = list(range(count))
    began = time.perf_counter()
    results = pool.all(square, inputs)
    seconds = time.perf_counter() - began
    expect(results == [x * x for x in inputs], "squares")
    return {"value": count / seconds / 1e6}


def w3(pool, slots, quick):
    count = 200 if quick else 5_000 // slowness(pool)
    micros = []
    for x in range(count):
        began = time.perf_counter()
        y = pool.one(square, x)
        micros.append((time.perf_counter() - began) * 1e6)
        expect(y == x * x, "a square")
    micros.sort()
    return {"value": micros[count // 2], "more": {"p99": micros[count * 99 // 100]}}


def w4(pool, slots, quick):
    count = 30 if quick else 500
    inputs = [bytes([i]) * MIB for i in range(DISTINCT_PAYLOADS)]
    began = time.perf_counter()
    seen = 0
    for payload in pool.in_order(touch, itertools.islice(itertools.cycle(inputs), count)):
        expect(len(payload) == MIB and payload[0] == seen % DISTINCT_PAYLOADS + 1, "a payload")
        seen += 1
    seconds = time.perf_counter() - began
    expect(seen == count, "how many payloads came back")
    return {"value": 2 * count * MIB / seconds / 1e9}


def w5(pool, slots, quick):
    tasks = lengths(500 if quick else 2_000)
    began = time.perf_counter()
    results = pool.all(burn, tasks, 1)
    makespan = time.perf_counter() - began
    expect(results == tasks, "the lengths of tasks")
    return {"value": sum(tasks) / (slots * makespan)}


def w7(kind, slots, quick):
    times = 2 if quick else 3 if kind == "dask" else 10
    began = time.perf_counter()
    for _ in range(times):
        out = subprocess.run(launch(kind, slots) + ["start", "--slots", str(slots)],
                             stdout=subprocess.PIPE, check=True).stdout
        expect(out == b"49\n", "what the program prints")
    return {"value": (time.perf_counter() - began) / times * 1e3}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("workload", choices=["W1", "W2", "W3", "W4", "W5", "W7", "start"])
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.workload == "W7":
        print(json.dumps(w7(options.kind, options.slots, options.quick)))
        return
    pool = KINDS[options.kind](options.slots)
    if options.workload == "start":
        print(pool.one(square, 7), flush=True)
    else:
        list(pool.as_they_come(square, range(100)))  # The task processes are there.
        run = {"W1": w1, "W2": w2, "W3": w3, "W4": w4, "W5": w5}[options.workload]
        print(json.dumps(run(pool, options.slots, options.quick)))
    pool.close()


if __name__ == "__main__":
    main()
