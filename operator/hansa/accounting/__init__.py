"""Tariffs, postings, set-off and exports: money as integers of the smallest unit. Pure.

The smallest unit of the books is a millionth of a currency unit (``micros``), as in prices: a receipt
covers five minutes, and in cents most of a cheap machine's receipts would round to nothing. Rounding
happens in two places and nowhere else: once a receipt, half to even, when its amount is worked out;
and when money is paid through a bank, down to what the bank can move, where the rest stays owed.
"""
