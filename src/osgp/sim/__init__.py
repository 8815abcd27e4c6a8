"""Simulated devices and simulated time: meters that live, lines that misbehave, loads that look like a household.

Floor 3 (sees floors 0 to 2). A project choice; what a meter does behind its tables follows *MEP Client Developer's Guide*
v1.1, household load follows the standard load profiles of BDEW. Everything is reproducible from a seed.
"""
