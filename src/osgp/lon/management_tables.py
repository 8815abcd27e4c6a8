"""Commands on a node's tables: domains, keys, addresses, variables, aliases.

ISO/IEC 14908-1, network management; ``spec/iso14908-1.md`` 5.2, 5.5, 5.7, 5.8. Each function carries out one command, which was
read and found allowed before; see ``management``.
"""

from __future__ import annotations

from osgp.lon import nm, nm_expanded, nm_variables
from osgp.lon.address import Group
from osgp.lon.configuration import Configuration
from osgp.lon.entries import AddressEntry, AliasEntry, DomainEntry, NodeState, NvEntry
from osgp.lon.events import VariableUpdated
from osgp.lon.indication import Indication
from osgp.lon.managed import DONE, Handler, Managed, Refused, Result
from osgp.lon.npdu import DOMAIN_LENGTHS
from osgp.lon.variables import LAST_SELECTOR, NO_ADDRESS, VariableTable

__all__ = ["TABLES"]

_NO_DOMAIN = Refused("there is no such domain entry")
_NO_ADDRESS = Refused("there is no such address entry")
_NO_VARIABLE = Refused("there is no such network variable")
_UNUSED, _UNUSED_WIDE = 0xFF, 0xFFFF


# ---- domains and keys ------------------------------------------------------------------------------------------------
def _domain(node: Managed, index: int) -> DomainEntry | None:
    domains = node.configuration.domains
    return domains[index] if index < len(domains) else None


def _write_domain(node: Managed, index: int, entry: DomainEntry) -> Result:
    if _domain(node, index) is None:
        return _NO_DOMAIN
    if entry.in_use and entry.flags.length not in DOMAIN_LENGTHS:
        return Refused(f"no domain has {entry.flags.length} bytes")
    node.configuration.domains[index] = entry
    node.configuration.changed()
    return DONE


def _update_domain(node: Managed, indication: Indication, request: nm.UpdateDomain) -> Result:
    return _write_domain(node, request.index, request.entry)


def _update_domain_place(node: Managed, indication: Indication, request: nm_expanded.UpdateDomainPlace) -> Result:
    known = _domain(node, request.index)
    if known is None:
        return _NO_DOMAIN
    place = request.entry
    entry = DomainEntry(id=place.id, subnet=place.subnet, node=place.node, flags=place.flags, key=known.key)
    return _write_domain(node, request.index, entry)


def _leave_domain(node: Managed, indication: Indication, request: nm.LeaveDomain) -> Result:
    if _domain(node, request.index) is None:
        return _NO_DOMAIN
    configuration = node.configuration
    configuration.domains[request.index] = DomainEntry()
    configuration.changed()
    if not any(entry.in_use for entry in configuration.domains):
        node.change_mode(state=NodeState.UNCONFIGURED)
        node.reset()
    return None if request.index == indication.domain_index else DONE


def _query_domain(node: Managed, indication: Indication, request: nm.QueryDomain) -> Result:
    entry = _domain(node, request.index)
    if entry is None:
        return _NO_DOMAIN
    key = entry.key if node.trusts(indication) else bytes(6)
    return nm.DomainResponse(
        entry=DomainEntry(id=entry.id, subnet=entry.subnet, node=entry.node, flags=entry.flags, key=key)
    )


def _report_domain_place(node: Managed, indication: Indication, request: nm_expanded.ReportDomainPlace) -> Result:
    entry = _domain(node, request.index)
    if entry is None:
        return _NO_DOMAIN
    place = nm_expanded.DomainPlace(id=entry.id, subnet=entry.subnet, node=entry.node, flags=entry.flags)
    return nm_expanded.PlaceResponse(entry=place)


def _added(key: bytes, increments: bytes) -> bytes:
    return bytes((old + more) & 0xFF for old, more in zip(key, increments, strict=True))


def _set_key(configuration: Configuration, index: int, key: bytes) -> None:
    old = configuration.domains[index]
    configuration.domains[index] = DomainEntry(id=old.id, subnet=old.subnet, node=old.node, flags=old.flags, key=key)
    configuration.changed()


def _update_key(node: Managed, indication: Indication, request: nm.UpdateKey) -> Result:
    entry = _domain(node, request.index)
    if entry is None:
        return _NO_DOMAIN
    _set_key(node.configuration, request.index, _added(entry.key, request.key))
    return DONE


def _report_key(node: Managed, indication: Indication, request: nm_expanded.ReportKey) -> Result:
    if len(node.configuration.domains) < 2:
        return Refused("the key of open media authentication needs two domain entries")
    if not node.trusts(indication):
        return Refused("a key is told to whom has it, or where management may write")
    return nm_expanded.KeyResponse(key=node.configuration.open_media_key)


