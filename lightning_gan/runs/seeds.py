"""What configurations reach: mean and standard deviation over the seeds of their runs."""

import math
import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_gan.basics.plain import Plain
from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.stamped_values import (
    StampedValues,
    check_comparable,
    differing,
    history,
    torn,
)
from lightning_gan.runs.formats import Column
from lightning_gan.runs.identity import (
    SEEDS,
    configuration,
    differing_options,
    names_of,
    option,
    seeds,
    short_names,
    shown,
)
from lightning_gan.runs.listing import Run, find_runs
from lightning_gan.runs.measures import better, measure_called
from lightning_gan.runs.record import EVALUATIONS

IMAGES = "images_seen"
"""What runs of unequal length are averaged despite."""
RECIPE = "recipe"
"""What rows can be told apart by, besides options."""
MOST_DECIMALS, MOST_DIGITS = 6, 9
"""Of a mean; beyond these it is shown with an exponent."""


@dataclass(frozen=True)
class Trial:
    """A run that was measured.

    Args:
        run: The run.
        reports: Its evaluations, in the order of images seen.
    """

    run: Run
    reports: Sequence[StampedValues]

    @property
    def last(self) -> StampedValues:
        """Its last evaluation."""
        return self.reports[-1]

    @property
    def seeds(self) -> tuple[Plain, ...]:
        """All that tells it from other runs of its configuration."""
        return self.run.record.seed, *seeds(self.run.record.identity)

    def best(self, measure: str, despite: Collection[str]) -> float:
        """The best of the values that were measured like the last one; NaN if none is finite."""
        best = better(measure)
        assert best is not None
        values = [
            report.values.get(measure, math.nan)
            for report in self.reports
            if not differing(report, self.last, despite)
        ]
        return best(list(filter(math.isfinite, values)) or [math.nan])


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation of a value over seeds.

    Args:
        mean: NaN if a value is not finite, infinite beyond the numbers that a computer holds.
        std: With n - 1; None for a single value.
    """

    mean: float
    std: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Summary":
        """The summary of one value or more."""
        alone = len(values) == 1
        if not all(map(math.isfinite, values)):
            return cls(math.nan, None if alone else math.nan)
        try:
            return cls(statistics.fmean(values), None if alone else statistics.stdev(values))
        except OverflowError:
            return cls(math.inf, math.inf)

    def __str__(self) -> str:
        """Two digits of the deviation, and as many decimals of the mean."""
        if self.std is None:
            return f"{self.mean:.4g} ± -"
        if not 0 < self.std < math.inf:
            return f"{self.mean:.4g} ± {self.std:g}"
        decimals = max(1 - math.floor(math.log10(self.std)), 0)
        if decimals > MOST_DECIMALS or abs(self.mean) >= 10**MOST_DIGITS:
            return f"{self.mean:.4g} ± {self.std:.2g}"
        return f"{self.mean:.{decimals}f} ± {self.std:.{decimals}f}"


@dataclass(frozen=True)
class Row:
    """A configuration and its runs.

    Args:
        labels: What tells it from the other rows.
        trials: Its runs, one for each seed.
        last: Of their last evaluations.
        best: Of the best evaluation of each; None for a measure of which none is best.
    """

    labels: Sequence[str]
    trials: Sequence[Trial]
    last: Summary
    best: Summary | None

    @property
    def images(self) -> str:
        """Images seen, of the shortest and the longest run where these differ."""
        seen = [trial.last.images_seen for trial in self.trials]
        return " to ".join(f"{images:,}" for images in sorted({min(seen), max(seen)}))


@dataclass(frozen=True)
class SeedTable:
    """Configurations side by side.

    Args:
        titles: Of what tells the rows apart.
        measure: What was measured, by its name in the logs.
        rows: One for each configuration.
        notes: Sentences about what is not in it.
    """

    titles: Sequence[str]
    measure: str
    rows: Sequence[Row]
    notes: Sequence[str]

    def columns(self) -> list[Column]:
        """For readers: mean and deviation with the digits that mean something."""
        found = [*self._labels(), self._counts()]
        found.append(Column("images", [row.images for row in self.rows], right=True))
        found.append(Column(self.measure, [str(row.last) for row in self.rows], right=True))
        if better(self.measure) is not None:
            found.append(Column("best", [str(row.best) for row in self.rows], right=True))
        return found

    def exact_columns(self) -> list[Column]:
        """For programs: each number by itself, with all its digits, and the seeds."""
        seeds = [" ".join(str(t.run.record.seed) for t in row.trials) for row in self.rows]
        found = [*self._labels(), self._counts(), Column("seeds", seeds)]
        found.append(Column("images", [row.images.replace(",", "") for row in self.rows]))
        for title, summaries in (
            (self.measure, [row.last for row in self.rows]),
            ("best", [row.best for row in self.rows if row.best is not None]),
        ):
            if summaries:
                found.append(Column(f"{title} mean", [repr(each.mean) for each in summaries]))
                stds = ["" if each.std is None else repr(each.std) for each in summaries]
                found.append(Column(f"{title} std", stds))
        return found

    def _labels(self) -> list[Column]:
        cells = zip(*(row.labels for row in self.rows), strict=True)
        return [Column(title, list(texts)) for title, texts in zip(self.titles, cells, strict=True)]

    def _counts(self) -> Column:
        return Column("n", [str(len(row.trials)) for row in self.rows], right=True)


def seed_table(
    roots: Sequence[Path],
    by: Sequence[str] = (),
    metric: str = "fid",
    despite: Collection[str] = (),
) -> SeedTable:
    """A row for each configuration among the runs at and below some folders.

    Args:
        roots: The folders.
        by: The options that tell the rows apart, by their dotted names or the ends of these, or
            ``recipe``; all in which configurations differ where empty.
        metric: Name of a measure in the logs, or what stands before its slash.
        despite: Dotted names in the stamps that may differ, and ``images_seen``.

    Raises:
        ConfigurationError: If there is nothing to average, or if runs were not measured alike, are
            not the same configuration, or did not see the same number of images.
    """
    trials, notes = _trials(roots)
    measure = measure_called(metric, {name for trial in trials for name in trial.last.values})
    without = [trial for trial in trials if measure not in trial.last.values]
    notes += [f"{trial.run.folder} was not measured by {measure}: left out." for trial in without]
    trials = [trial for trial in trials if measure in trial.last.values]
    for trial in trials[1:]:
        names = f"{trials[0].run.folder} and {trial.run.folder}"
        check_comparable(trials[0].last, trial.last, despite, names)
    groups = _groups(trials)
    columns = _columns(groups, by)
    if by:
        _check_told_apart(groups, columns)
        notes += _hidden(groups, list(columns))
    labels = zip(*([shown(x, values) for x in values] for values in columns.values()), strict=True)
    rows = []
    for texts, group in zip(labels, groups, strict=True):
        once = _once(group.trials, notes)
        if IMAGES not in despite:
            _check_images(once)
        rows.append(_row(texts, once, measure, despite))
    return SeedTable(short_names(list(columns)), measure, rows, notes)


def _row(
    labels: Sequence[str], trials: Sequence[Trial], measure: str, despite: Collection[str]
) -> Row:
    last = Summary.of([trial.last.values[measure] for trial in trials])
    if better(measure) is None:
        return Row(labels, trials, last, None)
    return Row(labels, trials, last, Summary.of([t.best(measure, despite) for t in trials]))


@dataclass
class _Group:
    """The runs of a configuration."""

    options: Plain
    trials: list[Trial]

    @property
    def recipe(self) -> str | None:
        return self.trials[0].run.record.recipe


def _trials(roots: Sequence[Path]) -> tuple[list[Trial], list[str]]:
    """The runs that were measured, and a sentence about each other one.

    Raises:
        ConfigurationError: If there are none.
    """
    runs, notes = find_runs(roots)
    found = []
    for run in runs:
        path = run.folder / EVALUATIONS
        if any(segment.changes for segment in run.record.segments):
            notes.append(f"{run.folder} was changed on the way: left out.")
            continue
        if not path.is_file():
            notes.append(f"{run.folder} ({run.state}) has not been measured: left out.")
            continue
        try:
            found.append(Trial(run, history(path)))
            notes += filter(None, [torn(path)])
        except ConfigurationError as error:
            notes.append(f"{run.folder} is left out: {error}")
    if not found:
        places = ", ".join(map(str, roots))
        reasons = " ".join(notes) or "give the folder that fit has written to."
        raise ConfigurationError(
            f"There are no runs with evaluations at or below {places}: {reasons}"
        )
    return found, notes


def _groups(trials: Sequence[Trial]) -> list[_Group]:
    """The runs by configuration, in the order in which these are met."""
    groups: list[_Group] = []
    for trial in trials:
        options = configuration(trial.run.record.identity)
        for group in groups:
            if not differing_options([group.options, options]):
                group.trials.append(trial)
                break
        else:
            groups.append(_Group(options, [trial]))
    return groups


def _columns(groups: Sequence[_Group], by: Sequence[str]) -> dict[str, list[Plain]]:
    """What tells the rows apart: by its full name, the values of all configurations."""
    recipes = [group.recipe for group in groups]
    configurations = [group.options for group in groups]
    names = [_full_name(name, configurations) for name in by]
    if not by:
        names = differing_options(configurations)
        if len(set(recipes)) == len(recipes):
            names.insert(0, RECIPE)
    return {
        name: list(recipes) if name == RECIPE else [option(each, name) for each in configurations]
        for name in names
    }


def _full_name(name: str, configurations: Sequence[Plain]) -> str:
    """The one option that is called so, or whose dotted name ends so.

    Raises:
        ConfigurationError: If there is none, or more than one that differs.
    """
    if name == RECIPE:
        return name
    if name == "seed" or name in SEEDS:
        raise ConfigurationError(f"--by {name}: seeds are averaged over; give an option.")
    names = dict.fromkeys(known for each in configurations for known in names_of(each))
    found = [known for known in names if known == name or known.endswith(f".{name}")]
    differ = [known for known in found if _differ([option(each, known) for each in configurations])]
    for some in (found, differ):
        if len(some) == 1:
            return some[0]
    if found:
        raise ConfigurationError(f"--by {name} may be {' or '.join(differ or found)}: say which.")
    known = ", ".join(differing_options(configurations)) or "none"
    raise ConfigurationError(f"--by {name} is no option of these runs; they differ in {known}.")


def _differ(values: Sequence[Plain]) -> bool:
    return any(value != values[0] for value in values)


def _check_told_apart(groups: Sequence[_Group], columns: dict[str, list[Plain]]) -> None:
    """Refuses rows that would average several configurations.

    Raises:
        ConfigurationError: With the options in which they differ.
    """
    rows = list(zip(*columns.values(), strict=True))
    for number, row in enumerate(rows):
        same = [groups[n].options for n in range(number + 1) if rows[n] == row]
        if len(same) > 1:
            names = [
                shown(cell, column) for cell, column in zip(row, columns.values(), strict=True)
            ]
            raise ConfigurationError(
                f"Runs of {', '.join(names)} are not one configuration, but differ in "
                f"{', '.join(differing_options(same))}: give that with --by too, or fewer folders."
            )


def _hidden(groups: Sequence[_Group], names: Collection[str]) -> list[str]:
    """A sentence about differences between rows that no column shows."""
    found = [
        name
        for name in differing_options([group.options for group in groups])
        if not any(name == shown or name.startswith(f"{shown}.") for shown in names)
    ]
    return [f"The rows differ in {', '.join(found)} as well."] if found else []


def _once(trials: Sequence[Trial], notes: list[str]) -> list[Trial]:
    """Of runs with the same seeds the one that has seen most, and of these the newest."""
    same: dict[tuple[Plain, ...], list[Trial]] = {}
    for trial in trials:
        same.setdefault(trial.seeds, []).append(trial)
    kept = {seeds: max(found, key=_progress) for seeds, found in same.items()}
    notes += [
        f"{trial.run.folder} has the configuration and the seed of "
        f"{kept[trial.seeds].run.folder}, which counts in its place."
        for trial in trials
        if trial is not kept[trial.seeds]
    ]
    return list(kept.values())


def _progress(trial: Trial) -> tuple[int, str]:
    return trial.last.images_seen, trial.run.record.updated


def _check_images(trials: Sequence[Trial]) -> None:
    """Refuses to average runs of which one has seen more images.

    Raises:
        ConfigurationError: With the images of both.
    """
    few, *_, many = sorted([trials[0], *trials], key=lambda trial: trial.last.images_seen)
    if few.last.images_seen < many.last.images_seen:
        seen = (
            f"{trial.run.folder} ({trial.run.state}) {trial.last.images_seen:,}"
            for trial in (few, many)
        )
        raise ConfigurationError(
            f"Runs of one configuration were measured after different numbers of images, "
            f"{' and '.join(seen)}: let them go on, leave one out, or take the difference upon "
            f"yourself with --despite {IMAGES}."
        )
