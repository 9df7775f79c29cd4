#!/usr/bin/env python3
"""Writes the fuzz targets' seed corpora. Run after adding a golden message."""
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "protocol" / "golden"


def frames_of(text):
    sizes = []
    data = bytearray()
    for line in text.splitlines()[1:]:
        if line.startswith("frame "):
            sizes.append(int(line.split()[1]))
        else:
            data += bytes.fromhex(line)
    for size in sizes:
        yield bytes(data[:size])
        del data[:size]


def write_decode(corpus):
    for path in sorted(GOLDEN.glob("*.hex")):
        seed = b"".join(len(f).to_bytes(3, "little") + f for f in frames_of(path.read_text()))
        (corpus / path.stem).write_bytes(seed)


# Steps of fuzz_hop, in its numbers.
def u16(value):
    return value.to_bytes(2, "little")


def part(stream, sizes, offset, size):
    return bytes([1, stream, len(sizes)]) + b"".join(map(u16, sizes)) + u16(offset) + u16(size)


BROKER, PEER = b"\0", b"\1"
SESSION = bytes([6, 1, 1])
AGAIN = bytes([6, 2, 2])
LARGE, LARGE_TOO, CLOSE = bytes([5, 1, 200]), bytes([5, 2, 150]), bytes([5, 1, 0])
TAKE = bytes([7, 100])


def write_hop(corpus):
    whole = part(1, [3, 40], 0, 20) + part(1, [], 20, 23)
    seeds = {
        "whole": BROKER + SESSION + whole,
        "mixed": PEER + SESSION + part(1, [90], 0, 50) + part(2, [7], 0, 7) + part(1, [], 50, 40),
        "gap": BROKER + SESSION + part(1, [90], 0, 50) + part(1, [], 60, 30) + whole,
        "dropped": BROKER + SESSION + part(1, [90], 0, 50) + bytes([4, 1]) + part(2, [9], 0, 9),
        "many": BROKER + SESSION + b"".join(part(n, [9], 0, 1) for n in range(1, 11)),
        "too_large": BROKER + SESSION + part(1, [5000, 1], 0, 9) + part(2, [5000], 0, 5000),
        "stray": BROKER + whole,
        "sending": PEER + SESSION + LARGE + LARGE_TOO + TAKE * 4,
        "closing": BROKER + SESSION + LARGE + LARGE + LARGE_TOO + CLOSE + TAKE * 3,
        "again": PEER + SESSION + LARGE + part(1, [90], 0, 50) + AGAIN + whole + TAKE,
    }
    for path in sorted(GOLDEN.glob("*.hex")):
        frames = list(frames_of(path.read_text()))
        step = bytes([0, len(frames)]) + b"".join(u16(len(f)) + f for f in frames)
        seeds["golden_" + path.stem] = BROKER + SESSION + step
    for name, seed in seeds.items():
        (corpus / name).write_bytes(seed)


def size(value):
    """Of any size, to sixteen's next lower multiple if it is large."""
    return u16(value) if value < 1 << 15 else u16(1 << 15 | value >> 4) + bytes([4])


# Steps of fuzz_broker, in its numbers: what, which connection, and what it takes.
def hello(at, role, number):
    who = next(w for w in range(128) if w % 3 == role and w // 4 % 4 + 1 == number)
    return bytes([0, at, who, 1])


def client(at, number, keeps=b""):
    return hello(at, 0, number) + bytes([7, at, len(keeps)]) + keeps


def worker(at, number, slots=2, window=100):
    state = bytes([9, at]) + u16(slots) + u16(window) + u16(9999) + bytes([0])
    return hello(at, 1, number) + state + bytes([10, at, 0, 1])


# Its own first job.
JOB = b"\0"


def open_job(at, program=0, resubmits=0):
    return bytes([2, at]) + JOB + bytes([program]) + u16(3) + bytes([2]) + u16(0) + u16(resubmits)


def submit(at, *chunks):
    drawn = b"".join(u16(first) + u16(count) + bytes([1]) for first, count in chunks)
    return bytes([3, at]) + JOB + bytes([len(chunks)]) + drawn


def credit(at, total, wanted=None):
    return bytes([5, at]) + JOB + size(total) + (b"\0" if wanted is None else b"\1" + u16(wanted))


def results(at, *which):
    drawn = b"".join(bytes([w, 1]) + u16(5) + bytes([1]) for w in which)
    return bytes([11, at, len(which)]) + drawn


def holding(at, *which, cost=0, last=1):
    drawn = b"".join(bytes([w]) + u16(cost) for w in which)
    return bytes([10, at, len(which)]) + drawn + bytes([last])


SETTLE = bytes([24, 0])


def write_broker(corpus):
    options = bytes([1, 0])
    job = client(0, 1) + open_job(0) + credit(0, 99000) + submit(0, (0, 4), (4, 4), (8, 4))
    begun = worker(1, 1) + job + SETTLE
    lost = bytes([23, 0])
    again = client(0, 1, keeps=JOB) + open_job(0, resubmits=3) + submit(0, (0, 4), (4, 4), (8, 4))
    accept = bytes([29, 0])
    claimed = bytes([10, 1, 1, 241, 0]) + u16(77) + u16(4) + u16(4) + u16(9) + b"\1"
    # Of a job that nobody has opened yet.
    next_claimed = bytes([10, 1, 1, 242, 202]) + u16(1) + u16(50) + u16(1) + u16(1) + b"\1"
    seeds = {
        "job": begun + results(1, 0) + SETTLE + results(1, 0, 1) + SETTLE + accept + bytes([6, 0]) + JOB,
        "announced": begun + bytes([13, 1, 0]) + u16(9999) + u16(7) + SETTLE + credit(0, 99000, 5) + SETTLE,
        "crashed": begun + bytes([14, 1, 0, 1, 3, 7]) + u16(1) + u16(9) + SETTLE + results(1, 0) + SETTLE,
        "returned": begun + bytes([15, 1, 2, 0, 1]) + SETTLE + bytes([16, 1, 0]) + SETTLE,
        "worker_lost": begun + worker(2, 2) + bytes([23, 1]) + SETTLE + results(2, 0, 1) + SETTLE,
        "worker_again": begun + hello(2, 1, 1) + holding(2, 0) + SETTLE + results(2, 0),
        "worker_claims_what_comes_next": begun + next_claimed + submit(0, (20, 1), (30, 1)) + SETTLE,
        "client_again": begun + results(1, 0) + SETTLE + lost + again + SETTLE + results(1, 0, 1) + SETTLE,
        "claimed_first": worker(1, 1) + claimed + again + SETTLE + bytes([27, 0, 80]) + SETTLE,
        "silence": begun + bytes([27, 0, 200]) + bytes([30, 0]) + bytes([28, 0]) + u16(900) + SETTLE,
        "program": begun + bytes([17, 1, 0]) + u16(0) + bytes([18, 0, 0, 0]) + bytes([17, 1, 0]) + u16(2),
        "farewell": begun + bytes([31, 0, 0, 0, 0]),
        "too_much": begun + submit(0, (2, 9)) + SETTLE + open_job(0) + submit(0, (90, 9)),
    }
    for name, seed in seeds.items():
        (corpus / name).write_bytes(options + seed)


def main():
    for name, write in {"decode": write_decode, "hop": write_hop, "broker": write_broker}.items():
        corpus = HERE / "corpus" / name
        corpus.mkdir(parents=True, exist_ok=True)
        write(corpus)


if __name__ == "__main__":
    main()
