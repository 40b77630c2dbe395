"""An audit as a text of at most a screen."""

from typing import TYPE_CHECKING

from .names import one_line
from .tables import class_counts, class_order, confusion_counts, most_confused_with

if TYPE_CHECKING:
    from .label_audit import LabelAudit

# rows of each table, so that 24 lines of 80 characters hold it all
_ROWS = 4
_NAME_LENGTH = 22


def report(audit: "LabelAudit") -> str:
    """The text; ``LabelAudit.report`` describes it."""
    lines = [
        findings(audit),
        "",
        "How to go on",
        '  audit.to_html("audit.html")    look at them, tick them, download the ticks',
        '  audit.apply("verdicts.csv")    the audit with these ticks',
        '  audit.cleaned("drop")          labels and a mask to train on',
    ]
    return "\n".join(lines)


def findings(audit: "LabelAudit") -> str:
    """What was found, without how to go on."""
    lines = [
        f"Label audit: {_number(len(audit.labels), 'sample')} "
        f"in {_number(len(audit.class_names), 'class', 'classes')}",
        *_summary(audit),
        *_worst_classes(audit),
        *_confused_pairs(audit),
    ]
    return "\n".join(lines)


def _summary(audit: "LabelAudit") -> list[str]:
    low, high = audit.noise_rate_interval
    doubted, judged = int(audit.is_doubted.sum()), int(audit.is_judged.sum())
    share = f" ({doubted / judged:.1%})" if judged else ""
    lines = [
        f"  noise rate         {audit.noise_rate:.1%} (90 % interval {low:.1%} to {high:.1%})",
        f"  labels doubted     {doubted:,} of {judged:,} judged{share}",
    ]
    if judged < len(audit.labels):
        lines.append(f"  not judged         {len(audit.labels) - judged:,}, for lack of evidence")
    if of_no_class := int(audit.is_of_no_class.sum()):
        lines.append(f"  fit no class       {of_no_class:,}")
    if pairs := len(audit.duplicate_pairs):
        lines.append(f"  near-duplicates    {_number(pairs, 'pair')} with different labels")
    return lines


def _worst_classes(audit: "LabelAudit") -> list[str]:
    counts = class_counts(audit)
    most = most_confused_with(confusion_counts(audit))
    worst = [k for k in class_order(counts)[:_ROWS] if counts.doubted[k]]
    if not worst:
        return []
    lines = ["", "Classes with the largest share doubted"]
    for k in worst:
        doubted, size = int(counts.doubted[k]), int(counts.sizes[k])
        rather = f"  rather {_name(audit, most[k])}" if k in most else ""
        of = f"{doubted:,} of {size:,}"
        lines.append(f"  {doubted / size:4.0%} {of:>15}  {_name(audit, k):{_NAME_LENGTH}}{rather}")
    return lines


def _confused_pairs(audit: "LabelAudit") -> list[str]:
    pairs = confusion_counts(audit)[:_ROWS]
    if not pairs:
        return []
    lines = ["", "Classes confused most: samples labelled as one that seem to be of the other"]
    for given, suggested, count, reverse in pairs:
        back = f" (other way {reverse:,})" if reverse else ""
        lines.append(f"  {count:6,}  {_name(audit, given)} → {_name(audit, suggested)}{back}")
    return lines


def _name(audit: "LabelAudit", k: int) -> str:
    return one_line(audit.class_names[k], _NAME_LENGTH)


def _number(count: int, one: str, several: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else several or one + 's'}"
