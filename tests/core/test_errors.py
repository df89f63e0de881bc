"""Foreign exceptions of readers become messages that name the file."""

import pytest

from jaxseg.core import command, errors
from jaxseg.data.readers import class_names


def test_a_foreign_exception_names_file_type_and_our_line(tmp_path):
    path = tmp_path / "a.json"
    with (
        pytest.raises(errors.UserError) as caught,
        errors.reading(path, "are numbers"),
    ):
        class_names.raw_ids({"x": 1})
    text = str(caught.value)
    assert text.startswith(f"{path}: cannot be read (ValueError: invalid literal")
    assert "; class_names.py:" in text and "; allowed are numbers. Fix: " in text
    assert isinstance(caught.value.__cause__, ValueError)


def test_errors_of_ours_pass_as_they_are():
    damaged = errors.Damaged("a: found b")
    with pytest.raises(errors.Damaged) as caught, errors.reading("file"):
        raise damaged
    assert caught.value is damaged


def test_an_interrupt_is_no_mistake_of_a_file():
    with pytest.raises(KeyboardInterrupt), errors.reading("file"):
        raise KeyboardInterrupt


def test_a_lack_of_memory_is_no_mistake_of_a_file():
    with pytest.raises(MemoryError), errors.reading("file"):
        raise MemoryError


def test_where_it_arose_can_be_asked_for(monkeypatch, capsys):
    @command.entry
    def main(argv):
        with errors.reading("a.json"):
            class_names.raw_ids({"x": 1})

    assert main([]) == 2
    err = capsys.readouterr().err
    assert "JAXSEG_TRACEBACK=1" in err and "Traceback" not in err
    monkeypatch.setenv("JAXSEG_TRACEBACK", "1")
    assert main([]) == 2
    err = capsys.readouterr().err
    assert err.count("Traceback") == 2 and "in raw_ids" in err  # its cause as well
    assert err.splitlines()[-1].startswith("jaxseg: a.json: cannot be read")
