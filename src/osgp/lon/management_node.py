"""Commands on the node itself: identity, state, counters, transceiver, memory, description, IP address.

ISO/IEC 14908-1, network diagnostics and management; ``spec/iso14908-1.md`` 5.5, 5.6, 5.7. Each function carries out one command, which
was read and found allowed before; see ``management``.
"""

from __future__ import annotations

from osgp.lon import nd, nm, nm_expanded, nm_variables
from osgp.lon.apdu import CLASSIC_PROXY
from osgp.lon.configuration import DOMAINS
from osgp.lon.entries import NodeState, Statistics
from osgp.lon.events import ServicePinReceived, Winked
from osgp.lon.indication import Indication
from osgp.lon.lpdu import MAX_APDU
from osgp.lon.managed import DONE, EXTERNAL_RESET, SOFTWARE_RESET, Handler, Managed, Refused, Result
from osgp.lon.self_identification import AliasField
from osgp.lon.variables import NetworkVariable
from osgp.wire.errors import DecodeError

__all__ = ["NODE"]

_STATES = (NodeState.UNCONFIGURED, NodeState.NO_APPLICATION, NodeState.CONFIGURED, NodeState.HARD_OFFLINE)
_RESETTING = (8, 9, 12)
_FORMS = (0, 1, 3, 4, *_RESETTING)
_CHECKSUMS = (1, 4)
_PAGE = 16
"""Bytes of a page of memory that is refreshed as one (open stack)."""
_TOO_MUCH = Refused("more bytes than a response holds")
_NO_INFORMATION = Refused("there is no such information")


# ---- diagnostics -----------------------------------------------------------------------------------------------------
def _status(node: Managed, code: int) -> nd.StatusResponse:
    configuration = node.configuration
    statistics = configuration.statistics
    return nd.StatusResponse(
        code=code,
        transmission_errors=statistics.transmission_errors,
        transaction_timeouts=statistics.transaction_timeouts,
        receive_transactions_full=statistics.receive_transactions_full,
        lost_messages=statistics.lost_messages,
        missed_messages=statistics.missed_messages,
        reset_cause=configuration.reset_cause,
        state=configuration.state_byte,
        firmware=configuration.firmware,
        error_log=configuration.error_log,
        model=configuration.model,
    )


def _query_status(node: Managed, indication: Indication, request: nd.QueryStatus) -> Result:
    return _status(node, 0x31)


def _query_status_flex(node: Managed, indication: Indication, request: nd.QueryStatusFlex) -> Result:
    return _status(node, 0x36)


def _registers(node: Managed, indication: Indication) -> nd.TransceiverRegisters:
    return nd.TransceiverRegisters.decode(node.measure(indication))


def _proxied(node: Managed, indication: Indication, request: nd.ProxyRequest) -> Result:
    """The classic proxy's target: this node is asked by an agent."""
    if request.subcommand == 0:
        if node.configuration.state != NodeState.UNCONFIGURED:
            return None
        return _identity(node, 0x32)
    if request.subcommand == 1:
        return _status(node, 0x32)
    if request.subcommand == 2:
        return nd.TransceiverResponse(code=0x32, registers=_registers(node, indication))
    return Refused(f"subcommand {request.subcommand}")


def _clear_status(node: Managed, indication: Indication, request: nd.ClearStatus) -> Result:
    configuration = node.configuration
    for name in Statistics.specs:
        setattr(configuration.statistics, name, 0)
    configuration.reset_cause = configuration.error_log = 0
    return DONE


def _query_transceiver(node: Managed, indication: Indication, request: nd.QueryTransceiver) -> Result:
    return nd.TransceiverResponse(registers=_registers(node, indication))


def _both_ways(node: Managed, indication: Indication, request: nd.BothWaysRequest) -> Result:
    return nd.BothWaysResponse(there=_registers(node, indication))


def _compute_phase(node: Managed, indication: Indication, request: nd.ComputePhase) -> Result:
    answer = node.phase(indication) if node.phase is not None else None
    return Refused("the phase is not known") if answer is None else answer


def _full_version(node: Managed, indication: Indication, request: nd.FullVersion) -> Result:
    return node.version or nd.FullVersionResponse(version=node.configuration.firmware)


# ---- identity and mode -----------------------------------------------------------------------------------------------
def _identity(node: Managed, code: int) -> nm.IdentityResponse:
    configuration = node.configuration
    return nm.IdentityResponse(
        code=code, unique_node_id=configuration.unique_node_id, program_id=configuration.program_id
    )


def _query_id(node: Managed, indication: Indication, request: nm.QueryId) -> Result:
    """Who does not fit does not answer; what memory must hold is compared only where it may be read."""
    if request.selector > 2:
        return Refused(f"selector {request.selector}")
    if request.selector and not node.selected:
        return None
    if request.selector != 1 and node.configuration.state != NodeState.UNCONFIGURED:
        return None
    match = request.match
    if match is not None:
        held = node.memory.read(match.mode, match.offset, match.count)
        if held is None:
            return Refused("no memory that may be read")
        if held != match.data:
            return None
    return _identity(node, 0x21)


