"""Drives a running gateway with OpenAI's Python SDK: sync, async, or both.

Prints one line for each check, "ok ..." or "not ok ..." with the reason below it.
"""

import asyncio
import sys
import traceback

import openai
from support import KEY, URL, Shared, checks

# In this order; importing a module registers its checks.
import openai_checks  # noqa: F401
import local_checks  # noqa: F401
import cloud_checks  # noqa: F401
import gateway_checks  # noqa: F401
import transfer_checks  # noqa: F401


async def run(label, client):
    shared = Shared(label, client)
    for name, function in checks:
        try:
            await function(shared)
            print(f"ok {label}: {name}", flush=True)
        except Exception:
            reason = traceback.format_exc(limit=-4)
            print(f"not ok {label}: {name}\n{reason}", flush=True)


async def main():
    # Without /v1, as in LiteLLM's examples; a call that fails is not to be repeated unseen.
    options = {"base_url": URL, "api_key": KEY, "admin_api_key": KEY, "max_retries": 0}
    if "sync" in sys.argv[1:]:
        with openai.OpenAI(**options) as client:
            await run("python sync", client)
    if "async" in sys.argv[1:]:
        async with openai.AsyncOpenAI(**options) as client:
            await run("python async", client)


asyncio.run(main())
