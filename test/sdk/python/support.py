"""What the checks share: settings, helpers, and one form for the sync and the async client."""

import asyncio
import inspect
import os
import time
from pathlib import Path

URL = os.environ["GATEWAY_URL"]
KEY = os.environ["GATEWAY_KEY"]
DATASETS = Path(os.environ["DATASETS"])
TRAINING = DATASETS / "training.jsonl"
VALIDATION = DATASETS / "validation.jsonl"

OPENAI = {"custom_llm_provider": "openai"}
LOCAL = {"custom_llm_provider": "local"}

checks = []


def check(name):
    """Registers a check; they run in the order of their registration."""

    def register(function):
        checks.append((name, function))
        return function

    return register


async def settle(result):
    """What the sync client returns and the async client promises."""
    return await result if inspect.isawaitable(result) else result


async def collect(pages):
    """All items of all pages; the SDK fetches the next page by itself."""
    if hasattr(pages, "__aiter__"):
        return [item async for item in pages]
    return list(pages)


async def fails(error_class, call):
    """The error of a call that must fail with `error_class`."""
    try:
        await settle(call())
    except error_class as error:
        return error
    raise AssertionError(f"{error_class.__name__} was not raised")


def equal(found, expected):
    assert found == expected, f"found {found!r}, expected {expected!r}"


class Shared:
    """The client, and what earlier checks have made."""

    def __init__(self, label, client):
        self.label = label
        self.client = client
        self.files = client.files
        self.jobs = client.fine_tuning.jobs

    async def upload(self, path, hint):
        with open(path, "rb") as file:
            return await settle(
                self.files.create(file=file, purpose="fine-tune", extra_body=hint)
            )

    async def seeded(self, stage):
        """The job that the account holds for this client, by its metadata."""
        query = {"metadata": {"client": self.label, "stage": stage}}
        (job,) = await collect(self.jobs.list(extra_query=query))
        return job

    async def wait_for(self, job_id, *statuses):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            job = await settle(self.jobs.retrieve(job_id))
            if job.status in statuses:
                return job
            assert job.status not in ("failed", "cancelled", "succeeded"), job
            await asyncio.sleep(0.1)
        raise AssertionError(f"{job_id} is still {job.status}")
