"""Captured bytes to explained rows: pairing of requests and answers, statistics, export. Transmits nothing.

Floor 3 (sees floors 0 to 2). A project choice; the layouts come from the declarations of the floors below.
"""
