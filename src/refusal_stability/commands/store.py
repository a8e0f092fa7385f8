"""Commands on the store of completions: check all of it, and mend a damaged one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refusal_stability.files import STORE

app = typer.Typer(help="The store of completions already paid for: check it, mend it.", no_args_is_help=True)
Path_ = Annotated[Path, typer.Option("--store", help="The store's file.")]


@app.command()
def check(store: Path_ = STORE) -> None:
    """Read every row of the store and compare its checksum. Damaged rows are generated again when they are needed."""
    from refusal_stability.engines.store_check import check_store
    from refusal_stability.engines.store_file import MEND, StoreError

    found = check_store(store)
    if found.pages is not None:
        raise StoreError(f"{store}: damaged ({found.pages}); {MEND}")
    if found.damaged or found.sessions:
        raise StoreError(
            f"{store}: {len(found.damaged):,} of {found.whole + len(found.damaged):,} completions and {found.sessions} "
            "records of speed are damaged; the completions are generated again when they are needed, or dropped by "
            "`refusal-stability store mend`"
        )
    print(f"{store}: all {found.whole:,} completions are as they were written")


@app.command()
def mend(store: Path_ = STORE) -> None:
    """Keep every row that is as it was written, in a new file. The damaged file stays beside it."""
    from refusal_stability.engines.store_check import mend_store

    kept, aside = mend_store(store)
    print(f"{store}: {kept:,} completions kept; the damaged file is {aside}, which you can delete")
