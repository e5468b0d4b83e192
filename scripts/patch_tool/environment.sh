# shellcheck shell=bash
# What git gets from the environment, and what of an address may be shown. Sourced by apply_patches.sh and setup.sh.

# Removes every git variable that could change a result, a repository or a patch (GIT_DIR in a hook, GIT_DIFF_OPTS,
# GIT_CONFIG_COUNT). Kept: how a server is reached and who the user is. Of the settings in GIT_CONFIG_COUNT,
# safe.directory stays: containers set it there, and without it git refuses a folder of another user.
clean_git_environment() {
  local name count=${GIT_CONFIG_COUNT:-0} i=0 kept=0 key value
  case $count in *[!0-9]*) count=0 ;; esac
  while [ "$i" -lt "$count" ]; do
    key=GIT_CONFIG_KEY_$i value=GIT_CONFIG_VALUE_$i
    case $(printf '%s' "${!key:-}" | tr '[:upper:]' '[:lower:]') in
      safe.directory)
        printf -v "REWACT_SAFE_$kept" '%s' "${!value:-}"
        kept=$((kept + 1))
        ;;
    esac
    i=$((i + 1))
  done
  for name in $(compgen -A export GIT_); do
    case $name in
      GIT_SSH | GIT_SSH_COMMAND | GIT_SSH_VARIANT | GIT_ASKPASS | GIT_TERMINAL_PROMPT | GIT_ALLOW_PROTOCOL) ;;
      GIT_SSL_* | GIT_HTTP_* | GIT_PROXY_* | GIT_CURL_* | GIT_TRACE* | GIT_LFS_* | GIT_EXEC_PATH) ;;
      GIT_CONFIG_GLOBAL | GIT_CONFIG_SYSTEM | GIT_CONFIG_NOSYSTEM) ;;
      GIT_CEILING_DIRECTORIES | GIT_DISCOVERY_ACROSS_FILESYSTEM) ;;
      GIT_AUTHOR_NAME | GIT_AUTHOR_EMAIL | GIT_COMMITTER_NAME | GIT_COMMITTER_EMAIL) ;;
      *) unset "$name" ;;
    esac
  done
  i=0
  while [ "$i" -lt "$kept" ]; do
    value=REWACT_SAFE_$i
    export "GIT_CONFIG_KEY_$i=safe.directory" "GIT_CONFIG_VALUE_$i=${!value}"
    unset "$value"
    i=$((i + 1))
  done
  [ "$kept" = 0 ] || export GIT_CONFIG_COUNT=$kept
}

# Reads text, and prints it without the passwords and tokens in its addresses: https://me:TOKEN@host becomes
# https://host, ssh://me:PASSWORD@host becomes ssh://me@host.
without_passwords() {
  sed -E -e 's#([Hh][Tt][Tt][Pp][Ss]?://)[^/[:space:]]*@#\1#g' -e 's#([A-Za-z][A-Za-z0-9+.-]*://[^/:@[:space:]]*):[^/[:space:]]*@#\1@#g'
}

shown_url() { printf '%s\n' "$1" | without_passwords; }
