"""Numbers in commands: what Redis accepts as one, and how it writes one."""

from __future__ import annotations

import re
from fractions import Fraction

from reactorhost_redisserver.replies import ReplyError

NOT_AN_INTEGER = "ERR value is not an integer or out of range"
NOT_POSITIVE = "ERR value is out of range, must be positive"
NOT_A_FLOAT = "ERR value is not a valid float"
OVERFLOW = "ERR increment or decrement would overflow"

LEAST, MOST = -(1 << 63), (1 << 63) - 1
_FLOAT = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]+))?")
_BYTES = re.compile(rb"([0-9]{1,20})((?i:b|[kmg]b?)?)")
_UNITS = {b"": 1, b"b": 1, b"k": 10**3, b"kb": 1 << 10, b"m": 10**6, b"mb": 1 << 20, b"g": 10**9, b"gb": 1 << 30}
_MOST_EXPONENT = 4950
_LONGEST_FLOAT = 5 * 1024 - 1
_INFINITE = 1 << 16384
_MANTISSA_BITS = 64


def parse_integer(word: bytes, error: str = NOT_AN_INTEGER) -> int:
    """Return a signed number of 64 bits.

    Raises:
        ReplyError: with this text, if it is none.
    """
    try:
        number = int(word)
    except ValueError:
        raise ReplyError(error) from None
    # Python accepts more than Redis: blanks, a plus, zeros and underscores.
    if b"%d" % number != word or not LEAST <= number <= MOST:
        raise ReplyError(error)
    return number


def parse_count(word: bytes) -> int:
    """Return how many elements are wanted; less than 0 if each of them may come again.

    Raises:
        ReplyError: it is no number, or cannot be negated.
    """
    number = parse_integer(word)
    if number == LEAST:
        raise ReplyError(f"ERR value is out of range, value must between {-MOST} and {MOST}")
    return number


def parse_bytes(word: bytes) -> int | None:
    """Return a number of bytes with a unit, such as `100mb`, or None."""
    found = _BYTES.fullmatch(word)
    return int(found[1]) * _UNITS[found[2].lower()] if found else None


def parse_float(word: bytes, error: str = NOT_A_FLOAT) -> Fraction:
    """Return a number as the `long double` of x86 has it, with a mantissa of 64 bits.

    Raises:
        ReplyError: with this text, if it is none, or not finite.
    """
    found = _FLOAT.fullmatch(word)
    # Before it is evaluated, for that takes as many digits as the exponent says.
    if not found or len(word) > _LONGEST_FLOAT or abs(int(found[1] or b"0")) > _MOST_EXPONENT:
        raise ReplyError(error)
    number = rounded(Fraction(word.decode()))
    if abs(number) >= _INFINITE:
        raise ReplyError(error)
    return number


def add_floats(one: Fraction, other: Fraction) -> Fraction:
    """Return the sum of two numbers.

    Raises:
        ReplyError: it is too large.
    """
    number = rounded(one + other)
    if abs(number) >= _INFINITE:
        raise ReplyError("ERR increment would produce NaN or Infinity")
    return number


def rounded(number: Fraction) -> Fraction:
    """Return the nearest number with a mantissa of 64 bits."""
    if not number:
        return number
    exponent = number.numerator.bit_length() - number.denominator.bit_length() - _MANTISSA_BITS
    # The quotient of the bit lengths is too large by at most one.
    if abs(number) < Fraction(2) ** (exponent + _MANTISSA_BITS):
        exponent -= 1
    unit = Fraction(2) ** (exponent + 1)
    return round(number / unit) * unit


def format_float(number: Fraction) -> bytes:
    """Return a number with 17 digits behind the point at most, as `%.17Lf` without the zeros at its end."""
    scaled = round(abs(number) * 10**17)
    whole, part = divmod(scaled, 10**17)
    text = f"{whole}.{part:017}".rstrip("0").rstrip(".")
    return f"-{text}".encode() if number < 0 and text != "0" else text.encode()
