"""What of a run may leave its member, and results that wait until owners of the data let them go."""
