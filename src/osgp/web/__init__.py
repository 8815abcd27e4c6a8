"""Pages and HTTP interface over the store and over live devices.

Floor 5. A project choice. Server-rendered, works offline; needs the extra ``web``.
"""
