"""Command: put a course that somebody packed in place."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlx_tutor.commands.options import common_options
from mlx_tutor.stages.job import Options, adapt_hints, open_screen

if TYPE_CHECKING:
    from mlx_tutor.bundle.manifest import Manifest


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", metavar="FILE", type=click.Path(path_type=Path), help="Only if this public key signed it.")
@click.option("--as", "name", metavar="NAME", help="Name of course and run here; default: as they were packed.")
@click.option("--replace", is_flag=True, help="Renew a course that was opened before; conversations and quiz stay.")
@common_options("json")
def command(options: Options, file: Path, key: Path | None, name: str | None, replace: bool) -> None:
    """Open a course that somebody packed.

    FILE is what `mlx-tutor pack` wrote. Every file in it is compared with its hash first, and what was changed, added,
    cut off or is missing is named; then nothing is put in place. Needs no network.

    Writes corpora/COURSE, adapters/RUN and fused_models/RUN in this workspace, which is the nearest folder with
    corpora/ at or above this one, else this one.

    Example: mlx-tutor open statistics.tutor --key course-key.pub
    """
    screen = open_screen(options)

    from mlx_tutor.bundle.archive import open_bundle
    from mlx_tutor.bundle.place import Target, place_bundle
    from mlx_tutor.bundle.signing import check_signer, read_public_key
    from mlx_tutor.workspace import Course, Run, check_name, find_workspace

    trusted = None if key is None else read_public_key(key)
    workspace = find_workspace()
    with open_bundle(file) as bundle:
        manifest = bundle.manifest
        if trusted is not None:
            check_signer(file, bundle.signed_by, trusted)
        chosen = check_name(name or manifest.course)
        target = Target(Course(workspace, chosen), Run(workspace, chosen if name else manifest.run))
        with screen.follow(f"opening {file.name}") as on_progress:
            place_bundle(bundle, target, on_progress, replace=replace, is_trusted=trusted is not None)
    found: dict[str, Any] = {
        "course": target.course.name,
        "run": target.run.name,
        "folder": str(target.course.root),
        "fused": manifest.fused,
        "base": manifest.base,
        "sources": manifest.sources,
        "signed_by": bundle.signed_by,
        "key_checked": trusted is not None,
        "files": len(manifest.files),
        "bytes": manifest.size,
        "versions": manifest.versions,
    }
    if options.json:
        screen.give_json(found)
        return
    screen.show(f"Course {target.course.name} is in {target.course.root}: {found['files']} files, all as packed")
    screen.show(describe_signature(bundle.signed_by, is_checked=trusted is not None))
    if not manifest.fused:
        screen.show(adapt_hints(describe_base(manifest, target.run)))
    asked = f"mlx-tutor ask -c {target.course.name} {'' if manifest.fused else f'--adapter {target.run.name} '}"
    screen.show(adapt_hints(f'Then: {asked}"..."   or: mlx-tutor serve -c {target.course.name}'))


def describe_signature(signed_by: str | None, *, is_checked: bool) -> str:
    """Who signed it, and what that is worth."""
    if signed_by is None:
        return "Not signed: anybody may have packed it."
    if is_checked:
        return f"Signed by {signed_by}, the key that you named."
    return f"Signed by {signed_by}. Compare that with what your lecturer says, or name their key with --key."


def describe_base(manifest: "Manifest", run: Any) -> str:
    """Which base an adapter needs, and how to get it."""
    from mlx_tutor.errors import ModelError
    from mlx_tutor.models import RESERVED, hash_model, resolve_model

    name = manifest.base
    try:
        if hash_model(resolve_model(name)) == manifest.base_sha256:
            return f"Its base, {name}, is on this machine."
        problem = f"{name} on this machine is another one than it was trained on"
    except ModelError:
        problem = f"its base, {name}, is not on this machine"
    if name in RESERVED or "/" in name:
        return f"The adapter alone is in it, and {problem}. Fetch it once: mlx-tutor pull {name}"
    return (
        f"The adapter alone is in it, and {problem}. Ask who packed it for that model folder, then: "
        f"mlx-tutor ask --adapter {run.name} --set model.base=FOLDER"
    )
