"""What ``fastrnn forecast`` does with CSV files.

``tables.py`` reads them and ``dates.py`` their labels, ``command.py`` chooses columns, learns and
measures, ``report.py`` and ``picture.py`` show what came of it, and ``options.py`` says what the
command takes.
"""
