"""Files of many sizes, uploaded at once; what arrives is looked at on the other side."""

import asyncio
import os
from pathlib import Path

from support import OPENAI, check, equal

TRANSFERS = Path(os.environ["TRANSFERS"])
KINDS = (
    lambda path: open(path, "rb"),
    lambda path: (path.name, path.read_bytes()),
    lambda path: path,
)


@check("eight uploads at once, of an open file, bytes and a path")
async def _(s):
    def send(path, kind):
        return s.files.create(file=kind(path), purpose="user_data", extra_body=OPENAI)

    # Each kind has its turn with the large ones.
    for turn in range(len(KINDS)):
        kinds = [(path, KINDS[(at + turn) % len(KINDS)]) for at, path in enumerate(paths())]
        if s.label == "python sync":
            calls = [asyncio.to_thread(send, path, kind) for path, kind in kinds]
        else:
            calls = [send(path, kind) for path, kind in kinds]
        files = await asyncio.gather(*calls)
        equal(
            [(file.filename, file.bytes) for file in files],
            [(path.name, path.stat().st_size) for path in paths()],
        )


def paths():
    return sorted(TRANSFERS.iterdir())
