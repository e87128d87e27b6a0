"""The grant protocol, pure: what is signed, what a digest covers, what a member must check.

Cryptography is arithmetic on bytes, so it lives here; keys are held behind ``ports.Signer``.
"""
