"""The command ``osgp``: one file per command.

Floor 5. A project choice. Exit status: 0 success, 1 the device or the data said no, 2 wrong use, 3 nobody answered;
``--json`` prints one JSON document on stdout and nothing else. Needs the extra ``cli``.
"""
