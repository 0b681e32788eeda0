"""Names that the kernel gives as bytes, as text that can be written anywhere and turned back.

A control group or a mount may be called by any bytes. What is not UTF-8 would stand in a str as lone surrogates, which
neither JSON nor SQLite nor the journal takes, so that one user's directory could silence the daemon; replaced by a
question mark the name could not be opened again, and who bears it would be out of reach. So a byte that belongs to no
character is written as one of 128 characters for private use, and so are the bytes of these characters themselves.
"""

import re

SIGNS = range(0xF780, 0xF800)
"""The characters that stand for the bytes 0x80 to 0xff."""
_SURROGATES = 0xDC80
"""The same as Python has them."""
_FOREIGN = re.compile("[\udc80-\udcff\uf780-\uf7ff]")
_OURS = re.compile("[\uf780-\uf7ff]")


def name_of(raw: bytes) -> str:
    """Return bytes as text without surrogates; `raw_of` turns it back."""
    text = raw.decode("utf-8", "surrogateescape")
    return _FOREIGN.sub(_written, text) if not text.isascii() else text


def raw_of(name: str) -> bytes:
    """Return the bytes of a name."""
    if name.isascii():
        return name.encode()
    return _OURS.sub(_meant, name).encode("utf-8", "surrogateescape")


def _written(found: re.Match[str]) -> str:
    return "".join(chr(SIGNS[byte - 0x80]) for byte in found[0].encode("utf-8", "surrogateescape"))


def _meant(found: re.Match[str]) -> str:
    return chr(SIGNS.index(ord(found[0])) + _SURROGATES)
