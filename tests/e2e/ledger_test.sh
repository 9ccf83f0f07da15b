#!/bin/sh
# Limits that hold, and the same cost everywhere.
exec node "$(dirname "$0")/ledger.test.js"
