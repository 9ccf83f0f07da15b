#!/bin/sh
# What the keys of a workspace spend together, as policies read it.
exec node "$(dirname "$0")/tenants.test.js"