def _respond_to_query(node: Managed, indication: Indication, request: nm.RespondToQuery) -> Result:
    if request.select > 1:
        return Refused(f"selection {request.select}")
    node.selected = bool(request.select)
    return DONE


def _set_mode(node: Managed, indication: Indication, request: nm.SetNodeMode) -> Result:
    if request.mode in (0, 1):
        node.change_mode(soft_offline=request.mode == 0)
        return None
    if request.mode in (2, 4, 6):
        node.reset(EXTERNAL_RESET if request.mode == 6 else SOFTWARE_RESET)
        return None
    if request.mode == 3 and request.state is not None:
        if request.state.state not in _STATES:
            return Refused(f"there is no state {request.state.state}")
        node.change_mode(state=request.state.state)
        return DONE
    return Refused(f"mode {request.mode}")


def _service_pin(node: Managed, indication: Indication, request: nm.ServicePin) -> Result:
    node.happened(ServicePinReceived(request.unique_node_id, request.program_id))
    return None


def _device_escape(node: Managed, indication: Indication, request: nm.DeviceEscape) -> Result:
    is_query = (request.device, request.command) == (1, 1)
    return node.product if is_query and node.product is not None else Refused("no such device command")


# ---- memory ----------------------------------------------------------------------------------------------------------
def _read_memory(node: Managed, indication: Indication, request: nm.ReadMemory) -> Result:
    if request.count >= MAX_APDU:
        return _TOO_MUCH
    found = node.memory.read(request.mode, request.offset, request.count)
    return Refused("no memory that may be read") if found is None else nm.MemoryResponse(data=found)


def _write_memory(node: Managed, indication: Indication, request: nm.WriteMemory) -> Result:
    if request.form not in _FORMS:
        return Refused(f"form {request.form}")
    if not node.memory.write(request.mode, request.offset, request.data):
        return Refused("no memory that may be written")
    if request.form in _RESETTING:
        node.reset()
    return DONE


def _recalculate(node: Managed, indication: Indication, request: nm.ChecksumRecalculate) -> Result:
    """Checksums are not stored here, so that they are always right."""
    return DONE if request.which in _CHECKSUMS else Refused(f"checksum {request.which}")


def _refresh(node: Managed, indication: Indication, request: nm.MemoryRefresh) -> Result:
    """Nothing fades here; pages that there are have been refreshed."""
    if request.off_chip or request.offset * _PAGE >= node.memory.base + node.memory.size:
        return Refused("no such page of memory")
    return DONE


# ---- description -----------------------------------------------------------------------------------------------------
def _piece(data: bytes, offset: int, count: int) -> Result:
    if count >= MAX_APDU:
        return _TOO_MUCH
    if offset + count > len(data):
        return Refused("beyond the end of the data")
    return nm.MemoryResponse(data=data[offset : offset + count])


def _self_identification(
    node: Managed, indication: Indication, request: nm_variables.QuerySelfIdentification
) -> Result:
    if node.variables is None:
        return Refused("no self-identification")
    result = _piece(node.variables.self_identification(), request.offset, request.count)
    if isinstance(result, nm.MemoryResponse):
        result.code = 0x32
    return result


def _install(node: Managed, indication: Indication, request: nm_variables.Install) -> Result:
    query = request.query
    if not request.subcommand:
        node.happened(Winked())
        return DONE
    if request.subcommand == 1:
        if isinstance(query, nm_variables.SendId) and query.interface:
            return Refused(f"there is no interface {query.interface}")
        configuration = node.configuration
        return nm_variables.SendIdResponse(
            unique_node_id=configuration.unique_node_id, program_id=configuration.program_id
        )
    if isinstance(query, nm_variables.VariableInfoQuery):
        variable = node.variables.info(query.index) if node.variables is not None else None
        return Refused("there is no such network variable") if variable is None else _about(variable, query)
    if isinstance(query, nm_variables.NodeInfoQuery):
        text = node.variables.self_documentation if node.variables is not None else ""
        return _text(text, query.offset, query.length) if query.information == 3 else _NO_INFORMATION
    if isinstance(query, nm_variables.CapabilityQuery):
        result = _piece(_capability(node), query.offset, query.count)
        if isinstance(result, nm.MemoryResponse):
            result.code = 0x30
        return result
    return Refused(f"subcommand {request.subcommand}")


def _text(text: str, offset: int, length: int) -> Result:
    if length > MAX_APDU - 2:
        return _TOO_MUCH
    piece = text.encode("ascii", "replace")[offset : offset + length]
    return nm_variables.TextResponse(length=len(piece), text=piece)


def _about(variable: NetworkVariable, query: nm_variables.VariableInfoQuery) -> Result:
    if query.information == 0:
        return _descriptor(variable)
    if query.information == 1 and (variable.rate or variable.maximum_rate):
        return nm_variables.RateResponse(rate=variable.rate, most_rate=variable.maximum_rate)
    if query.information == 2:
        return nm_variables.NameResponse(name=variable.name)
    if query.information == 3:
        return _text(variable.documentation, query.offset or 0, query.length or 0)
    if query.information == 4:
        return nm_variables.TypeResponse(type_index=variable.snvt)
    return _NO_INFORMATION


