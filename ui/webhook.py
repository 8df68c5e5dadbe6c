"""Owns calling an address with JSON that its receiver can trust: signed, with the time, once. Knows nothing of answers.

A receiver checks `Wenshu-Signature`: `v1=` and the HMAC-SHA256, in hex, of the time in `Wenshu-Timestamp`, a full stop and the body. Each
delivery has a name of its own in `Wenshu-Delivery`, the same if it comes again.
"""

import hashlib
import hmac
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Text

SECONDS = 20.0
PAUSES = (1.0, 5.0, 25.0)  # seconds before each further try
LONGEST_PAUSE = 60.0
AGAIN = (429, 500, 502, 503, 504)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for the failure that it is: what is sent is for the named address alone."""

    def redirect_request(self, *_: Any) -> None:
        return None


def call_webhook(
    address: str, body: bytes, *, delivery: str, secret: str | None = None, pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time, seconds: float = SECONDS,
) -> None:  # fmt: skip
    """Send a JSON body to an address of the operator's choice.

    Tried again where nothing was taken: the address is not there yet, is too busy or answers with an error of its own. Raises `EngineError`
    with code `not_delivered` where it is not taken for good, and `OSError` where nobody can say whether it was.
    """
    opener = urllib.request.build_opener(_NoRedirects)
    for wait in (*PAUSES, None):
        headers = {"content-type": "application/json", "user-agent": "wenshu", "wenshu-delivery": delivery}
        if secret is not None:
            moment = str(int(clock()))
            digest = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
            headers |= {"wenshu-timestamp": moment, "wenshu-signature": f"v1={digest}"}
        try:
            with opener.open(urllib.request.Request(address, body, headers, method="POST"), timeout=seconds):
                return
        except urllib.error.HTTPError as error:
            error.close()
            reason, again = str(error.code), error.code in AGAIN
            asked = error.headers.get("retry-after") or ""
            longer = min(float(asked), LONGEST_PAUSE) if asked.isdecimal() else 0.0
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError | socket.gaierror):
                raise
            reason, again, longer = "—", True, 0.0
        if not again or wait is None:
            raise not_delivered(Text(f"The webhook did not take it ({reason}).", f"Webhook 未接收（{reason}）。"))
        pause(max(wait, longer))


def not_delivered(problem: Text) -> EngineError:
    """Return the error that says that something has not arrived, for certain."""
    return EngineError(
        "not_delivered", problem, Text("See that the destination is as it should be.", "请检查发送目的地。")
    )
