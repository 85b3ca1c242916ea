"""Command: serve the tutor as a local web page."""

import signal
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mlx_tutor.commands.options import common_options, model_options
from mlx_tutor.errors import ServeError, TutorError
from mlx_tutor.stages.ask import warn_changes
from mlx_tutor.stages.choose import choose_model, find_model_pair, list_models, pick_model
from mlx_tutor.stages.exam import run_exam
from mlx_tutor.stages.job import Job, Options, adapt_hints, open_job, open_screen
from mlx_tutor.stages.prompts import list_prompts
from mlx_tutor.study.exam.offline import prepare_offline
from mlx_tutor.workspace import Run, find_run, find_workspace, list_own_courses, list_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlx_tutor.display import Screen
    from mlx_tutor.records import ModelSpec
    from mlx_tutor.study.web.model_worker import ModelWorker
    from mlx_tutor.study.web.site import Rating, Site

T = TypeVar("T")
# Packages of the extra `web`.
WEB_PACKAGES = ("gradio", "fastapi", "starlette", "uvicorn")


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="0: a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Let other machines in at this address.")
@click.option("--password", envvar="MLX_TUTOR_PASSWORD", metavar="TEXT", help="Asked for, with any user name.")
@click.option("--share", is_flag=True, help="Public link through Gradio's servers; needs a password.")
@click.option("--exam", is_flag=True, help="Exam mode: offline, with a record of every question and answer.")
@click.option("--allow-upload", is_flag=True, help="With --host or --share: let visitors add files to the course.")
@click.option("--ab", metavar="RUN", help="Let this run answer half of the conversations, by chance.")
@model_options("Serve")
@common_options("course", "run", "overrides")
def command(
    options: Options,
    port: int,
    host: str,
    password: str | None,
    share: bool,
    exam: bool,
    allow_upload: bool,
    ab: str | None,
    no_search: bool,
    base: bool,
    adapter: str | None,
) -> None:
    """Serve the tutor as a web page on this machine.

    Reads what chat reads; writes corpora/NAME/index.sqlite and, for conversations, counts, thumbs, ratings and exams,
    corpora/NAME/journal.sqlite. Nothing is fetched from elsewhere. The same address is an OpenAI-compatible API, under
    /v1. Without -c, all your courses are served, each with a page and conversations of its own, and one model at a time
    is in memory. The Course tab adds files to corpora/NAME/sources: with --host or --share only if --allow-upload is
    given. With --ab RUN, two runs are in memory, each conversation gets one of them, and mlx-tutor monitor tells how
    they are judged. With --exam, there are only the chat and the course, and the record of the exam. Ctrl-C ends.

    Example: mlx-tutor serve
    """
    if exam:
        prepare_offline()
    # A run is of one course, and so is an exam.
    alone = exam or bool(options.course or options.run or adapter or ab)
    jobs = [open_job(options)] if alone else open_jobs(options)
    screen = jobs[0].screen
    serve = import_serve()
    serve.check_exposure(host, password, share, exam, allow_upload)
    if exam and ab is not None:
        raise ServeError("An exam has one model: start it without --ab.")
    with ExitStack() as stack:
        listening = stack.enter_context(serve.open_socket(host, port))
        access = serve.AccessRules(host, listening.getsockname()[1], password)
        if exam:
            from mlx_tutor.study.exam.mode import check_ready

            check_ready(jobs[0].course, jobs[0].recipe, fused=not base and adapter is None, search=not no_search)
        sites = build_sites(jobs, stack, base=base, adapter=adapter, search=not no_search, exam=exam, ab=ab)
        is_shared = share or not serve.is_loopback(host)
        takes_files = not exam and (allow_upload or not is_shared)
        sites = [replace(site, is_shared=is_shared, takes_files=takes_files) for site in sites]
        with screen.wait("drawing the page"):
            app = serve.make_app(sites, access)
        address = serve.open_tunnel(access) if share else serve.write_address(host, access.port)
        for site in sites:
            by = f"{site.trial.first} and {site.trial.second} by chance" if site.trial else site.label
            screen.show(f"{by} on {site.course.name}: {address}{site.root}{'/' if site.root else ''}")
        screen.say(f"{'' if exam else describe_api(sites, address)}Ctrl-C ends.")
        # SIGTERM ends the server as Ctrl-C does, and closes the record of an exam.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            serve.make_server(app).run(sockets=[listening])
        screen.say("\nStopped.")


def open_jobs(options: Options) -> list[Job]:
    """All courses of the workspace, or the only one; one whose recipe cannot be read is named and left out.

    Raises:
        TutorError: no course, or none that can be served.
    """
    names = [course.name for course in list_own_courses(find_workspace())]
    if len(names) < 2:
        return [open_job(options)]
    return try_each(open_screen(options), names, lambda name: open_job(replace(options, course=name)))


def try_each(screen: "Screen", names: Sequence[str], make: "Callable[[str], T]") -> "list[T]":
    """What `make` gives for each course; one that cannot be served is named with its reason, and left out.

    Raises:
        ServeError: there is none left.
    """
    made = []
    for name in names:
        try:
            made.append(make(name))
        except TutorError as err:
            screen.warn(adapt_hints(f"Course {name!r} is not served: {err}"))
    if not made:
        raise ServeError("No course can be served; the reasons stand above.")
    return made


