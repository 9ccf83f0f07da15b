#!/bin/sh
# One test file as `make test` runs it, for prove --exec: in an environment that is
# the same everywhere, and with an end.  A file that hangs is named and ended with all
# that it started, so that it costs its own minutes ($LIMIT, in seconds) and no others'.
unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY XDG_CONFIG_HOME XDG_STATE_HOME
LC_ALL=C HOME=${HOME:-/nonexistent}
export LC_ALL HOME
timeout -k 10 "${LIMIT:-600}" "$@" </dev/null
status=$?
case $status in
124 | 137) echo "not ok - $* did not come to its end within ${LIMIT:-600} seconds" ;;
esac
exit $status
