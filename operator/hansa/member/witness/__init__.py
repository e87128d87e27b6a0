"""The member as a witness of the league's log: it cosigns what continues what it saw, and remembers."""
