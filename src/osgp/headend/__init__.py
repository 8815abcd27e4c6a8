"""The collector and its store: schedules, retries, plausibility, raw bytes and readings in one transaction.

Floor 4 (sees floors 0 to 3, never a frame layout). A project choice. Needs the extra ``store``.
"""
