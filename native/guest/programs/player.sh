#!/bin/sh
# One of the two processes of the task "switch": player <side> <fifo to wait on> <fifo to wake> <rounds>
side=$1
rounds=$4
# Opened for reading and writing, a fifo waits for no other end and never reports its end.
exec 3<> "$2" 4<> "$3"
echo "rebox-guest: switch.$side.pid=$$"
round=0
while [ "$round" -lt "$rounds" ]; do
  read -r _ <&3
  echo >&4
  round=$((round + 1))
done
while read -r key value; do
  case "$key" in
    voluntary_ctxt_switches:) echo "rebox-guest: switch.$side.voluntary=$value" ;;
    nonvoluntary_ctxt_switches:) echo "rebox-guest: switch.$side.involuntary=$value" ;;
  esac
done < /proc/$$/status
