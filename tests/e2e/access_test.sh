#!/bin/sh
# Who may call what, and from where.
exec node "$(dirname "$0")/access.test.js"
