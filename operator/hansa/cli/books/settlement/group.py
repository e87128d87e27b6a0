"""The commands of ``hansa settle``, in the order in which a treasurer needs them."""

from __future__ import annotations

import click

from hansa.cli.lazy import LazyGroup

_HERE = "hansa.cli.books.settlement"
STEPS = {
    "differences": (
        f"{_HERE}.mistakes:differences",
        "List receipts that are paid to nobody, and why.",
    ),
    "explain": (f"{_HERE}.mistakes:explain", "Enter what was found out about one of them."),
    "correct": (f"{_HERE}.mistakes:correct", "Change what a posted receipt costs, by an entry."),
    "pledge": (
        f"{_HERE}.pledges:pledge",
        "Enter what an institution pledges against its own misconduct.",
    ),
    "return-pledge": (f"{_HERE}.pledges:return_pledge", "Enter that a pledge has ended."),
    "propose": (f"{_HERE}.propose:propose", "Work out a period's clearing."),
    "export": (f"{_HERE}.handout:export", "Write the postings that a clearing follows from."),
    "receipts": (f"{_HERE}.handout:receipts", "Write the receipts that one's side follows from."),
    "check": (f"{_HERE}.countersign:check", "Work a clearing out anew, and see who has signed."),
    "sign": (f"{_HERE}.countersign:sign", "Check a clearing and sign it."),
    "record": (f"{_HERE}.countersign:record", "Enter a clearing that all have signed."),
    "bank-file": (f"{_HERE}.payment:bank_file", "Write what is left to pay, for the bank."),
    "paid": (f"{_HERE}.payment:paid", "Enter that a payment was made."),
    "show": (f"{_HERE}.payment:show", "Show a clearing that was entered, and what of it is paid."),
}


@click.group(cls=LazyGroup, lazy=STEPS)
def settle() -> None:
    """Settle a period: set debts off between all, then pay or carry what is left."""
