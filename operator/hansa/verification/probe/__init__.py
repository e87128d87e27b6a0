"""What a node can compute, measured by whoever asks: an exact product of int8 matrices. It says nothing of any job."""
