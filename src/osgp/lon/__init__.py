"""ISO/IEC 14908-1: the control network, from the link header to network management, as layouts and as machines without I/O.

Floor 1 (sees ``wire``, and ``crypto`` for authentication). The text of ISO/IEC 14908-1 was not at hand: layouts and rules follow
two open stacks and Wireshark's dissector, as digested in ``spec/iso14908-1.md``; what those leave open is marked
(unverified) or *project choice*.

Start reading at ``frame`` (bytes to layers and back). Layouts: ``lpdu``, ``npdu``, ``tpdu``, ``authpdu``, ``apdu``, ``ltep`` (the
enhanced proxy), ``nd`` and ``nm`` (diagnostics and management), ``entries`` (what a node's tables hold), and the IP carriers
``lonip`` and ``cnip``. Machines: ``link`` (access to the channel), ``network``, ``transport`` (with sessions), ``auth``,
``proxy`` (repeating), ``management`` and ``variables``; ``osgp.node.stack`` joins them.
"""
