"""A small library of Python files, with what a harvest takes and what it leaves."""

from __future__ import annotations

from hardneg.data.harvest import Library

BODY = "    a = {0}\n    b = a + 1\n    return b\n"
SHAPES = '''
raise RuntimeError("imported")

class Box:
    """Not a function, so not harvested."""

    @property
    def area(self):
        """Return the area of
        the box.  More words that are not the query.

        >>> never
        """
        # why: a comment stays
        width, height = self.size

        return (
            width * height
        )

    def __len__(self):
        """Special methods are left out."""
        a = 1
        b = 2
        return a + b

    def outer(self):
        """Hand out a counter of calls."""
        text = """
left column
"""
        def inner():
            """An inner sentence must not leak."""
            return text
        return inner

def odd(): "A docstring on the def line."; x = 1; y = "ü"; return x
async def fetch(url):
    """Fetch the page, e.g. a cached one. Then return."""
    page = await url
    text = page.text
    return text

def short():
    """Return nothing of interest here."""
    return 1

def bare():
    """A function with an empty body."""

def signature(a, b):
    """signature(a, b) -> list"""
    a = 1
    b = 2
    return [a, b]

def two_words():
    """Two words"""
    a = 1
    b = 2
    return a
'''


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Library(root, root, "fake-1")


def function(name, sentence, number=0):
    return f'def {name}():\n    """{sentence}"""\n' + BODY.format(number)


def small_library(root):
    return write(
        root,
        {
            "shapes.py": SHAPES,
            "pkg/more.py": function("more", "Compute a little more."),
            "pkg/tests/helper.py": function("helper", "Help with the tests."),
            "pkg/test_more.py": function("case", "Test a little more."),
            "site-packages/other.py": function("other", "Belongs to somebody else."),
            "broken.py": "def (:\n",
            "bytes.py": b"x = '\xff'\n",
            "nul.py": b"x = 1\0\n",
            "latin.py": b"# coding: latin-1\n" + function("latin", "Décode ce fichier.").encode("latin-1"),
        },
    )
