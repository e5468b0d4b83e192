# shellcheck shell=bash
# One set-up of this checkout at a time. Sourced, with the checkout as the working directory.

LOCK=.setup.lock # holds the process that has it

# Waits until the lock is free, and takes it. The caller removes it with give_lock at its end.
take_lock() {
  local other said='' empty=0
  until (set -C && echo $$ >$LOCK) 2>/dev/null; do
    other=$(cat $LOCK 2>/dev/null || true)
    if [ -z "$other" ]; then
      empty=$((empty + 1)) # for an instant, unless its process was killed in between
    fi
    if [ $empty -ge 10 ] || { [ -n "$other" ] && ! kill -0 "$other" 2>/dev/null; }; then
      rm -f $LOCK # left by a run that was killed
      empty=0
    elif [ -z "$said" ] && [ -n "$other" ]; then
      said=1
      printf 'setup: waiting for the set-up that process %s does here …\n' "$other" >&2
    fi
    sleep 0.2
  done
}

give_lock() { rm -f $LOCK; }