def _update_open_media_key(node: Managed, indication: Indication, request: nm_expanded.UpdateOpenMediaKey) -> Result:
    if len(node.configuration.domains) < 2:
        return Refused("the key of open media authentication needs two domain entries")
    if request.how not in (0, 1):
        return Refused(f"a key is set (0) or added to (1), not {request.how}")
    key = _added(node.configuration.open_media_key, request.key) if request.how else request.key
    _set_key(node.configuration, 0, key[:6])
    _set_key(node.configuration, 1, key[6:])
    return DONE


# ---- addresses -------------------------------------------------------------------------------------------------------
def _update_address(node: Managed, indication: Indication, request: nm.UpdateAddress) -> Result:
    addresses = node.configuration.addresses
    if request.index >= len(addresses):
        return _NO_ADDRESS
    if not request.entry.kind.group and request.entry.kind.kind not in (0, 1, 3):
        return Refused(f"kind {request.entry.kind.kind} is no address of a table")
    addresses[request.index] = request.entry if any(request.entry.encode()) else None
    node.configuration.changed()
    return DONE


def _query_address(node: Managed, indication: Indication, request: nm.QueryAddress) -> Result:
    addresses = node.configuration.addresses
    if request.index >= len(addresses):
        return _NO_ADDRESS
    return nm.AddressResponse(entry=addresses[request.index] or AddressEntry())


def _update_group_address(node: Managed, indication: Indication, request: nm.UpdateGroupAddress) -> Result:
    """The group that the message came to counts, in the domain it came in; only size, retry and timers are taken over."""
    if not isinstance(indication.destination, Group) or indication.domain_index is None:
        return Refused("a group address is updated by a message to the group")
    if not request.entry.kind.group:
        return Refused("the entry is no group address")
    addresses = node.configuration.addresses
    place = (indication.domain_index, indication.destination.group)
    found = False
    for index, entry in enumerate(addresses):
        if entry is not None and entry.kind.group and (entry.place.domain_index, entry.number) == place:
            new = request.entry
            addresses[index] = AddressEntry(
                kind=new.kind, place=entry.place, retry=new.retry, timers=new.timers, number=entry.number
            )
            found = True
    if not found:
        return Refused("this node is no member of the group")
    node.configuration.changed()
    return DONE


# ---- variables and aliases -------------------------------------------------------------------------------------------
def _place(variables: VariableTable | None, index: int) -> tuple[VariableTable, int, bool] | None:
    """The table, the index within it, and whether it is the alias table: aliases are counted behind the variables."""
    if variables is None:
        return None
    if index < variables.count:
        return variables, index, False
    index -= variables.count
    return (variables, index, True) if index < variables.alias_count else None


def _wide(index: int, wide_index: int | None) -> int:
    return index if wide_index is None else wide_index


def _query_variable(node: Managed, indication: Indication, request: nm_variables.QueryVariableConfig) -> Result:
    place = _place(node.variables, _wide(request.index, request.wide_index))
    if place is None:
        return _NO_VARIABLE
    variables, index, is_alias = place
    entry = variables.alias(index) if is_alias else variables.config(index)
    if entry is None:
        return _NO_VARIABLE
    response = nm_variables.VariableConfigResponse(entry=NvEntry(selector=entry.selector, flags=entry.flags))
    if isinstance(entry, AliasEntry):
        response.primary = entry.primary
        response.primary_wide = _UNUSED_WIDE if entry.primary_wide is None else entry.primary_wide
    return response


def _update_variable(node: Managed, indication: Indication, request: nm_variables.UpdateVariableConfig) -> Result:
    place = _place(node.variables, _wide(request.index, request.wide_index))
    if place is None:
        return _NO_VARIABLE
    variables, index, is_alias = place
    entry = request.entry
    if not is_alias:
        return DONE if variables.set_config(index, entry) else _NO_VARIABLE
    if request.primary is None:
        return Refused("an alias needs the index of its variable")
    alias = AliasEntry(
        selector=entry.selector, flags=entry.flags, primary=request.primary, primary_wide=request.primary_wide
    )
    return DONE if variables.set_alias(index, alias) else _NO_VARIABLE


def _query_expanded(node: Managed, indication: Indication, request: nm_expanded.QueryExpandedVariable) -> Result:
    entry = node.variables.config(request.index) if node.variables is not None else None
    if entry is None:
        return _NO_VARIABLE
    expanded = nm_expanded.ExpandedNvEntry(selector=entry.selector, flags=entry.flags)
    return nm_expanded.ExpandedVariableResponse(entry=expanded)


def _beyond(entry: nm_expanded.ExpandedNvEntry | nm_expanded.ExpandedAlias) -> Refused | None:
    if entry.more.address_high:
        return Refused("the address table has no entries beyond 15")
    return Refused("the second generation of security is not built") if entry.more.aes else None


