"""URLs of Redis servers: what they mean, and that no error repeats a password."""

from __future__ import annotations

import pytest

from reactorhost_redis.redis_url import RedisUrl, parse


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", RedisUrl(address="tcp://h:6379")),
        ("redis://h:1/", RedisUrl(address="tcp://h:1")),
        ("redis://[::1]:2/3", RedisUrl(address="tcp://[::1]:2", database=3)),
        ("redis://:p%40%2F@h", RedisUrl(address="tcp://h:6379", password="p@/")),
        ("redis://u:p@h", RedisUrl(address="tcp://h:6379", user="u", password="p")),
        ("redis://h?db=4&prefix=my%20app", RedisUrl(address="tcp://h:6379", database=4, prefix="my app")),
        (
            "redis://h?timeout=0.5&retry=60&max_queue=2048",
            RedisUrl(address="tcp://h:6379", timeout=0.5, retry=60.0, max_queue=2048),
        ),
        (
            "rediss://h?ca=/ca&certificate=/c&key=/k&server_name=n",
            RedisUrl(address="tls://h:6379", ca="/ca", certificate="/c", key="/k", server_name="n"),
        ),
        ("redis+unix:///run/redis.sock?db=1", RedisUrl(address="unix:///run/redis.sock", database=1)),
        ("redis+unix://u:p@/run/r.sock", RedisUrl(address="unix:///run/r.sock", user="u", password="p")),
    ],
)
def test_a_url_is_read(url: str, expected: RedisUrl) -> None:
    assert parse(url) == expected


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://h", "the scheme is 'http'"),
        ("redis://", "there is no host"),
        ("redis://:secret@", "there is no host"),
        ("redis://h:secret", "the port is not a number"),
        ("redis://u:sec/ret@h", "the port is not a number.*%2F"),
        ("redis://u:99999@h:99999", "the port is not a number"),
        ("redis://:x#secret@h", "there is no host|fragment|port"),
        ("redis://h/secret", "the database must be a number"),
        ("redis://h/1?db=1", "named twice"),
        ("redis://h?db=-1", "the option db must be a number"),
        ("redis://h?secret=1x", "the option 'secret' is unknown; there are prefix"),
        ("redis://h?prefix=", "1 to 100 printable"),
        ("redis://h?prefix=a&prefix=b", "there twice"),
        ("redis://h?timeout=0", "a number of seconds from 0.1 to 3600"),
        ("redis://h?retry=nan", "a number of seconds"),
        ("redis://h?max_queue=1", "from 1024"),
        ("redis://h?ca=/ca", "ca is for rediss://"),
        ("rediss://h?ca=ca.pem", "the option ca is not an absolute path"),
        ("rediss://h?key=/k", "key needs the option certificate"),
        ("rediss://h?server_name=", "server_name is empty"),
        ("redis://user@h", "a user and no password"),
        ("redis+unix://h/run/redis.sock", "not absolute"),
        ("redis+unix://", "not absolute"),
        ("redis+unix:///run/", "names a directory"),
        (f"redis+unix:///{'x' * 107}", "more than 107 bytes"),
        ("redis://h:0", "the port is not a number from 1"),
    ],
)
def test_a_malformed_url_is_refused_with_a_reason(url: str, error: str) -> None:
    with pytest.raises(ValueError, match=error) as raised:
        parse(url)
    # The name of an option is no secret.
    text = str(raised.value).replace("the option 'secret'", "").replace("seconds", "")
    assert "sec" not in text


def test_the_password_is_not_shown() -> None:
    url = parse("redis://u:hunter2@h")
    assert "hunter2" not in repr(url)
    assert url.without_password("AUTH u hunter2") == "AUTH u ***"
