#!/bin/sh
# Each ready set-up of sdk/config, as it lies there, in a live gateway.
exec node "$(dirname "$0")/setups.test.js"
