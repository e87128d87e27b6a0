"""``make bench-ledger``: receipts and postings a second, proofs, and the set-off of a large league.

    python -m e2e.bench.ledger [--receipts 20000] [--taken 6000] [--leaves 1000000]
                               [--members 200] [--obligations 6000]

One JSON line comes last; its fields are in ``docs/reference/benchmarks.md``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from e2e.bench.ledger import clearing, posting, proofs, receipts
from e2e.bench.report import finish, say, stamp


def main(argv: Sequence[str] | None = None) -> None:
    """Measure one after the other, so that none disturbs another."""
    options = _parser().parse_args(argv)
    say(f"{options.taken:,} receipts: verified and countersigned; then also logged and posted")
    rates = receipts.measure(options.taken)
    say(f"posting {options.receipts:,} receipts into SQLite, then into PostgreSQL")
    posted = {
        "sqlite": posting.sqlite(options.receipts, options.seed),
        "postgresql_16_writers": posting.postgresql(options.receipts, options.seed),
    }
    say(f"proving places in a log of {options.leaves:,} receipts")
    proved = proofs.measure(options.leaves)
    say(f"clearing {options.members} members with {options.obligations:,} obligations")
    cleared = clearing.measure(options.members, options.obligations, options.seed)
    finish(
        {
            "receipts_checked_per_s_core": rates.checked,
            "receipts_per_s_core": rates.taken,
            "signature_us": rates.signature_us,
            "postings_per_s": {name: rate.per_s for name, rate in posted.items()},
            "postings_per_cpu_s": {name: rate.per_cpu_s for name, rate in posted.items()},
            **proved,
            "clearing": cleared,
            **stamp(options.seed),
            "workload": "synthetic, drawn from the seed",
        }
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench-ledger")
    parser.add_argument("--receipts", type=int, default=20_000)
    parser.add_argument("--taken", type=int, default=6000)
    parser.add_argument("--leaves", type=int, default=1_000_000)
    parser.add_argument("--members", type=int, default=200)
    parser.add_argument("--obligations", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
