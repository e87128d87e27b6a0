"""Who has to stop or shrink: by law, or so that entitled work may start."""
