"""Azure, classic and v1, and Vertex AI: the same life as anywhere else."""

import os

import openai
from support import TRAINING, check, collect, equal, fails, settle

MODELS = {
    "azure": "gpt-4o-mini-2024-07-18",
    "sweden": "gpt-4o-mini-2024-07-18",
    "vertex_ai": "gemini-2.5-flash",
}


# The dataset has a line that Gemini's format cannot carry whole.
EXTRA = {"vertex_ai": {"on_unsupported": "warn"}}


def hint(name):
    return {"custom_llm_provider": name}


@check("Vertex AI gets no line that would be learned otherwise than it says")
async def _(s):
    error = await fails(openai.BadRequestError, lambda: s.upload(TRAINING, hint("vertex_ai")))
    assert "line 45: messages[2].weight is 0" in error.message, error.message


@check("Azure and Vertex AI store files and run jobs, by id alone")
async def _(s):
    s.clouds = {}
    for name, model in MODELS.items():
        file = await s.upload(TRAINING, hint(name) | EXTRA.get(name, {}))
        equal((file.bytes, file.filename), (TRAINING.stat().st_size, "training.jsonl"))
        # Where the file is; Azure is still importing it.
        job = await settle(s.jobs.create(model=model, training_file=file.id))
        equal((job.object, job.model, job.training_file), ("fine_tuning.job", model, file.id))
        found = await settle(s.jobs.retrieve(job.id))
        equal((found.id, found.created_at), (job.id, job.created_at))
        equal((await settle(s.files.wait_for_processing(file.id))).status, "processed")
        equal((await settle(s.files.content(file.id))).content, TRAINING.read_bytes())
        events = await collect(s.jobs.list_events(job.id, limit=1))
        assert events and len({event.id for event in events}) == len(events), events
        await collect(s.jobs.checkpoints.list(job.id, limit=1))
        s.clouds[name] = (file, job)


@check("a hint keeps to one cloud, and without one all are in one list")
async def _(s):
    every_file = [file.id for file in await collect(s.files.list(limit=7))]
    every_job = [job.id for job in await collect(s.jobs.list(limit=3))]
    for ids in (every_file, every_job):
        equal(len(set(ids)), len(ids))
    for name, (file, job) in s.clouds.items():
        files = [one.id for one in await collect(s.files.list(extra_query=hint(name)))]
        jobs = [one.id for one in await collect(s.jobs.list(limit=2, extra_query=hint(name)))]
        assert file.id in files and job.id in jobs, name
        equal([one for one in every_file if one in files], files)
        equal([one for one in every_job if one in jobs], jobs)
        for other in MODELS:
            if other != name:
                call = s.jobs.retrieve
                wrong = {"custom-llm-provider": other}
                await fails(openai.NotFoundError, lambda: call(job.id, extra_headers=wrong))


@check("what a cloud lacks is refused, and what it has ended is ended")
async def _(s):
    for name, (file, job) in s.clouds.items():
        if name != "sweden":
            error = await fails(openai.BadRequestError, lambda: s.jobs.pause(job.id))
            equal(error.code, "unsupported_operation")
        equal((await settle(s.jobs.cancel(job.id, extra_body=hint(name)))).status, "cancelled")
        equal((await settle(s.files.delete(file.id))).deleted, True)
        await fails(openai.NotFoundError, lambda: s.files.retrieve(file.id))


@check("a job of Vertex AI that has succeeded tells its model, metrics and results")
async def _(s):
    job = await settle(s.jobs.retrieve(os.environ["VERTEX_JOB"]))
    equal(job.status, "succeeded")
    assert "/endpoints/" in job.fine_tuned_model, job
    events = await collect(s.jobs.list_events(job.id, limit=2))
    losses = [event.data["train_loss"] for event in events if event.type == "metrics"]
    equal(losses, [0.25, 1 / 3, 0.5, 1])
    checkpoints = await collect(s.jobs.checkpoints.list(job.id, limit=1))
    equal([checkpoint.step_number for checkpoint in checkpoints], [4, 2])
    rows = (await settle(s.files.content(job.result_files[0]))).text.splitlines()
    equal((len(rows), rows[0].split(",")[:2]), (5, ["step", "train_loss"]))
