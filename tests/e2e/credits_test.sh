#!/bin/sh
# The balance that requests are paid from.
exec node "$(dirname "$0")/credits.test.js"
