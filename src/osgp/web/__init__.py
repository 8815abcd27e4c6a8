"""The pages: a fleet, one device, its tables byte by byte, and the same as JSON. Project choice throughout.

Start at ``osgp.web.app.create_app``. One folder for each thing with the same three files: ``models`` (what a page shows),
``service`` (thinks), ``views`` (translates to HTML and JSON). Everything the browser needs is in ``static``: no network is
asked for. Needs ``osgp[web]``.
"""
