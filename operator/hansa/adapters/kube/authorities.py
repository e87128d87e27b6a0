"""Certificate authorities as people hand them around, reduced to what every program reads: PEM, one after the other.

Bundles of distributions have comments in several alphabets, those of Windows marks and other line ends, and some have a
key in them that nobody else may see. Python reads the first two from a file and not from a text.
"""

from __future__ import annotations

import re
import ssl

_BEGIN = re.compile(r"-----BEGIN (?:X509 )?CERTIFICATE-----")
_WHOLE = re.compile(
    r"-----BEGIN (?:X509 )?CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END (?:X509 )?CERTIFICATE-----"
)
LINE = 64
DER = b"\x30\x82"
"""How a certificate begins that is no text."""


def certificates(text: bytes | str) -> str:
    """Return the certificates in a text, each once, and nothing else of it; raises ``ValueError`` with what is wrong."""
    raw = text.encode() if isinstance(text, str) else text
    if raw.startswith(DER):
        raise ValueError("it is in DER, and not PEM: openssl x509 -inform der")
    said = raw.decode("latin-1")
    begun, whole = len(_BEGIN.findall(said)), _WHOLE.findall(said)
    if not begun:
        raise ValueError("there is no certificate in it, PEM")
    if begun > len(whole):
        raise ValueError(f"{begun - len(whole)} of {begun} certificates is cut off, or spoilt")
    bodies = dict.fromkeys("".join(body.split()) for body in whole)
    taken = "".join(map(_written, bodies))
    try:
        ssl.create_default_context(cadata=taken)
    except (OSError, ValueError) as error:
        raise ValueError(f"a certificate in it cannot be read: {error}") from error
    return taken


def _written(body: str) -> str:
    lines = "\n".join(body[at : at + LINE] for at in range(0, len(body), LINE))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"
