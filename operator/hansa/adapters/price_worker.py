"""``python -m hansa.adapters.price_worker``: finds shadow prices for the process that started it.

Pipes are all it needs: it reads a market, writes prices, and ends; it ends at once when its input
does, for then nobody waits for the answer any more.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading

from hansa.placement.pricing.shadow_prices import solve

NICENESS = 10
"""Whatever else runs on the machine goes first."""


def main() -> None:
    """Answer one question."""
    os.nice(NICENESS)
    source = sys.stdin.buffer
    head, *buffers = (source.read(size) for size in json.loads(source.readline()))
    market = pickle.loads(head, buffers=buffers)  # noqa: S301  # from the process that started it
    threading.Thread(target=_end_with_input, daemon=True).start()
    sys.stdout.buffer.write(pickle.dumps(solve(market).prices))


def _end_with_input() -> None:
    # Unbuffered: a lock held on sys.stdin would be in the way of an orderly end.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    main()
