"""What ``fastrnn forecast`` does with CSV files.

``dates.py`` reads their labels (``sequence/tables.py`` the rest), ``command.py`` chooses columns,
learns and measures, ``report.py`` and ``picture.py`` show what came of it, and ``options.py`` says
what the command takes.
"""
