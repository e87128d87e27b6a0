"""The statuses that the hub writes: jobs, nodes, pools; and when they are written anew."""
