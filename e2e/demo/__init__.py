"""The demo's story, told on whatever clusters a provider brings up."""
