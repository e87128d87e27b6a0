"""One archive to install from without a network."""
