#!/bin/sh
# Every night: absorb the labels that came in, choose what to label next; on Sundays, simulate. Says one line, which cron mails.
# usage: sh nightly.sh FOLDER     (see docs/cron.md; needs alcli and flock on the PATH)
#
# FOLDER holds pool.parquet and labels.csv, a file with the header id,label that annotators append to. The last label of an item
# counts, so a mistake is corrected by another line; a class that is new is added to the head. FOLDER gets head.safetensors,
# ledger.parquet, to-label/DATE.csv; and simulation/DATE/ where there is a labelled.parquet, a pool whose labels are known.
set -u
cd "${1:?usage: sh nightly.sh FOLDER}" || exit 66
batch=${BATCH:-10} strategy=${STRATEGY:-badge} first=${FIRST:-typiclust}
today=${TODAY:-$(date +%F)} weekday=${WEEKDAY:-$(date +%u)}
said='' code=0

# The kernel frees this lock when the script ends, however it does: there is no stale lock to remove.
exec 9> .nightly.lock
flock -n 9 || { echo "nightly: the run before is not finished"; exit 75; }

# step COMMAND...: runs it, keeps its last line for the mail and the first exit code that is not 0
step() {
    output=$("$@" 2>&1 9>&-)
    status=$?
    [ $code -ne 0 ] || code=$status
    said="$said; $(printf '%s\n' "$output" | tail -n 1)"
    return $status
}

# Somebody may be writing the last line at this moment: only lines that have ended count. The rest comes tomorrow.
if [ -f labels.csv ] && [ "$(wc -l < labels.csv)" -gt 1 ]; then
    head -n "$(wc -l < labels.csv)" labels.csv > .labels.csv
    if [ -f head.safetensors ]; then
        step alcli update head.safetensors -P pool.parquet -l .labels.csv --allow-new-classes --corrections
    else
        step alcli fit-head pool.parquet -l .labels.csv -o head.safetensors --corrections -q && said="$said a head was fitted"
    fi
else
    said='; no labels yet'
fi

# One batch a day, even when this runs twice. It is in the ledger before it is there to be read; and when a kill comes in between, the
# next run puts it there.
mkdir -p to-label
if [ ! -f "to-label/$today.csv" ]; then
    set -- -n "$batch" --selections ledger.parquet -o "to-label/$today.csv" -q
    if [ -f head.safetensors ]; then
        step alcli query pool.parquet -H head.safetensors -s "$strategy" "$@"
    else
        step alcli query pool.parquet -s "$first" "$@"
    fi && said="$said $(($(wc -l < "to-label/$today.csv") - 1)) items in to-label/$today.csv"
fi

# A folder a week, for a simulation goes on from where it was and refuses other labels than those it began with.
if [ "$weekday" = 7 ] && [ -f labelled.parquet ]; then
    mkdir -p simulation
    step alcli simulate labelled.parquet -s "margin,$strategy" -n "$batch" --rounds 5 --seeds 3 -o "simulation/$today" -q &&
        said="$said simulation/$today/summary.csv is new"
fi

echo "nightly: ${said#; }"
exit $code
