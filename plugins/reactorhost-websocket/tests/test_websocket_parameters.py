"""What an operator may write in the table of the framing."""

from __future__ import annotations

import pytest

from reactorhost_websocket import Parameters


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"max_size": 0}, ValueError, "max_size is 0 and must be at least 1"),
        ({"max_size": "1"}, TypeError, "max_size is '1', not a whole number of bytes"),
        ({"max_size": True}, TypeError, "max_size is True"),
        ({"compress_from": -1}, ValueError, "compress_from is -1 and must be at least 0"),
        ({"send_as": "bytes"}, ValueError, "send_as is 'bytes' and must be one of same, text, binary"),
        ({"compression": "yes"}, TypeError, "compression is 'yes', not true or false"),
        ({"origins": "https://example.org"}, TypeError, "origins is 'https://example.org', not a list of texts"),
        ({"origins": [1]}, TypeError, "origins is .1., not a list of texts"),
        (
            {"origins": ["example.org"]},
            ValueError,
            "origins has 'example.org', which is not a site as browsers send it",
        ),
        ({"origins": ["https://example.org/"]}, ValueError, "origins has 'https://example.org/'"),
        ({"origins": ["*", ""]}, ValueError, "origins has ''"),
        ({"subprotocols": ["chat v1"]}, ValueError, "subprotocols has 'chat v1', which is not a name without spaces"),
        ({"subprotocols": [""]}, ValueError, "subprotocols has ''"),
        ({"subprotocols": None}, TypeError, "subprotocols is None, not a list of texts"),
        ({"ping_interval": -1}, ValueError, "ping_interval is -1"),
        ({"ping_interval": float("nan")}, ValueError, "ping_interval is nan"),
        ({"ping_timeout": "20s"}, TypeError, "ping_timeout is '20s', not a number of seconds"),
    ],
)
def test_an_invalid_parameter_is_named(values: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Parameters(**values)  # type: ignore[arg-type]


def test_the_defaults_and_lists_are_valid() -> None:
    origins = [
        "same",
        "null",
        "*",
        "https://example.org:8443",
        "https://*.example.org",
        "*.example.org",
        "*://localhost:*",
    ]
    subprotocols = ["a", "chat.v1+json"]
    Parameters(origins=origins, subprotocols=subprotocols, ping_interval=0, ping_timeout=0.5)
    assert Parameters().send_as == "same"