def describe_api(sites: "Sequence[Site]", address: str) -> str:
    """Where other programs find the models, and what they are called."""
    if len(sites) > 1:
        return f"OpenAI-compatible API: {address}/v1, with a model for each course. "
    course = f", from the course {sites[0].label + '+course'!r}" if sites[0].search else ""
    return f"OpenAI-compatible API: {address}/v1, model {sites[0].label!r}{course}. "


def import_serve() -> Any:
    """The server's module; raises ServeError where its packages are not installed."""
    try:
        from mlx_tutor.study.web import server as serve
    except ModuleNotFoundError as err:
        if (err.name or "").partition(".")[0] not in WEB_PACKAGES:
            raise
        raise ServeError(f"The web page needs {err.name}. Install it with: pip install 'mlx-tutor[web]'") from err
    return serve


def build_sites(jobs: Sequence[Job], stack: ExitStack, **options: Any) -> "list[Site]":
    """The sites of all courses, with one model in memory; raises TutorError as `build_site`, when none is left."""
    if len(jobs) == 1:
        return [build_site(jobs[0], stack, **options)]
    by_name, made = {job.course.name: job for job in jobs}, list["Site"]()

    def build(name: str) -> "Site":
        made.append(build_site(by_name[name], stack, **options, beside=made[0].worker if made else None))
        return made[-1]

    sites = try_each(jobs[0].screen, list(by_name), build)
    names = tuple(site.course.name for site in sites)
    return [replace(site, courses=names) for site in sites] if len(sites) > 1 else sites


def build_site(
    job: Job,
    stack: ExitStack,
    *,
    base: bool,
    adapter: str | None,
    search: bool,
    exam: bool,
    ab: str | None = None,
    beside: "ModelWorker | None" = None,
) -> "Site":
    """Load the model and begin the exam, if it is one; both end with `stack`.

    `beside` the worker of another course, the model is loaded when it is first asked.

    Raises:
        TutorError: model or course are not there, or the exam cannot start.
    """
    from mlx_tutor.models import is_starter, load_spec
    from mlx_tutor.study.monitor.trial import Trial
    from mlx_tutor.study.search.index import open_index
    from mlx_tutor.study.web.model_worker import ModelWorker
    from mlx_tutor.study.web.site import Site

    if search:
        open_index(job.course, job.recipe).close()
        warn_changes(job)
    model = choose_model(job, base, adapter)
    other = find_other(job, model, adapter, ab) if ab is not None else None
    others = {other.label: lambda: load_spec(other)} if other else {}
    same = (model.path, model.adapter, model.thinking)
    worker = ModelWorker(lambda: load_spec(model), others, model=same, beside=beside)
    if beside is None:
        stack.callback(worker.close)
        with job.screen.wait(f"loading {model.label}"):
            warm_up(worker, *others)
    record = stack.enter_context(run_exam(job, model, search=search)) if exam else None
    rating = None if exam else find_rating(job)
    starter = is_starter(model.path)
    trial = Trial(model.label, other.label) if other else None
    place = (job.course, job.recipe, model.label, worker, lambda: find_models(job))
    return Site(*place, search, rating, record, starter, trial)


def find_other(job: Job, model: "ModelSpec", adapter: str | None, name: str) -> "ModelSpec":
    """The run of --ab: its fused model, or its adapter while it is not fused.

    Raises:
        TutorError: no such run, the one that is served anyway, or a run of another course.
    """
    run = find_run(job.course, name)
    for each in (run, *(find_run(job.course, other) for other in (job.options.run, adapter) if other)):
        course = each.read().get("course")
        if course != job.course.name:
            raise ServeError(
                f"Run {each.name!r} is of course {course!r}, and the page of {job.course.name!r}: --ab compares two "
                "runs of one course."
            )
    if run.name in (model.label, adapter):
        raise ServeError(f"Run {name!r} answers already. Name another one with --ab, or serve another with --run.")
    return replace(pick_model(job, run, "fused" if run.is_fused else "adapter"), label=run.name)


def warm_up(worker: "ModelWorker", *others: str) -> None:
    """Load all models now, so that a problem is one line."""
    for name in ("", *others):
        worker.submit(lambda task, name=name: worker.take_model(name)).take()  # type: ignore[misc]


def find_compared(job: Job) -> Run:
    """The named run, else the newest fused one, else the newest; raises TutorError when there is none."""
    fused = [run for run in list_runs(job.course) if run.is_fused]
    return fused[-1] if fused and job.options.run is None else find_run(job.course, job.options.run)


def find_models(job: Job) -> "list[ModelSpec]":
    """Whom the page compares: base, adapter and fused.

    Raises:
        TutorError: no such run.
        ModelError: it is not fused, or has another base.
    """
    return list_models(job, find_compared(job), ("adapter",))


def find_rating(job: Job) -> "Rating | None":
    """What the page rates; None before the first run."""
    from mlx_tutor.evaluation.rate import check_criteria, prepare_pairs
    from mlx_tutor.study.web.site import Rating

    if not list_runs(job.course):
        return None
    run = find_compared(job)

    def prepare(on_progress: "Callable[[str, int, int], None]") -> int:
        return prepare_pairs(job.course, find_model_pair(job, run), list_prompts(job, "course", None), on_progress)

    return Rating(run.name, check_criteria(job.recipe.rate.criteria), prepare)
