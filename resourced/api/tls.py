"""TLS for the TCP listener: certificate and key from files that can be renewed while connections go on."""

import ssl
from pathlib import Path

from resourced.errors import ConfigError


class Certificate:
    """The certificate and key of one listener, as the context that its connections are made with.

    Args:
        chain: PEM file with the certificate and those that vouch for it.
        key: PEM file with its key; None if it is in the same file.

    Raises:
        ConfigError: They can't be read, or don't belong together.
    """

    def __init__(self, chain: Path, key: Path | None) -> None:
        self._chain = chain
        self._key = key
        self._text = self._read()
        self.context = self._loaded()

    def renew(self) -> bool:
        """Read the files again; new connections get what they hold, those that exist go on. Return whether it differs.

        Raises:
            ConfigError: They can't be used; what was in force stays.
        """
        text = self._read()
        if text == self._text:
            return False
        self._loaded()  # a context that is in use would keep half of a pair that doesn't fit
        self._load_into(self.context)
        self._text = text
        return True

    def _read(self) -> tuple[bytes, ...]:
        try:
            return tuple(path.read_bytes() for path in (self._chain, self._key) if path is not None)
        except OSError as error:
            raise ConfigError(f"{error.filename}: the TLS certificate can't be read: {error.strerror}") from error

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load_into(context)
        return context

    def _load_into(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._chain, self._key, password=_no_password)
        except (ssl.SSLError, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise ConfigError(
                f"{self._chain}: the TLS certificate can't be used with the key {self._key or self._chain}: {reason}"
            ) from error


def _no_password() -> str:
    """Return nothing: a daemon has nobody to ask for a password, which OpenSSL otherwise does on the terminal."""
    return ""
