"""The GPU exporter: what the cards of one machine do, and for which AIJob."""