def _descriptor(variable: NetworkVariable) -> nm_variables.VariableDescriptor:
    return nm_variables.VariableDescriptor(
        length=nm_variables.LengthAndOrigin(origin=1, length=variable.size if variable.size < 32 else 0),
        defaults=nm_variables.DescriptorDefaults(
            service=int(variable.service),
            priority=int(variable.priority),
            authenticated=int(variable.authenticated),
            output=int(variable.output),
        ),
        attributes=nm_variables.DescriptorAttributes(
            configuration_class=int(variable.configuration_class),
            authentication_changeable=int(variable.authentication_changeable),
            priority_changeable=int(variable.priority_changeable),
            service_changeable=int(variable.service_changeable),
            offline=int(variable.offline),
            polled=int(variable.polled),
            synchronised=int(variable.synchronised),
        ),
        type_index=variable.snvt,
        extended=nm_variables.DescriptorExtended(
            name_available=1,
            documentation_available=int(bool(variable.documentation)),
            rate_available=int(bool(variable.rate)),
            most_rate_available=int(bool(variable.maximum_rate)),
        ),
    )


def _capability(node: Managed) -> bytes:
    variables = node.variables
    addresses = len(node.configuration.addresses)
    information = nm_variables.CapabilityInfo(
        text_length=len(variables.self_documentation) + 1 if variables is not None else 1,
        static_variables=variables.count if variables is not None else 0,
        domains=len(node.configuration.domains),
        addresses=addresses,
        message_tags=variables.message_tags if variables is not None else 0,
        wide_addresses=min(addresses, 0xFF),
    )
    return AliasField(aliases=variables.alias_count if variables is not None else 0).encode() + information.encode()


# ---- expanded: what the node can do, IP addresses ----------------------------------------------------------------------
def _query_version(node: Managed, indication: Indication, request: nm_expanded.QueryVersion) -> Result:
    return nm_expanded.VersionResponse(
        high=nm_expanded.CapabilitiesHigh(mode=2, announcements=int(node.address_map is not None)),
        low=nm_expanded.CapabilitiesLow(
            open_media=int(len(node.configuration.domains) == DOMAINS),
            proxy=int(node.proxy),
            phase=int(node.phase is not None),
            signal_strength=int(node.measures),
            initialise=1,
            variables_by_index=1,
        ),
    )


_NO_CARRIER = Refused("there is no carrier with IP addresses")


def _announce_device(node: Managed, indication: Indication, request: nm_expanded.AnnounceDevice) -> Result:
    """The carrier has taken the address from the packet itself."""
    return _NO_CARRIER if node.address_map is None else DONE


def _announce_subnets(node: Managed, indication: Indication, request: nm_expanded.AnnounceSubnets) -> Result:
    if node.address_map is None:
        return _NO_CARRIER
    if request.set > 1:
        return Refused(f"subnets are set (1) or cleared (0), not {request.set}")
    try:
        node.address_map.announce_subnets(indication.domain, request.numbers(), bool(request.set))
    except DecodeError as error:
        return Refused(error.message)
    return DONE


def _set_times(node: Managed, indication: Indication, request: nm_expanded.SetAnnounceTimes) -> Result:
    if node.address_map is None:
        return _NO_CARRIER
    node.announce_period_s = request.period_s
    node.address_map.age_s = float(request.age_s)
    return DONE


def _query_times(node: Managed, indication: Indication, request: nm_expanded.QueryAnnounceTimes) -> Result:
    if node.address_map is None:
        return _NO_CARRIER
    return nm_expanded.AnnounceTimesResponse(
        period_s=node.announce_period_s, age_s=min(int(node.address_map.age_s), 0xFFFFFFFF)
    )


def _query_ip_address(node: Managed, indication: Indication, request: nm_expanded.QueryIpAddress) -> Result:
    return _NO_CARRIER if node.ip_address is None else nm_expanded.IpAddressResponse(address=node.ip_address)


NODE: dict[tuple[int, int | None], Handler] = {
    (0x51, None): _query_status,
    (CLASSIC_PROXY, None): _proxied,
    (0x53, None): _clear_status,
    (0x54, None): _query_transceiver,
    (0x56, None): _query_status_flex,
    (0x57, None): _both_ways,
    (0x58, None): _compute_phase,
    (0x59, None): _full_version,
    (0x61, None): _query_id,
    (0x62, None): _respond_to_query,
    (0x6C, None): _set_mode,
    (0x6D, None): _read_memory,
    (0x6E, None): _write_memory,
    (0x6F, None): _recalculate,
    (0x70, None): _install,
    (0x71, None): _refresh,
    (0x72, None): _self_identification,
    (0x7D, None): _device_escape,
    (0x7F, None): _service_pin,
    (0x60, 0x01): _query_version,
    (0x60, 0x15): _announce_device,
    (0x60, 0x16): _announce_subnets,
    (0x60, 0x17): _set_times,
    (0x60, 0x18): _query_times,
    (0x60, 0x19): _query_ip_address,
}
"""Commands on the node itself, by code and subcommand."""
