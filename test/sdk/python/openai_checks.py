"""The OpenAI backend."""

import hashlib

from support import LOCAL, OPENAI, TRAINING, check, collect, equal, settle

MODEL = "gpt-4.1-mini-2025-04-14"
GRADER = {
    "type": "string_check",
    "name": "exact",
    "input": "{{sample.output_text}}",
    "reference": "4",
    "operation": "eq",
}


@check("files.create() with extra_body stores a file on OpenAI")
async def _(s):
    s.file = await s.upload(TRAINING, OPENAI)
    equal(s.file.bytes, TRAINING.stat().st_size)
    equal((s.file.object, s.file.filename, s.file.purpose), ("file", "training.jsonl", "fine-tune"))
    equal(hasattr(s.file, "custom_llm_provider"), False)


@check("files.wait_for_processing() ends")
async def _(s):
    file = await settle(s.files.wait_for_processing(s.file.id))
    equal((file.id, file.status), (s.file.id, "processed"))


@check("files.content() gives the very bytes back")
async def _(s):
    content = await settle(s.files.content(s.file.id))
    equal(content.content, TRAINING.read_bytes())


@check("files.create() takes expires_after, and bytes without a name")
async def _(s):
    expiry = {"anchor": "created_at", "seconds": 3600}
    content = b'{"a":"\xc3\xa9"}\n'
    for hint in (OPENAI, LOCAL):
        file = await settle(
            s.files.create(file=content, purpose="user_data", expires_after=expiry, extra_body=hint)
        )
        equal(file.expires_at, file.created_at + 3600)
        equal((await settle(s.files.content(file.id))).content, content)


@check("jobs.create() with extra_body starts a job on OpenAI, every field kept")
async def _(s):
    hyperparameters = {"n_epochs": 2, "batch_size": "auto", "learning_rate_multiplier": 0.5}
    method = {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}
    wandb = {"type": "wandb", "wandb": {"project": "brook", "tags": ["a", "b"]}}
    s.job = await settle(
        s.jobs.create(
            model=MODEL,
            training_file=s.file.id,
            validation_file=s.file.id,
            suffix="brook",
            seed=7,
            method=method,
            metadata={"client": s.label, "stage": "created"},
            integrations=[wandb],
            extra_body=OPENAI,
        )
    )
    equal((s.job.object, s.job.model, s.job.seed), ("fine_tuning.job", MODEL, 7))
    equal((s.job.training_file, s.job.validation_file), (s.file.id, s.file.id))
    equal(s.job.method.to_dict(), method)
    equal(s.job.metadata, {"client": s.label, "stage": "created"})
    equal(s.job.integrations[0].to_dict()["wandb"]["tags"], ["a", "b"])
    equal(s.job.user_provided_suffix, "brook")


@check("jobs.create() without a hint goes where its file lives")
async def _(s):
    job = await settle(s.jobs.create(model=MODEL, training_file=s.file.id))
    assert job.id in [one.id for one in await collect(s.jobs.list(extra_query=OPENAI))]


@check("jobs.list() with extra_query lists one backend's jobs, page after page")
async def _(s):
    jobs = await collect(s.jobs.list(limit=2, extra_query=OPENAI))
    assert len(jobs) > 2, jobs
    equal(len({job.id for job in jobs}), len(jobs))
    equal({job.organization_id for job in jobs}, {"org-fake"})
    assert s.job.id in [job.id for job in jobs]


@check("jobs.list() filters by metadata")
async def _(s):
    equal((await s.seeded("created")).id, s.job.id)


@check("jobs.cancel() with extra_body cancels, without a body too")
async def _(s):
    equal((await settle(s.jobs.cancel(s.job.id, extra_body=OPENAI))).status, "cancelled")
    queued = await s.seeded("queued")
    equal((await settle(s.jobs.cancel(fine_tuning_job_id=queued.id))).status, "cancelled")


@check("jobs.pause() and jobs.resume() reach OpenAI")
async def _(s):
    running = await s.seeded("running")
    equal((await settle(s.jobs.pause(running.id))).status, "paused")
    equal((await settle(s.jobs.resume(running.id, extra_body=OPENAI))).status, "queued")


@check("jobs.list_events() and jobs.checkpoints.list() page through OpenAI's")
async def _(s):
    job = await s.seeded("succeeded")
    events = await collect(s.jobs.list_events(job.id, limit=5))
    equal(len({event.id for event in events}), len(events))
    equal(events[0].message, "The job has successfully completed")
    equal(events[-1].message, f"Created fine-tuning job: {job.id}")
    checkpoints = await collect(s.jobs.checkpoints.list(job.id, limit=1))
    equal([checkpoint.step_number for checkpoint in checkpoints], [9, 6, 3])
    result = await settle(s.files.content(job.result_files[0]))
    assert result.text.startswith("step,train_loss,"), result.text


@check("uploads in parts become one file, on OpenAI and where the gateway assembles them")
async def _(s):
    content = TRAINING.read_bytes()
    address = str(s.client.base_url)
    for client in (s.client, s.client.with_options(base_url=address.replace("/v1", "/local/v1"))):
        upload = await settle(
            client.uploads.upload_file_chunked(
                file=TRAINING,
                mime_type="text/jsonl",
                purpose="fine-tune",
                part_size=len(content) // 3,
                md5=hashlib.md5(content).hexdigest(),
            )
        )
        equal((upload.status, upload.file.bytes), ("completed", len(content)))
        equal((await settle(s.files.content(upload.file.id))).content, content)


@check("uploads.cancel() cancels")
async def _(s):
    upload = await settle(
        s.client.uploads.create(
            bytes=9, filename="a.jsonl", mime_type="text/jsonl", purpose="fine-tune"
        )
    )
    equal((await settle(s.client.uploads.cancel(upload.id))).status, "cancelled")


@check("checkpoints.permissions and graders reach OpenAI")
async def _(s):
    permissions = s.client.fine_tuning.checkpoints.permissions
    model = f"ft:{MODEL}:fake:{s.label.replace(' ', '-')}:12345678"
    created = await collect(permissions.create(model, project_ids=["proj_a", "proj_b"]))
    listed = await collect(permissions.list(model, limit=1))
    equal({one.id for one in listed}, {one.id for one in created})
    deleted = await settle(
        permissions.delete(created[0].id, fine_tuned_model_checkpoint=model)
    )
    equal(deleted.deleted, True)
    graders = s.client.fine_tuning.alpha.graders
    equal((await settle(graders.validate(grader=GRADER))).grader.name, "exact")
    graded = await settle(graders.run(grader=GRADER, model_sample="4", item={"answer": 4}))
    equal(graded.reward, 1.0)


@check("models.list() names the backend of each model, models.retrieve() finds it")
async def _(s):
    owners = {model.id: model.owned_by for model in await collect(s.client.models.list())}
    equal((owners[MODEL], owners["tiny-lm"]), ("openai", "local"))
    equal((await settle(s.client.models.retrieve("tiny-lm"))).owned_by, "local")
