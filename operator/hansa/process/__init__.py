"""What every process is made of: supervised tasks, the kopf login, and one queue of keys."""
