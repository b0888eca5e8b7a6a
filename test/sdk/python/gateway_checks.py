"""What the gateway does over all backends: merged lists, deletion, errors."""

import openai
from support import LOCAL, OPENAI, TRAINING, check, collect, equal, fails, settle


@check("files.list() and jobs.list() merge all backends over many pages, none twice")
async def _(s):
    files = await collect(s.files.list(limit=3))
    ids = [file.id for file in files]
    equal(len(set(ids)), len(ids))
    assert len(ids) > 6 and {s.file.id, s.training.id} <= set(ids), ids
    times = [file.created_at for file in files]
    equal(times, sorted(times, reverse=True))
    assert [file.id for file in await collect(s.files.list())] == ids
    oldest = await collect(s.files.list(order="asc", limit=4, purpose="fine-tune"))
    equal({file.purpose for file in oldest}, {"fine-tune"})
    equal(sorted(file.created_at for file in oldest), [file.created_at for file in oldest])
    jobs = [job.id for job in await collect(s.jobs.list(limit=2))]
    equal(len(set(jobs)), len(jobs))
    assert {s.job.id, s.trained.id} <= set(jobs), jobs


@check("files.delete() deletes on the backend that has the file")
async def _(s):
    for file in (s.file, s.training):
        deleted = await settle(s.files.delete(file.id))
        equal((deleted.id, deleted.object, deleted.deleted), (file.id, "file", True))
        await fails(openai.NotFoundError, lambda: s.files.retrieve(file.id))


@check("unknown ids are OpenAI's NotFoundError")
async def _(s):
    error = await fails(openai.NotFoundError, lambda: s.files.retrieve("file-none"))
    equal((error.status_code, error.param, error.type), (404, "id", "invalid_request_error"))
    equal(error.body["message"], "No such File object: file-none")
    error = await fails(openai.NotFoundError, lambda: s.jobs.retrieve("ftjob-none"))
    equal((error.code, error.param), ("fine_tune_not_found", "fine_tune_id"))
    await fails(openai.NotFoundError, lambda: s.jobs.cancel("ftjob-none"))


@check("what a backend refuses is a BadRequestError that names the field")
async def _(s):
    for hint in (OPENAI, LOCAL):
        error = await fails(
            openai.BadRequestError,
            lambda: s.files.create(file=b"{}\n", purpose="nonsense", extra_body=hint),
        )
        equal(error.param, "purpose")
    error = await fails(
        openai.BadRequestError, lambda: s.jobs.cancel(s.trained.id, extra_body={"reason": "none"})
    )
    equal(error.param, "reason")
    hinted = {"custom_llm_provider": "nobody"}
    await fails(openai.BadRequestError, lambda: s.upload(TRAINING, hinted))
    error = await fails(
        openai.BadRequestError,
        lambda: s.client.fine_tuning.alpha.graders.validate(
            grader={"type": "python", "name": "g", "source": ""}, extra_body=LOCAL
        ),
    )
    equal(error.code, "unsupported_operation")


@check("a wrong key is an AuthenticationError")
async def _(s):
    stranger = s.client.with_options(api_key="sk-wrong")
    error = await fails(openai.AuthenticationError, lambda: stranger.files.retrieve("file-none"))
    equal((error.status_code, error.code), (401, "invalid_api_key"))


@check("every answer carries its request id, errors too")
async def _(s):
    assert (await settle(s.client.models.retrieve("tiny-lm")))._request_id.startswith("req_")
    error = await fails(openai.NotFoundError, lambda: s.files.retrieve("file-none"))
    assert error.request_id.startswith("req_"), error.request_id
