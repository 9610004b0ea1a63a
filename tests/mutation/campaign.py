"""Tries a sample of mutants, several at a time, and writes each result down as it comes."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from .operators import Mutant
from .trial import Result, Stage, limit_resources, record_of, result_of, try_mutant


def known_results(path: Path) -> dict[str, Result]:
    """Return the results in a file by key, none where there is no file."""
    if not path.is_file():
        return {}
    lines = path.read_text().splitlines()
    return {result.key: result for result in map(result_of, map(json.loads, lines))}


def try_all(mutants: Iterable[Mutant], stage: Stage, jobs: int, path: Path) -> Iterator[Result]:
    """Try every mutant that has no result at `path` yet; yield results as they come.

    Results that are there are yielded first.
    """
    wanted = list(mutants)
    known = known_results(path)
    yield from (known[mutant.key] for mutant in wanted if mutant.key in known)
    left = [mutant for mutant in wanted if mutant.key not in known]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, limit_resources) as pool, path.open("a") as file:
        waiting = [pool.submit(partial(try_mutant, mutant, stage)) for mutant in left]
        try:
            for future in as_completed(waiting):
                result = future.result()
                file.write(json.dumps(record_of(result)) + "\n")
                file.flush()
                yield result
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
