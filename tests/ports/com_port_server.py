"""A small RFC 2217 access server for tests: negotiates, obeys COM-PORT-OPTION, answers data as the toy server does.

Own implementation of the server's side (RFC 854, 856, 2217), so that the client's library is tried against another one.
"""

from __future__ import annotations

import asyncio

from tests.ports.toy import ToyServer

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
BINARY, GO_AHEAD, COM_PORT = 0, 3, 44


class ComPortServer:
    """``accepts``: False refuses COM-PORT-OPTION, as a plain telnet server does. Its attributes hold what clients set."""

    def __init__(self, *, accepts: bool = True, confirms_masks: bool = True) -> None:
        self.accepts = accepts
        self.confirms_masks = confirms_masks
        self.bauds: list[int] = []
        self.settings: dict[str, int] = {}
        self.controls: list[int] = []
        self.machine = ToyServer()
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0) -> int:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        assert self._listener is not None
        self._listener.close()
        for writer in list(self._writers):
            writer.close()
        await self._listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        agreed: set[tuple[int, int]] = (
            set()
        )  # an option that is in force is not answered again (RFC 854), or it never ends
        try:
            while True:
                byte = (await reader.readexactly(1))[0]
                if byte != IAC:
                    self._data(bytes([byte]), writer)
                    continue
                command = (await reader.readexactly(1))[0]
                if command == IAC:
                    self._data(b"\xff", writer)
                elif command in (DO, DONT, WILL, WONT):
                    option = (await reader.readexactly(1))[0]
                    known = option in (BINARY, GO_AHEAD) or (option == COM_PORT and self.accepts)
                    if (command, option) in agreed:
                        continue
                    agreed.add((command, option))
                    if command == WILL:
                        writer.write(bytes([IAC, DO if known else DONT, option]))
                    elif command == DO:
                        writer.write(bytes([IAC, WILL if known else WONT, option]))
                elif command == SB:
                    self._option(await self._until_se(reader), writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _until_se(self, reader: asyncio.StreamReader) -> bytes:
        content = bytearray()
        while True:
            byte = (await reader.readexactly(1))[0]
            if byte == IAC:
                byte = (await reader.readexactly(1))[0]
                if byte == SE:
                    return bytes(content)
            content.append(byte)

    def _option(self, content: bytes, writer: asyncio.StreamWriter) -> None:
        if not content or content[0] != COM_PORT:
            return
        command, value = content[1], content[2:]
        if command == 1:
            self.bauds.append(int.from_bytes(value, "big"))
        elif command in (2, 3, 4):
            self.settings[{2: "size", 3: "parity", 4: "stop"}[command]] = value[0]
        elif command == 5:
            self.controls.append(value[0])
        elif command in (10, 11) and not self.confirms_masks:
            return
        answer = bytes([COM_PORT, command + 100]) + value
        writer.write(bytes([IAC, SB]) + answer.replace(b"\xff", b"\xff\xff") + bytes([IAC, SE]))

    def _data(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        self.machine.receive(data, 0.0)
        writer.write(self.machine.outgoing(0.0).replace(b"\xff", b"\xff\xff"))
