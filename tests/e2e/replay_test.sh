#!/bin/sh
# Live decisions are decided again from their records; what another bundle would have made of them.
exec node "$(dirname "$0")/replay.test.js"
