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


def main():
    for name, write in {"decode": write_decode, "hop": write_hop}.items():
        corpus = HERE / "corpus" / name
        corpus.mkdir(parents=True, exist_ok=True)
        write(corpus)


if __name__ == "__main__":
    main()
