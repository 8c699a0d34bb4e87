#!/usr/bin/env bash
# Expected: a tool that returns numbers, annotated as floats, delivers NaN to the client, or the server refuses it.
# Happens:  the server sends the answer, with a bare NaN in the text and null in the structured part; the client then
#           checks the structured part against the schema that the server made of the annotation, where null is not a
#           number. The call raises, and the whole answer is lost, the text included. With structured_output=False the
#           same answer arrives.
# Versions: mcp 2.3.0, Python 3.11.
# Hence:    the tools of tb2csv return text without a schema, in which NaN is a string.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet mcp==2.3.0 mcp-types==2.3.0 pydantic==2.14.4
"$work/venv/bin/python" - <<'PYTHON'
import asyncio
import math

from mcp import Client
from mcp.server import MCPServer

server = MCPServer("losses", log_level="CRITICAL")


def losses() -> list[float]:
    return [0.5, math.nan]


server.add_tool(losses, name="structured")
server.add_tool(losses, name="text_only", structured_output=False)


async def call(name: str) -> str:
    async with Client(server) as client:
        try:
            result = await client.call_tool(name)
        except Exception as error:
            return f"{type(error).__name__}: {str(error).splitlines()[0]}"
        return f"arrives: {[content.text for content in result.content]}, structured {result.structured_content}"


structured, text_only = asyncio.run(call("structured")), asyncio.run(call("text_only"))
print("with a schema:   ", structured)
print("without a schema:", text_only)
raise SystemExit(structured.startswith("arrives") or not text_only.startswith("arrives"))
PYTHON
