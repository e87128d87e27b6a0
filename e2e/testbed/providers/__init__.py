"""Three ways to bring the same league up: real pods (``local``), played pods (``simulated``), Docker."""
