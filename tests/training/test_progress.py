"""What is shown of a training while it runs."""

from toy_model import run


def test_progress_is_plain_lines_away_from_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("nemgan.training.progress.LINE_EVERY", 0.0)
    run(progress=True)
    out, lines = capsys.readouterr()
    assert not out
    assert "gan (2/2) 7/7" in lines
    assert "steps/s" in lines
    assert "critic/loss" in lines
    assert "masses 0." in lines
    run(progress=False)
    assert not "".join(capsys.readouterr())


def test_progress_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    run(progress=True)
    out, shown = capsys.readouterr()
    assert not out
    assert "gan (2/2)" in shown
