"""The only code that talks to the outside world; everything above passes values."""
