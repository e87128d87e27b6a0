"""Whether work was done: tickets, samples, probes and verdicts. Pure.

Read in this order: ``tickets`` and ``probability`` (which runs are looked at), ``due`` (the list of an audit epoch),
``auditors`` (who runs them again), ``comparison`` and ``segments`` (what equal means), ``verdict`` and
``consequences`` (what follows), ``levels`` (what a node has shown by all that). ``probe`` measures capacity, which is
another thing: a passed probe says nothing of any job.
"""
