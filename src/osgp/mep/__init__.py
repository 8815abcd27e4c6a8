"""MEP: the multipurpose expansion port of an OSGP meter, a serial line for local devices.

Source: OSGP Alliance, *MEP Client Developer's Guide* v1.1 (March 2022). ``tls`` holds the small TLS 1.2 of its TLS
mode.
"""
