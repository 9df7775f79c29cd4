#!/usr/bin/env python3
"""Writes the fuzz target's seed corpus from the golden messages. Run after adding a golden message."""
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


def main():
    corpus = HERE / "corpus" / "decode"
    corpus.mkdir(parents=True, exist_ok=True)
    for path in sorted(GOLDEN.glob("*.hex")):
        seed = b"".join(len(f).to_bytes(3, "little") + f for f in frames_of(path.read_text()))
        (corpus / path.stem).write_bytes(seed)


if __name__ == "__main__":
    main()
