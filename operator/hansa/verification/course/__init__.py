"""The course of verification in a running league: who says what, and what comes next. Pure."""
