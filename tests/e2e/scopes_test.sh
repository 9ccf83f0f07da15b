#!/bin/sh
# Which policies run for whom, and budgets.
exec node "$(dirname "$0")/scopes.test.js"
