"""The command line: ``hansa`` and, as a kubectl plugin, ``kubectl hansa``.

Commands parse, ask, print. What they print is computed by the same pure code the hub runs.
"""