def _update_expanded(node: Managed, indication: Indication, request: nm_expanded.UpdateExpandedVariable) -> Result:
    entry = request.entry
    beyond = _beyond(entry)
    if beyond is not None:
        return beyond
    new = NvEntry(selector=entry.selector, flags=entry.flags)
    return DONE if node.variables is not None and node.variables.set_config(request.index, new) else _NO_VARIABLE


def _query_alias(node: Managed, indication: Indication, request: nm_expanded.QueryAlias) -> Result:
    entry = node.variables.alias(request.index) if node.variables is not None else None
    if entry is None:
        return _NO_VARIABLE
    primary = entry.primary
    if primary == _UNUSED and entry.primary_wide is not None and entry.primary_wide != _UNUSED_WIDE:
        primary = entry.primary_wide
        if primary >= _UNUSED:
            return Refused("this layout has no room for the index of the alias's variable")
    alias = nm_expanded.ExpandedAlias(selector=entry.selector, flags=entry.flags, primary=primary)
    return nm_expanded.ExpandedAliasResponse(entry=alias)


def _update_alias(node: Managed, indication: Indication, request: nm_expanded.UpdateAlias) -> Result:
    entry = request.entry
    beyond = _beyond(entry)
    if beyond is not None:
        return beyond
    alias = AliasEntry(selector=entry.selector, flags=entry.flags, primary=entry.primary)
    return DONE if node.variables is not None and node.variables.set_alias(request.index, alias) else _NO_VARIABLE


def _initialise(node: Managed, indication: Indication, request: nm_expanded.InitialiseConfiguration) -> Result:
    """Nothing is bound any more; a variable without a bit of its own takes the last one's."""
    configuration, variables = node.configuration, node.variables
    configuration.addresses = [None] * len(configuration.addresses)
    configuration.changed()
    if variables is None:
        return DONE
    for index in range(variables.alias_count):
        variables.set_alias(index, AliasEntry())
    authenticated = 0
    for index in range(variables.count):
        entry = variables.config(index)
        if entry is None:
            continue
        if index // 8 < len(request.authentication):
            authenticated = request.authentication[index // 8] >> index % 8 & 1
        variables.set_config(
            index,
            NvEntry(
                selector=entry.selector.with_(selector=LAST_SELECTOR - index),
                flags=entry.flags.with_(address_index=NO_ADDRESS, turnaround=0, authenticated=authenticated),
            ),
        )
    return DONE


def _primary_of(variables: VariableTable, alias: AliasEntry | None) -> int | None:
    if alias is None:
        return None
    return alias.primary if alias.primary != _UNUSED else alias.primary_wide


def _update_by_index(node: Managed, indication: Indication, request: nm_expanded.UpdateVariableByIndex) -> Result:
    """Write an input's value; an alias stands for its variable."""
    place = _place(node.variables, request.index)
    if place is None or node.configuration.state == NodeState.NO_APPLICATION:
        return _NO_VARIABLE
    variables, index, is_alias = place
    primary = _primary_of(variables, variables.alias(index)) if is_alias else index
    entry = variables.config(primary) if primary is not None else None
    if entry is None or primary is None:
        return _NO_VARIABLE
    if entry.selector.output:
        return Refused("the variable is an output")
    if entry.flags.authenticated and not indication.authenticated:
        return Refused("the variable wants authentication")
    if not variables.set_value(primary, request.value):
        return Refused("the value has another size")
    if node.configuration.online:
        node.happened(VariableUpdated(primary, request.value, indication.source))
    return DONE


def _fetch(node: Managed, indication: Indication, request: nm_variables.FetchVariable) -> Result:
    index = _wide(request.index, request.wide_index)
    value = node.variables.value(index) if node.variables is not None else None
    if value is None:
        return _NO_VARIABLE
    return nm_variables.VariableValueResponse(index=request.index, wide_index=request.wide_index, value=value)


TABLES: dict[tuple[int, int | None], Handler] = {
    (0x63, None): _update_domain,
    (0x64, None): _leave_domain,
    (0x65, None): _update_key,
    (0x66, None): _update_address,
    (0x67, None): _query_address,
    (0x68, None): _query_variable,
    (0x69, None): _update_group_address,
    (0x6A, None): _query_domain,
    (0x6B, None): _update_variable,
    (0x73, None): _fetch,
    (0x60, 0x02): _update_by_index,
    (0x60, 0x07): _update_domain_place,
    (0x60, 0x08): _report_domain_place,
    (0x60, 0x09): _report_key,
    (0x60, 0x0A): _update_open_media_key,
    (0x60, 0x0F): _initialise,
    (0x60, 0x11): _update_expanded,
    (0x60, 0x12): _query_expanded,
    (0x60, 0x13): _update_alias,
    (0x60, 0x14): _query_alias,
}
"""Commands on tables, by code and subcommand."""
