#!/bin/bash
# Scores the flights of last night. Prints nothing when all is well: cron mails what a job prints.
set -uo pipefail

MLSERVE=${MLSERVE:-/opt/mlserve/bin/mlserve}
MODEL=${MODEL:-/srv/models/late-gbm}
FLIGHTS=${FLIGHTS:-/srv/flights}
SCORES=${SCORES:-/srv/scores}
LOGS=${LOGS:-/var/log/mlserve}

night=$(date +%F)
log=$LOGS/$night.log

exec 9>"$LOGS/lock"
flock -n 9 || { echo "the job of an earlier night is still at work"; exit 75; }

for pause_s in 300 1800 0; do
    "$MLSERVE" score -m "$MODEL" -i "$FLIGHTS" -o "$SCORES/$night" --resume >>"$log" 2>&1
    code=$?
    case $code in
        0) exit 0 ;;
        66 | 69 | 71 | 74 | 75 | 129 | 130 | 143) sleep "$pause_s" ;; # worth another try
        *) break ;;
    esac
done

echo "scoring $FLIGHTS ended with exit code $code; the end of $log:"
tail -n 5 "$log"
exit "$code"
