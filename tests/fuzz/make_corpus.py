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


# Steps of fuzz_worker, in its numbers: the first job of the first program, the first task process.
FIRST_JOB = bytes([0, 0])


def assign(*chunks):
    drawn = b"".join(
        FIRST_JOB + bytes([1, allowance]) + u16(first) + u16(count - 1) + b"\4"
        for first, count, allowance in chunks
    )
    return bytes([3, len(chunks)]) + drawn


def answer(*sizes):
    drawn = b"".join(b"\0" + bytes([size]) + u16(9) + b"\1" for size in sizes)
    return bytes([15, 0, len(sizes) - 1]) + drawn


def write_worker(corpus):
    welcome, settle, ready, drain = bytes([0, 0]), bytes([20]), bytes([13, 0]), bytes([23, 0])
    loaded, absent, unknown = bytes([12, 0, 0]), bytes([12, 2, 0]), bytes([10, 1, 2])
    opened = welcome + bytes([2]) + FIRST_JOB + b"\0"
    begun = opened + loaded + assign((0, 4, 1), (4, 4, 1), (8, 2, 0)) + settle + ready + settle
    accepted = bytes([6, 3, 0, 1, 2])
    granted, revoked, closed = bytes([5, 0]), bytes([7, 2, 0, 1]), bytes([8]) + FIRST_JOB
    part, last_part = bytes([9, 0, 0]), bytes([9, 16, 0])
    recall, back = bytes([24, 3, 0, 1, 2]), bytes([25])
    # A task process is at its first chunk for long, and others wait behind it.
    short = answer(1) + settle + assign((20, 4, 1), (24, 4, 1), (28, 4, 1)) + settle
    asked_back = short + bytes([21, 2, 0])
    seeds = {
        "job": begun + answer(1) + settle + answer(1, 1) + settle + accepted + closed,
        "held": begun + answer(1) + settle + answer(1, 7) + settle + granted + settle + accepted,
        "crashed": begun + bytes([17, 0, 1, 2]) + settle + ready + settle + answer(1),
        "begun": begun + answer(1) + settle + bytes([17, 0, 2, 0]) + settle,
        "early_deaths": opened + loaded + assign((0, 4, 1)) + (settle + bytes([17, 0, 0])) * 3,
        "revoked": begun + revoked + bytes([21, 40]) + bytes([17, 0, 0]) + settle,
        "closed": begun + closed + bytes([21, 40]) + settle,
        "fetched": opened + absent + part + last_part + loaded + assign((0, 4, 1)) + settle,
        "missed_between_sessions": opened + unknown + absent + bytes([21, 255]) + welcome,
        "again": begun + answer(1) + settle + unknown + welcome + granted + settle + accepted,
        "drained": begun + drain + answer(1, 1) + settle + accepted + settle,
        "silence": begun + bytes([21, 200]) + welcome + bytes([22]) + u16(900) + settle,
        "recalled": opened + loaded + assign((0, 4, 1), (4, 4, 1), (8, 2, 0)) + recall + settle + ready,
        "asked_back": begun + asked_back + back + settle + answer(1) + assign((20, 4, 1)) + settle,
        "asked_back_late": begun + asked_back + answer(1) + assign((20, 4, 1)) + settle + back + settle,
    }
    for name, seed in seeds.items():
        (corpus / name).write_bytes(bytes([2]) + seed)


# Steps of fuzz_client, in its numbers: the first job.
def give(count):
    return bytes([2, 0, 0]) + u16(count - 1) + b"\4"


def result(*which):
    drawn = b"".join(bytes([w, first, items, 4]) + u16(9) + b"\1" for w, first, items in which)
    return bytes([11, 0, len(which) - 1]) + drawn


def write_client(corpus):
    welcome, window = bytes([0, 0]), bytes([9, 0]) + u16(64) + u16(9999) + u16(4)
    take, ended, closed = bytes([7, 0]), bytes([4, 0]), bytes([6, 0])
    ordered, unordered = bytes([1, 0, 0, 1, 1]), bytes([1, 0, 1, 1, 1])
    lost = bytes([15, 1, 2])
    given = window + give(4) + give(4) + give(4)
    begun = welcome + ordered + given
    whole = [(2, 0, 0), (1, 0, 0), (0, 0, 0)]
    seeds = {
        "ordered": begun + ended + result(whole[1]) + result(whole[0], whole[2]) + take * 3 + closed,
        "unordered": welcome + unordered + given + ended + result(*whole) + take * 3 + closed,
        "waits": begun + bytes([5, 0, 18, 10]) + result(whole[1]) + take,
        "parts": begun + result((2, 1, 1), (2, 3, 2), (2, 0, 0)) + take * 3,
        "twice": begun + result(*whole) + result(*whole) + take * 4,
        "again": begun + result(whole[1]) + lost + welcome + window + result(*whole) + take * 3,
        "failed": begun + bytes([14, 0, 5, 0]) + u16(0) + u16(9) + closed,
        "too_large": bytes([0, 24]) + u16(3) + ordered + given,
        "silence": begun + bytes([18, 255]) + bytes([17]) + u16(900) + welcome + window,
    }
    for name, seed in seeds.items():
        (corpus / name).write_bytes(bytes([0]) + seed)


# Of fuzz_channel: a frame's size has this bit when the frame is lent.
LENT = 1 << 31


def u32(value):
    return value.to_bytes(4, "little")


def written(stream):
    pieces = [stream[at:at + 250] for at in range(0, len(stream), 250)]
    return b"".join(bytes([len(piece) - 1]) + piece for piece in pieces)


def write_channel(corpus):
    drop = bytes([250])
    for path in sorted(GOLDEN.glob("*.hex")):
        first, *others = frames_of(path.read_text())
        count = u32(1 + len(others)) + u32(len(first))
        sizes = b"".join(u32(len(frame)) for frame in others)
        (corpus / path.stem).write_bytes(written(count + sizes + first + b"".join(others)) + drop)
        if others:
            lent = b"".join(u32(LENT | len(frame)) + u32(7) for frame in others)
            (corpus / (path.stem + "_lent")).write_bytes(written((count + lent + first) * 2) + drop)
    beyond = u32(2) + u32(4) + u32(LENT | 70000) + u32(63)
    (corpus / "beyond").write_bytes(written(beyond))


WRITERS = {
    "decode": write_decode,
    "channel": write_channel,
    "hop": write_hop,
    "broker": write_broker,
    "worker": write_worker,
    "client": write_client,
}


def main():
    for name, write in WRITERS.items():
        corpus = HERE / "corpus" / name
        corpus.mkdir(parents=True, exist_ok=True)
        write(corpus)


if __name__ == "__main__":
    main()
