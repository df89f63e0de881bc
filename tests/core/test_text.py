"""What hides or moves text is escaped where people read it."""

import io
import sys

import numpy as np
import pytest

from jaxseg.core import command, draw, errors, text

HOSTILE = "cat\x1b[31m\u202egnp\0\ud800\u2028\x9b\ufeff"
ESCAPED = r"cat\x1b[31m\u202egnp\x00\ud800\u2028\x9b\ufeff"


def test_hidden_characters_become_visible():
    assert text.visible(HOSTILE) == ESCAPED
    assert text.visible("a\tb\nc") == "a\tb\nc"
    assert text.visible("a\nb", keep="") == r"a\nb"


@pytest.mark.parametrize("plain", ["café", "猫", "می‌خواهم", "👩‍🚀", "a$b", "\\x1b"])
def test_what_can_be_seen_stays(plain):
    assert text.visible(plain) == plain


def test_commands_print_no_control_characters(capsys):
    before = sys.stdout.write

    @command.entry
    def main(argv):
        print(f"found {HOSTILE}")
        raise errors.UserError(f"{HOSTILE}: found b")

    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == f"found {ESCAPED}\n" and err == f"jaxseg: {ESCAPED}: found b\n"
    assert sys.stdout.write == before


def test_one_stream_for_both(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    with text.escaped():
        assert print("\x1b", file=sys.stderr) is None
        assert sys.stdout.write("\x9b\n") == 2
    assert stream.getvalue() == "\\x1b\n\\x9b\n" and sys.stdout is stream


def test_names_on_pictures_have_one_line():
    names, palette = [f"{HOSTILE}\nx", "dog"], [(0, 0, 0), (9, 9, 9)]
    assert draw.legend(names, palette, 300).shape[1] == 300
    assert draw.caption(names[0], 80).shape[1] == 80
    image, corners = np.zeros((40, 40, 3), np.uint8), np.array([[0.1, 0.1, 0.9, 0.9]])
    draw.boxes(image, corners, np.array([0]), palette, names)
