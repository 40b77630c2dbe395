"""Names as one readable line: whatever users call their classes and samples."""


def one_line(name: str, length: int) -> str:
    r"""The name for a terminal: what cannot be printed is escaped, what is too long is cut.

    Example:
        >>> one_line("tea\nor coffee", 24)
        'tea\\nor coffee'
        >>> one_line("a very long name", 8)
        'a very …'
    """
    # not more than is shown: names may be whole texts
    start = shortened(name, length)
    return shortened("".join(c if c.isprintable() else _escaped(c) for c in start), length)


def shortened(name: str, length: int) -> str:
    """The name, cut to ``length`` characters of which the last says that it was cut."""
    return name if len(name) <= length else name[: length - 1] + "…"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
