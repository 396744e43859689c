"""The styles of what needs an eye. Everything else is plain, bold or dim.

They are legible on a dark and on a light background with 16 colours. Yellow, green and cyan nearly vanish on white. No
style is the only sign of anything: there is always a word or a mark, too.
"""

ALARM = "bold red"
FAULT = "red"
"""Of the text about a fault, which is long."""
WARN = "magenta"
NOTE = "bold"
