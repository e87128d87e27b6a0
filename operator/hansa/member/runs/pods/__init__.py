"""Looking at the pods of runs that go on: what no controller ends or tells of."""
