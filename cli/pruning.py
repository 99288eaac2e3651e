"""What ``haloflow db upload`` and ``haloflow db prune`` do and print."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ..dashboard.wording import size_text
from ..stores.connection import open_store
from ..stores.retention import Retention, plan_retention, recorded_rules
from ..stores.trajectory_places import forget_place, use_place
from ..stores.uploading import upload_files
from ..workflows.pruning import find_strays, prune
from .bars import progress_bars
from .console import console, table
from .stores import store_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..stores.retention import Release, RetentionPlan
    from ..workflows.pruning import Pruned

_ANY_TIME_S = 7 * 86400.0


def upload_to(store: str | None, to: str | None) -> bool:
    """Send this machine's files to the place of the store; return whether all were whole."""
    place = store_uri(store)
    if to is not None:
        with open_store(place, must_exist=True) as opened:
            use_place(opened, to)
    with open_store(place, must_exist=True) as opened, progress_bars() as report:
        done = upload_files(opened, report)
        name = "" if opened.files.target is None else opened.files.target.name
    out = console()
    out.print(
        f"{done.n_sent} files sent to {name} ({size_text(done.n_bytes)}), "
        f"{done.n_there} there already"
    )
    if done.n_elsewhere:
        out.print(f"{done.n_elsewhere} files are neither there nor on this machine.")
    for path, why in done.failures.items():
        out.print(Text(f"{path}: ", style="red") + Text(why))
    return not done.failures


def forget(store: str | None, place: str) -> None:
    """Let the store look in a place no more."""
    with open_store(store_uri(store), must_exist=True) as opened:
        forget_place(opened, place)
        left = [one.name for one in opened.files.places]
    console().print(Text(f"{place} is forgotten; places now: {', '.join(left) or 'none'}"))


def prune_store(store: str | None, asked: Mapping[str, Any], *, apply: bool) -> None:
    """Release by the rules `asked` for, else by those of the sweeps; or say what would go."""
    rules = Retention(**asked)
    chosen = None if rules.keeps_all else rules
    place = store_uri(store)
    if apply:
        with open_store(place, must_exist=True) as opened, progress_bars() as report:
            _show_rules(chosen, recorded_rules(opened))
            done = prune(opened, chosen, report)
        _show_plan(done.plan)
        _show_done(done)
        return
    with open_store(place, read_only=True, timeout_s=_ANY_TIME_S) as opened:
        _show_rules(chosen, recorded_rules(opened))
        plan = plan_retention(opened, chosen)
        strays, left = find_strays(opened)
    _show_plan(plan)
    if strays:
        size = size_text(sum(strays.values()))
        console().print(f"{len(strays)} files of lost or superseded savings would go ({size}).")
    _show_left(left)
    if plan.releases or strays:
        console().print("Nothing was changed. To do it, the same with --apply.")


def _show_rules(chosen: Retention | None, recorded: Mapping[str, Retention]) -> None:
    out = console()
    if chosen is None and not recorded:
        out.print("No sweep has rules, and none were given: everything is kept.")
    elif chosen is None:
        out.print(f"Rules of the sweeps {', '.join(sorted(recorded))}; other runs are kept.")


def _show_plan(plan: RetentionPlan) -> None:
    out = console()
    by_rule: dict[str, list[Release]] = defaultdict(list)
    for one in plan.releases:
        by_rule[one.rule].append(one)
    if by_rule:
        made = table("rule", "runs", "files", "size")
        for rule, parts in by_rule.items():
            runs = {part.identity for part in parts}
            n_files, n_bytes = sum(p.n_files for p in parts), sum(p.n_bytes for p in parts)
            made.add_row(rule, str(len(runs)), str(n_files), size_text(n_bytes))
        out.print(made)
    else:
        out.print("There is nothing to release.")
    out.print(f"{size_text(plan.n_bytes_kept)} of trajectories stay.")
    if plan.n_unfinished:
        out.print(f"{plan.n_unfinished} runs are of candidates that are not complete: untouched.")


def _show_done(done: Pruned) -> None:
    out = console()
    out.print(f"{done.n_files} files deleted ({size_text(done.n_bytes)}); documents say why.")
    if done.n_shared:
        out.print(f"{done.n_shared} files stay: other documents have the same content.")
    if done.n_strays:
        size = size_text(done.n_stray_bytes)
        out.print(f"{done.n_strays} files of lost or superseded savings deleted ({size}).")
    _show_left(done.left)
    for identity, why in done.failures.items():
        out.print(Text(f"{identity[:12]}: ", style="red") + Text(why))


def _show_left(left: Mapping[str, str]) -> None:
    for place, why in left.items():
        console().print(Text(f"nothing is deleted in {place}: ", style="yellow") + Text(why))
