"""What becomes of debts at the end of a period: set off in circles, countersigned by all, paid or carried."""
