"""``kubectl hansa settle``: a period's debts, set off in circles, signed by all, paid or carried.

One proposes, each works it out anew and signs, one records; nothing is settled that not all have signed.
"""
