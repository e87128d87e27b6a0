"""What every process is made of: supervised tasks, kopf as the front door, and one queue of keys."""
