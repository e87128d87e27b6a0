"""The transparency log: an RFC 6962 tree, checkpoints, cosignatures, proofs and policies. Pure."""
