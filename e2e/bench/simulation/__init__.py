"""The league in virtual time: any placement policy over a trace, deterministic by seed. Pure."""
