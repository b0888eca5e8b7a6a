"""The local backend, which trains for real."""

import re

import openai
from support import LOCAL, TRAINING, VALIDATION, check, collect, equal, fails, settle


@check("a job on the local backend trains and succeeds")
async def _(s):
    s.training = await s.upload(TRAINING, LOCAL)
    validation = await s.upload(VALIDATION, LOCAL)
    job = await settle(
        s.jobs.create(
            model="tiny-lm",
            training_file=s.training.id,
            validation_file=validation.id,
            suffix="brook",
            hyperparameters={"n_epochs": 2, "batch_size": 4},
            metadata={"client": s.label},
        )
    )
    assert job.status in ("validating_files", "queued", "running"), job.status
    s.trained = await s.wait_for(job.id, "succeeded")
    assert re.fullmatch(r"ft:tiny-lm:local:brook:\w{8}", s.trained.fine_tuned_model), s.trained
    assert s.trained.trained_tokens > 0 and s.trained.finished_at >= s.trained.created_at


@check("its events, checkpoints and results are those of a real training")
async def _(s):
    events = await collect(s.jobs.list_events(s.trained.id, limit=5))
    equal(len({event.id for event in events}), len(events))
    equal(events[0].message, "The job has successfully completed")
    losses = [event.data["train_loss"] for event in events if event.type == "metrics"]
    equal(len(losses), 24)
    assert losses[0] < losses[-1], losses
    checkpoints = await collect(s.jobs.checkpoints.list(s.trained.id, limit=1))
    equal([checkpoint.step_number for checkpoint in checkpoints], [24, 12])
    assert checkpoints[0].metrics.full_valid_loss > 0
    rows = (await settle(s.files.content(s.trained.result_files[0]))).text.splitlines()
    equal(rows[0].split(",")[:3], ["step", "train_loss", "train_accuracy"])
    equal(len(rows), 25)


@check("a local job is paused, resumed and cancelled")
async def _(s):
    job = await settle(
        s.jobs.create(
            model="tiny-lm", training_file=s.training.id, hyperparameters={"n_epochs": 50}
        )
    )
    await s.wait_for(job.id, "running")
    equal((await settle(s.jobs.pause(job.id))).status, "paused")
    assert (await settle(s.jobs.resume(job.id))).status in ("queued", "running")
    equal((await settle(s.jobs.cancel(job.id, extra_body=LOCAL))).status, "cancelled")


@check("a dataset that is too small makes no job, and the error has OpenAI's code")
async def _(s):
    lines = TRAINING.read_bytes().splitlines(keepends=True)[:9]
    file = await settle(
        s.files.create(
            file=("few.jsonl", b"".join(lines)), purpose="fine-tune", extra_body=LOCAL
        )
    )
    error = await fails(
        openai.BadRequestError,
        lambda: s.jobs.create(model="tiny-lm", training_file=file.id),
    )
    equal((error.code, error.param), ("invalid_n_examples", "training_file"))
