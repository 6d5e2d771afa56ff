"""The closing summary of a run, for people."""

from typing import Any

Found = dict[str, Any]


def summary_lines(found: Found) -> list[str]:
    """What a run found and where it lies, a line each."""
    lines = [*_rows(found), *_segments(found), *_quality(found), *_publication(found)]
    if found.get("synthetic"):
        lines.append("Synthetic data: these figures say nothing about a real shop.")
    names = {"bundle": "Bundle", "merged_csv": "Recommendations", "report": "Report", "cleaned": "Cleaned events"}
    names |= {"rejected": "Rejected rows", "segments": "Segments", "run": "All figures (JSON)"}
    width = max(len(name) for name in names.values())
    lines += [f"{label:<{width}}  {found['paths'][key]}" for key, label in names.items() if key in found["paths"]]
    return lines


def _rows(found: Found) -> list[str]:
    exploration = found.get("exploration", {})
    if "rows" not in exploration:
        return []
    rows = exploration["rows"]
    lines = [
        f"{rows['read']:,} rows read: {rows['kept']:,} kept, {rows['duplicates']:,} exact duplicates dropped, "
        f"{rows['rejected']:,} rejected"
    ]
    lines += [f"  rejected, {reason}: {count:,}" for reason, count in exploration.get("rejected", {}).items()]
    lines += [f"  left out, {reason}: {count:,}" for reason, count in exploration.get("left_out", {}).items()]
    if "event_mix" in exploration:
        mix = ", ".join(f"{row['events']:,} {row['event_type']}" for row in exploration["event_mix"] if row["events"])
        missing = {row["column"]: row["missing"] for row in exploration["missing"]}
        totals = exploration["totals"]
        lines += [
            f"{mix}",
            f"{missing['category_code']:,} missing category codes, {missing['brand']:,} missing brands, "
            f"{exploration['prices_not_positive']:,} prices <= 0",
            f"{totals['users']:,} users, {totals['products']:,} products, {totals['sessions']:,} sessions, "
            f"{totals['first']} to {totals['last']}",
        ]
    return lines


def _segments(found: Found) -> list[str]:
    table = found.get("segments", {}).get("segments", [])
    return [
        f"Segment {row['segment_id']} {row['segment']}: {row['users']:,} users ({row['share']:.1%})" for row in table
    ]


def _quality(found: Found) -> list[str]:
    rows = found.get("quality", {}).get("rows", [])
    shown = [row for row in rows if row["slice"] == "all" and row["model"] in ("blend", "most_popular")]
    return [
        f"Task {row['task']}, {row['model'].replace('_', ' ')}: NDCG@10 {row['ndcg_10']['mean']:.4f} "
        f"[{row['ndcg_10']['low']:.4f}, {row['ndcg_10']['high']:.4f}], HR@10 {row['hr_10']['mean']:.4f}, "
        f"{row['queries']:,} queries"
        for row in shown
    ]


def _publication(found: Found) -> list[str]:
    if "gate" not in found:
        return []
    gate = found["gate"]
    return [f"Bundle {found['version']} {'published' if gate['published'] else 'NOT published'}: {gate['reason']}"]
